"""Tests for `colabmagic.train.traveller`, on both devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from colabmagic.train import traveller
from colabmagic.train.storage import Pair
from tests.train.places import Look, is_away, is_home

if TYPE_CHECKING:
    from tests.train.places import Place


def sent(place: Place, tensor: torch.Tensor) -> traveller.Traveller:
    """Send one tensor that fills its storage to the device."""
    with torch.no_grad():
        here = tensor.data
        made = here.to(place.device)
        views = here, made.data
        pair = Pair(tensor.untyped_storage(), made.untyped_storage(), 0, views)
        return traveller.leave(tensor, made, pair)


def test_one_tensor_leaves_and_comes_back(place: Place) -> None:
    """Its home waits for it, and `value` is written there on the way."""
    weight = nn.Parameter(torch.zeros(3))
    before = Look.at(weight)
    moved = sent(place, weight)
    assert moved.tensor is weight
    assert is_away(place, weight)
    assert (moved.shadow is None) is (place.mode is not None)
    assert moved.home.data_ptr() == before.address
    with torch.no_grad():
        traveller.bring_back(moved, moved.home, torch.full((3,), 4.0))
    assert Look.at(weight) == before
    assert weight.tolist() == [4, 4, 4]


def test_whether_it_is_where_it_arrived(place: Place) -> None:
    """Given other memory, another look or another type, it is not."""
    tensor = torch.arange(6.0)
    moved = sent(place, tensor)
    assert moved.is_in_place()
    tensor.add_(1)
    assert moved.is_in_place()
    with torch.no_grad():
        for change in (
            tensor[1:],
            tensor.view(2, 3),
            tensor + 0,
            tensor.view(torch.int32),
        ):
            kept = tensor.data
            tensor.data = change
            assert not moved.is_in_place()
            tensor.data = kept
            assert moved.is_in_place()


def test_a_change_is_seen_by_old_graphs(place: Place) -> None:
    """What the cell wrote makes a graph of before refuse, as a write on the CPU does."""
    weight = torch.ones(2, requires_grad=True)
    factor = torch.ones(2)
    loss = (weight * factor).sum()
    moved = sent(place, factor)
    factor.mul_(3)
    with torch.no_grad():
        traveller.bring_back(moved, moved.home)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_without_a_change_old_graphs_work(place: Place) -> None:
    """A journey alone is no write."""
    weight = torch.ones(2, requires_grad=True)
    factor = torch.full((2,), 3.0)
    loss = (weight * factor).sum()
    moved = sent(place, factor)
    with torch.no_grad():
        traveller.bring_back(moved, moved.home)
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [3, 3]


def test_settling_what_has_no_home(place: Place) -> None:
    """A new tensor gets the memory that is made for it; a computed one loses its graph."""
    made = torch.zeros(2).to(place.device)
    computed = nn.Parameter(torch.ones(2)).to(place.device) * 2
    with torch.no_grad():
        traveller.settle(made, torch.ones(2), place.device)
        traveller.settle(computed, torch.full((2,), 2.0), place.device)
    assert is_home(made, computed)
    assert made.tolist() == [1, 1]
    assert computed.tolist() == [2, 2]
    assert computed.requires_grad
    assert not computed.is_leaf


def test_gradients_are_attached_where_they_fit() -> None:
    """One of another size is left out; a computed tensor has none."""
    weight = torch.ones(2, requires_grad=True)
    gradient = torch.zeros(2)
    traveller.attach([(weight, gradient), (weight * 2, gradient)])
    assert weight.grad is gradient
    traveller.attach([(weight, torch.zeros(5))])
    assert weight.grad is gradient
    traveller.attach([(weight, None)])
    assert weight.grad is None


def test_tensors_with_their_gradients() -> None:
    """Each object once, also the gradient of a gradient."""
    weight = torch.ones(2, requires_grad=True)
    frozen = torch.ones(2)
    weight.grad = torch.zeros(2)
    weight.grad.requires_grad_()
    weight.grad.grad = torch.zeros(2)
    found = traveller.with_gradients([weight, frozen, weight, weight.grad])
    assert {id(each) for each in found} == {
        id(weight), id(frozen), id(weight.grad), id(weight.grad.grad),
    }  # fmt: skip
    assert len(found) == 4
    assert traveller.has_gradient(weight)
    assert not traveller.has_gradient(frozen)


def test_the_place_of_a_tensor() -> None:
    """Memory and look count; a write does not."""
    tensor = torch.zeros(4)
    place = traveller.place_of(tensor)
    tensor.add_(1)
    assert traveller.place_of(tensor) == place
    assert traveller.place_of(tensor.detach()) == place
    assert traveller.place_of(tensor[:2]) != place
    assert traveller.place_of(tensor.view(2, 2)) != place
    assert traveller.place_of(tensor.clone()) != place
    sparse = torch.eye(2).to_sparse()
    assert traveller.place_of(sparse) == traveller.place_of(sparse)


def test_versions_of_inference_tensors() -> None:
    """They count no writes; other tensors do."""
    with torch.inference_mode():
        quiet = torch.zeros(2)
        quiet.add_(1)
    tensor = torch.zeros(2)
    tensor.add_(1)
    assert traveller.version_of(quiet) == 0
    assert traveller.version_of(tensor) == 1


def test_inference_tensors_are_rebuilt_as_such() -> None:
    """Over other memory they are still inference tensors."""
    with torch.inference_mode():
        quiet = torch.arange(4.0)
    memory = torch.zeros(4).untyped_storage()
    assert traveller.on_storage(quiet, memory, 0).is_inference()
    assert not traveller.on_storage(torch.zeros(4), memory, 0).is_inference()
