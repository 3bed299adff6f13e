"""What is true while one cell runs on a device; the patched functions ask it."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.memory.children import is_kind
from colabmagic.train.origin import is_user_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from colabmagic.train.options import Rng

_CELL_DEPTH: Final = 64


_RESTING: Final = 1_000_000  # more loaders than can be inside each other


def _other_threads() -> dict[int | None, threading.Thread]:
    """Return the threads of Python that run already and have nothing to do with us."""
    own = threading.get_ident()
    return {
        each.ident: each
        for each in threading.enumerate()
        if each.ident != own and not isinstance(each, threading._DummyThread)  # noqa: SLF001
    }


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
    named_devices
        The ``torch.device`` objects that have a name of the user's.
    makes_devices
        Whether the cell makes such objects itself.
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
    named_devices: tuple[torch.device, ...] = ()
    makes_devices: bool = False
    notes: dict[str, None] = field(default_factory=dict)
    other_threads: dict[int | None, threading.Thread] = field(
        default_factory=_other_threads
    )
    originals: dict[int, tuple[object, object]] = field(default_factory=dict)
    arm: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        # CUDA alone copies small pageable memory without waiting; MPS must never do so.
        self.non_blocking = self.device.type == "cuda"
        _alive.add(self)

    def _is_other_thread(self) -> bool:
        """Tell whether a thread calls that ran before the cell; numbers are used anew."""
        thread = self.other_threads.get(threading.get_ident())
        return thread is not None and thread.is_alive()

    def expect(self, module: torch.nn.Module) -> None:
        """Remember a module that is on the CPU and moves at the first use of any."""
        self.pending.append(weakref.ref(module))
        if self.arm is not None:
            self.arm()

    def rest(self) -> None:
        """Move nothing any more: whoever kept a wrapper of ours has a plain function."""
        self.inside_loader += _RESTING

    @property
    def rests(self) -> bool:
        """Whether the cell has ended."""
        return self.inside_loader >= _RESTING

    def is_chosen(self, device: object) -> bool:
        """Tell whether the user chose a device, or only follows that of a tensor.

        ``device=x.device`` is written for any device, and says nothing about this one:
        what it makes goes home as if it were not there. A text, a device without a
        number and a device that has a name of his own are choices.
        """
        if not isinstance(device, torch.device):
            return True
        return (
            device.index is None  # type: ignore[redundant-expr]  # its stub says int
            or self.makes_devices
            or any(each is device for each in self.named_devices)
        )

    def applies(self, frame: FrameType) -> bool:
        """Tell whether a call from this frame means the device.

        It does in code of the user, outside of Dataset code, outside of a module's
        ``__init__`` (modules are made on the CPU), and in the threads of the cell: its
        own, those that it starts, and those of torch in which a backward pass runs.
        """
        return (
            not self.inside_loader
            and is_user_file(frame.f_code.co_filename)
            and not self._is_other_thread()
            and not constructs_module(frame)
        )

    def draws(self) -> bool:
        """Tell whether a draw on the device belongs to the cell, whoever makes it.

        What torch's own code draws there (distributions) counts as on the CPU.
        """
        return not self.inside_loader and not self._is_other_thread()


def constructs_module(frame: FrameType | None) -> bool:
    """Tell whether a frame works for the ``__init__`` of a module."""
    depth = 0
    while frame is not None and depth < _CELL_DEPTH:
        code = frame.f_code
        if code.co_name == "<module>":
            return False
        if code.co_name == "__init__" and code.co_argcount:
            owner = frame.f_locals.get(code.co_varnames[0])
            if is_kind(owner, torch.nn.Module):
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
        scope.rest()


os.register_at_fork(after_in_child=_rest_in_child) if hasattr(
    os, "register_at_fork"
) else None
