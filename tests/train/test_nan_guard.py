"""Tests for `colabmagic.train.nan_guard`: a loss that is not finite stops the cell."""

from __future__ import annotations

import ast
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch

from colabmagic.errors import NanLossError
from colabmagic.train import last_outcome, nan_guard, on, service
from colabmagic.train.names import mentioned_names
from colabmagic.train.options import TrainOptions
from tests.train.cell import Notebook

if TYPE_CHECKING:
    import types

pytestmark = pytest.mark.usefixtures("registered_fake")
SETUP = """
import torch
from torch.utils.data import DataLoader
torch.manual_seed(0)
rows = [(torch.randn(4), torch.randn(1), number) for number in range(160)]
loader = DataLoader(rows, batch_size=4)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.01)
"""
LOOP = """
done = 0
for a, b, numbers in loader:
    optimizer.zero_grad()
    loss = (model(a) - b).square().mean()
    loss.backward()
    optimizer.step()
    done += 1
"""


@pytest.fixture
def notebook() -> Notebook:
    """Return a notebook with a model and a loader of 40 batches."""
    notebook = Notebook()
    notebook.run(SETUP)
    return notebook


def spoil(notebook: Notebook, step: int, value: float = float("nan")) -> None:
    """Put a value that is not finite into the batch of a step."""
    notebook["rows"][4 * (step - 1) + 2][0][1] = value


@pytest.mark.parametrize("device", ["fake:1", "cpu"])
@pytest.mark.parametrize("every", [1, 3, 8])
@pytest.mark.usefixtures("fake")
def test_it_stops_with_the_step_and_its_batch(
    notebook: Notebook, device: str, every: int
) -> None:
    """The very step is named, though only each N-th is looked at; its batch is kept."""
    spoil(notebook, 13)
    with pytest.raises(NanLossError) as caught:
        notebook.train_on(LOOP, device, nan_guard=every)
    assert caught.value.what.startswith("the loss is nan at step 13; the last finite")
    assert caught.value.what.endswith("at step 12")
    assert "batch of that step holds nan or inf itself" in str(caught.value.seen)
    assert "nan_batch" in caught.value.hint
    compile(caught.value.hint, "<pasted>", "exec")
    looked_at = -(-13 // every) * every
    assert notebook["done"] == looked_at - 1
    outcome = last_outcome()
    assert outcome is not None
    assert (outcome.nan_step, outcome.last_finite_step) == (13, 12)
    inputs, _, numbers = outcome.nan_batch
    assert numbers.tolist() == [48, 49, 50, 51]
    assert inputs.is_cpu
    assert inputs.isnan().any()
    assert outcome.error == "NanLossError"
    assert not outcome.notes
    assert "nan_batch" not in outcome.to_dict()
    assert all(each.is_cpu for each in notebook["model"].parameters())


@pytest.mark.usefixtures("fake")
def test_with_one_the_parameters_are_still_good(notebook: Notebook) -> None:
    """Looked at in each step, the bad loss is known before the optimizer steps."""
    spoil(notebook, 5)
    with pytest.raises(NanLossError) as caught:
        notebook.train_on(LOOP, nan_guard=1)
    assert torch.isfinite(notebook["model"].weight).all()
    assert "the gradient of `model.weight` is not finite" in str(caught.value.seen)


@pytest.mark.usefixtures("fake")
def test_the_first_parameter_is_named(notebook: Notebook) -> None:
    """A model that has blown up is named; the batch is good, and that is not said."""
    notebook.names["optimizer"].param_groups[0]["lr"] = 1e30
    with pytest.raises(NanLossError) as caught:
        notebook.train_on(LOOP, nan_guard=10)
    assert "`model.weight` is not finite" in str(caught.value.seen)
    assert "now, at step 10" in str(caught.value.seen)
    assert "itself" not in str(caught.value.seen)


@pytest.mark.usefixtures("fake")
def test_infinity_counts(notebook: Notebook) -> None:
    """A loss that is infinite is not finite."""
    spoil(notebook, 2, float("inf"))
    with pytest.raises(NanLossError, match="the loss is inf at step 2"):
        notebook.train_on(LOOP, nan_guard=5)


@pytest.mark.usefixtures("fake")
def test_what_is_left_at_the_end_is_a_note(notebook: Notebook) -> None:
    """Between the last look and the end of the cell nothing is lost: a note tells."""
    spoil(notebook, 38)
    outcome = notebook.train_on(LOOP, nan_guard=50)
    assert outcome.nan_step == 38
    (note,) = outcome.notes
    assert note.startswith("the loss is nan at step 38")
    assert outcome.nan_batch[2].tolist() == [148, 149, 150, 151]


@pytest.mark.usefixtures("fake")
def test_a_good_training_is_left_alone(notebook: Notebook) -> None:
    """Same parameters as without; nothing is patched afterwards; no batch is kept."""
    plain = Notebook()
    plain.run(SETUP + LOOP)
    before = vars(torch.Tensor)["backward"]
    outcome = notebook.train_on(LOOP, nan_guard=7)
    assert outcome.nan_step is None
    assert outcome.nan_batch is None
    assert outcome.notes == ()
    assert torch.equal(notebook["model"].weight, plain["model"].weight)
    assert vars(torch.Tensor)["backward"] is before


def test_it_waits_for_nothing(fake: types.ModuleType, notebook: Notebook) -> None:
    """40 steps with a look at every 10th: four copies more, none of them waited for."""
    figures = []
    for option in (None, 10):
        other = Notebook()
        other.run(SETUP)
        source = f"fake.reset_stats(1)\n{LOOP}\nstats = fake.stats(1)"
        other.names["fake"] = fake
        other.train_on(source, nan_guard=option)
        figures.append(other["stats"])
    plain, guarded = figures
    assert guarded["syncs"] == plain["syncs"]
    assert guarded["h2d"] == plain["h2d"]
    assert guarded["d2h"] == plain["d2h"] + 4
    assert guarded["non_blocking"] == plain["non_blocking"] + 4
    del notebook


@pytest.mark.usefixtures("fake")
def test_memory_is_bounded(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large batches are not all kept; the error then says how to get the one."""
    monkeypatch.setattr(nan_guard, "KEPT_BYTES", 250)  # two of them
    spoil(notebook, 11)
    alive: list[int] = []
    references: list[weakref.ref[Any]] = []

    def look(batch: torch.Tensor) -> None:
        references.append(weakref.ref(batch))
        gc.collect()
        alive.append(sum(each() is not None for each in references))

    notebook.names["look"] = look
    source = LOOP.replace("    done += 1", "    done += 1\n    look(a)")
    with pytest.raises(NanLossError) as caught:
        notebook.train_on(source, nan_guard=20)
    assert max(alive) <= 4
    assert "--nan-guard 1" in caught.value.hint
    outcome = last_outcome()
    assert outcome is not None
    assert outcome.nan_batch is None


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    "cell",
    [
        "(w * 2).backward(torch.ones(2))",
        "(w.double() * 1e300).sum().backward()",
        "(w.half() * 60000).backward(torch.ones(2).half())",
        "(w.to(torch.complex64)).abs().sum().backward()",
        "(w * (1 + 0j)).backward(torch.ones(2) + 0j)",
        "w.sum().backward(); w.double().sum().backward()",
    ],
)
def test_all_kinds_of_losses(cell: str) -> None:
    """Vectors, doubles, halves and complex ones are no false alarm."""
    notebook = Notebook()
    notebook.run("import torch\nw = torch.ones(2, requires_grad=True)")
    for every in (1, 2):
        device = "cpu" if "complex" in cell or "0j" in cell else "fake:1"
        outcome = notebook.train_on(cell, device, nan_guard=every)
        assert outcome.nan_step is None


@pytest.mark.usefixtures("fake")
def test_an_error_of_the_cell_comes_first(notebook: Notebook) -> None:
    """Another error stays what it is; what the guard saw is a note."""
    spoil(notebook, 3)
    source = LOOP + "    if done == 5: raise ZeroDivisionError\n"
    with pytest.raises(ZeroDivisionError):
        notebook.train_on(source, nan_guard=50)
    outcome = last_outcome()
    assert outcome is not None
    assert outcome.error == "ZeroDivisionError"
    assert outcome.nan_step == 3
    assert len(outcome.notes) == 1


@pytest.mark.parametrize("device", ["fake:1", "cpu"])
@pytest.mark.usefixtures("fake")
def test_with_a_device_that_is_on_for_all_cells(
    notebook: Notebook, device: str
) -> None:
    """Each cell counts from one; the outcome of the cell that was stopped has it."""
    options = TrainOptions(nan_guard=4)
    service.stand(namespace=notebook.names, device=device, options=options)
    try:
        names = mentioned_names(ast.parse(LOOP))
        for bad in (False, True):
            if bad:
                spoil(notebook, 6)
            standing = service.standing()
            assert standing is not None
            cell = standing.cell(names)
            error = None
            try:
                notebook.run(LOOP)
            except NanLossError as caught:
                error = caught
            cell.finish(None, error)
            assert (error is not None) is bad
        outcome = last_outcome()
        assert outcome is not None
        assert outcome.nan_step == 6
        assert outcome.nan_batch[0].is_cpu
    finally:
        service.turn_off()


@pytest.mark.usefixtures("fake")
def test_in_a_block(notebook: Notebook) -> None:
    """Scripts have it as an argument."""
    spoil(notebook, 2)
    train = on("cpu", nan_guard=1, quiet=True)(lambda: notebook.run(LOOP))
    with pytest.raises(NanLossError, match="at step 2"):
        train()
