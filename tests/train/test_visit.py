"""Tests for `colabmagic.train.visit`, on both devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from colabmagic.train import visit
from tests.train.places import Look, is_away, is_home

if TYPE_CHECKING:
    from tests.train.places import Place


def test_a_visit_home_needs_no_copy(place: Place) -> None:
    """Untouched tensors point home and back; there they are as before."""
    tensor = torch.arange(3.0)
    address = tensor.data_ptr()
    mover = place.mover()
    mover.away([tensor])
    visits = visit.visitors_among(mover, [tensor])
    visit.visit_home(visits)
    assert tensor.data_ptr() == address
    assert is_home(tensor)
    visit.end_visit(visits)
    assert is_away(place, tensor)
    visit.end_visit(visits)
    assert is_away(place, tensor)


def test_a_visit_sees_what_the_cell_wrote(place: Place) -> None:
    """Changes since the last visit are fetched, each time."""
    tensor = torch.zeros(2)
    mover = place.mover()
    mover.away([tensor])
    visits = visit.visitors_among(mover, [tensor])
    for value in (1, 1, 5):
        tensor.fill_(value)
        visit.visit_home(visits)
        assert tensor.tolist() == [value] * 2
        visit.end_visit(visits)


def test_what_is_written_on_a_visit_is_kept(place: Place) -> None:
    """Dataset code that counts in a shared tensor: the cell sees it, and so does home."""
    counts = torch.zeros(3)
    mover = place.mover()
    mover.away([counts])
    visits = visit.visitors_among(mover, [counts])
    for _ in range(2):
        visit.visit_home(visits)
        counts[1] += 1
        visit.end_visit(visits)
        counts[0] += 1
    assert counts.cpu().tolist() == [2, 2, 0]
    mover.home()
    assert counts.tolist() == [2, 2, 0]


def test_tensors_made_in_the_cell_are_given_a_home(place: Place) -> None:
    """A dataset over new tensors: they share memory on visits as they do there."""
    mover = place.mover()
    mover.away([first := torch.zeros(1)])
    made = first + torch.arange(4.0).to(place.device)
    tail = made[2:]
    mover.away([])
    visits = visit.visitors_among(mover, iter([made, tail, first]))
    assert len(visits.travellers) == 3
    visit.visit_home(visits)
    assert is_home(made, tail)
    assert made.untyped_storage()._cdata == tail.untyped_storage()._cdata
    assert made.tolist() == [0, 1, 2, 3]
    visit.end_visit(visits)
    made.add_(1)
    mover.home()
    assert is_home(made, tail)
    assert tail.tolist() == [3, 4]
    made[3] = 9
    assert tail[1] == 9


def test_a_view_made_in_the_cell_has_the_home_of_its_base(place: Place) -> None:
    """``TensorDataset(X[:2])``: X still comes home to its own memory, with the slice."""
    base = torch.arange(4.0)
    before = Look.at(base)
    mover = place.mover()
    mover.away([base])
    base.add_(1)
    part = base[:2]
    visits = visit.visitors_among(mover, [part])
    visit.visit_home(visits)
    assert part.tolist() == [1, 2]
    visit.end_visit(visits)
    base.add_(1)
    visit.visit_home(visits)
    assert part.tolist() == [2, 3]
    visit.end_visit(visits)
    mover.home()
    assert Look.at(base) == before
    assert base.tolist() == [2, 3, 4, 5]
    assert part.data_ptr() == base.data_ptr()


def test_computed_tensors_are_not_adopted(place: Place) -> None:
    """A tensor with a history cannot visit; it is passed over."""
    weight = torch.ones(2, requires_grad=True)
    mover = place.mover()
    mover.away([weight])
    made = weight * 2
    assert not visit.visitors_among(mover, [made])
    mover.home([made])
    assert is_home(made)


def test_a_slice_that_follows_later(place: Place) -> None:
    """A view of a tensor that is away joins it, and can visit home."""
    base = torch.arange(8.0)
    tail = base[4:]
    looks = Look.at(base), Look.at(tail)
    mover = place.mover()
    mover.away([base])
    base.add_(1)
    mover.away([tail])
    assert tail.cpu().tolist() == [5, 6, 7, 8]
    tail.add_(1)
    visits = visit.visitors_among(mover, [tail])
    visit.visit_home(visits)
    assert is_home(tail)
    assert tail.tolist() == [6, 7, 8, 9]
    visit.end_visit(visits)
    assert is_away(place, tail)
    mover.home()
    assert (Look.at(base), Look.at(tail)) == looks
    assert base.tolist() == [1, 2, 3, 4, 6, 7, 8, 9]
