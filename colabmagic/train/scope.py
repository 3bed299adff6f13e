"""What is true while one cell runs on a device; the patched functions ask it."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.train.origin import is_user_file

if TYPE_CHECKING:
    from types import FrameType

    from colabmagic.train.options import Rng

_CELL_DEPTH: Final = 64


class Marks:
    """Objects that were marked, by identity; marking does not keep them alive."""

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._references)

    def __contains__(self, value: object) -> bool:
        """Tell whether this very object is marked."""
        reference = self._references.get(id(value))
        return reference is not None and reference() is value

    def add(self, value: object) -> None:
        """Mark an object."""
        self._references[id(value)] = weakref.ref(value)

    def discard(self, value: object) -> None:
        """Take a mark back."""
        self._references.pop(id(value), None)


@dataclass(eq=False)
class Scope:
    """The state of a cell.

    Attributes
    ----------
    device
        Where the cell runs.
    rng
        Where its random numbers come from.
    inside_loader
        Above 0 while the code of a Dataset runs: nothing is moved there.
    on_device
        Tensors and modules that the user himself put on the device; they stay there.
    at_home
        Tensors and modules that the user himself put on the CPU.
    stay
        Tensors that were on the device before the cell, and what belongs to them.
    pending
        Modules made in the cell that are still on the CPU.
    batches
        How many batches the loaders gave.
    notes
        What the user should know, each once.
    """

    device: torch.device
    rng: Rng = "auto"
    inside_loader: int = 0
    on_device: Marks = field(default_factory=Marks)
    at_home: Marks = field(default_factory=Marks)
    stay: Marks = field(default_factory=Marks)
    pending: list[weakref.ref[torch.nn.Module]] = field(default_factory=list)
    batches: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    thread: int = field(default_factory=threading.get_ident)

    def __post_init__(self) -> None:
        # CUDA alone copies small pageable memory without waiting; MPS must never do so.
        self.non_blocking = self.device.type == "cuda"
        _alive.add(self)

    def applies(self, frame: FrameType) -> bool:
        """Tell whether a call from this frame means the device.

        It does in code of the user, in the thread of the cell, outside of Dataset code,
        and outside of a module's ``__init__``: modules are made on the CPU.
        """
        return (
            not self.inside_loader
            and is_user_file(frame.f_code.co_filename)
            and threading.get_ident() == self.thread
            and not constructs_module(frame)
        )


def constructs_module(frame: FrameType | None) -> bool:
    """Tell whether a frame works for the ``__init__`` of a module."""
    depth = 0
    while frame is not None and depth < _CELL_DEPTH:
        code = frame.f_code
        if code.co_name == "<module>":
            return False
        if code.co_name == "__init__" and code.co_argcount:
            owner = frame.f_locals.get(code.co_varnames[0])
            if torch.nn.Module in type(owner).__mro__:
                return True
        frame = frame.f_back
        depth += 1
    return False


def caller(depth: int = 2) -> FrameType:
    """Return the frame that called the patched function."""
    return sys._getframe(depth)  # noqa: SLF001 (the documented way, in spite of its name)


_alive: weakref.WeakSet[Scope] = weakref.WeakSet()


def _rest_in_child() -> None:
    """Move nothing in a forked process: it works for a loader, or for the user."""
    for scope in _alive:
        scope.inside_loader += 1


os.register_at_fork(after_in_child=_rest_in_child) if hasattr(
    os, "register_at_fork"
) else None
