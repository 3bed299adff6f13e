"""What would go to a device, under which of the user's names, and whether it fits."""

from __future__ import annotations

import contextlib
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.errors import DeviceMemoryError
from colabmagic.memory.children import is_kind
from colabmagic.memory.devices import read_device
from colabmagic.report.size import in_words
from colabmagic.train import storage
from colabmagic.train.exchange import is_movable, is_plain
from colabmagic.train.reach import Reach
from colabmagic.train.traveller import with_gradients

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from colabmagic.memory.devices import DeviceMemory
    from colabmagic.train.move import Mover

_NAMED: Final = 3
_CODE: Final = (types.FunctionType, types.MethodType, type)
OTHERS: Final = "what these use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What one name would take to the device.

    Attributes
    ----------
    name
        The user's.
    kinds
        The element types, such as ``float32``.
    size_bytes
        Of memory that no name before has; gradients are in it.
    """

    name: str
    kinds: tuple[str, ...]
    size_bytes: int


def usable_bytes(memory: DeviceMemory) -> int | None:
    """Return what new tensors can have; None where the device does not tell.

    Parameters
    ----------
    memory
        What the device says. What PyTorch's allocator only keeps is free for it.
    """
    if memory.free_bytes is None:
        return None
    if memory.total_bytes is not None and memory.free_bytes > memory.total_bytes:
        return None  # it counts wrong
    return memory.free_bytes + (memory.cached_bytes or 0)


def refuse_too_much(
    tensors: list[torch.Tensor],
    mover: Mover,
    namespace: Mapping[str, Any],
    names: Iterable[str],
) -> None:
    """Refuse what is larger than the free memory, before anything is moved.

    Parameters
    ----------
    tensors
        What belongs on the device.
    mover
        Knows the device, and what is there.
    namespace, names
        The user's names, and those that the cell mentions.

    Raises
    ------
    DeviceMemoryError
        It does not fit.
    """
    rough = sum(map(_nbytes, tensors))
    if not rough:
        return
    free = usable_bytes(read_device(mover.device))
    if free is None or 2 * rough <= free:  # with a gradient each
        return
    items = to_move(tensors, mover, namespace, names)
    total = sum(each.size_bytes for each in items)
    if total <= free:
        return
    largest = ", ".join(
        f"{each.name} {in_words(each.size_bytes)}" for each in items[:_NAMED]
    )
    raise DeviceMemoryError(
        f"what the cell uses does not fit on {mover.device}; nothing was moved",
        seen=f"{in_words(total)} to move, {in_words(free)} free; largest: {largest}",
        hint="%gpu_memory shows who holds memory; or a smaller model or batch, or "
        "%%train_on cpu",
    )


def to_move(
    tensors: list[torch.Tensor],
    mover: Mover,
    namespace: Mapping[str, Any],
    names: Iterable[str],
) -> tuple[Item, ...]:
    """Return what would go to the device, the largest first.

    Parameters
    ----------
    tensors
        What belongs on the device.
    mover
        Knows what is there already.
    namespace, names
        The user's names, and those that the cell mentions.
    """
    owned = _owned(tensors, namespace, names)
    groups: dict[int, list[tuple[str, torch.Tensor]]] = {}
    sizes: dict[str, int] = {}
    kinds: dict[str, dict[str, None]] = {}
    for name, each in owned:
        if not (each.is_cpu and is_movable(each)):
            continue
        kinds.setdefault(name, {})[str(each.dtype).removeprefix("torch.")] = None
        if is_plain(each):
            groups.setdefault(storage.key(each), []).append((name, each))
        else:
            sizes[name] = sizes.get(name, 0) + _nbytes(each)
    for key, group in groups.items():
        owner = max(group, key=lambda pair: _nbytes(pair[1]))[0]
        size = _copied([each for _, each in group], mover.pairs.get(key))
        sizes[owner] = sizes.get(owner, 0) + size
    items = (
        Item(name=name, kinds=tuple(kinds[name]), size_bytes=size)
        for name, size in sizes.items()
        if size
    )
    return tuple(sorted(items, key=lambda each: -each.size_bytes))


def _owned(
    tensors: list[torch.Tensor], namespace: Mapping[str, Any], names: Iterable[str]
) -> list[tuple[str, torch.Tensor]]:
    """Return tensors and their gradients, each with the first name that leads there."""
    left = {id(each): each for each in tensors}
    groups: list[tuple[str, list[torch.Tensor]]] = []
    for name, values in _roots(namespace, names):
        reached = Reach(namespace).values(values).tensors
        groups.append((name, [left.pop(key) for key in reached if key in left]))
    groups.append((OTHERS, list(left.values())))
    return [(name, each) for name, group in groups for each in with_gradients(group)]


def _copied(tensors: list[torch.Tensor], pair: storage.Pair | None) -> int:
    """Return how many bytes would be copied of the memory that tensors share."""
    there = [each for each in tensors if storage.holds(each)]
    if not there:
        return 0
    begin, end = storage.span(there)
    return 0 if pair is not None and pair.covers(begin, end) else end - begin


def _roots(
    namespace: Mapping[str, Any], names: Iterable[str]
) -> list[tuple[str, list[object]]]:
    """Return the names and values to look at; whoever holds most plainly comes first."""
    found = dict.fromkeys(name.partition(".")[0] for name in names)
    roots = [(name, [namespace[name]]) for name in found if name in namespace]
    return sorted(roots, key=lambda root: _rank(root[1][0]))


def _rank(value: object) -> int:
    """Return how plainly a value holds its tensors."""
    if is_kind(value, torch.nn.Module):
        return 0
    if is_kind(value, torch.Tensor):
        return 1
    return 3 if any(is_kind(value, kind) for kind in _CODE) else 2


def _nbytes(tensor: torch.Tensor) -> int:
    """Return the bytes of a tensor that would move."""
    with contextlib.suppress(RuntimeError, NotImplementedError):  # sparse ones
        return int(tensor.nbytes) if tensor.is_cpu else 0
    return 0
