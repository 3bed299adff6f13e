"""Change attributes for the length of a cell, and put every one back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

_ABSENT: Final = object()


@dataclass(eq=False)
class Patches:
    """A list of changed attributes, undone last first.

    Only what an object or class holds itself is remembered: a method that was inherited
    is inherited again afterwards.
    """

    _undo: list[tuple[Any, Any, object, object]] = field(default_factory=list)

    def set(self, owner: Any, name: str, value: object) -> None:  # noqa: ANN401
        """Set an attribute until `undo`."""
        own = vars(owner).get(name, _ABSENT)
        setattr(owner, name, value)
        self._undo.append((owner, name, own, vars(owner)[name]))

    def set_item(self, owner: dict[Any, Any], name: object, value: object) -> None:
        """Set the value of an existing key until `undo`."""
        own = owner[name]
        owner[name] = value
        self._undo.append((owner, name, own, value))

    def undo(self) -> None:
        """Put everything back; what somebody else has changed since stays."""
        while self._undo:
            owner, name, own, ours = self._undo.pop()
            if isinstance(owner, dict):
                if owner.get(name) is ours:
                    owner[name] = own
            elif vars(owner).get(name, _ABSENT) is not ours:
                continue
            elif own is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
