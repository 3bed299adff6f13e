"""A tensor that was moved from home: how it leaves, and how it comes back."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.train import storage
from colabmagic.train.exchange import (
    carry_hooks,
    compatible,
    exchange,
    history_of,
    is_plain,
    set_data,
    swap,
    without_history,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Place = tuple[object, ...]
# What refers to a tensor that the user has dropped: the traveller, and the question.
OUR_REFERENCES: Final = 2
# The pair itself, and the views that copy it.
_OUR_STORAGE_REFERENCES: Final = 3


@dataclass(slots=True, eq=False)
class Traveller:
    """A tensor that was moved from home, and what is needed to bring it back.

    Attributes
    ----------
    tensor
        The user's object.
    shadow
        Holds the tensor's own implementation, with its autograd state, while another
        one stands in for it; None where only the data was exchanged.
    home
        A tensor over the home memory, with size and strides of the beginning.
    pair
        The storages; None for kinds of tensors that have none (sparse …).
    place
        Storage and geometry on the device that stand for the home memory; None where
        the tensor filled its storage, and looked there as at home.
    version
        Version counter on arrival.
    synced
        Version counter when home was last made equal.
    by_value
        Whether the data was moved again on the device, by torch itself.
    visiting
        What to point to again after a visit at home.
    stayed
        Whether it is, on the way home, where it arrived.
    visited
        Version counter when a visit at home began.
    lent
        Whether it was given memory for the visit: the cell has left its own.
    own
        What the shadow points to outside of visits.
    had_gradient
        Whether a gradient was attached on leaving.
    history
        The node that computed the tensor, on arrival.
    """

    tensor: torch.Tensor
    shadow: torch.Tensor | None
    home: torch.Tensor
    pair: storage.Pair | None
    place: Place | None
    version: int
    history: Any
    synced: int = 0
    by_value: bool = False
    visiting: torch.Tensor | None = None
    stayed: bool = False
    visited: int = 0
    lent: bool = False
    own: torch.Tensor | None = None
    had_gradient: bool = False

    def is_in_place(self) -> bool:
        """Tell whether the tensor is on the device as it arrived there."""
        tensor, home = self.tensor, self.home
        if self.place is not None:
            return self.place == place_of(tensor)
        return (
            self.pair is not None
            and tensor.untyped_storage()._cdata == self.pair.away_key  # noqa: SLF001
            and tensor.shape == home.shape
            and tensor.stride() == home.stride()
            and tensor.dtype is home.dtype
            and tensor.storage_offset() == 0
        )

    def is_dropped(self) -> bool:
        """Tell whether neither the user nor a graph of torch holds the tensor."""
        return (
            sys.getrefcount(self.tensor) <= OUR_REFERENCES
            and self.tensor._use_count() == 1  # type: ignore[attr-defined]  # noqa: SLF001 (there is no other way)
        )

    def is_seen_at_home(self) -> bool:
        """Tell whether anything else may look at the home memory."""
        if self.pair is None or not self.pair.home.resizable():  # a NumPy array, a file
            return self.pair is not None
        count: int = torch._C._storage_Use_Count(self.pair.home._cdata)  # noqa: SLF001
        return count > _OUR_STORAGE_REFERENCES


def leave(
    tensor: torch.Tensor, made: torch.Tensor, pair: storage.Pair | None
) -> Traveller:
    """Make one tensor object stand for its copy on the device."""
    had_gradient = has_gradient(tensor)
    history = history_of(tensor)
    # A tensor that fills its storage looks there as it does at home.
    lone = pair is not None and pair.views is not None and made.storage_offset() == 0
    if history is None and compatible(tensor, made):
        home, shadow = tensor.detach(), None
        set_data(tensor, made)
    else:
        home = shadow = made
        exchange(tensor, made)
        if history is not None:
            history = history_of(tensor)
    place = None if lone else place_of(tensor)
    return Traveller(
        tensor,
        shadow,
        home,
        pair,
        place,
        version_of(tensor),
        history,
        had_gradient=had_gradient,
    )


def bring_back(
    traveller: Traveller, home: torch.Tensor, value: torch.Tensor | None = None
) -> None:
    """Make a moved tensor object stand for its home memory again.

    Parameters
    ----------
    traveller
        The tensor.
    home
        What it becomes.
    value
        What to write there, if the memory does not hold it yet.
    """
    tensor, shadow = traveller.tensor, traveller.shadow
    if value is not None:
        home.copy_(value)
    if shadow is None:
        set_data(tensor, home)
        return
    if home is not shadow:
        set_data(shadow, home)
    if shadow.requires_grad != tensor.requires_grad and history_of(shadow) is None:
        shadow.requires_grad_(tensor.requires_grad)
    carry_hooks(tensor, shadow)
    changed = version_of(tensor) > traveller.version
    swap(tensor, shadow)
    if changed:
        torch.autograd.graph.increment_version(tensor)


def settle(tensor: torch.Tensor, made: torch.Tensor, device: torch.device) -> None:
    """Bring a tensor home that has no home yet, or lost it to a computation."""
    if history_of(tensor) is not None:
        swap(tensor, without_history(made, device))
    elif compatible(tensor, made):
        set_data(tensor, made)
    else:
        exchange(tensor, made)


def attach(gradients: Iterable[tuple[torch.Tensor, torch.Tensor | None]]) -> None:
    """Attach gradients again; an exchange leaves them behind.

    One that fits no more (its tensor was cut through ``.data``) cannot be attached.
    """
    for tensor, gradient in gradients:
        if history_of(tensor) is not None:
            if gradient is not None:  # it was told to retain it
                with contextlib.suppress(RuntimeError):
                    tensor.grad = gradient
                    tensor.retain_grad()
        elif tensor.grad is not gradient:
            with contextlib.suppress(RuntimeError):
                tensor.grad = gradient


def has_gradient(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor has a gradient that goes with it; a frozen one may."""
    try:
        return (tensor.is_leaf or tensor.retains_grad) and tensor.grad is not None
    except RuntimeError:  # torch does not know its history: see `history_of`
        return False


def with_gradients(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Return tensors and their gradients, each object once."""
    found: dict[int, torch.Tensor] = {}
    pending = list(tensors)
    while pending:
        tensor = pending.pop()
        if id(tensor) in found:
            continue
        found[id(tensor)] = tensor
        if has_gradient(tensor):
            pending.append(tensor.grad)  # type: ignore[arg-type]
    return list(found.values())


def place_of(tensor: torch.Tensor) -> Place:
    """Return what changes when a tensor is re-pointed or reshaped in place."""
    if not is_plain(tensor):
        return (id(tensor),)
    return (
        tensor.untyped_storage()._cdata,  # noqa: SLF001 (the identity of a storage)
        tensor.storage_offset(),
        tensor.shape,
        tensor.stride(),
        tensor.dtype,
    )


def version_of(tensor: torch.Tensor) -> int:
    """Return how often a tensor was changed in place; inference tensors do not count."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001


def on_storage(
    like: torch.Tensor, memory: torch.UntypedStorage, shift_bytes: int
) -> torch.Tensor:
    """Rebuild a tensor over other memory; an inference tensor stays one."""
    if like.is_inference():
        with torch.inference_mode():
            return storage.rebuild(like, memory, shift_bytes)
    return storage.rebuild(like, memory, shift_bytes)
