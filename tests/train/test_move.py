"""Tests for `colabmagic.train.move`.

Every promise is checked on two devices: the test accelerator, whose tensors are moved by
swapping implementations, and a pretended one, whose tensors exchange their data.
"""

from __future__ import annotations

import gc
import signal
import warnings
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from colabmagic.errors import NotSupportedError
from colabmagic.train import move, storage
from tests.train.places import Look, Place, is_away, is_home, opened

if TYPE_CHECKING:
    import types
    from pathlib import Path


# ---- there and back -----------------------------------------------------------------


def test_a_tensor_goes_and_comes_home(place: Place) -> None:
    """It is the same object over the same memory, with what the cell wrote."""
    tensor = torch.arange(4.0)
    before = Look.at(tensor)
    mover = place.mover()
    assert mover.away([tensor]) == [tensor] or mover.travellers  # the list holds it
    assert is_away(place, tensor)
    assert mover.moved_bytes == 16
    tensor.add_(1)
    assert mover.home() == []
    assert is_home(tensor)
    assert Look.at(tensor) == before
    assert tensor.tolist() == [1, 2, 3, 4]
    assert not mover.travellers
    assert not mover.pairs


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(0),
        lambda: torch.zeros(0, 3),
        lambda: torch.tensor(3.0),
        lambda: torch.arange(6).view(2, 3).t(),
        lambda: torch.arange(24.0).view(2, 3, 4).permute(2, 0, 1)[1:, :, ::2],
        lambda: torch.ones(1).expand(5, 4),
        lambda: torch.zeros(1, 4).as_strided((1, 4), (100, 1)),
        lambda: torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last),
        lambda: torch.randn(3, dtype=torch.complex64).conj(),
        lambda: torch.randn(3, dtype=torch.complex64).conj().imag,
        lambda: torch.tensor([True, False]),
        lambda: torch.zeros(3, dtype=torch.bfloat16)[1:],
        lambda: torch.zeros(5, dtype=torch.uint8)[3:],
        lambda: torch.zeros(3, dtype=torch.complex128)[1:],
        lambda: torch.zeros(4).view(torch.int32)[1:],
    ],
    ids=["empty", "empty2d", "scalar", "transposed", "strided", "expanded", "odd_stride",
         "channels_last", "conjugated", "negated", "bool", "bfloat16", "bytes", "complex",
         "retyped"],
)  # fmt: skip
def test_every_geometry_comes_home(place: Place, make: Any) -> None:  # noqa: ANN401
    """Empty, strided, expanded, conjugated, of any element type: nothing changes."""
    tensor: torch.Tensor = make()
    before, values = Look.at(tensor), tensor.clone()
    mover = place.mover()
    mover.away([tensor])
    assert is_away(place, tensor)
    assert tensor.shape == before.shape
    mover.home()
    assert Look.at(tensor) == before
    assert torch.equal(tensor, values)
    assert tensor.is_conj() == make().is_conj()
    assert tensor.is_neg() == make().is_neg()


def test_what_is_elsewhere_already_is_left(place: Place) -> None:
    """Tensors on other devices, and lazy parameters, do not move."""
    meta, lazy = torch.zeros(2, device="meta"), nn.LazyLinear(2).weight
    mover = place.mover()
    assert mover.away([meta, lazy]) == []
    assert mover.home([meta, lazy]) == []
    assert meta.device.type == "meta"


def test_nothing_to_do(place: Place) -> None:
    """Without tensors there is no work and no error."""
    mover = place.mover()
    assert mover.away([]) == []
    assert mover.home() == []
    assert mover.home(copy=False) == []


def test_twice_is_once(place: Place) -> None:
    """A tensor that is away already, or is named twice, is moved once."""
    tensor = torch.zeros(4)
    mover = place.mover()
    mover.away([tensor, tensor])
    assert mover.away([tensor]) == []
    assert mover.moved_bytes == 16
    mover.home()
    assert is_home(tensor)


# ---- shared memory ------------------------------------------------------------------


def test_shared_memory_is_shared_there(place: Place) -> None:
    """Views, slices and ties see each other's writes on the device, and at home again."""
    base = torch.arange(12.0)
    matrix, tail, same = base.view(3, 4), base[8:], base.detach()
    everything = [base, matrix, tail, same]
    before = [Look.at(each) for each in everything]
    mover = place.mover()
    mover.away(everything)
    tail.fill_(7)
    assert base.cpu()[8:].tolist() == matrix.cpu()[2].tolist() == [7] * 4
    matrix[0, 0] = -1
    assert same.cpu()[0] == -1
    mover.home()
    assert [Look.at(each) for each in everything] == before
    assert base[0] == -1
    assert tail.tolist() == [7] * 4


def test_an_alias_that_stayed_sees_the_values_at_home(place: Place) -> None:
    """Home is the very memory: a NumPy array or a view that did not travel agrees."""
    array = np.zeros(6, dtype=np.float32)
    tensor = torch.from_numpy(array)
    alias = tensor[3:]
    mover = place.mover()
    mover.away([tensor])
    tensor.add_(2)
    assert alias.tolist() == [0, 0, 0]
    mover.home()
    assert alias.tolist() == [2, 2, 2]
    assert array.tolist() == [2] * 6


def test_writes_through_data_are_not_lost(place: Place) -> None:
    """``tensor.data`` changes no version counter, and is a write all the same."""
    weight = nn.Parameter(torch.zeros(3))
    mover = place.mover()
    mover.away([weight])
    weight.data.add_(5)
    weight.data[0] = 1
    mover.home()
    assert weight.tolist() == [1, 5, 5]
    assert isinstance(weight, nn.Parameter)


def test_only_the_used_part_of_a_big_storage_travels(place: Place) -> None:
    """A small slice of big data does not drag all of it along."""
    big = torch.zeros(2**20)
    part = big[1000:1004]
    before = Look.at(part)
    mover = place.mover()
    mover.away([part])
    assert mover.moved_bytes <= 32
    part.fill_(3)
    mover.home()
    assert Look.at(part) == before
    assert big.sum() == 12


def test_a_wider_span_is_taken_when_it_is_needed(place: Place) -> None:
    """What comes later from the same storage shares memory with what is there."""
    big = torch.zeros(2**20)
    part, whole = big[1000:1004], big.detach()
    looks = Look.at(part), Look.at(whole)
    mover = place.mover()
    mover.away([part])
    part.fill_(3)
    mover.away([whole])
    assert is_away(place, part, whole)
    assert whole.cpu()[1000:1004].tolist() == [3] * 4
    whole[1001] = 4
    assert part.cpu()[1] == 4
    mover.home()
    assert (Look.at(part), Look.at(whole)) == looks
    assert big.sum() == 13
    assert big[1001] == 4


def test_a_wider_span_that_does_not_fit_changes_nothing(place: Place) -> None:
    """After the failed attempt all is as it was, and comes home to its own memory."""
    big = torch.zeros(2**20)
    part, whole, other = big[1000:1004], big.detach(), torch.zeros(3)
    look = Look.at(part)
    mover = place.mover()
    mover.away([part])
    part.fill_(3)
    for number in (1, 2):
        place.fill_at(number)
        with pytest.raises(torch.OutOfMemoryError):
            mover.away([whole, other])
        assert is_away(place, part)
        assert is_home(whole, other)
        assert part.cpu().tolist() == [3] * 4
    part.add_(1)
    mover.home()
    assert Look.at(part) == look
    assert big.sum() == 16


MEMBERS = st.sampled_from(
    ["whole", "head", "tail", "odd", "matrix", "turned", "detached", "parameter"]
)
WRITES = st.sampled_from(["add", "data", "item", "copy", "zero", "repoint", "made"])


def member(base: torch.Tensor, kind: str) -> torch.Tensor:
    """Return a tensor over the memory of another."""
    half = base.numel() // 2
    views = {
        "whole": base,
        "head": base[:half],
        "tail": base[half:],
        "odd": base[1::2],
        "matrix": base.view(2, -1),
        "turned": base.view(2, -1).t(),
        "detached": base.detach(),
        "parameter": nn.Parameter(base[2:]),
    }
    return views[kind]


def write(tensors: list[torch.Tensor], number: int, kind: str, value: float) -> None:
    """Change a tensor as a cell might."""
    tensor = tensors[number % len(tensors)]
    with torch.no_grad():
        if kind == "add":
            tensor.add_(value)
        elif kind == "data":
            tensor.data.mul_(value)
        elif kind == "item":
            tensor[0] = value
        elif kind == "copy":
            tensor.copy_(tensor.flip(0))
        elif kind == "zero":
            tensor.zero_()
        elif kind == "repoint":
            tensor.data = tensor.data.clone()
        else:
            tensors.append(tensor[:1])


@pytest.mark.parametrize("kind", ["swapped", "exchanged"])
@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(st.sampled_from([8, 12, 200]), min_size=1, max_size=3),
    members=st.lists(st.tuples(st.integers(0, 2), MEMBERS), min_size=1, max_size=7),
    chosen=st.sets(st.integers(0, 6), min_size=1),
    later=st.sets(st.integers(0, 6)),
    writes=st.lists(
        st.tuples(st.integers(0, 9), WRITES, st.sampled_from([0.5, 2.0, 3.0])),
        max_size=8,
    ),
    whole=st.sampled_from([0, 64, 2**20]),
)
def test_a_cell_on_the_device_equals_the_cell_on_the_cpu(  # noqa: PLR0913, PLR0917 (hypothesis gives each by name)
    registered_fake: types.ModuleType,
    kind: str,
    sizes: list[int],
    members: list[tuple[int, str]],
    chosen: set[int],
    later: set[int],
    writes: list[tuple[int, str, float]],
    whole: int,
) -> None:
    """Whatever shares memory and is written through: values, places and ties are kept."""

    def world() -> list[torch.Tensor]:
        bases = [torch.arange(float(size)) for size in sizes]
        return [member(bases[index % len(bases)], name) for index, name in members]

    here, there = world(), world()
    wanted = {index % len(there) for index in chosen}
    following = {index % len(there) for index in later} - wanted
    with opened(kind, registered_fake) as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "WHOLE_STORAGE_BYTES", whole)
        mover = place.mover()
        looks = {id(each): Look.at(each) for each in there}
        mover.away(there[index] for index in sorted(wanted))
        mover.away(there[index] for index in sorted(following))
        cell_here = [here[index] for index in sorted(wanted | following)]
        cell_there = [there[index] for index in sorted(wanted | following)]
        moved = list(cell_there)
        repointed = False
        for number, what, value in writes:
            repointed = repointed or what == "repoint"
            write(cell_here, number, what, value)
            write(cell_there, number, what, value)
        mover.home(cell_there)
        assert is_home(*there, *cell_there)
    for a, b in zip([*here, *cell_here], [*there, *cell_there], strict=True):
        assert torch.equal(a, b)
        assert type(a) is type(b)
        assert a.stride() == b.stride()
    if not repointed:
        assert all(Look.at(each) == looks[id(each)] for each in moved)
    shared = [[a.untyped_storage()._cdata == b.untyped_storage()._cdata for a in cell_here]
              for b in cell_here]  # fmt: skip
    assert shared == [
        [a.untyped_storage()._cdata == b.untyped_storage()._cdata for a in cell_there]
        for b in cell_there
    ]


# ---- gradients, hooks, history ------------------------------------------------------


def test_gradients_travel_with_their_tensors(place: Place) -> None:
    """The gradient is the same object there, and comes home to its own memory."""
    weight = nn.Parameter(torch.ones(3))
    weight.sum().backward()
    gradient = weight.grad
    assert gradient is not None
    looks = Look.at(weight), Look.at(gradient)
    mover = place.mover()
    mover.away([weight])
    assert weight.grad is gradient
    assert is_away(place, weight, gradient)
    gradient.mul_(2)
    mover.home()
    assert weight.grad is gradient
    assert (Look.at(weight), Look.at(gradient)) == looks
    assert gradient.tolist() == [2, 2, 2]


def test_a_gradient_that_the_cell_made_comes_home(place: Place) -> None:
    """Also if the old one was dropped; one that was dropped for good stays away."""
    first, second = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    (first.sum() + second.sum()).backward()
    old = first.grad
    mover = place.mover()
    mover.away([first, second])
    first.grad = second.grad = None
    (first * 3).sum().backward()
    assert first.grad is not None
    assert is_away(place, first.grad)
    mover.home()
    assert first.grad is not None
    assert first.grad is not old
    assert is_home(first, first.grad, second)
    assert first.grad.tolist() == [3, 3]
    assert second.grad is None
    assert old is not None
    assert old.tolist() == [1, 1]
    assert is_home(old)


def test_training_goes_on_at_home(place: Place) -> None:
    """Gradients of before, of the cell and of after are added up as on the CPU."""
    weight = torch.ones(2, requires_grad=True)
    (weight * 2).sum().backward()
    mover = place.mover()
    mover.away([weight])
    (weight * 3).sum().backward()
    mover.home()
    (weight * 4).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [9, 9]


def test_a_gradient_of_another_shape_is_no_hindrance(place: Place) -> None:
    """A weight that was cut through ``.data``, here or in the cell, still travels."""
    before, inside = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))
    (before.sum() + inside.sum()).backward()
    before.data = before.data[:2].clone()
    mover = place.mover()
    mover.away([before, inside])
    inside.data = inside.data[:3]
    mover.home()
    assert is_home(before, inside)
    assert before.tolist() == [1, 1]
    assert inside.tolist() == [1, 1, 1]


def test_hooks_are_called_there_and_at_home(place: Place) -> None:
    """Hooks and the handles that the user holds stay valid all the way."""
    weight = torch.ones(2, requires_grad=True)
    seen: list[str] = []
    handle = weight.register_hook(lambda _: seen.append("before"))
    mover = place.mover()
    mover.away([weight])
    weight.register_hook(lambda _: seen.append("inside"))
    weight.register_post_accumulate_grad_hook(lambda _: seen.append("after"))
    weight.sum().backward()
    assert seen == ["before", "inside", "after"]
    mover.home()
    seen.clear()
    weight.sum().backward()
    assert seen == ["before", "inside", "after"]
    handle.remove()
    seen.clear()
    weight.sum().backward()
    assert seen == ["inside", "after"]


@pytest.mark.parametrize("frozen", [True, False])
def test_requires_grad_follows_the_cell(place: Place, *, frozen: bool) -> None:
    """Freezing or thawing a weight in the cell holds at home."""
    weight = nn.Parameter(torch.ones(2), requires_grad=frozen)
    mover = place.mover()
    mover.away([weight])
    assert weight.requires_grad is frozen
    weight.requires_grad_(not frozen)
    mover.home()
    assert weight.requires_grad is not frozen


def test_a_computed_tensor_travels_with_its_history(place: Place) -> None:
    """A hidden state of an earlier cell: the same object, and the same graph at home."""
    weight = torch.ones(2, requires_grad=True)
    state = weight * 2
    history, before = state.grad_fn, Look.at(state)
    mover = place.mover()
    mover.away([state])
    assert is_away(place, state)
    assert state.requires_grad
    mover.home()
    assert state.grad_fn is history
    assert Look.at(state) == before
    state.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [2, 2]


def test_a_row_of_a_weight_sees_what_is_written(place: Place) -> None:
    """A view that was computed from a weight shares its memory there and at home."""
    weight, other = nn.Parameter(torch.zeros(2, 3)), torch.ones(3, requires_grad=True)
    row, turned = weight[0], weight.t()
    state = other * 2
    history = row.grad_fn
    looks = [Look.at(each) for each in (weight, row, turned)]
    mover = place.mover()
    mover.away([row, weight, turned, state])
    assert is_away(place, weight, row, turned, state)
    assert row.requires_grad
    with torch.no_grad():
        weight.add_(1)
        assert row.cpu().tolist() == [1, 1, 1]
        row.mul_(2)
    assert turned.detach().cpu().tolist() == [[2, 1]] * 3
    mover.home()
    assert [Look.at(each) for each in (weight, row, turned)] == looks
    assert row.tolist() == [2, 2, 2]
    assert weight.tolist() == [[2, 2, 2], [1, 1, 1]]
    assert turned.grad_fn is not None
    assert history is not None


def test_backward_through_a_row_goes_on_where_it_came_from(place: Place) -> None:
    """If its leaf stayed at home, the gradient arrives there."""
    base = torch.ones(4, requires_grad=True)
    middle = base * 2
    row, plain = middle[:2], middle.detach()
    mover = place.mover()
    mover.away([row, plain])
    row.sum().backward()
    assert base.grad is not None
    assert base.grad.tolist() == [2, 2, 0, 0]
    mover.home()
    assert is_home(row, plain)


def test_a_row_that_was_kept_over_a_step(place: Place) -> None:
    """Torch itself calls its history invalid; it travels as the memory that it is."""
    weight = nn.Parameter(torch.zeros(4))
    with torch.no_grad():
        row = weight[:2]
        weight.add_(1)
    with pytest.raises(RuntimeError):
        _ = row.grad_fn
    look = row.data_ptr(), row.shape
    mover = place.mover()
    mover.away([weight, row])
    assert is_away(place, weight, row)
    with torch.no_grad():
        inside = weight[:1]
        weight.add_(1)
    mover.home([inside])
    assert is_home(weight, row, inside)
    assert (row.data_ptr(), row.shape) == look
    assert row.tolist() == [2, 2]
    assert inside.tolist() == [2]


def test_a_value_that_the_cell_computed_says_that_its_graph_is_gone(
    place: Place,
) -> None:
    """It comes home with its value; backward through it is refused in plain words."""
    weight = torch.ones(2, requires_grad=True)
    mover = place.mover()
    mover.away([weight])
    loss = (weight * 3).sum()
    mover.home([loss])
    assert is_home(loss)
    assert loss.item() == 6
    assert loss.requires_grad
    with pytest.raises(NotSupportedError, match="cell has ended"):
        loss.backward()


def test_a_tensor_that_got_a_history_in_the_cell(place: Place) -> None:
    """Changed in place by a computation, it comes home with its value."""
    weight, total = torch.ones(2, requires_grad=True), torch.zeros(2)
    mover = place.mover()
    mover.away([weight, total])
    total.add_(weight * 2)
    assert total.grad_fn is not None
    mover.home()
    assert is_home(total, weight)
    assert total.tolist() == [2, 2]
    assert total.requires_grad


# ---- what the cell made -------------------------------------------------------------


def test_what_the_cell_made_comes_home_with_its_ties(place: Place) -> None:
    """New tensors over one memory share it at home; views of what moved join it."""
    old = torch.arange(4.0)
    mover = place.mover()
    mover.away([old])
    made = old * 2
    view, tied = made[1:], made.detach()
    slice_of_old = old[2:]
    mover.home([made, view, tied, slice_of_old])
    assert is_home(made, view, tied, slice_of_old)
    made[3] = -1
    assert view[2] == tied[3] == -1
    old[3] = -2
    assert slice_of_old[1] == -2


def test_a_tensor_that_was_given_other_memory(place: Place) -> None:
    """Re-pointed in the cell, it has what it points to, and its ties are those of then."""
    weight, alias = nn.Parameter(torch.zeros(4)), torch.zeros(4)
    mover = place.mover()
    mover.away([weight, alias])
    made = alias + 7
    weight.data = made
    mover.home([made])
    assert weight.tolist() == [7] * 4
    made.zero_()
    assert weight.tolist() == [0] * 4


@pytest.mark.parametrize("size", [2, 8])
def test_a_tensor_that_was_resized(place: Place, size: int) -> None:
    """Smaller or larger, it comes home so."""
    tensor = torch.arange(4.0)
    mover = place.mover()
    mover.away([tensor])
    tensor.resize_(size)
    tensor.fill_(1)
    mover.home()
    assert is_home(tensor)
    assert tensor.tolist() == [1] * size


def test_a_tensor_that_was_turned_in_place(place: Place) -> None:
    """``t_`` and ``unsqueeze_`` change the look, not the memory."""
    tensor = torch.arange(6.0).view(2, 3)
    address = tensor.data_ptr()
    mover = place.mover()
    mover.away([tensor])
    tensor.t_()
    mover.home()
    assert tensor.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert tensor.data_ptr() == address


def test_a_tensor_that_the_user_brought_home_himself(place: Place) -> None:
    """It stays as he left it."""
    weight = nn.Parameter(torch.zeros(2))
    mover = place.mover()
    mover.away([weight])
    if place.mode is None:
        torch.utils.swap_tensors(weight, nn.Parameter(weight.detach().cpu() + 1))
    else:
        weight.data = weight.data.cpu() + 1
    mover.home()
    assert is_home(weight)
    assert weight.tolist() == [1, 1]


def to_cpu(place: Place, tensor: torch.Tensor) -> None:
    """Bring a tensor to the CPU as ``module.cpu()`` does."""
    if place.mode is None:
        made = tensor.detach().cpu().requires_grad_(tensor.requires_grad)
        made.grad = None if tensor.grad is None else tensor.grad.cpu()
        torch.utils.swap_tensors(tensor, made)
    else:
        tensor.data = tensor.data.cpu()
        if tensor.grad is not None:
            tensor.grad.data = tensor.grad.data.cpu()


def test_what_came_home_by_hand_has_its_own_memory_again(place: Place) -> None:
    """After ``model.cpu()`` in the cell, and what is written then, nothing is overwritten."""
    weight, tied = torch.zeros(3, requires_grad=True), torch.zeros(4)
    half, cut, stays = tied[:2], torch.zeros(3), torch.zeros(2)
    look = Look.at(weight)
    alias = weight.detach()
    mover = place.mover()
    mover.away([weight, tied, half, cut, stays])
    with torch.no_grad():
        weight.add_(1)
    weight.sum().backward()
    gradient = weight.grad
    for tensor in (weight, tied, cut):
        to_cpu(place, tensor)
    cut.resize_(2)
    mover.came_home([weight, tied, cut, stays])
    assert Look.at(weight) == look
    assert alias.tolist() == [1, 1, 1]
    assert weight.grad is not None
    assert weight.grad.tolist() == [1, 1, 1]
    assert place.mode is None or weight.grad is gradient
    assert is_away(place, half, stays)
    alias.add_(1)
    mover.home()
    assert weight.tolist() == [2, 2, 2]
    assert Look.at(weight) == look
    assert is_home(weight.grad, tied, half, cut, stays)


def test_tensors_that_the_user_put_there_stay(place: Place) -> None:
    """`leave_there` forgets them; they keep working where they are."""
    stays, goes = torch.zeros(2), torch.zeros(2)
    mover = place.mover()
    mover.away([stays, goes])

    class Marked(list[torch.Tensor]):
        def __contains__(self, value: object) -> bool:
            return value is stays

    mover.leave_there(Marked())
    mover.home()
    assert is_away(place, stays)
    assert is_home(goes)


def test_inference_tensors_stay_inference_tensors(place: Place) -> None:
    """They travel, are written in inference mode only, and come home."""
    with torch.inference_mode():
        whole, base = torch.ones(3), torch.ones(6)
        part = base[2:4]
    mover = place.mover()
    mover.away([whole, part])
    assert is_away(place, whole, part)
    with torch.inference_mode():
        whole.add_(1)
        part.add_(2)
        made = whole * 2
    mover.home([made])
    assert is_home(whole, part, made)
    assert whole.is_inference()
    assert part.is_inference()
    assert made.tolist() == [4, 4, 4]
    assert base.tolist() == [1, 1, 3, 3, 1, 1]


def test_read_only_memory_is_not_written(place: Place, tmp_path: Path) -> None:
    """A write in the cell gets memory of its own and a note; without one, none."""
    path = tmp_path / "data.bin"
    np.arange(4, dtype=np.float32).tofile(path)
    mapped = np.memmap(path, dtype=np.float32, mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says once that it is not writable
        changed = torch.from_numpy(mapped)
    address = changed.data_ptr()
    mover = place.mover()
    mover.away([changed])
    assert mover.home() == []
    assert changed.data_ptr() == address
    mover.away([changed])
    changed.add_(1)
    assert mover.home() == [move.READ_ONLY_NOTE]
    assert changed.tolist() == [1, 2, 3, 4]
    assert changed.data_ptr() != address
    assert mapped.tolist() == [0, 1, 2, 3]


def test_shared_memory_of_processes_is_home(place: Place) -> None:
    """A tensor in shared memory comes home to it."""
    tensor = torch.zeros(4).share_memory_()
    address = tensor.data_ptr()
    mover = place.mover()
    mover.away([tensor])
    tensor.add_(1)
    mover.home()
    assert tensor.is_shared()
    assert tensor.data_ptr() == address
    assert tensor.tolist() == [1] * 4


def test_a_storage_that_was_freed_is_survived(place: Place) -> None:
    """A weight whose memory a library has let go goes and comes as it is."""
    weight = torch.ones(4)
    weight.untyped_storage().resize_(0)
    other = torch.ones(2)
    mover = place.mover()
    mover.away([weight, other])
    assert is_home(weight)
    assert is_away(place, other)
    mover.home()
    assert is_home(weight, other)
    assert weight.untyped_storage().nbytes() == 0


# ---- roll-back ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_full_device_leaves_everything_at_home(place: Place, number: int) -> None:
    """Whichever copy fails, nothing has moved, and a second attempt succeeds."""
    weight = nn.Parameter(torch.ones(3))
    weight.sum().backward()
    base = torch.arange(8.0)
    tail, state = base[4:], weight * 2
    everything = [weight, weight.grad, base, tail, state]
    looks = [Look.at(each) for each in everything if each is not None]
    gradient, history = weight.grad, state.grad_fn
    mover = place.mover()
    place.fill_at(number)
    with pytest.raises(torch.OutOfMemoryError):
        mover.away([weight, base, tail, state])
    assert [Look.at(each) for each in everything if each is not None] == looks
    assert is_home(weight, base, tail, state)
    assert weight.grad is gradient
    assert state.grad_fn is history
    assert not mover.travellers
    assert not mover.pairs
    assert mover.moved_bytes == 0
    assert len(mover.away([weight, base, tail, state])) == 5
    mover.home()
    assert [Look.at(each) for each in everything if each is not None] == looks


@pytest.mark.parametrize("number", [0, 1, 3])
def test_an_error_in_the_middle_is_rolled_back(
    place: Place, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Half of the tensors were re-pointed: they are pointed back, with their gradients."""
    weights = [nn.Parameter(torch.ones(2)) for _ in range(3)]
    sum(each.sum() for each in weights).backward()  # type: ignore[union-attr]
    gradients = [each.grad for each in weights]
    looks = [Look.at(each) for each in weights]
    original, calls = move.leave, []

    def leave(*args: Any) -> Any:  # noqa: ANN401
        calls.append(args)
        if len(calls) > number:
            raise ZeroDivisionError
        return original(*args)

    monkeypatch.setattr(move, "leave", leave)
    mover = place.mover()
    with pytest.raises(ZeroDivisionError):
        mover.away(weights)
    assert [Look.at(each) for each in weights] == looks
    assert all(a.grad is b for a, b in zip(weights, gradients, strict=True))
    assert is_home(*weights, *(each for each in gradients if each is not None))
    assert not mover.travellers


def test_an_interrupt_comes_after_the_move(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle: all is away when it is raised, and can go home."""
    tensors = [torch.zeros(2) for _ in range(3)]
    original = move.leave

    def leave(*args: Any) -> Any:  # noqa: ANN401
        signal.raise_signal(signal.SIGINT)
        return original(*args)

    monkeypatch.setattr(move, "leave", leave)
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    mover = place.mover()
    try:
        with pytest.raises(KeyboardInterrupt):
            mover.away(tensors)
    finally:
        signal.signal(signal.SIGINT, outer)
    assert is_away(place, *tensors)
    mover.home()
    assert is_home(*tensors)


def test_a_lost_device_gives_the_values_of_before(place: Place) -> None:
    """Without a copy, what was moved is as it was; nothing is left on the device."""
    weight, plain = nn.Parameter(torch.ones(2)), torch.zeros(2)
    looks = Look.at(weight), Look.at(plain)
    mover = place.mover()
    mover.away([weight, plain])
    (weight * 3).sum().backward()
    plain.add_(1)
    place.lose()
    with pytest.raises(RuntimeError):
        mover.home()
    mover.home(copy=False)
    assert (Look.at(weight), Look.at(plain)) == looks
    assert is_home(weight, plain)
    assert plain.tolist() == [0, 0]
    assert weight.grad is None or is_home(weight.grad)
    (weight * 2).sum().backward()


def test_a_failure_half_way_home_is_not_undone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is home already stays there when the rest is given up."""
    tensors = [torch.zeros(2) for _ in range(4)]
    looks = [Look.at(each) for each in tensors]
    mover = place.mover()
    mover.away(tensors)
    original, calls = move.bring_back, []

    def bring_back(*args: Any) -> None:  # noqa: ANN401
        calls.append(args)
        if len(calls) == 3:
            message = "the device is lost"
            raise RuntimeError(message)
        original(*args)

    monkeypatch.setattr(move, "bring_back", bring_back)
    with pytest.raises(RuntimeError, match="lost"):
        mover.home()
    mover.home(copy=False)
    assert is_home(*tensors)
    assert [Look.at(each) for each in tensors] == looks


# ---- laid out anew ----------------------------------------------------------------------


def test_weights_that_were_laid_out_anew_by_torch(place: Place) -> None:
    """A library puts all weights of a layer in one block: home is still where it was."""
    weights = [nn.Parameter(torch.full((2,), float(index))) for index in range(2)]
    looks = [Look.at(each) for each in weights]
    mover = place.mover()
    mover.away(weights)
    assert all(mover.is_alone(each) for each in weights)
    block = torch.cat([each.detach() for each in weights])
    with torch.no_grad():
        weights[0].data = block[:2]
        weights[1].data = block[2:]
    mover.accept_place(weights)
    block.add_(1)
    mover.home()
    assert [Look.at(each) for each in weights] == looks
    assert [each.tolist() for each in weights] == [[1, 1], [2, 2]]


def test_only_tensors_with_memory_of_their_own_are_alone(place: Place) -> None:
    """Tied and sliced tensors are not, and what stayed at home is not."""
    base = torch.zeros(4)
    half, lone, stayed = base[:2], torch.zeros(2), torch.zeros(2)
    mover = place.mover()
    mover.away([base, half, lone])
    assert [mover.is_alone(each) for each in (base, half, lone, stayed)] == [
        False, False, True, False,
    ]  # fmt: skip


# ---- nothing is kept ------------------------------------------------------------------


def test_nothing_is_kept_alive(place: Place) -> None:
    """After the way home, a mover holds no tensor."""
    tensor = torch.zeros(4)
    mover = place.mover()
    mover.away([tensor])
    mover.home()
    watch = weakref.ref(tensor)
    del tensor
    gc.collect()
    assert watch() is None


def test_subclasses_of_the_user_are_not_called(place: Place) -> None:
    """A tensor class with a ``__torch_function__`` of its own travels untouched."""

    class Loud(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *_: Any) -> Any:  # noqa: ANN401
            raise RuntimeError

    loud = torch.Tensor._make_subclass(Loud, torch.ones(2))
    loud.__dict__["note"] = "mine"
    mover = place.mover()
    mover.away([loud])
    mover.home()
    assert type(loud) is Loud
    assert loud.__dict__["note"] == "mine"
    with torch._C.DisableTorchFunctionSubclass():
        assert loud.tolist() == [1, 1]


# ---- what the user drops -------------------------------------------------------------


def test_what_was_dropped_is_let_go(place: Place) -> None:
    """Tensor, gradient and memory go; what is still used, or shared, stays."""
    layer, kept = nn.Linear(3, 2), torch.ones(4)
    row = kept.data[1:]
    mover = place.mover()
    mover.away([*layer.parameters(), kept, row])
    loss = layer(torch.ones(1, 3).to(place.device)).sum()
    loss.backward()
    mover.forget_dropped()
    assert len(mover.travellers) == 4
    del layer, kept
    mover.forget_dropped()  # the graph still holds the weight, for a second backward
    assert len(mover.travellers) in {2, 3}
    del loss
    mover.forget_dropped()
    assert [each.tensor is row for each in mover.travellers.values()] == [True]
    assert len(mover.pairs) == 1
    mover.home()
    assert row.tolist() == [1, 1, 1]
    assert is_home(row)


def test_dropped_memory_that_others_see_gets_its_value(place: Place) -> None:
    """A view and a NumPy array at home show what the device computed."""
    array = np.zeros(3, dtype=np.float32)
    owner, shared = torch.zeros(4), torch.from_numpy(array)
    view = owner.data[:2]
    mover = place.mover()
    mover.away([owner, shared])
    owner.add_(1)
    shared.add_(2)
    del owner, shared
    gc.collect()
    mover.forget_dropped()
    assert not mover.travellers
    assert not mover.pairs
    assert view.tolist() == [1, 1]
    assert array.tolist() == [2, 2, 2]
