"""``--dry-run`` and ``--nan-guard``, in real kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel.support import Kernel

SETUP = """
import torch
torch.manual_seed(0)
X = torch.ones(64, 8)
model = torch.nn.Linear(8, 2)
ran = False
"""
CELL = "%%train_on fake:1 --dry-run\nran = True\nmodel(X)"


@pytest.fixture
def kernel(device_kernel: Kernel) -> Kernel:
    """Return a kernel with a device, a model and data."""
    device_kernel.run("%reset -f")
    reply = device_kernel.run(SETUP)
    assert reply.status == "ok", reply.shown
    return device_kernel


@pytest.mark.parametrize("end", ["", ";", "\n"])
def test_a_dry_run_is_shown_and_runs_nothing(kernel: Kernel, end: str) -> None:
    """Names and sizes instead of the cell, also below a semicolon of the user's."""
    reply = kernel.run(CELL + end)
    assert reply.status == "ok", reply.shown
    shown = reply.shown + str(reply.outputs)  # displayed, or the value
    assert "train_on fake:1 --dry-run: FITS" in shown
    assert "the cell did not run, nothing has moved" in shown
    assert kernel.value("ran") is False
    assert kernel.value("str(model.weight.device)") == "cpu"


def test_it_is_an_object(kernel: Kernel) -> None:
    """It is the value of the cell."""
    kernel.run(CELL)
    assert kernel.value("[each.name for each in _.items]") == ["X", "model"]
    assert kernel.value("_.fits") is True


def test_it_stands_below_another_magic(kernel: Kernel) -> None:
    """%%time above it times the look; a call from code returns the report."""
    assert "FITS" in kernel.run(f"%%time\n{CELL}").shown
    body = CELL.partition("\n")[2]
    code = f"get_ipython().run_cell_magic('train_on', 'fake:1 --dry-run', {body!r})"
    assert "FITS" in kernel.run(code).shown
    assert kernel.value("ran") is False


@pytest.mark.parametrize(
    "line",
    [
        "%train_on fake:1 --dry-run",
        "option = '--dry-run'\n%train_on fake:1 {option}",
    ],
)
def test_the_line_refuses_it(kernel: Kernel, line: str) -> None:
    """One line that says where it goes; nothing is on afterwards."""
    reply = kernel.run(line)
    assert reply.ename == "UsageError"
    assert "--dry-run goes with %%train_on, in the first line of a cell" in reply.shown
    assert "is off" in kernel.run("%train_on").shown


def test_an_option_from_a_variable_is_refused(kernel: Kernel) -> None:
    """The cell would run: better an error than that."""
    kernel.run("option = '--dry-run'")
    reply = kernel.run("%%train_on fake:1 {option}\nran = True")
    assert reply.ename == "UsageError"
    assert "as it stands" in reply.shown
    assert kernel.value("ran") is False


def test_a_loss_that_is_nan_stops_the_cell(kernel: Kernel) -> None:
    """Three lines, no stack of ours; the outcome has the step."""
    reply = kernel.run(
        "%%train_on fake:1 --nan-guard 2\n"
        "for step in range(9):\n"
        "    loss = model(X).sum() / (3 - step if step < 4 else 1) * (step != 3)\n"
        "    loss.backward()"
    )
    assert reply.ename == "NanLossError"
    (text,) = reply.errors
    assert len(text.strip().splitlines()) == 3
    assert "the loss is nan at step 4; the last finite one was" in text
    assert kernel.value("step") == 3
    kernel.run("from colabmagic import train")
    assert kernel.value("train.last_outcome().nan_step") == 4
    assert kernel.value("str(model.weight.device)") == "cpu"
