"""A loop that takes its time, in real kernels: a bar, then a card below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel.support import Kernel

SETUP = """
import time, torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
class Slow(Dataset):
    def __len__(self): return 200
    def __getitem__(self, i):
        time.sleep(0.015)
        return torch.randn(4), i % 2
train_loader = DataLoader(Slow(), batch_size=2)
model = nn.Linear(4, 2)
"""
LOOP = "for x, y in {0}:\n    model(x).sum()\n"
DEVICES = ["cpu", "fake:1"]


@pytest.fixture
def kernel(device_kernel: Kernel) -> Kernel:
    """Return a kernel with a device and a slow loader."""
    device_kernel.run("%reset -f")
    reply = device_kernel.run(SETUP)
    assert reply.status == "ok", reply.shown
    return device_kernel


@pytest.mark.parametrize("device", DEVICES)
def test_bar_then_card(kernel: Kernel, device: str) -> None:
    """The bar names the loader; the card says where the time went, and what to type."""
    reply = kernel.run(f"%%train_on {device}\n" + LOOP.format("train_loader"))
    assert reply.status == "ok", reply.shown
    *bars, end, card = reply.displays
    assert bars
    assert end.startswith("100 batches in 1 pass, ")
    assert all("train_loader:" in each and "/100 [" in each for each in bars)
    assert card.startswith(f"train_on {device}: DONE")
    assert "waited for train_loader" in card
    assert "num_workers" in card
    lines = card.splitlines()
    (fix,) = [each for each in lines if "train_loader = DataLoader(" in each]
    assert "num_workers=" in fix  # whole, to be pasted
    assert all(len(line) <= 80 for line in lines if line is not fix)
    assert "train_on" in reply.stdout.splitlines()[0]
    assert len(reply.stdout.splitlines()) == 1
    outcome = kernel.run(
        "from colabmagic import train\n"
        "o = train.last_outcome(); o.batches, o.passes, o.wait_s > 0.8 * o.loop_s"
    )
    assert outcome.results == ["(100, 1, True)"]


def test_a_bar_of_his_own_and_quiet(kernel: Kernel) -> None:
    """With tqdm only the card is shown; with --quiet nothing is."""
    loop = "from tqdm import tqdm\n" + LOOP.format("tqdm(train_loader)")
    reply = kernel.run("%%train_on fake:1\n" + loop)
    (card,) = reply.displays
    assert card.startswith("train_on fake:1: DONE")
    reply = kernel.run("%%train_on fake:1 --quiet\n" + LOOP.format("train_loader"))
    assert reply.displays == []
    assert reply.stdout == ""


def test_an_error_and_the_line_form(kernel: Kernel) -> None:
    """The card says how the cell ended; each cell of the line form has its own."""
    cell = "for n, (x, y) in enumerate(train_loader):\n    1 / (n < 90)\n"
    reply = kernel.run("%%train_on fake:1\n" + cell)
    assert reply.ename == "ZeroDivisionError"
    assert "STOPPED by ZeroDivisionError" in reply.displays[-1]
    kernel.run("%train_on fake:1")
    try:
        reply = kernel.run(LOOP.format("train_loader"))
        assert "everything stays there" in " ".join(reply.displays[-1].split())
        assert reply.stdout == ""
        assert kernel.run("model(torch.ones(1, 4)).sum()").displays == []
    finally:
        kernel.run("%train_on off")
