"""The batches of a loader in equal parts."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.utils.data import BatchSampler


class Part(NamedTuple):
    """One part of a batch."""

    number: int
    parts: int
    size: int
    whole: int

    @property
    def is_last(self) -> bool:
        """Whether the batch is whole with it."""
        return self.number == self.parts - 1

    @property
    def share(self) -> float:
        """How much of the batch it is."""
        return self.size / self.whole


class Parts:
    """Iterates over a sampler's batches, part by part.

    Attributes
    ----------
    sampler
        What it was made by.
    sent
        Parts under way, in the order in which they will come.
    """

    def __init__(self, sampler: PartSampler, size: int) -> None:
        self.sampler = sampler
        self.sent: deque[Part] = deque()
        self._batches = iter(sampler.sampler)
        self._size = size
        self._waiting: deque[list[Any]] = deque()

    def __iter__(self) -> Parts:
        """Return itself."""
        return self

    def __next__(self) -> list[Any]:
        """Return the numbers of a part's samples."""
        if not self._waiting:
            whole = list(next(self._batches))
            cuts = range(0, len(whole), self._size)
            self._waiting.extend(whole[cut : cut + self._size] for cut in cuts)
            self.sent.extend(
                Part(number, len(cuts), len(part), len(whole))
                for number, part in enumerate(self._waiting)
            )
        return self._waiting.popleft()


class PartSampler:
    """Stands for the batch sampler of a loader.

    Parameters
    ----------
    sampler
        The loader's own.
    size
        How many samples a part has.
    """

    def __init__(self, sampler: BatchSampler, size: int) -> None:
        self.sampler = sampler
        self._size = size

    def __iter__(self) -> Iterator[list[Any]]:
        """Begin a pass."""
        return Parts(self, self._size)

    def __len__(self) -> int:
        """Return how many parts a pass has."""
        size, whole = self._size, self.sampler.batch_size
        batches = len(self.sampler)
        in_one = -(-whole // size)
        if self.sampler.drop_last or not batches:
            return batches * in_one
        rest = len(self.sampler.sampler) - (batches - 1) * whole  # type: ignore[arg-type]
        return (batches - 1) * in_one + -(-rest // size)
