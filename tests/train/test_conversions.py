"""Tests for `colabmagic.train.conversions`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn, serialization
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from colabmagic.train import conversions
from colabmagic.train.move import Mover
from colabmagic.train.patches import Patches
from colabmagic.train.scope import Scope

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator


def fake_1() -> torch.device:
    """Return the device; torch knows its name once it is registered."""
    return torch.device("fake", 1)


class Ways:
    """The ways out, patched as in a cell."""

    def __init__(self) -> None:
        self.scope = Scope(device=fake_1())
        self.mover = Mover(fake_1())
        self.patches = Patches()
        conversions.install(self.scope, self.patches, self.mover)


@pytest.fixture
def ways(fake: types.ModuleType) -> Iterator[Ways]:  # noqa: ARG001
    """Give patched ways out; undo them and bring everything home afterwards."""
    ways = Ways()
    yield ways
    ways.patches.undo()
    ways.mover.home()


@pytest.mark.usefixtures("ways")
def test_arrays_of_what_is_on_the_device() -> None:
    """``numpy()``, ``np.asarray`` and functions of NumPy fetch first."""
    there = torch.arange(3.0, device=fake_1())
    for array in (there.numpy(), np.asarray(there), np.array([there.numpy()])[0]):
        assert array.tolist() == [0, 1, 2]
    assert np.mean(there.numpy()) == 1
    assert there.numpy(force=True).tolist() == [0, 1, 2]
    assert np.asarray(there, dtype=np.int64).dtype == np.int64


@pytest.mark.usefixtures("ways")
def test_arrays_of_what_is_at_home_share_memory() -> None:
    """A CPU tensor gives its own memory, as ever."""
    here = torch.zeros(2)
    here.numpy()[0] = 5
    assert here.tolist() == [5, 0]


@pytest.mark.usefixtures("ways")
def test_what_requires_gradients_is_refused_as_on_the_cpu() -> None:
    """Torch's own error, with its own advice."""
    there = torch.zeros(2, device=fake_1(), requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        there.numpy()


@pytest.mark.usefixtures("ways")
def test_tensors_of_another_device_are_not_ours() -> None:
    """What the user keeps on another device fails as it does without us."""
    with pytest.raises(TypeError):
        torch.zeros(2, device="fake:0").numpy()


def test_files_open_on_machines_without_the_device(ways: Ways) -> None:
    """What the cell saves says that it was on the CPU; other devices are named."""
    net = nn.Linear(2, 2)
    ways.mover.away(net.parameters())
    file = io.BytesIO()
    torch.save({"net": net.state_dict(), "x": torch.ones(2, device=fake_1())}, file)
    ways.patches.undo()
    loaded = torch.load(io.BytesIO(file.getvalue()))
    assert loaded["x"].device.type == "cpu"
    assert loaded["net"]["weight"].device.type == "cpu"
    assert torch.equal(loaded["net"]["weight"], net.weight.cpu())


@pytest.mark.usefixtures("ways")
def test_files_name_other_devices() -> None:
    """Only the device of the cell passes for the CPU."""
    other = torch.zeros(1, device="fake:0").untyped_storage()
    assert serialization.location_tag(other) != "cpu"


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("lengths", [[3, 2], torch.tensor([3, 2])])
def test_packing_takes_lengths_from_anywhere(lengths: Any) -> None:  # noqa: ANN401
    """``pack_padded_sequence`` wants lengths on the CPU, and gets them there."""
    values = torch.ones(2, 3, 1, device=fake_1())
    if isinstance(lengths, torch.Tensor):
        lengths = lengths.to(fake_1())
    packed = pack_padded_sequence(values, lengths, batch_first=True)
    assert packed.data.device == fake_1()
    padded, found = pad_packed_sequence(packed, batch_first=True)
    assert padded.shape == (2, 3, 1)
    assert found.tolist() == [3, 2]


def test_what_the_user_moves_stays(ways: Ways) -> None:
    """``x.to(device)`` is remembered; a change of type or a library's call is not."""
    here = torch.zeros(2)
    kept = here.to("fake:1")
    by_name = here.to(device="fake:1")
    by_method = here.fake("fake:1")  # type: ignore[attr-defined]
    retyped = kept.clone().to(torch.float64)
    like = here.to(kept.clone())
    code = compile("x.to(device)", "/opt/site-packages/lib.py", "eval")
    library = eval(code, {"x": here, "device": fake_1()})  # noqa: S307
    marked = ways.scope.on_device
    assert kept in marked
    assert by_name in marked
    assert by_method in marked
    assert retyped not in marked
    assert like not in marked
    assert library not in marked
    assert here.to("fake:0") not in marked
    assert here.to("cpu") is here
    assert here not in marked


def test_what_was_moved_for_him_goes_home(ways: Ways) -> None:
    """``xb = X.to(device)`` gives another object there; X belongs at home."""
    data, weight = torch.zeros(3), torch.ones(2, requires_grad=True)
    ways.mover.away([data, weight])
    copy, used = data.to("fake:1"), weight.to("fake:1")
    assert copy is not data
    assert copy in ways.scope.on_device
    assert data not in ways.scope.on_device
    used.sum().backward()
    assert weight.grad is not None
    assert weight.is_leaf
    ways.mover.home([weight.grad])
    assert data.device.type == weight.device.type == "cpu"
    assert copy.device == fake_1()


def test_what_the_cell_made_there_is_the_same_object(ways: Ways) -> None:
    """For a tensor that is there anyway, ``to`` does nothing, as in torch."""
    made = torch.zeros(2, device=fake_1())
    assert made.to("fake:1") is made
    assert made in ways.scope.on_device


@pytest.mark.usefixtures("fake")
def test_everything_is_undone() -> None:
    """Every attribute is the very object of before, and inherited ones are inherited."""
    owners = (torch.Tensor, serialization, torch._VF)
    before = [dict(vars(each)) for each in owners]
    Ways().patches.undo()
    after = [dict(vars(each)) for each in owners]
    for old, new in zip(before, after, strict=True):
        assert old.keys() == new.keys()
        assert [key for key, value in old.items() if new[key] is not value] == []
    with pytest.raises(TypeError):
        torch.zeros(2, device=fake_1()).numpy()
