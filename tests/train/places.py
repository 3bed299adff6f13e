"""The two devices on which everything about moving is tested.

One is the test accelerator, whose tensors are moved by swapping implementations, the
other a pretended one, whose tensors exchange their data.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch

from colabmagic.train.move import Mover
from tests.train.pretended import DEVICE, Pretended

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator


@dataclass
class Place:
    """A device to go to, and how to make it fail."""

    device: torch.device
    fake: types.ModuleType
    mode: Pretended | None = None

    def mover(self) -> Mover:
        """Return a mover to the device."""
        return Mover(self.device)

    def fill_at(self, number: int) -> None:
        """Let the copy of that number find the device full."""
        if self.mode is None:
            self.fake.fail_allocation(self.device, number)
        else:
            self.mode.fail_at = self.mode.copies + number

    def lose(self) -> None:
        """Let nothing be read from the device any more."""
        if self.mode is None:
            self.fake.set_lost(self.device, lost=True)
        else:
            self.mode.lost = True


@contextlib.contextmanager
def opened(kind: str, fake: types.ModuleType) -> Iterator[Place]:
    """Open one of the two devices."""
    if kind == "swapped":
        yield Place(torch.device("fake", 1), fake)
        return
    with Pretended() as mode:
        yield Place(DEVICE, fake, mode)


@pytest.fixture(params=["swapped", "exchanged"])
def place(request: pytest.FixtureRequest, fake: types.ModuleType) -> Iterator[Place]:
    """Give each of the two devices in turn."""
    with opened(request.param, fake) as place:
        yield place


@dataclass(frozen=True)
class Look:
    """What of a tensor must be the same at home again."""

    address: int
    shape: torch.Size
    stride: tuple[int, ...]
    offset: int
    requires_grad: bool
    leaf: bool
    kind: type

    @classmethod
    def at(cls, tensor: torch.Tensor) -> Look:
        """Look at a tensor."""
        return cls(
            tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.storage_offset(),
            tensor.requires_grad, tensor.is_leaf, type(tensor),
        )  # fmt: skip


def is_away(place: Place, *tensors: torch.Tensor) -> bool:
    """Tell whether all of some tensors are on the device."""
    return all(each.device == place.device for each in tensors)


def is_home(*tensors: torch.Tensor) -> bool:
    """Tell whether all of some tensors are on the CPU."""
    return all(each.device.type == "cpu" for each in tensors)
