"""Whether tensors are what they were: a number for the bytes of each, kept where it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import torch

from colabmagic.train.exchange import is_plain, no_subclass
from colabmagic.train.storage import key, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CHUNK: Final = 2**18  # numbers taken at once: memory is short where this is needed
_TYPES: Final = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.uint8}

WEIGHTS: Final = "weights or gradients"
COPIES: Final = "a copy of the weights (a moving average, or the like)"


@dataclass(eq=False)
class Watch:
    """Tells whether somebody has changed weights, their gradients, or copies of them.

    Version counters do not see ``p.data``; the bytes do. Nothing waits for the device
    before `changed` is asked.

    Parameters
    ----------
    others
        Returns tensors that may be copies of the weights given to it.
    """

    others: Callable[[list[torch.Tensor]], list[torch.Tensor]]
    _weights: dict[int, torch.Tensor] = field(default_factory=dict)
    _gradients: list[tuple[torch.Tensor, torch.Tensor | None]] = field(
        default_factory=list
    )
    _before: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    _flags: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    _exchanged: bool = False
    _factors: dict[torch.device, torch.Tensor] = field(default_factory=dict)

    def mark(self, weights: Iterable[torch.Tensor]) -> None:
        """Note how weights are now, and those noted earlier.

        Parameters
        ----------
        weights
            Tensors with a gradient.
        """
        self._weights |= {id(each): each for each in weights}
        self._gradients = [(each, each.grad) for each in self._weights.values()]
        self._before = self._now()

    def check(self) -> None:
        """Compare them with how they were."""
        if not self._before:
            return
        self._exchanged |= any(each.grad is not g for each, g in self._gradients)
        for what, now in self._now().items():
            then = self._before[what]
            if len(now) == len(then):
                for one, other in zip(now, then, strict=True):
                    differs = one.to(other.device) != other
                    self._flags.setdefault(what, []).append(differs)
        self._before = {}

    def changed(self) -> str | None:
        """Return what has changed since it was first noted; None if nothing has."""
        if self._exchanged:
            return WEIGHTS
        for what, flags in self._flags.items():
            if any(bool(each) for each in flags):
                return what
        return None

    def clear(self) -> None:
        """Begin anew."""
        self._weights, self._gradients = {}, []
        self._before, self._flags, self._exchanged = {}, {}, False

    def close(self) -> None:
        """Begin anew, and leave nothing on a device."""
        self.clear()
        self._factors.clear()

    def _now(self) -> dict[str, list[torch.Tensor]]:
        weights = list(self._weights.values())
        known = [*weights, *(g for _, g in self._gradients if g is not None)]
        return {
            WEIGHTS: fingerprints(known, self._factors),
            COPIES: fingerprints(self.others(weights), self._factors),
        }


def like(
    candidates: Iterable[torch.Tensor], weights: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Return the tensors that may be copies of weights: for each weight there is one.

    Parameters
    ----------
    candidates
        Tensors that are none of the weights.
    weights
        Tensors that are trained.
    """
    wanted = Counter((each.dtype, each.shape) for each in weights)
    found = [each for each in candidates if (each.dtype, each.shape) in wanted]
    there = Counter((each.dtype, each.shape) for each in found)
    return found if weights and not wanted - there else []


def fingerprints(
    tensors: Iterable[torch.Tensor], factors: dict[torch.device, torch.Tensor]
) -> list[torch.Tensor]:
    """Return a number for each memory of tensors.

    Parameters
    ----------
    tensors
        What has no plain memory is passed over.
    factors
        Of places, on each device. Added to.
    """
    made, seen = [], set()
    with no_subclass(), torch.no_grad():
        for each in tensors:
            if not is_plain(each) or key(each) in seen:
                continue
            seen.add(key(each))
            made.append(_fingerprint(each.untyped_storage(), factors))
    return made


def _fingerprint(
    storage: torch.UntypedStorage, factors: dict[torch.device, torch.Tensor]
) -> torch.Tensor:
    """Return the sum of a memory's numbers, each times a factor of its place."""
    size = storage.nbytes()
    width = next(each for each in _TYPES if size % each == 0)
    numbers = raw(storage, 0, size).view(_TYPES[width])
    device = numbers.device
    most = min(_CHUNK, len(numbers))
    if device not in factors or len(factors[device]) < most:
        factors[device] = _make_factors(most).to(device)
    total = torch.zeros((), dtype=torch.int64, device=device)
    for chunk in torch.split(numbers, _CHUNK):
        total = (
            total * 31 + (chunk.to(torch.int64) * factors[device][: len(chunk)]).sum()
        )
    return total


def _make_factors(most: int) -> torch.Tensor:
    """Return odd numbers without order, past every stream of random numbers."""
    places = torch.arange(1, most + 1, dtype=torch.int64, device="cpu")
    mixed = places * -7046029254386353131  # wraps around
    mixed ^= mixed >> 29
    return (mixed * -4658895280553007687) | 1
