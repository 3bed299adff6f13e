"""What one shell got from ``%load_ext colabmagic``, and how to take it back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from colabmagic.magics import _front
from colabmagic.magics._after_error import ErrorHooks
from colabmagic.magics._completion import Completion
from colabmagic.magics._config import ColabMagic
from colabmagic.magics._explain import Explainer
from colabmagic.magics._lazy import LazyMagic

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from IPython.core.interactiveshell import InteractiveShell


class Extension:
    """Everything that was added to one shell.

    Parameters
    ----------
    shell
        The shell; changed by `load`, and back by `unload`.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._magics: dict[str, LazyMagic] = {}
        self._replaced: dict[tuple[str, str], Any] = {}
        self._completion = Completion(shell, self._magics)
        self._config: ColabMagic | None = None
        self._after_error: ErrorHooks | None = None
        self._ast_transformer = _front.CellTransformer(shell)
        self.explainer = Explainer(shell)

    def load(
        self,
        magics: Mapping[str, str],
        cell_magics: Mapping[str, str],
        body_magics: Collection[str] = (),
    ) -> None:
        """Add magics, the two transformers, completion, settings and hooks.

        Parameters
        ----------
        magics
            Names of magics, each with the path of its class.
        cell_magics
            Those that run the user's cell, each with the path of its opener.
        body_magics
            Those that take a body which is no code.
        """
        self._config = ColabMagic.of(self._shell)  # first: it alone may be refused
        for name, path in magics.items():
            magic = self._magics[name] = LazyMagic(self._shell, name, path)
            # Both kinds where there is a body: `%name?` finds line magics only.
            has_body = name in cell_magics or name in body_magics
            kinds = ("line", "cell") if has_body else ("line",)
            for kind in kinds:
                self._put(kind, name, magic)
        for name, opener in cell_magics.items():
            _front.OPENERS.setdefault(name, opener)
        _front.BODIES.update(body_magics)
        # Before IPython's own `cell_magic`, and not among the clean-up transforms: a
        # terminal runs those to see whether more lines will come.
        transforms = self._shell.input_transformer_manager.line_transforms
        if _front.open_front_door not in transforms:
            transforms.insert(0, _front.open_front_door)
        self._shell.ast_transformers.append(self._ast_transformer)
        self._completion.install()
        self.explainer.install()
        # Annotated as a list of shells, though all kinds are in it.
        self._shell.configurables.append(self._config)  # type: ignore[arg-type]
        self._after_error = ErrorHooks(self._shell, self._config)
        self._after_error.install()

    def unload(self) -> None:
        """Take back what `load` added, as far as it is still there."""
        live = sys.modules.get("colabmagic.magics._live")
        if live is not None:
            live.stop()
        drive = sys.modules.get("colabmagic.magics.drive")
        if drive is not None:
            drive.turn_off()
        keepalive = sys.modules.get("colabmagic.magics.keepalive")
        if keepalive is not None:
            keepalive.turn_off()
        train = sys.modules.get("colabmagic.magics.train")
        if train is not None:
            train.turn_off(self._shell)
        table = self._shell.magics_manager.magics
        for name, magic in self._magics.items():
            for kind in ("line", "cell"):
                if (
                    table[kind].get(name) is magic
                ):  # else the user's own is there by now
                    del table[kind][name]
                    if (kind, name) in self._replaced:
                        table[kind][name] = self._replaced[kind, name]
            # IPython adds every instance of Magics to what `%config` looks through.
            _remove(self._shell.configurables, magic.instance)
        _front.BODIES.difference_update(self._magics)
        transforms = self._shell.input_transformer_manager.line_transforms
        _remove(transforms, _front.open_front_door)
        _remove(self._shell.ast_transformers, self._ast_transformer)
        _remove(self._shell.configurables, self._config)
        self._completion.remove()
        self.explainer.remove()
        if self._after_error is not None:
            self._after_error.remove()

    def _put(self, kind: str, name: str, magic: LazyMagic) -> None:
        """Register a magic and remember the one that it replaces."""
        table = self._shell.magics_manager.magics[kind]
        if name in table:
            self._replaced[kind, name] = table[name]
        table[name] = magic


def _remove(items: list[Any], item: object) -> None:
    """Remove an item by identity; nothing happens where it is gone."""
    items[:] = [other for other in items if other is not item]
