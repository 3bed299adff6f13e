"""``%gpu_memory`` and the out-of-memory report, in real kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel.support import Kernel

SETUP = """
import gc, weakref
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.fake.heal()
def used():
    gc.collect()
    return torch.fake.stats(0)["current"]
def megabytes(count):
    return torch.zeros(count * 250_000, device="fake")
def step(x):
    h = torch.relu(x @ weights)
    return torch.cat([h] * 100)
weights = torch.zeros(500, 500, device="fake")
loader = DataLoader(TensorDataset(torch.zeros(4000, 500)), batch_size=1000)
before = used()
"""
# What is made in a cell of its own, and how many rows the report then has for it.
HELD: dict[str, str] = {
    "a name": "x = megabytes(3)",
    "a value that was shown": "megabytes(3)",
    "a name that was shown": "x = megabytes(3)\nx",
    "shown in a container": "[megabytes(3)]",
    "a container": "cache = {'a': [megabytes(3)]}",
    "two names": "x = megabytes(3)\ny = x[:10]",
    "a model": "model = nn.Linear(850, 850).to('fake')",
    "a model that was shown": "model = nn.Linear(850, 850).to('fake')\nmodel",
    "a graph": "x = megabytes(3).requires_grad_()\nlosses = [x.exp().sum()]",
    "an exception": (
        "def go():\n    held = megabytes(3)\n    1 / 0\n"
        "try:\n    go()\nexcept ZeroDivisionError as error:\n    saved = error"
    ),
    "a generator": (
        "def go():\n    held = megabytes(3)\n    yield held.sum()\n    yield 2\n"
        "it = go(); s = next(it); del s"
    ),
}


@pytest.fixture
def kernel(device_kernel: Kernel) -> Kernel:
    """Return that kernel, with nothing of the test before."""
    for cell in ("%reset -f", "%config ColabMagic.free_after_error = True", SETUP):
        reply = device_kernel.run(cell)
        assert reply.status == "ok", reply.shown
    return device_kernel


@pytest.mark.parametrize("what", HELD)
def test_the_command_that_is_printed_frees_it(kernel: Kernel, what: str) -> None:
    """Each command of the rows, typed as it is printed, each in a cell of its own."""
    assert kernel.run(HELD[what]).status == "ok"
    kernel.run("'something else'")
    held = kernel.value("used() - before")
    assert held >= 2_800_000
    kernel.run("r = %gpu_memory -q")
    assert kernel.value("type(r).__name__") == "NotebookMemoryReport"
    commands = kernel.value(
        "[c for h in r.holdings if h.device == 'fake:0' and 'weights' not in h.names"
        " and h.size_bytes >= 1000 for c in h.commands]"
    )
    kernel.run("del r")
    for command in dict.fromkeys(commands):
        reply = kernel.run(command)
        assert reply.status == "ok", reply.shown
    assert kernel.value("used() - before") == 0


def test_the_report_is_shown_once_and_is_a_value(kernel: Kernel) -> None:
    """As text and HTML; with a name before it too; ``-q`` shows nothing."""
    kernel.run("mine = megabytes(3)")
    for cell in ("%gpu_memory", "r = %gpu_memory", "%gpu_memory\n1"):
        reply = kernel.run(cell)
        shown = [out for out in reply.outputs if out["type"] == "display_data"]
        shown += [out for out in reply.outputs if out["type"] == "execute_result"]
        texts = [out["data"]["text/plain"] for out in shown]
        assert sum("GPU memory:" in text for text in texts) == 1
        assert any("%xdel mine" in text for text in texts)
        assert any("%xdel mine" in out["data"].get("text/html", "") for out in shown)
    assert kernel.run("%gpu_memory -q").shown.strip() == ""


def test_an_error_that_is_kept_has_a_row(kernel: Kernel) -> None:
    """With the setting off the last error is a holder, and ``--free`` lets it go."""
    kernel.run("%config ColabMagic.free_after_error = False")
    kernel.run("def go():\n    held = megabytes(3)\n    1 / 0\ngo()")
    kernel.run("r = %gpu_memory -q")
    row = "[(h.names, h.commands) for h in r.holdings if h.size_bytes == 3_000_000]"
    assert kernel.value(row) == [(("the last error",), ("%gpu_memory --free",))]
    kernel.run("del r")
    reply = kernel.run("r = %gpu_memory --free")
    assert "3.0 MB came free" in reply.shown + str(reply.outputs)
    assert kernel.value("r.freed_bytes") == 3_000_000
    assert kernel.value("used() - before") == 0


def test_bad_options_take_one_line(kernel: Kernel) -> None:
    """As for every magic."""
    reply = kernel.run("%gpu_memory --fre")
    assert "did you mean --free" in reply.stderr
    assert reply.errors == []


def test_without_torch_there_is_nothing(fresh_kernel: Kernel) -> None:
    """It says so, and imports nothing heavy."""
    fresh_kernel.run("%load_ext colabmagic")
    reply = fresh_kernel.run("r = %gpu_memory --free")
    assert "PyTorch is not imported here" in str(reply.outputs)
    assert fresh_kernel.value("'torch' in __import__('sys').modules") is False
    fresh_kernel.run("1 / 0")
    assert fresh_kernel.value("'torch' in __import__('sys').modules") is False


@pytest.mark.parametrize("first", ["", "%%train_on fake\n"])
def test_out_of_memory_in_a_cell(kernel: Kernel, first: str) -> None:
    """One report; all that only the call held is free at once; the retry works."""
    kernel.run("old = megabytes(3)")
    held = kernel.value("used() - before")
    kernel.run("torch.fake.set_limit(0, 40_000_000)")
    cell = f"{first}for (x,) in loader:\n    out = step(x.to('fake')).sum()"
    reply = kernel.run(cell)
    assert (reply.status, reply.ename) == ("error", "OutOfMemoryError")
    (report,) = [
        out["data"]["text/plain"]
        for out in reply.outputs
        if out["type"] == "display_data"
    ]
    assert report.startswith("Out of memory: on fake:0  200.0 MB wanted")
    assert "h in step()" in report
    assert "      loader = DataLoader(loader.dataset, batch_size=500" in report
    assert "%xdel old" in report
    assert "%xdel weights" not in report
    (shown,) = reply.errors
    if first:  # in the place of a long stack
        _, cell_line, function_line = shown.splitlines()
        assert cell_line.startswith("  in line 3: out = step(")
        assert function_line.startswith("  by step(), its cell's line ")
        assert function_line.endswith(": return torch.cat([h] * 100)")
    else:
        assert "step" in shown
    # Not in the next cell: at once. `x` of the cell itself is a name.
    assert kernel.value("torch.fake.stats(0)['current'] - before") <= held + 2_000_000
    assert kernel.run(cell.replace("loader:", "DataLoader(loader.dataset, 100):"))


@pytest.mark.parametrize("first", ["", "%%train_on fake\n"])
def test_the_traceback_of_out_of_memory_is_kept_as_text(
    kernel: Kernel, first: str
) -> None:
    """``%tb`` shows all of it; ``%debug`` has the cell's own frame; then it is gone."""
    kernel.run("torch.fake.set_limit(0, 40_000_000)")
    kernel.run(f"{first}for (x,) in loader:\n    out = step(x.to('fake')).sum()")
    for _ in range(2):
        shown = kernel.run("%tb").shown
        assert "torch.cat([h] * 100)" in shown
        assert "200000000" in shown
    session = kernel.run("%debug", answers=("p type(x).__name__", "q"))
    assert "Tensor" in session.shown
    kernel.run("1")
    assert "No traceback available" in kernel.run("%tb").stderr


def test_out_of_memory_with_the_setting_off(kernel: Kernel) -> None:
    """The report comes, nothing is let go, and does not say so."""
    kernel.run("%config ColabMagic.free_after_error = False")
    kernel.run("torch.fake.set_limit(0, 40_000_000)")
    reply = kernel.run("step(torch.zeros(1000, 500, device='fake'))")
    assert "Out of memory: on fake:0" in str(reply.outputs)
    assert "free again" not in str(reply.outputs)
    assert kernel.value("used() - before") >= 4_000_000
    session = kernel.run("%debug", answers=("p h.shape", "q"))
    assert "1000, 500" in session.shown


def test_out_of_memory_that_is_caught_is_the_users(kernel: Kernel) -> None:
    """No report where the cell goes on."""
    kernel.run("torch.fake.set_limit(0, 40_000_000)")
    reply = kernel.run(
        "try:\n    step(torch.zeros(1000, 500, device='fake'))\n"
        "except torch.OutOfMemoryError:\n    print('smaller')"
    )
    assert reply.outputs == [{"type": "stream", "name": "stdout", "text": "smaller\n"}]


@pytest.mark.parametrize("error", ["1 / 0", "torch.fake.fail_allocation(0, 0)"])
def test_a_retry_needs_no_more_than_one_run(kernel: Kernel, error: str) -> None:
    """The peak of the second run is at most 1.05 of the first one's."""
    kernel.run(
        "def train():\n"
        "    layers = [torch.zeros(500, 500, device='fake') for _ in range(20)]\n"
        "    x = torch.zeros(500, 500, device='fake')\n"
        "    kept = []\n"
        "    for layer in layers:\n"
        "        x = x @ layer; kept.append(x)\n"
        f"    {error}\n"
        "    return torch.zeros(500, device='fake')"
    )
    peaks = []
    for _ in range(3):
        kernel.run("torch.fake.reset_stats(0)")
        assert kernel.run("train()").status == "error"
        kernel.run("%tb")  # asked for, and let go all the same
        peaks.append(kernel.value("torch.fake.stats(0)['peak'] - before"))
    assert peaks[0] >= 40_000_000
    assert max(peaks[1:]) <= 1.05 * peaks[0]


@pytest.mark.parametrize("error", ["1 / 0", "raise KeyboardInterrupt"])
def test_a_failed_cell_on_a_device_leaves_nothing(kernel: Kernel, error: str) -> None:
    """Below ``%%train_on`` too: its own records of the cell hold nothing either."""
    kernel.run("refs = []")
    reply = kernel.run(
        "%%train_on fake\n"
        "def go(x):\n"
        "    h = x @ weights\n"
        "    refs.extend(map(weakref.ref, (x, h)))\n"
        f"    {error}\n"
        "for (x,) in loader:\n    go(x * 2)"
    )
    assert reply.status == "error"
    assert kernel.run("[ref() is None for ref in refs]").results == ["[True, True]"]
    # `x` of the cell came home: only what was there before is on the device.
    assert kernel.value("used() - before") == 0


def test_a_real_interrupt_leaves_nothing(kernel: Kernel) -> None:
    """The stop button, in the middle of a loop."""
    reply = kernel.run(
        "import time\n"
        "def go():\n"
        "    held = megabytes(3)\n"
        "    print('going', flush=True)\n"
        "    while True: time.sleep(0.01)\n"
        "go()",
        interrupt_at="going",
    )
    assert reply.ename == "KeyboardInterrupt"
    assert kernel.run("torch.fake.stats(0)['current'] - before").results == ["0"]


def test_what_does_not_fit_gets_one_message(kernel: Kernel) -> None:
    """``%%train_on`` says itself that nothing was moved; no second report follows."""
    kernel.run("big = torch.zeros(10_000_000)\ntorch.fake.set_limit(0, 20_000_000)")
    reply = kernel.run("%%train_on fake\nbig.sum()")
    assert reply.ename == "DeviceMemoryError"
    assert "nothing was moved" in reply.errors[0]
    assert "Out of memory" not in str(reply.outputs)


def test_an_error_that_came_from_another_is_explained(kernel: Kernel) -> None:
    """Libraries wrap it: the report is there, the whole chain is freed."""
    kernel.run("torch.fake.set_limit(0, 40_000_000)")
    reply = kernel.run(
        "def fit():\n"
        "    x = torch.zeros(1000, 500, device='fake')\n"
        "    try:\n        step(x)\n"
        "    except RuntimeError as error:\n"
        "        raise ValueError('training failed') from error\n"
        "fit()"
    )
    assert reply.ename == "ValueError"
    assert "Out of memory: on fake:0" in str(reply.outputs)
    assert kernel.run("torch.fake.stats(0)['current'] - before").results == ["0"]
    shown = kernel.run("get_ipython().run_line_magic('tb', '')").shown
    assert "No traceback available" in shown
