"""Batches of worker processes: pinned by the loader's own thread, and sent ahead.

Torch's loader stays what it is: who samples, when, and in which order is its own. Its
pinning thread, which exists for this, gets a dataset's finished batches; it pins them
without a change and begins to copy the next ones on a stream of their own. A batch is
known by its identity, so that nothing of ours can ever come out of the loader.
"""

from __future__ import annotations

import queue
import threading
import types
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader
from torch.utils.data._utils import pin_memory as torchs_pinning
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from colabmagic.train.resident import memory_bytes
from colabmagic.train.simple import bytes_of, is_simple, mapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.train.patches import Patches

AHEAD: Final = 2  # batches that are on the device before they are asked for
# Of the device's memory, for one batch: a loop that just fits by hand must fit here.
SHARE: Final = 0.01
# Those whose copies run beside the computation. MPS must not: pytorch#83015.
OVERLAPPING: Final = {"cuda"}

_setattr: Final[Any] = DataLoader.__setattr__
_to: Final = torch._C.TensorBase.to  # noqa: SLF001
_pin: Final = torch._C.TensorBase.pin_memory  # noqa: SLF001

# The device of the cell that runs; None between cells: threads of persistent workers
# outlive the cell, and pin nothing then.
_now: Final = types.SimpleNamespace(device=None, limit_bytes=0.0)


def install(patches: Patches, device: torch.device) -> bool:
    """Pin and send ahead from now on, where the device gains by it.

    Parameters
    ----------
    patches
        Undoes it.
    device
        Of the cell.

    Returns
    -------
    bool
        Whether it was done; then call `close` after the patches were undone.
    """
    if device.type not in OVERLAPPING or not hasattr(torch, "accelerator"):
        return False
    patches.set(_now, "limit_bytes", SHARE * memory_bytes(device)[1])
    patches.set(_now, "device", device)
    return True


def close() -> None:
    """Let go of batches that nobody has asked for."""
    for ahead in list(_known.values()):
        ahead.forget()


def forget(iterator: Any) -> None:  # noqa: ANN401
    """Let go of the batches of an epoch that begins anew."""
    ahead = _known.get(iterator)
    if ahead is not None:
        ahead.forget()


def iterate(loader: Any, original: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Begin an epoch with workers; pin unless the user decided it himself.

    Parameters
    ----------
    loader
        The user's; as he left it when this returns.
    original
        Makes the iterator.
    """
    own = vars(loader)
    kind: Any = type(loader)
    if (
        _now.device is None
        or own.get("num_workers", 0) == 0
        or type(own.get("pin_memory")) is not bool
        or kind.__setattr__ is not _setattr
    ):
        return original()
    ahead = Ahead()
    iterator = original() if own["pin_memory"] else _pinning(own, ahead, original)
    if isinstance(iterator, _MultiProcessingDataLoaderIter):
        _known[iterator] = ahead
        thread = vars(iterator).get("_pin_memory_thread")
        if type(thread) is threading.Thread:
            thread.__class__ = _PinningThread
    return iterator


def _pinning(own: dict[str, Any], ahead: Ahead, original: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Make an iterator whose thread pins in our way.

    Torch's way makes two tensors of one that occurs twice, and containers anew.
    """
    loop = torchs_pinning._pin_memory_loop  # noqa: SLF001

    def pin_loop(batches: Any, *args: Any) -> None:  # noqa: ANN401
        loop(_Watched(batches, ahead), *args)

    torchs: Any = torchs_pinning
    try:
        own["pin_memory"] = True
        torchs._pin_memory_loop = pin_loop  # noqa: SLF001
        return original()
    finally:
        torchs._pin_memory_loop = loop  # noqa: SLF001
        own["pin_memory"] = False


class _PinningThread(threading.Thread):
    """Torch's thread; it may be the one that throws its own iterator away."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end, unless by itself."""
        if self is not threading.current_thread():
            super().join(timeout)


def taken(iterator: Any, batch: Any) -> Any:  # noqa: ANN401
    """Return a batch on the device if it was sent ahead, and send the next ones.

    Parameters
    ----------
    iterator
        Of a loader.
    batch
        What it gave.

    Returns
    -------
    object
        The batch on the device; None if it was not sent.
    """
    ahead = _known.get(iterator)
    if ahead is None:
        return None
    there = ahead.take(batch)
    for each in _waiting(iterator):
        ahead.send(each)
    return there


def _waiting(iterator: Any) -> list[Any]:  # noqa: ANN401 (a private class of torch)
    """Return the batches that have come from the workers, the next ones first."""
    first = iterator._rcvd_idx  # noqa: SLF001
    early = (iterator._task_info.get(first + step, ()) for step in range(AHEAD))  # noqa: SLF001
    found = [info[1] for info in early if len(info) > 1]
    arrived = iterator._data_queue  # noqa: SLF001
    if type(arrived) is queue.Queue:
        with arrived.mutex:
            found += [each[1] for each, _ in zip(arrived.queue, range(AHEAD))]  # noqa: B905
    return found


@dataclass(eq=False, slots=True)
class _Sent:
    """A batch, its copy on the device, and when the copy is whole."""

    batch: Any
    there: Any
    tensors: list[torch.Tensor]
    event: Any


@dataclass(eq=False)
class Ahead:
    """The batches of one iterator that are on their way."""

    _sent: dict[int, _Sent] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)
    _stream: Any = None

    def forget(self) -> None:
        """Let go of all of them."""
        with self._lock:
            self._sent.clear()

    def send(self, batch: Any) -> None:  # noqa: ANN401
        """Begin to copy a batch, unless enough are on their way.

        What goes wrong goes wrong again, and is raised, when the batch is asked for.
        """
        with self._lock:
            device = _now.device
            if device is None or len(self._sent) >= AHEAD or id(batch) in self._sent:
                return
            if not is_simple(batch) or bytes_of(batch) > _now.limit_bytes:
                return
            try:
                sent = self._begun(batch, device)
            except (RuntimeError, TypeError):
                return
            self._sent[id(batch)] = sent

    def take(self, batch: Any) -> Any:  # noqa: ANN401
        """Return the copy of a batch for use on the current stream; None without one."""
        with self._lock:
            sent = self._sent.pop(id(batch), None)
        if sent is None:
            return None
        current: Any = torch.accelerator.current_stream(sent.tensors[0].device)
        current.wait_event(sent.event)
        for each in sent.tensors:
            each.record_stream(current)  # its memory is not given away before
        return sent.there

    def _begun(self, batch: Any, device: torch.device) -> _Sent:  # noqa: ANN401
        """Start the copies on a stream of their own."""
        if self._stream is None or self._stream.device != device:
            self._stream = torch.Stream(device=device)
        tensors: list[torch.Tensor] = []

        def send(tensor: torch.Tensor) -> torch.Tensor:
            there: torch.Tensor = _to(tensor, device, non_blocking=True)
            tensors.append(there)
            return there

        with self._stream:
            there = mapped(batch, send)
            event = self._stream.record_event()
        return _Sent(batch, there, tensors, event)


@dataclass(eq=False, slots=True)
class _Arrived:
    """A finished batch; torch's thread asks what it gets to pin itself."""

    batch: Any
    ahead: Ahead

    def pin_memory(self) -> Any:  # noqa: ANN401
        """Return the batch in pinned memory; as it is where that cannot be."""
        if _now.device is None or not is_simple(self.batch):
            return self.batch
        try:
            pinned = mapped(self.batch, _pin)
        except RuntimeError:
            return self.batch
        self.ahead.send(pinned)
        return pinned


@dataclass(eq=False, slots=True)
class _Watched:
    """The queue of finished batches, as torch's thread reads it."""

    queue: Any
    ahead: Ahead

    def get(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Return the next one."""
        number, batch = self.queue.get(*args, **options)
        if isinstance(batch, ExceptionWrapper):
            return number, batch
        return number, _Arrived(batch, self.ahead)


_known: Final[weakref.WeakKeyDictionary[Any, Ahead]] = weakref.WeakKeyDictionary()
