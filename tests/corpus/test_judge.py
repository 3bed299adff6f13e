"""The judge of the corpus sees what is wrong, and controls are refused with a clear line."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.corpus import witness
from tests.corpus.case import Case, Cell
from tests.corpus.compare import Tolerance, differences, frozen
from tests.corpus.notebook import CellFailedError
from tests.corpus.run import run_case

if TYPE_CHECKING:
    from tests.corpus.notebook import Notebook

pytestmark = pytest.mark.usefixtures("fake")

SETUP = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(3, 2)
opt = torch.optim.SGD(model.parameters(), 0.1)
X = torch.randn(16, 3)
"""
TRAIN = """
for _ in range(8):
    loss = model(X).square().mean()
    opt.zero_grad(); loss.backward(); opt.step()
"""


def case_of(*cells: str, results: tuple[str, ...] = ("model",)) -> Case:
    """Make a case whose last cell is under test."""
    *setup, last = cells
    return Case(
        name="made",
        summary="",
        cells=(
            *(Cell(source=each, under_test=False) for each in setup),
            Cell(source=last, under_test=True),
        ),
        results=results,
        shared_rng=False,
        atol=None,
    )


# --- the judge --------------------------------------------------------------------


def test_a_good_cell_passes(notebook: Notebook) -> None:
    """An ordinary case has no problems, and its very bits."""
    verdict = run_case(notebook, case_of(SETUP, TRAIN))
    assert verdict.problems == []
    assert verdict.same_bits
    assert verdict.device_matmuls >= 16


@pytest.mark.parametrize(
    ("device", "problem"),
    [
        ("fake:1 --keep", "is on fake:1"),
        ("fake:0", "another device was used"),
        ("cpu", "the device ran 0 operators"),
    ],
)
def test_what_is_left_or_unused_is_seen(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, device: str, problem: str
) -> None:
    """A cell that stays there, or never went there, is a failure."""
    run = type(notebook).run
    monkeypatch.setattr(
        type(notebook),
        "run",
        lambda self, source: run(self, source.replace("fake:1\n", f"{device}\n", 1)),
    )
    verdict = run_case(notebook, case_of(SETUP, TRAIN))
    assert any(problem in each for each in verdict.problems), verdict.problems


def test_other_numbers_are_seen(notebook: Notebook) -> None:
    """A result that depends on the device is a failure."""
    changed = TRAIN + "\nif X.device.type != 'cpu':\n    model.bias.data += 0.01\n"
    verdict = run_case(notebook, case_of(SETUP, changed))
    assert any("largest gap 0.01" in each for each in verdict.problems)


def test_rounding_is_told_from_the_same_bits(notebook: Notebook) -> None:
    """A last bit that differs is equal, but not the same."""
    changed = TRAIN + "\nif X.device.type != 'cpu':\n    model.bias.data *= 1 + 2e-7\n"
    verdict = run_case(notebook, case_of(SETUP, changed))
    assert verdict.problems == []
    assert not verdict.same_bits


def test_a_patch_that_stays_is_seen(notebook: Notebook) -> None:
    """Replacing a function of torch in the cell counts as left behind."""
    verdict = run_case(notebook, case_of(SETUP, TRAIN + "torch.relu_ = lambda x: x\n"))
    try:
        assert any("torch.relu_" in each for each in verdict.problems)
    finally:
        torch.relu_ = torch._C._VariableFunctions.relu_


def test_new_warnings_are_seen(notebook: Notebook) -> None:
    """A warning that only comes on the device is a failure."""
    cell = TRAIN + "import warnings\nif X.device.type != 'cpu': warnings.warn('odd')\n"
    verdict = run_case(notebook, case_of(SETUP, cell))
    assert "new warning: odd" in verdict.problems


def test_the_walker_finds_every_hiding_place() -> None:
    """Closures, defaults, generators, slots, attributes, keys, partials, gradients."""
    there = torch.ones(1, device="fake:1")

    class Slots:
        __slots__ = ("value",)

    def generator() -> Any:
        held = there
        yield 1
        yield held

    def closure() -> torch.Tensor:
        return there

    slots = Slots()
    slots.value = there
    running = generator()
    next(running)
    leaf = torch.ones(1, requires_grad=True)
    holder = type("Holder", (), {"__module__": "__main__"})()
    holder.list = [{1: (there,)}]
    closure.__module__ = "__main__"
    places: dict[str, object] = {
        "closure": closure,
        "slots": slots,
        "running": running,
        "holder": holder,
        "partial": functools.partial(print, there),
        "keys": {there: 1},
        "method": holder.list.__class__.append,
    }
    assert leaf.grad is None
    for name, value in places.items():
        found = witness.leftovers({name: value})
        assert bool(found) == (name != "method"), name
    assert len(witness.tensors_off_cpu()) >= 1


def test_every_difference_is_found() -> None:
    """Values, types, shapes, flags, gradients, keys and lengths are compared."""
    base: dict[str, Any] = {
        "t": torch.ones(2),
        "a": np.ones(2),
        "l": [1, 2.0],
        "n": None,
        "s": "x",
    }
    changes: dict[str, Any] = {
        "t": torch.ones(2).requires_grad_(),
        "a": np.ones(2, dtype=np.float32),
        "l": [1, 2.0, 3],
        "n": 0,
        "s": "y",
    }
    assert list(differences(frozen(base), frozen(dict(base)), Tolerance())) == []
    for key, value in changes.items():
        changed = {**base, key: value}
        assert list(differences(frozen(base), frozen(changed), Tolerance())), key
    with_grad = torch.ones(2, requires_grad=True)
    with_grad.sum().backward()
    without = torch.ones(2, requires_grad=True)
    assert list(differences(frozen(with_grad), frozen(without), Tolerance()))
    assert list(differences(frozen({"a": 1}), frozen({"b": 1}), Tolerance()))


# --- controls: refused with a clear line, never a wrong result -----------------------


@pytest.fixture
def started(notebook: Notebook) -> Any:
    """Give a notebook with the extension and a model; afterwards all has to be home."""
    notebook.restart(extension=True)
    notebook.run(SETUP)
    before = witness.entry_points()
    yield notebook
    assert witness.leftovers(notebook.namespace) == {}
    assert witness.still_patched(before, witness.entry_points()) == []
    notebook.close()


def fails(notebook: Notebook, cell: str) -> str:
    """Run a cell that has to fail, and return what the user reads."""
    with pytest.raises(CellFailedError) as caught:
        notebook.run(cell)
    return str(caught.value)


def test_a_loss_of_an_earlier_cell_is_refused(started: Notebook) -> None:
    """Backward through a CPU graph of a model that has moved: three lines, no gradients."""
    started.run("old = model(X).sum()\nmodel.zero_grad()")
    text = fails(started, "%%train_on fake:1\nold.backward()\nopt.step()")
    assert "NotSupportedError" in text
    assert "earlier cell" in text
    assert "Traceback" not in text
    assert started.evaluate("model.weight.grad") is None


def test_a_loss_of_the_cell_is_refused_later(started: Notebook) -> None:
    """Backward in an ordinary cell through a graph that stayed on the device."""
    started.run("%%train_on fake:1\nlate = model(X).sum()")
    text = fails(started, "late.backward()")
    assert "NotSupportedError" in text
    assert "cell has ended" in text


@pytest.mark.parametrize(
    ("expression", "where"),
    [
        ("X.to('cpu')", "cpu"),
        ("X.cpu()", "cpu"),
        ("torch.zeros(2, device='cpu')", "cpu"),
        ("torch.zeros(2)", "fake:1"),
        ("torch.zeros(2, device='fake:0')", "fake:0"),
        ("torch.zeros(2, device=torch.device('cpu'))", "cpu"),
        ("torch.randn(3, generator=torch.Generator().manual_seed(1))", "fake:1"),
        ("torch.empty(3).to('fake:0')", "fake:0"),
        ("X.new_zeros(2)", "fake:1"),
        ("torch.zeros_like(X)", "fake:1"),
        ("torch.tensor([1.], device=X.device)", "fake:1"),
        ("torch.as_tensor(X.cpu().numpy())", "fake:1"),
    ],
)
def test_what_the_user_says_about_devices_wins(
    started: Notebook, expression: str, where: str
) -> None:
    """An explicit device is obeyed; all else follows the cell."""
    started.run(
        f"%%train_on fake:1\nmade = {expression}\nwhere = str(made.device)\ndel made"
    )
    assert started.evaluate("where") == where


def test_a_model_that_the_user_sends_to_the_cpu_works_there(started: Notebook) -> None:
    """``.to('cpu')`` in the cell keeps the model there, with inputs that are there."""
    started.run(
        "%%train_on fake:1\nmodel.to('cpu')\nout = model(X.to('cpu'))\n"
        "where = out.device.type"
    )
    assert started.evaluate("where") == "cpu"
    assert started.evaluate("torch.equal(out, model(X))")


def test_mixed_devices_of_the_user_raise(started: Notebook) -> None:
    """A mix that the user wrote himself is torch's own error at his line."""
    text = fails(started, "%%train_on fake:1\nX + torch.zeros(16, 3, device='cpu')")
    assert "Expected all tensors to be on the same device" in text


def test_a_wrong_device_is_one_clear_error(started: Notebook) -> None:
    """The devices which exist are listed, in at most three lines."""
    text = fails(started, "%%train_on fake:5\nmodel(X)")
    assert "BadDeviceError" in text
    assert "fake:0" in text
    assert "fake:1" in text
    assert "Traceback" not in text


def test_an_operator_that_the_device_lacks(started: Notebook) -> None:
    """Torch's own error is shown, and what the cell made is not left there."""
    fails(
        started,
        "%%train_on fake:1\nout = model(X)\nraise NotImplementedError('no such kernel')",
    )
    assert started.evaluate("out.device.type") == "cpu"
