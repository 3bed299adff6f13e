"""Magics that are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell


def import_object(path: str) -> Any:  # noqa: ANN401 (whatever stands there)
    """Import what a path like ``package.module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


class LazyMagic:
    # Stands in IPython's table of magics for a method whose class is not imported yet.
    # Help (``%magic?``) and its file are those of the method.

    def __init__(self, shell: InteractiveShell, name: str, path: str) -> None:
        self._shell = shell
        self._method: Callable[..., Any] | None = None
        self.instance: Any = None  # of the class, when it is imported
        self.name = name
        self.path = path

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The method itself; IPython asks for it to find the source."""
        if self._method is None:
            self.instance = import_object(self.path)(self._shell)
            self._method = getattr(self.instance, self.name)
        return self._method

    @property
    def __doc__(self) -> str:  # type: ignore[override]  # a text for each magic
        """The help text of the method."""
        return self.__wrapped__.__doc__ or ""

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run the magic."""
        return self.__wrapped__(*args, **kwargs)

    def __repr__(self) -> str:
        """Return a text that tells what is behind it."""
        return f"<magic {self.name} of {self.path}>"
