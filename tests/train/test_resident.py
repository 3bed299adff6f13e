"""Tests for `colabmagic.train.resident`, most of them through a cell with ``--cache``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from colabmagic.train.resident import memory_bytes
from tests.train.cell import DEVICE, Notebook

if TYPE_CHECKING:
    import types

SETUP = """
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset
data = TensorDataset(torch.arange(60.).reshape(20, 3), torch.arange(20))
loader = DataLoader(data, 4, shuffle=True)
seen = []
"""
LOOP = "for epoch in range(3):\n    for x, y in loader: seen.append([x.tolist(), y.tolist()])"


def notebook(more: str = "") -> Notebook:
    """Return a notebook with a loader."""
    made = Notebook()
    made.run(SETUP + more)
    torch.manual_seed(0)
    return made


def test_rows_come_from_the_device(fake: types.ModuleType) -> None:
    """Same values and order; the dataset is copied once, then only row numbers are."""
    plain, cached = notebook(), notebook()
    plain.run(LOOP)
    torch.manual_seed(0)
    fake.reset_stats(1)
    before = fake.stats(1)["current"]
    outcome = cached.train_on(LOOP, cache=True)
    assert cached["seen"] == plain["seen"]
    assert not outcome.notes
    assert fake.stats(1)["h2d"] == 2 + 3 * 5
    assert fake.stats(1)["current"] == before
    assert cached["data"].tensors[0].device.type == "cpu"


def test_it_is_off_unless_asked_for(fake: types.ModuleType) -> None:
    """Without the option each batch travels, as by hand."""
    made = notebook()
    fake.reset_stats(1)
    made.train_on(LOOP)
    assert fake.stats(1)["h2d"] == 2 * 3 * 5


def test_what_is_too_big_stays_on_the_cpu(fake: types.ModuleType) -> None:
    """More than a fifth of the free memory is not taken; a note says so."""
    made = notebook()
    fake.set_limit(1, 1100)  # the first tensor has 240 bytes, the second 160
    outcome = made.train_on(LOOP, cache=True)
    (note,) = outcome.notes
    assert note == (
        "--cache: a dataset's tensor of 240 bytes was not kept on fake:1: more than 20% "
        "of its free memory (1.1 KB)"
    )
    plain = notebook()
    plain.run(LOOP)
    assert made["seen"] == plain["seen"]


@pytest.mark.usefixtures("fake")
def test_a_change_by_the_cell_is_seen() -> None:
    """A tensor that the cell itself works with gives its new rows, and a note."""
    loop = """
for x, y in loader:
    seen.append([x.tolist(), y.tolist()])
    loader.dataset.tensors[1][:] = 7
"""
    made, plain = notebook(), notebook()
    plain.run(loop)
    torch.manual_seed(0)
    outcome = made.train_on(loop, cache=True)
    assert made["seen"] == plain["seen"]
    assert any("make the dataset in an earlier cell" in each for each in outcome.notes)


@pytest.mark.usefixtures("fake")
def test_a_change_that_only_a_function_makes_is_seen() -> None:
    """Torch counts the changes of a tensor: from then on its rows come from the CPU."""
    change = """
class Changing(torch.utils.data.Sampler):
    def __init__(self): pass
    def __len__(self): return 20
    def __iter__(self):
        for i in range(20):
            if i == 8: data.tensors[1][:] = 7
            yield i
loader = DataLoader(data, 4, sampler=Changing())
"""
    made, plain = notebook(change), notebook(change)
    plain.run(LOOP)
    torch.manual_seed(0)
    outcome = made.train_on(LOOP, cache=True)
    assert made["seen"] == plain["seen"]
    assert any("was changed" in note for note in outcome.notes)


@pytest.mark.parametrize(
    "more",
    [
        "loader = DataLoader(data, 4, collate_fn=lambda items: torch.stack([x for x, _ in items]))",
        "loader = []",
    ],
)
@pytest.mark.usefixtures("fake")
def test_nothing_to_keep_is_said(more: str) -> None:
    """An option that did nothing is no secret."""
    outcome = notebook(more).train_on("for each in loader: pass", cache=True)
    (note,) = outcome.notes
    assert note.startswith("--cache: no loader here reads a plain TensorDataset")


@pytest.mark.usefixtures("fake")
def test_wrong_numbers_are_torchs_own_error() -> None:
    """A row that is not there fails on the CPU, with torch's words."""
    made = notebook("loader = DataLoader(data, batch_sampler=[[0], [99]])")
    with pytest.raises(IndexError, match="index 99 is out of bounds"):
        made.train_on(LOOP, cache=True)
    assert len(made["seen"]) == 1


@pytest.mark.usefixtures("fake")
def test_rows_counted_from_the_end() -> None:
    """Negative numbers are torch's work, and right."""
    made = notebook("loader = DataLoader(data, batch_sampler=[[-1, 0]])")
    made.train_on(LOOP, cache=True)
    assert made["seen"][0][1] == [19, 0]


def test_a_device_without_room(fake: types.ModuleType) -> None:
    """The copy that fails is no failure of the cell."""
    made, plain = notebook(), notebook()
    plain.run(LOOP)
    torch.manual_seed(0)
    fake.fail_allocation(1, 1)  # after the question whether the device answers
    outcome = made.train_on(LOOP, cache=True)
    assert made["seen"] == plain["seen"]
    assert any("had no room" in note for note in outcome.notes)


def test_free_memory(fake: types.ModuleType) -> None:
    """Free and whole are what the device says, and 0 where it says nothing."""
    fake.set_limit(1, 5000)
    assert memory_bytes(torch.device(DEVICE)) == (5000, 5000)
    assert memory_bytes(torch.device("meta")) == (0, 0)
