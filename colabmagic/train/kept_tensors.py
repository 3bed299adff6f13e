"""Tensors, as they were: their memory is copied once, however many share it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn.parameter import (  # type: ignore[attr-defined]  # not in its stubs
    UninitializedTensorMixin,
)

from colabmagic.train.exchange import (
    compatible,
    exchange,
    history_of,
    is_plain,
    no_subclass,
    set_data,
)
from colabmagic.train.keeping import keep_dict
from colabmagic.train.storage import key, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_class_of = object.__setattr__
_MOST_NODES: Final = 1000  # of a graph; the first that saved a tensor tells


@dataclass(slots=True)
class _Kept:
    """One tensor.

    Attributes
    ----------
    tensor
        The object.
    kind
        Its class: a lazy parameter becomes another.
    place
        A tensor over its memory, or over a copy where it has no plain memory.
    grad
        Its gradient, which is kept by itself.
    requires_grad, is_computed
        As they were.
    attributes
        Puts back what the user has attached.
    hooks
        Put back the hooks of a gradient.
    has_graph
        Whether a backward pass through its graph was possible.
    name
        Of the user's, that leads to it.
    """

    tensor: torch.Tensor
    kind: type
    place: torch.Tensor | None
    grad: torch.Tensor | None
    requires_grad: bool
    is_computed: bool
    attributes: Callable[[], None]
    hooks: Callable[[], None]
    has_graph: bool
    name: str


@dataclass(eq=False)
class KeptTensors:
    """All tensors that a cell reaches, and their memory."""

    _all: list[_Kept] = field(default_factory=list)
    _storages: dict[int, torch.UntypedStorage] = field(default_factory=dict)
    _copies: dict[int, torch.Tensor] = field(default_factory=dict)

    @property
    def copied_bytes(self) -> int:
        """How many bytes were copied."""
        return sum(each.nbytes for each in self._copies.values())

    def add(self, tensor: torch.Tensor, name: str) -> Iterable[object]:
        """Note a tensor, and the name that leads to it; return what it leads to."""
        with no_subclass(), torch.no_grad():
            place = None
            if isinstance(tensor, UninitializedTensorMixin):
                pass
            elif not is_plain(tensor):
                place = tensor.detach().clone()
            elif tensor.device.type != "meta":
                place = tensor.detach()
                self._storages[key(tensor)] = tensor.untyped_storage()
            grad = tensor.grad if tensor.is_leaf else None
            attached = keep_dict(object.__getattribute__(tensor, "__dict__"))
            self._all.append(
                _Kept(
                    tensor,
                    type(tensor),
                    place,
                    grad,
                    tensor.requires_grad,
                    history_of(tensor) is not None,
                    attached.undo,
                    _keep_hooks(tensor),
                    has_graph(tensor),
                    name,
                )
            )
            return [each for each in (grad, *attached.inside) if each is not None]

    def copy(self) -> None:
        """Copy the memory, all of it to the CPU."""
        for number, storage in self._storages.items():
            flat = raw(storage, 0, storage.nbytes())
            self._copies[number] = flat.clone() if flat.is_cpu else flat.cpu()

    def undo(self) -> list[tuple[str, Callable[[], None]]]:
        """Return what puts memory, place and gradient of each tensor back, in order."""
        names = {
            key(each.place): each.name
            for each in self._all
            if each.place is not None and is_plain(each.place)
        }
        steps: list[tuple[str, Callable[[], None]]] = [
            (
                names.get(number, "a tensor"),
                functools.partial(self._restore_memory, storage, self._copies[number]),
            )
            for number, storage in self._storages.items()
        ]
        for restore in (_restore_place, _restore_rest):
            steps += [(k.name, functools.partial(restore, k)) for k in self._all]
        return [(name, functools.partial(_quietly, step)) for name, step in steps]

    def _restore_memory(
        self, storage: torch.UntypedStorage, before: torch.Tensor
    ) -> None:
        """Write the bytes that differ: memory may be a file that allows no writing."""
        if storage.nbytes() != before.nbytes:
            storage.resize_(before.nbytes)
        flat = raw(storage, 0, storage.nbytes())
        if not torch.equal(flat if flat.is_cpu else flat.cpu(), before):
            flat.copy_(before)


def _restore_place(kept: _Kept) -> None:
    """Let a tensor be over the memory where it was."""
    tensor, place = kept.tensor, kept.place
    if type(tensor) is not kept.kind:  # a lazy parameter that got a size
        tensor.grad = None
        set_data(tensor, torch.empty(0))
        _class_of(tensor, "__class__", kept.kind)
    if history_of(tensor) is not None and not kept.is_computed:
        tensor.detach_()  # computed in place
    if place is None or _is_at(tensor, place):
        return
    tensor.grad = None
    if compatible(tensor, place):
        set_data(tensor, place)
    else:
        exchange(tensor, place.detach())


def _is_at(tensor: torch.Tensor, place: torch.Tensor) -> bool:
    """Tell whether a tensor is where it was."""
    return (
        tensor.device == place.device
        and tensor.dtype == place.dtype
        and is_plain(tensor)
        and is_plain(place)
        and key(tensor) == key(place)
        and tensor.storage_offset() == place.storage_offset()
        and tensor.shape == place.shape
        and tensor.stride() == place.stride()
    )


def _restore_rest(kept: _Kept) -> None:
    """Put gradient and attributes back."""
    tensor = kept.tensor
    if tensor.is_leaf and tensor.requires_grad != kept.requires_grad:
        tensor.requires_grad_(kept.requires_grad)
    if tensor.is_leaf and tensor.grad is not kept.grad:
        tensor.grad = kept.grad
    kept.attributes()
    kept.hooks()
    if kept.has_graph and not has_graph(tensor):
        message = "its graph was used up by a backward pass; compute it inside the cell"
        raise RuntimeError(message)


def _quietly(step: Callable[[], None]) -> None:
    """Do a step past user classes and autograd."""
    with no_subclass(), torch.no_grad():
        step()


def _keep_hooks(tensor: torch.Tensor) -> Callable[[], None]:
    """Return what puts the hooks of a leaf back: torch keeps them past ``__dict__``."""
    names = ("_backward_hooks", "_post_accumulate_grad_hooks") if tensor.is_leaf else ()
    before = {name: getattr(tensor, name, None) for name in names}
    inside = {name: dict(hooks or {}) for name, hooks in before.items()}

    def restore() -> None:
        for name, hooks in before.items():
            now = getattr(tensor, name, None)
            if now is hooks and dict(now or {}) == inside[name]:
                continue
            if now is not None:
                now.clear()  # torch's engine holds on to this one
            if hooks is not None:
                hooks.clear()
                hooks.update(inside[name])
                setattr(tensor, name, hooks)

    return restore


def has_graph(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor was computed, and its graph holds what a way back needs."""
    pending: list[Any] = [history_of(tensor)]
    seen: set[Any] = set()
    while pending and len(seen) < _MOST_NODES:
        node = pending.pop(0)
        if node is None or node in seen:
            continue
        seen.add(node)
        for name in dir(node):
            if not name.startswith("_saved_"):
                continue
            try:
                if isinstance(getattr(node, name), torch.Tensor):
                    return True
            except RuntimeError:  # freed by a backward pass
                return False
        pending += [each for each, _ in node.next_functions]
    return False
