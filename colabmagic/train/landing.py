"""Where the memory of the device lands at home."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colabmagic.train import storage
from colabmagic.train.exchange import is_plain
from colabmagic.train.traveller import on_storage

if TYPE_CHECKING:
    from collections.abc import Collection

    import torch

    from colabmagic.train.traveller import Traveller


@dataclass(slots=True)
class Landing:
    """Where the storages of the device have their memory at home.

    Attributes
    ----------
    memory
        By the key of the device's storage.
    shift
        How many bytes nearer to the beginning the data lies there.
    failed
        Why the memory of a storage could not be copied.
    """

    memory: dict[int, torch.UntypedStorage] = field(default_factory=dict)
    shift: dict[int, int] = field(default_factory=dict)
    failed: dict[int, RuntimeError] = field(default_factory=dict)

    def fetch(self, pairs: Collection[storage.Pair]) -> list[storage.Pair]:
        """Copy what was moved to its own home; return what does not fit there now."""
        unfit = storage.fetch_all(pairs)
        self.memory.update((each.away_key, each.home) for each in pairs)
        self.shift.update((each.away_key, -each.start) for each in pairs)
        for pair in unfit:
            del self.memory[pair.away_key], self.shift[pair.away_key]
        return unfit

    def copy(self, away_key: int, group: list[torch.Tensor]) -> None:
        """Copy what tensors share on the device to new memory."""
        start, end = storage.span(group)
        away = group[0].untyped_storage()
        try:
            fresh = storage.raw(away, start, end).cpu()
        except RuntimeError as error:  # is it the tensor, or the device?
            if not storage.answers(away.device):
                raise
            self.failed[away_key] = error.with_traceback(None)
        else:
            self.memory[away_key] = fresh.untyped_storage()
            self.shift[away_key] = start

    def tensor(self, like: torch.Tensor) -> torch.Tensor:
        """Return the CPU tensor that stands for one on the device.

        Raises
        ------
        RuntimeError
            It could not be copied.
        """
        if not is_plain(like):
            return like.detach().cpu()
        away_key = storage.key(like)
        if away_key in self.failed:
            raise self.failed[away_key]
        return on_storage(like, self.memory[away_key], self.shift[away_key])


def landed(traveller: Traveller, landing: Landing) -> bool:
    """Tell whether the memory of a moved tensor was copied to its own home."""
    pair = traveller.pair
    return pair is not None and landing.memory.get(pair.away_key) is pair.home
