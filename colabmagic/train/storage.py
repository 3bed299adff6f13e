"""The memory of tensors: which tensors share it, and its counterpart on a device.

Tensors are moved storage by storage. Whatever shared memory at home (views, slices,
tied weights, an alias of a parameter) shares it on the device, and comes home to the
very storage that it came from.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNK_BYTES: Final = 64 * 2**20
WHOLE_STORAGE_BYTES: Final = 2**20
_MAPS: Final = Path("/proc/self/maps")

# Kept from before anything is patched: this module must not meet its own patches.
_empty = torch.empty
_bytes = torch.uint8


@dataclass(slots=True)
class Pair:
    """One storage at home and the memory on the device that stands for it.

    Attributes
    ----------
    home
        The storage on the CPU.
    away
        The storage on the device.
    start
        First byte of `home` that `away` stands for; `away` begins there.
    size
        Number of bytes on the device when they were copied there.
    away_key
        What is equal for tensors on `away`.
    views
        Tensors over both memories where one tensor fills each: copied more quickly.
    """

    home: torch.UntypedStorage
    away: torch.UntypedStorage
    start: int
    views: tuple[torch.Tensor, torch.Tensor] | None = None
    size: int = 0
    away_key: int = 0

    def __post_init__(self) -> None:
        self.size = self.away.nbytes()
        self.away_key = self.away._cdata  # noqa: SLF001 (the identity of a storage)

    def covers(self, first: int, last: int) -> bool:
        """Tell whether the bytes ``first <= i < last`` of `home` are on the device."""
        return self.start <= first and last <= self.start + self.away.nbytes()


def key(tensor: torch.Tensor) -> int:
    """Return what is equal for tensors that share memory."""
    return int(tensor.untyped_storage()._cdata)  # noqa: SLF001 (the identity of a storage)


def extent(tensor: torch.Tensor) -> tuple[int, int]:
    """Return the first byte of a tensor in its storage, and the one after the last."""
    size = tensor.element_size()
    first = int(tensor.storage_offset())
    if tensor.numel() == 0:
        return first * size, first * size
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    last = first + sum((int(length) - 1) * int(step) for length, step in steps)
    return first * size, (last + 1) * size


def holds(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor's memory is there; libraries free it for a while."""
    return extent(tensor)[1] <= tensor.untyped_storage().nbytes()


def span(tensors: Iterable[torch.Tensor]) -> tuple[int, int]:
    """Return the bytes of a common storage that some tensors use, as start and end.

    The start is a multiple of 16, so that it stays aligned for every element type. A
    small storage, or one that is used for the greater part, is taken whole.
    """
    first, last, total = sys.maxsize, 0, 0
    for tensor in tensors:
        begin, end = extent(tensor)
        first, last = min(first, begin), max(last, end)
        total = tensor.untyped_storage().nbytes()
    if total <= WHOLE_STORAGE_BYTES or 2 * (last - first) >= total:
        return 0, total
    return first - first % 16, last


def raw(storage: torch.UntypedStorage, start: int, end: int) -> torch.Tensor:
    """Return some bytes of a storage as a tensor over the same memory."""
    flat = _empty(0, dtype=_bytes, device=storage.device)
    return flat.set_(storage, start, (end - start,), (1,))


def send(tensors: list[torch.Tensor], device: torch.device) -> Pair:
    """Copy the memory that some tensors share to a device."""
    home = tensors[0].untyped_storage()
    start, end = span(tensors)
    away = raw(home, start, end).to(device)
    return Pair(home, away.untyped_storage(), start)


def fetch(pair: Pair) -> bool:
    """Copy the device's bytes back into the home storage.

    Memory that torch did not allocate (a NumPy array, a memory-mapped file) is written
    only where it differs, because writing to a read-only mapping kills the process.

    Returns
    -------
    bool
        False if the home storage cannot hold them; it is then unchanged.
    """
    if pair.away.nbytes() != pair.size:
        return False  # resized in the cell: it needs memory of its own
    size = pair.away.nbytes()
    if pair.home.nbytes() < pair.start + size:
        return False  # the user shrank it in the cell, through an alias
    if pair.home.resizable():
        raw(pair.home, pair.start, pair.start + size).copy_(raw(pair.away, 0, size))
        return True
    writable: bool | None = None
    for first in range(0, size, CHUNK_BYTES):
        last = min(first + CHUNK_BYTES, size)
        there = raw(pair.away, first, last).cpu()
        here = raw(pair.home, pair.start + first, pair.start + last)
        if torch.equal(here, there):
            continue
        if writable is None:
            writable = is_writable(pair.home, pair.start, pair.start + size)
        if not writable:
            return False
        here.copy_(there)
    return True


def fetch_all(pairs: Iterable[Pair]) -> list[Pair]:
    """Copy the bytes of many pairs home; return those whose home could not hold them.

    Those that one tensor fills, on both sides, are copied in one call.
    """
    homes: list[torch.Tensor] = []
    aways: list[torch.Tensor] = []
    failed: list[Pair] = []
    for pair in pairs:
        views, home = pair.views, pair.home
        if (
            views is not None
            and home.resizable()
            and home.nbytes() >= pair.size == pair.away.nbytes()
        ):
            homes.append(views[0])
            aways.append(views[1])
        elif not fetch(pair):
            failed.append(pair)
    if homes:
        torch._foreach_copy_(homes, aways)  # one call for thousands
    return failed


def resend(pair: Pair) -> None:
    """Copy the bytes of the home storage to the device once more."""
    end = pair.start + pair.away.nbytes()
    if end <= pair.home.nbytes():
        raw(pair.away, 0, pair.away.nbytes()).copy_(raw(pair.home, pair.start, end))


def answers(device: torch.device) -> bool:
    """Tell whether a device can be read at all."""
    try:
        _empty(1, device=device).cpu()
    except torch.OutOfMemoryError:
        return True
    except RuntimeError:
        return False
    return True


def is_writable(storage: torch.UntypedStorage, start: int, end: int) -> bool:
    """Tell whether the process may write to these bytes.

    Where the system does not tell (no ``/proc``), the answer is yes, as in torch.
    """
    try:
        lines = _MAPS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return True
    first, last = storage.data_ptr() + start, storage.data_ptr() + end
    for line in lines:
        addresses, rights = line.split(maxsplit=2)[:2]
        low, high = (int(part, 16) for part in addresses.split("-"))
        if low < last and first < high and "w" not in rights:
            return False
    return True


def rebuild(
    like: torch.Tensor, storage: torch.UntypedStorage, shift_bytes: int
) -> torch.Tensor:
    """Return a tensor of the same type, size and strides over another storage.

    Parameters
    ----------
    like
        The tensor to imitate.
    storage
        The memory of the new one.
    shift_bytes
        How much nearer to the beginning the data lies there.
    """
    offset = like.storage_offset() - shift_bytes // like.element_size()
    made = _empty(0, dtype=like.dtype, device=storage.device)
    made.set_(storage, offset, like.shape, like.stride())
    if like.is_conj():
        made = made.conj()
    if like.is_neg():
        made = torch._neg_view(made)  # noqa: SLF001
    return made
