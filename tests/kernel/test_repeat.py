"""``--compare`` and ``--auto-batch`` in real kernels: the cell, its errors, its value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.support import ours
from tests.kernel.test_device import AT_HOME, SETUP, STATE, kernel

if TYPE_CHECKING:
    from tests.kernel.support import Kernel

__all__ = ["kernel"]

LOOP = """
for epoch in range(4):
    for a, b in loader:
        optimizer.zero_grad()
        loss = criterion(model(a), b)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
print(len(losses), "losses")
"""
WEIGHTS = "[round(float(p.sum()), 6) for p in model.parameters()]"


def train(kernel: Kernel, line: str, body: str = LOOP) -> str:
    """Run the cell from the state of the set-up; return what it showed."""
    reply = kernel.run(f"%%train_on {line}{body}")
    assert reply.status == "ok", reply.shown
    return "\n".join([reply.shown, *reply.displays])


def test_compare_leaves_what_a_plain_run_leaves(kernel: Kernel) -> None:
    """A line, the whole cell once, a table; weights, losses and streams are equal."""
    left = []
    for line in ("fake:1", "fake:1 --compare cpu --steps 6"):
        kernel.run("%reset -f")
        from_scratch(kernel)
        shown = train(kernel, line)
        left.append(kernel.value(f"[{WEIGHTS}, losses, torch.rand(2).tolist()]"))
    assert left[0] == left[1]
    assert shown.count("16 losses") == 1
    assert shown.count("train_on compare: a step takes") == 1
    assert "Time of a step" in shown
    assert "Whole cell" in shown
    assert kernel.value(STATE) == AT_HOME


def from_scratch(kernel: Kernel) -> None:
    """Make model and data anew."""
    reply = kernel.run(SETUP + "losses = []")
    assert reply.status == "ok", reply.shown


def test_the_outcome_holds_the_comparison(kernel: Kernel) -> None:
    """As an object, with its speed-up."""
    kernel.run("losses = []")
    train(kernel, "fake:1 --compare=cpu --steps 5")
    found = kernel.value(
        "(lambda c: [c.device.device, c.other.device, c.steps, c.speed_up > 0])"
        "(__import__('colabmagic').train.last_outcome().comparison)"
    )
    assert found == ["fake:1", "cpu", 16, True]


@pytest.mark.parametrize(
    ("last", "shown"), [("6 * 7", ["42"]), ("6 * 7;", []), ("six = 6", [])]
)
def test_the_last_value_is_shown(kernel: Kernel, last: str, shown: list[str]) -> None:
    """As in any cell."""
    kernel.run("losses = []")
    reply = kernel.run(f"%%train_on fake:1 --compare cpu --steps 2{LOOP}{last}")
    assert reply.status == "ok", reply.shown
    assert reply.results == shown


def test_an_error_shows_the_line_of_the_cell(kernel: Kernel) -> None:
    """The trial says that it failed; the cell's own error is drawn as ever."""
    cell = "%%train_on fake:1 --compare cpu\na, b = next(iter(loader))\nmodel(a[:, :3])"
    reply = kernel.run(cell)
    assert reply.ename == "RuntimeError"
    assert "no comparison, the trial on cpu failed with RuntimeError" in reply.stdout
    (text,) = reply.errors
    assert "----> 3 model(a[:, :3])" in text
    assert not ours(text)
    assert kernel.value(STATE) == AT_HOME


def test_a_syntax_error_is_shown_as_ever(kernel: Kernel) -> None:
    """With its line, and nothing has run."""
    reply = kernel.run("%%train_on fake:1 --auto-batch\nx = 1\nfor")
    assert reply.ename in {"SyntaxError", "IndentationError"}
    assert kernel.value("'x' in globals()") is False


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%train_on fake:1 --auto-batch\nawait nothing()", "`await`"),
        ("%train_on fake:1 --compare cpu", "goes with %%train_on"),
        ("%%train_on fake:1 --compare cpu --steps 0\n1", "a number of steps"),
        ("%%train_on fake:1 --steps 5\n1", "--steps goes with --compare"),
        ("%%train_on fake:1 --compare nope\n1", "no device 'nope'"),
        ("%%train_on fake:1 --compare cpu\nf.read()", "`f` is an open file"),
    ],
)
def test_what_cannot_be_is_refused(kernel: Kernel, cell: str, words: str) -> None:
    """In one clear line, before anything has run."""
    kernel.run("f = open('/dev/null')")
    reply = kernel.run(cell)
    assert words in reply.shown
    assert reply.status == "error"
    assert not ours(reply.shown)
    assert kernel.value(STATE) == AT_HOME


def test_below_another_magic_it_is_refused(kernel: Kernel) -> None:
    """There the code of the cell is not to be had."""
    reply = kernel.run("%%time\n%%train_on fake:1 --auto-batch\nran = 1")
    assert "put %%train_on on the first line" in reply.shown
    assert kernel.value("'ran' in globals()") is False


def test_an_interrupt_in_the_trial_leaves_all_as_it_was(kernel: Kernel) -> None:
    """The cell stops, nothing was trained, nothing is patched."""
    kernel.run("losses = []\nimport time")
    before = kernel.value(WEIGHTS)
    slow = LOOP.replace("losses.append", "time.sleep(0.2); losses.append")
    reply = kernel.run(
        f"%%train_on fake:1 --compare cpu --steps 1000{slow}",
        interrupt_at="first; what",
    )
    assert reply.ename == "KeyboardInterrupt"
    assert kernel.value(f"[{WEIGHTS}, losses]") == [before, []]
    assert kernel.value(STATE) == AT_HOME


def test_out_of_memory_starts_again_with_half_the_batch(kernel: Kernel) -> None:
    """It says so, ends well, and the loader is what it was."""
    kernel.run("losses = []\nbig = DataLoader(loader.dataset, batch_size=64)")
    body = LOOP.replace("in loader", "in big").replace(
        "(a)", "(a.repeat(1, 64)[:, :8])"
    )
    kernel.run("torch.fake.set_limit(1, 34_000)")
    reply = kernel.run(f"%%train_on fake:1 --auto-batch{body}")
    kernel.run("torch.fake.clear_limit(1)")
    assert reply.status == "ok", reply.shown
    assert "out of memory at batch 64: started again with" in reply.stdout
    assert kernel.value("[big.batch_size, type(big.batch_sampler).__name__]") == [
        64,
        "BatchSampler",
    ]
    assert kernel.value(STATE) == AT_HOME


def test_without_the_option_nothing_is_repeated(kernel: Kernel) -> None:
    """The report of ever."""
    kernel.run("ran = []\ntorch.fake.set_limit(1, 34_000)")
    reply = kernel.run("%%train_on fake:1\nran.append(1)\ntorch.zeros(10_000_000)")
    kernel.run("torch.fake.clear_limit(1)")
    assert reply.ename == "OutOfMemoryError"
    assert "started again" not in reply.shown
    assert kernel.value("ran") == [1]


def test_the_body_is_ipythons(kernel: Kernel) -> None:
    """Remarks above, lines of magics and of the shell, as in any cell."""
    reply = kernel.run(
        "#@title Compare\n%%train_on fake:1 --compare cpu  # a remark\nword = 'hullo'\n"
        "!echo {word}\n%time total = int(X.shape[0])\n\ntotal"
    )
    assert reply.status == "ok", reply.shown
    assert reply.results == ["64"]
    assert reply.shown.count("hullo") == 1
    assert reply.shown.count("Wall time") == 1


def test_from_code(kernel: Kernel) -> None:
    """``run_cell_magic`` takes the same way."""
    kernel.run("losses = []")
    call = f"get_ipython().run_cell_magic('train_on', 'fake:1 --compare cpu', {LOOP!r})"
    reply = kernel.run(call)
    assert reply.status == "ok", reply.shown
    assert "Whole cell" in "".join(reply.displays)
    assert kernel.value("len(losses)") == 16
