"""The notebooks of ``examples/``, cell by cell in real kernels, with and without a GPU.

The quickstart needs matplotlib and is run by ``make demo`` and in the browser.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.fakes.accelerator.fake_accelerator import kernel_code, missing_tools
from tests.kernel.support import ROOT, Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

    from tests.kernel.support import Reply

EXAMPLES = ROOT / "examples"
CELL_TIMEOUT_S = 120
ON_PURPOSE = "raises-exception"
DEVICES = ["cpu", "fake:0"]


def notebook(name: str) -> NotebookNode:
    """Read an example."""
    found: NotebookNode = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    return found


def code_cells(name: str) -> list[NotebookNode]:
    """Return the code cells of an example."""
    return [cell for cell in notebook(name).cells if cell.cell_type == "code"]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """Return what `auto` finds: nothing, or the test accelerator."""
    if request.param != "cpu" and missing_tools():
        pytest.skip("the test accelerator needs " + ", ".join(missing_tools()))
    return str(request.param)


@pytest.fixture
def kernel(
    device: str, interpreter_path: str, kernel_name: str, needs_torch: None
) -> Iterator[Kernel]:
    """Yield a new kernel on a machine with, or without, an accelerator.

    The newest kernel has one, the old one has none: each costs ten seconds a notebook.
    """
    del needs_torch
    if (device != "cpu") != (kernel_name == "default"):
        pytest.skip("the other kernel runs the examples on this device")
    command = [interpreter_path, "-c", "import sklearn"]
    if subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip(f"kernel {kernel_name} has no scikit-learn")
    with Kernel(interpreter_path) as started:
        if device != "cpu":
            reply = started.run(kernel_code(), timeout_s=300)
            assert reply.status == "ok", reply.shown
        yield started


def run(kernel: Kernel, name: str) -> list[Reply]:
    """Run the cells of an example; each must end as it is meant to."""
    replies = []
    for cell in code_cells(name):
        reply = kernel.run(cell.source, timeout_s=CELL_TIMEOUT_S)
        meant = "error" if ON_PURPOSE in cell.metadata.get("tags", []) else "ok"
        assert reply.status == meant, f"{cell.source}\n{reply.shown}"
        assert not reply.stderr, f"{cell.source}\n{reply.stderr}"
        replies.append(reply)
    return replies


def share(text: str, before: str) -> float:
    """Return the percentage that follows a text."""
    assert before in text, text
    return float(text.rpartition(before)[2].split("%")[0])


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda p: p.stem)
def test_they_are_stored_clean(path: str) -> None:
    """No outputs, no numbers, ids in order, and the first cell tells how to install."""
    read = nbformat.read(path, as_version=4)
    nbformat.validate(read)
    for number, cell in enumerate(read.cells):
        assert cell.id == f"cell-{number:02}"
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert "%pip install colabmagic" in read.cells[0].source


def test_train_test_split(kernel: Kernel, device: str) -> None:
    """The model learns, on the device, and scikit-learn takes what comes home."""
    *_, training, evaluation = run(kernel, "train_test_split")
    first, last = training.stdout.splitlines()[0], training.stdout.splitlines()[-1]
    if device == "cpu":
        assert first.startswith("train_on auto: running on the CPU. ")
    else:
        assert first.startswith(f"train_on {device}: moved model, ")
    assert last.startswith(f"train_on {device}: done, ")
    assert share(evaluation.stdout, "right: ") > 90  # guessing: 63


def test_dataloader(kernel: Kernel, device: str) -> None:
    """Five epochs are told; the loop's figures are there; numpy takes the guesses."""
    *_, training, figures, use = run(kernel, "dataloader")
    assert share(training.stdout, "validation ") > 90  # guessing: 10
    assert "240 batches" in figures.stdout
    assert f"on {device} in" in figures.stdout
    assert use.stdout.startswith("guesses: [")
    # On a fast machine it ends before a bar is due: then there is the line alone.
    ends = [*training.displays[-1:], training.stdout.splitlines()[-1]]
    assert ends[0].startswith(f"train_on {device}: ")
    assert "240 batches" in ends[0]


def test_out_of_memory(kernel: Kernel, device: str) -> None:
    """It fails at once with a report; the next cells run, and all is free at the end."""
    *_, failed, holders, smaller, freed = run(kernel, "out_of_memory")
    (report,) = failed.displays
    assert report.startswith(f"Out of memory: on {device}  550.4 TB wanted")
    assert "batch in fit()" in report
    assert "a batch of 1 would not fit either" in " ".join(report.split())
    assert "no restart is" in report
    what, cell, function = failed.errors[0].splitlines()
    assert "allocate 550376570880000 bytes" in what
    assert cell.startswith("  in line 3: fit(every_pixel, epochs=1)")
    assert function.startswith("  by forward(), its cell's line 17: scores = ")
    assert "photos, photo_loader" in holders.displays[0]
    assert "%xdel photos" in holders.displays[0]
    assert "loss 0." in smaller.stdout
    assert f"train_on {device}: done" in smaller.stdout or smaller.displays
    assert freed.displays[0].startswith("GPU memory: nothing to speak of")


def test_compare(kernel: Kernel, device: str) -> None:
    """Two devices are compared where there are two; the model learns once."""
    *_, dry, compared, figures, use = run(kernel, "compare")
    if device == "cpu":
        assert "NOTHING TO MOVE" in dry.results[0]
        assert "nothing to compare" in compared.stdout
        assert "comparison" not in figures.stdout
    else:
        assert "model" in dry.results[0]
        assert f"up to 10 steps on cpu and on {device} first" in compared.stdout
        (table,) = [each for each in compared.displays if "Steps timed" in each]
        assert table.startswith(f"train_on compare: {device} is ")
        assert table in figures.stdout
    assert f"87 batches on {device}" in figures.stdout
    assert share(use.stdout, "right: ") > 80  # guessing: 10
    assert "model on cpu" in use.stdout


def test_whole_notebook(kernel: Kernel, device: str) -> None:
    """The line holds from cell to cell, and ends; a script runs by the same line."""
    replies = run(kernel, "whole_notebook")
    shown = [reply.stdout + "".join(reply.results) for reply in replies]
    on, right, state, off, home = (shown[each] for each in (2, 4, 6, 7, 8))
    script, after = shown[10], shown[11]
    if device == "cpu":
        assert on.startswith("train_on auto: cells run on the CPU. ")
    else:
        assert on.startswith(f"train_on {device}: on for all later cells")
        assert "there: images, labels, model, optimizer" in state
    assert share(right, "right: ") > 80  # guessing: 10
    assert right.strip().endswith(f"on {device}")
    assert f"train_on {device} is on for all later cells, 3 so far" in state
    assert off.startswith(f"train_on {device}: off after 4 cells")
    assert "the model lives on: cpu" in home
    assert "100 epochs: loss 0." in script
    assert f"train_on {device}: done" in script
    assert after.strip().endswith("net on cpu")
