"""``%%train_on`` on a device, in real kernels: errors, interrupts, workers, values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.support import ours

if TYPE_CHECKING:
    from tests.kernel.support import Kernel

SETUP = """
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
torch.manual_seed(0)
X = torch.randn(64, 8)
y = (X.sum(1) > 0).long()
loader = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters())
criterion = nn.CrossEntropyLoss()
entries = {id(each): each for each in (torch.randn, nn.Module.__init__)}
where = lambda: sorted({str(p.device) for p in model.parameters()})
"""
STATE = "[where(), hasattr(torch.randn, '__wrapped__'), 'numpy' in vars(torch.Tensor)]"
AT_HOME = [["cpu"], False, False]


@pytest.fixture
def kernel(device_kernel: Kernel) -> Kernel:
    """Return that kernel, with a fresh model and data."""
    reply = device_kernel.run("%reset -f")
    assert reply.status == "ok", reply.shown
    reply = device_kernel.run(SETUP)
    assert reply.status == "ok", reply.shown
    return device_kernel


def test_a_value_comes_home_before_it_is_shown(kernel: Kernel) -> None:
    """The last value is shown as a CPU run would show it: with no word of a device."""
    reply = kernel.run("%%train_on fake:1\nout = model(X).detach()\nout[0]")
    assert reply.status == "ok", reply.shown
    (shown,) = reply.results
    assert "device" not in shown
    assert kernel.value("[str(_.device), str(out.device)]") == ["cpu", "cpu"]
    assert kernel.value(STATE) == AT_HOME


def test_an_error_below_a_wrapped_call_shows_no_frame_of_ours(kernel: Kernel) -> None:
    """Model and loader are wrapped for the cell; the traceback does not show it."""
    cell = "%%train_on fake:1\nfor a, b in loader:\n    model(a[:, :3])"
    reply = kernel.run(cell)
    assert reply.ename == "RuntimeError"
    (text,) = reply.errors
    assert "----> 3     model(a[:, :3])" in text
    assert not ours(text)
    again = kernel.run("%tb")
    assert "----> 3     model(a[:, :3])" in again.shown
    assert not ours(again.shown)
    assert kernel.value(STATE) == AT_HOME


def test_an_error_in_a_dataset_shows_no_frame_of_ours(kernel: Kernel) -> None:
    """The same for code that a loader calls in this process."""
    kernel.run(
        "class Broken(Dataset):\n"
        "    def __len__(self): return 8\n"
        "    def __getitem__(self, i): return X[i] / (0 if i == 5 else 1), 1 // (5 - i)\n"
        "bad = DataLoader(Broken(), batch_size=4)"
    )
    reply = kernel.run("%%train_on fake:1\nfor a, b in bad:\n    model(a)")
    assert reply.ename == "ZeroDivisionError"
    assert "__getitem__" in reply.errors[0]
    assert not ours(reply.errors[0])
    assert kernel.value(STATE) == AT_HOME


def test_debug_lands_in_the_frame_of_the_user(kernel: Kernel) -> None:
    """``%debug`` after an error in the user's function starts there, not with us."""
    kernel.run("def go(a):\n    wanted = 41\n    model(a)\n    raise KeyError(wanted)")
    reply = kernel.run("%%train_on fake:1\nfor a, b in loader:\n    go(a)")
    assert reply.ename == "KeyError"
    session = kernel.run("%debug", answers=("p wanted", "q"))
    assert "41" in session.shown


def test_an_interrupt_brings_everything_home(kernel: Kernel) -> None:
    """The stop button within a loop: one error, the model at home, nothing patched."""
    reply = kernel.run(
        "%%train_on fake:1\n"
        "print('going', flush=True)\n"
        "for epoch in range(100000):\n"
        "    for a, b in loader:\n"
        "        optimizer.zero_grad()\n"
        "        criterion(model(a), b).backward()\n"
        "        optimizer.step()",
        interrupt_at="going",
    )
    assert reply.ename == "KeyboardInterrupt"
    assert len(reply.errors) == 1
    assert not ours(reply.errors[0])
    assert kernel.value(STATE) == AT_HOME
    states = "{str(v.device) for s in optimizer.state.values() for v in s.values()}"
    assert kernel.value(states) == {"cpu"}
    assert kernel.run("%%train_on fake:1\nmodel(X).shape").results == [
        "torch.Size([64, 2])"
    ]


def test_a_class_of_the_cell_goes_to_workers(kernel: Kernel) -> None:
    """A Dataset that is defined and used in the cell works with worker processes."""
    reply = kernel.run(
        "%%train_on fake:1\n"
        "class Pairs(Dataset):\n"
        "    def __len__(self): return 32\n"
        "    def __getitem__(self, i): return X[i], y[i]\n"
        "seen = 0\n"
        "for a, b in DataLoader(Pairs(), batch_size=8, num_workers=2):\n"
        "    seen += model(a).shape[0]\n"
        "seen"
    )
    assert reply.status == "ok", reply.shown
    assert reply.results == ["32"]
    assert kernel.value(STATE) == AT_HOME


def test_an_error_in_a_worker(kernel: Kernel) -> None:
    """An exception in a worker process ends the cell and leaves nothing on the device."""
    kernel.run(
        "class Broken(Dataset):\n"
        "    def __len__(self): return 8\n"
        "    def __getitem__(self, i): return X[i], 1 // (5 - i)\n"
        "bad = DataLoader(Broken(), batch_size=4, num_workers=1)"
    )
    reply = kernel.run("%%train_on fake:1\nfor a, b in bad:\n    model(a)")
    assert reply.ename == "ZeroDivisionError"
    assert not ours(reply.errors[0])
    assert kernel.value(STATE) == AT_HOME


def test_await_on_a_device(kernel: Kernel) -> None:
    """A cell that waits for something trains on, and is put right at its end."""
    reply = kernel.run(
        "%%train_on fake:1\nimport asyncio\nawait asyncio.sleep(0.01)\nwhere()"
    )
    assert reply.status == "ok", reply.shown
    assert reply.results == ["['fake:1']"]
    assert kernel.value(STATE) == AT_HOME


def test_too_little_memory_moves_nothing(kernel: Kernel) -> None:
    """The cell is refused in three lines before it begins; the data stays at home."""
    kernel.run("torch.fake.set_limit(1, 512)")
    reply = kernel.run("%%train_on fake:1\nmodel(X)")
    kernel.run("torch.fake.clear_limit(1)")
    assert reply.ename == "DeviceMemoryError"
    (text,) = reply.errors
    assert len(text.strip().splitlines()) == 3
    assert kernel.value(STATE) == AT_HOME


def test_out_of_memory_in_the_cell(kernel: Kernel) -> None:
    """An allocation of the cell that fails ends it with torch's error; all goes home."""
    kernel.run("torch.fake.set_limit(1, 60_000)")
    reply = kernel.run("%%train_on fake:1\nbig = [torch.zeros(4096) for _ in range(9)]")
    kernel.run("torch.fake.clear_limit(1)")
    assert reply.ename == "OutOfMemoryError"
    assert not ours(reply.errors[0])
    assert kernel.value(STATE) == AT_HOME
    assert kernel.value("torch.accelerator.memory_allocated(1)") == 0


def test_time_above_it(kernel: Kernel) -> None:
    """``%%time`` in the first line, ``%%train_on`` in the second: both do their work."""
    reply = kernel.run("%%time\n%%train_on fake:1\nwhere()")
    assert reply.status == "ok", reply.shown
    assert "Wall time" in reply.stdout
    assert "train_on fake:1: done" in reply.stdout
    assert reply.results == ["['fake:1']"]
    assert kernel.value(STATE) == AT_HOME
