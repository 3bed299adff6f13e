"""Several cells in a row, as people write them: on the device and plainly, the same."""

# ruff: noqa: ISC004 (the parts of a tuple are cells, of several lines each)

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.corpus.compare import Tolerance, differences, frozen
from tests.train.cell import Notebook

if TYPE_CHECKING:
    import types

HEAD = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset
from torch.utils.data import default_collate, random_split
torch.manual_seed(0)
X = torch.randn(12, 3)
model = nn.Linear(3, 2)
labels = torch.arange(12) % 2
"""

# Name of the case: the plain cell before, the cell on the device, the plain cell after,
# and what must come out equal.
CASES: dict[str, tuple[str, str, str, str]] = {
    "gradients of frozen weights go along": (
        "model(X).sum().backward()\nmodel.requires_grad_(False)",
        "model.requires_grad_(True)\nmodel(X).sum().backward()",
        "",
        "[p.grad for p in model.parameters()]",
    ),
    "gradients of weights that the cell freezes come home": (
        "",
        "model(X).sum().backward()\nfor p in model.parameters(): p.requires_grad = False",
        "total = sum(p.grad.sum() for p in model.parameters())",
        "(total, [p.grad for p in model.parameters()])",
    ),
    "frozen in one cell, stepped in the next": (
        "opt = torch.optim.SGD(model.parameters(), lr=0.1)\nmodel(X).sum().backward()\n"
        "model.requires_grad_(False)",
        "model.requires_grad_(True)\nmodel(X).pow(2).sum().backward()\nopt.step()",
        "",
        "list(model.parameters())",
    ),
    "a retained gradient comes home": (
        "",
        "h = torch.relu(model(X)); h.retain_grad(); h.pow(2).sum().backward()",
        "weights = h.grad.mean(dim=0)",
        "(h.grad, h.detach(), weights, h.requires_grad)",
    ),
    "a retained gradient does not stop a cell": (
        "h = torch.relu(model(X)); h.retain_grad(); h.pow(2).sum().backward()",
        "total = model(X).sum() * h.shape[0]",
        "mean = h.grad.mean()",
        "(mean, h.grad, total.detach())",
    ),
    "a dataset behind a function of an earlier cell": (
        "train, valid = random_split(TensorDataset(X, labels), [8, 4])\n"
        "def evaluate():\n    x, y = valid[0]\n    return (model(x)[y]).item()",
        "score = evaluate()",
        "",
        "score",
    ),
    "a dataset in a dict": (
        "sets = {'train': TensorDataset(X, labels)}",
        "x, y = sets['train'][0]\nout = model(x) * y",
        "",
        "out",
    ),
    "the dataset of a loader": (
        "loader = DataLoader(TensorDataset(X, labels), 4)",
        "x, y = loader.dataset[0]\nout = model(x) * y",
        "",
        "out",
    ),
    "the dataset of a subset": (
        "part = Subset(ConcatDataset([TensorDataset(X, labels)]), [3, 1])",
        "x, y = part.dataset[part.indices[0]]\nout = model(x) * y",
        "",
        "out",
    ),
    "attributes of a dataset": (
        "class Digits(Dataset):\n"
        "    def __init__(self): self.data, self.targets = X.clone(), labels.clone()\n"
        "    def __len__(self): return len(self.data)\n"
        "    def __getitem__(self, i): return self.data[i].numpy(), int(self.targets[i])\n"
        "digits = Digits()\nloader = DataLoader(digits, 4)",
        "loss = F.cross_entropy(model(digits.data), digits.targets)\n"
        "for x, y in loader: loss = loss + F.cross_entropy(model(x), y)\n"
        "loss.backward()",
        "row = digits.data[0].numpy()",
        "(loss.detach(), row, [p.grad for p in model.parameters()])",
    ),
    "tensors of a dataset": (
        "rows = TensorDataset(X, labels)",
        "right = (model(rows.tensors[0]).argmax(1) == rows.tensors[1]).sum()",
        "rows.tensors[0].numpy()",
        "right",
    ),
    "a method of a dataset": (
        "class Text(Dataset):\n"
        "    def __init__(self): self.ids = torch.arange(40)\n"
        "    def __len__(self): return 40\n"
        "    def __getitem__(self, i): return self.ids[i]\n"
        "    def get_batch(self, n):\n"
        "        start = torch.randint(30, (n,))\n"
        "        return torch.stack([self.ids[s:s + 5] for s in start])\n"
        "text = Text(); table = nn.Embedding(40, 3)",
        "batch = text.get_batch(4)\nout = table(batch).sum()",
        "text.ids.numpy()",
        "(batch, out.detach())",
    ),
    "a device that was read off a tensor": (
        "",
        "device = next(model.parameters()).device\nout = model(X.to(device))",
        "again = model(X.to(device))",
        "(out.detach(), again.detach())",
    ),
    "a device that an object keeps": (
        "class Agent:\n"
        "    def __init__(self, net): self.net = net\n"
        "    def act(self, x): return self.net(x.to(self.device))",
        "agent = Agent(model)\nagent.device = next(agent.net.parameters()).device\n"
        "out = agent.act(X)",
        "again = agent.act(X)",
        "(out.detach(), again.detach())",
    ),
    "a device that a module keeps": (
        "class Net(nn.Module):\n"
        "    def __init__(self): super().__init__(); self.a = nn.Linear(3, 2)\n"
        "    def forward(self, x):\n"
        "        self.where = self.a.weight.device\n"
        "        return self.a(x)\n"
        "net = Net()",
        "out = net(X)",
        "moved = X.to(net.where)\nagain = net(moved)",
        "(again.detach(), str(net.where))",
    ),
    "frequencies and windows": (
        "u = torch.randn(16)",
        "a = torch.fft.rfft(u).abs() * torch.fft.rfftfreq(16)\n"
        "b = torch.fft.fftfreq(16) * u\nc = torch.signal.windows.hann(16) * u",
        "",
        "(a, b, c)",
    ),
    "points of a Sobol sequence": (
        "net = nn.Linear(2, 1)",
        "pts = torch.quasirandom.SobolEngine(2, scramble=True, seed=1).draw(8)\n"
        "out = net(pts) - pts.sum(1, keepdim=True)",
        "",
        "(pts, out.detach())",
    ),
    "a batch that the cell collates": (
        "rows = [(X[i], i % 2) for i in range(12)]",
        "x, y = default_collate([rows[j] for j in (1, 2, 5)])\n"
        "loss = F.cross_entropy(model(x), y)",
        "",
        "(loss.detach(), y)",
    ),
    "names that are computed": (
        "net_0, net_1 = nn.Linear(3, 2), nn.Linear(3, 2)\nW = torch.randn(3, 2)",
        "outs = [globals()[f'net_{i}'](X) for i in range(2)] + [X @ globals()['W']]",
        "",
        "[each.detach() for each in outs]",
    ),
}


def outcome(case: str, device: str | None) -> tuple[Any, str, Notebook]:
    """Return what a case computes, and what was printed, plainly or on a device."""
    before, cell, after, results = CASES[case]
    notebook = Notebook()
    notebook.run(HEAD)
    notebook.run(before)
    torch.manual_seed(1)
    printed = ""
    if device is None:
        notebook.run(cell)
    else:
        printed = notebook.train_on(cell, device=device).exit_line()
    notebook.run(after)
    notebook.run(f"_wanted = {results}")
    return notebook["_wanted"], printed, notebook


@pytest.mark.parametrize("case", CASES)
def test_the_same_as_plainly(fake: types.ModuleType, case: str) -> None:
    """Values are equal, and nothing is left behind."""
    expected, _, _ = outcome(case, None)
    gc.collect()
    ops = fake.stats(1)["ops"]
    found, printed, notebook = outcome(case, "fake:1")
    different = differences(frozen(expected), frozen(found), Tolerance())
    assert [each for each in different if not each.rounding] == []
    assert "back on the CPU" in printed
    assert "could not leave" not in printed
    assert fake.stats(1)["ops"] > ops
    del found, different
    notebook.names.clear()
    gc.collect()
    assert fake.stats(1)["current"] == 0


def test_a_device_that_the_user_made_stays(fake: types.ModuleType) -> None:
    """What he wrote himself is his choice."""
    assert fake.is_available()
    notebook = Notebook()
    notebook.run(HEAD)
    notebook.train_on("device = torch.device('fake:1')\nout = model(X.to(device))")
    assert notebook["device"] == torch.device("fake:1")


def test_a_device_of_before_stays(fake: types.ModuleType) -> None:
    """An attribute that named the device before the cell names it afterwards."""
    assert fake.is_available()
    notebook = Notebook()
    notebook.run(
        HEAD + "class Box: pass\nbox = Box(); box.device = torch.device('fake:1')"
    )
    notebook.train_on("out = model(X)\nbox.other = X.device")
    assert notebook["box"].device == torch.device("fake:1")
    assert notebook["box"].other == torch.device("cpu")


def test_the_last_output_is_not_what_for_underscore_means(
    fake: types.ModuleType,
) -> None:
    """``for _ in …`` names nothing of an earlier cell."""
    assert fake.is_available()
    notebook = Notebook()
    notebook.run(HEAD + "_ = X")
    found = notebook.train_on("for _ in range(2): model.weight.sum()")
    assert found.moved == ("model",)
