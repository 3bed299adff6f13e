"""Where the memory of the device lands at home."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colabmagic.train import storage
from colabmagic.train.exchange import is_plain
from colabmagic.train.traveller import on_storage

if TYPE_CHECKING:
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
    """

    memory: dict[int, torch.UntypedStorage] = field(default_factory=dict)
    shift: dict[int, int] = field(default_factory=dict)

    def tensor(self, like: torch.Tensor) -> torch.Tensor:
        """Return the CPU tensor that stands for one on the device."""
        if not is_plain(like):
            return like.detach().cpu()
        away_key = storage.key(like)
        return on_storage(like, self.memory[away_key], self.shift[away_key])


def landed(traveller: Traveller, landing: Landing) -> bool:
    """Tell whether the memory of a moved tensor was copied to its own home."""
    pair = traveller.pair
    return pair is not None and landing.memory.get(pair.away_key) is pair.home
