"""Tests for `colabmagic.train.landing`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from colabmagic.train import storage
from colabmagic.train.landing import Landing, landed

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")


def test_a_tensor_lands_where_its_memory_does() -> None:
    """Tensors over one memory of the device share one at home, each at its place."""
    there, home = torch.zeros(8), torch.arange(12.0)
    landing = Landing()
    landing.memory[storage.key(there)] = home.untyped_storage()
    landing.shift[storage.key(there)] = -16  # the device has the bytes from 16 on
    assert landing.tensor(there[:2]).tolist() == [4, 5]
    assert landing.tensor(there.view(2, 4).t()[1:]).tolist() == [
        [5, 9],
        [6, 10],
        [7, 11],
    ]
    assert storage.key(landing.tensor(there)) == storage.key(home)


def test_what_has_no_memory_of_its_own_is_copied() -> None:
    """Sparse tensors are fetched by torch."""
    sparse = torch.eye(2).to_sparse()
    assert Landing().tensor(sparse).to_dense().tolist() == [[1, 0], [0, 1]]


def test_whether_the_home_was_reached() -> None:
    """It was if the memory landed in the very storage that it came from."""
    home, other, there = torch.zeros(2), torch.zeros(2), torch.zeros(2)
    pair = storage.Pair(home.untyped_storage(), there.untyped_storage(), 0)
    traveller: Any = SimpleNamespace(pair=pair)
    landing = Landing()
    assert not landed(traveller, landing)
    landing.memory[pair.away_key] = other.untyped_storage()
    assert not landed(traveller, landing)
    landing.memory[pair.away_key] = pair.home
    assert landed(traveller, landing)
    assert not landed(SimpleNamespace(pair=None), landing)  # type: ignore[arg-type]
