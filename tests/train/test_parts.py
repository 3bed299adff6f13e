"""``--auto-batch`` is right or refuses: loops that would train otherwise in parts."""

from __future__ import annotations

import re

import pytest
import torch

from colabmagic.errors import NotSupportedError
from tests.train.cell import Notebook
from tests.train.repeated import Repeat

pytestmark = pytest.mark.usefixtures("fake")

SETUP = """
import torch, torch.nn as nn, torch.nn.functional as F
from torch.utils.data import *
from torch.nn.utils import clip_grad_norm_
from torch.autograd import grad
X = torch.tensor([[1.], [2.], [3.], [10.]] * 2)
w = nn.Linear(1, 1, bias=False); w.weight.data.fill_(0.)
opt = torch.optim.SGD(w.parameters(), lr=1.)
L = DataLoader(TensorDataset(X), batch_size=4)
n, limit = 0, 2
def fit(x):
    if len(x) > limit: raise torch.OutOfMemoryError('fake out of memory')
    return w(x)
def clipped(parameters, most, clip=clip_grad_norm_): return clip(parameters, most)
class Own(torch.optim.Optimizer):
    t = 0
    def __init__(self, parameters): super().__init__(parameters, {'lr': 1.})
    def step(self):
        self.t += 1
        for group in self.param_groups:
            for p in group['params']:
                p.data.mul_(.9)
                if p.grad is not None: p.data.sub_(p.grad / self.t)
"""
STEP = "for (x,) in L:\n    opt.zero_grad(); fit(x).mean().backward(); opt.step()\n"
RIGHT = {
    "a mean": STEP,
    "twice": STEP + STEP,
    "a sum, divided": STEP.replace("fit(x).mean()", "(fit(x).sum() / len(x))"),
    "a sum, times its share": STEP.replace(
        "fit(x).mean()", "(fit(x).sum() * (1 / x.numel()))"
    ),
    "a penalty": STEP.replace("mean()", "mean().add(.1 * (w.weight ** 2).sum())"),
    "squares": STEP.replace(".mean()", ".sub(1).pow(2).mean()"),
    "a schedule": (
        "s = torch.optim.lr_scheduler.ExponentialLR(opt, .5)\n"
        + STEP
        + "    s.step()\n"
    ),
    "lr by hand between two passes": (
        "for e in range(2):\n    opt.param_groups[0]['lr'] = .5 ** e\n"
        + STEP.replace("\n", "\n    ").replace("for (x", "    for (x")
    ),
    "an average of torch's": (
        "a = torch.optim.swa_utils.AveragedModel(w)\n"
        + STEP
        + "    a.update_parameters(w)\nn = float(a.n_averaged), a.module.weight.item()"
    ),
    "an optimizer of one's own": "opt = Own(w.parameters())\n" + STEP,
    "zip of alike": STEP.replace("(x,) in L", "(x,), _ in zip(L, L)"),
    "a gradient of the input": (
        "for (x,) in L:\n"
        "    x.requires_grad_(); g = grad(fit(x).sum(), x, create_graph=True)[0]\n"
        "    opt.zero_grad(); (w(x).mean() + 3 * (g - 1).pow(2).mean()).backward(); opt.step()"
    ),
    "checkpoints": STEP.replace(
        "fit(x)", "torch.utils.checkpoint.checkpoint(fit, x, use_reentrant=R)"
    ).replace(
        "for (x,) in L:", "for (x,) in L:\n    R = x.requires_grad_() is not None"
    ),
    "clipping in the last part only": STEP.replace(
        "opt.step()", "clip_grad_norm_(w.parameters(), .5); opt.step()"
    ),
    "a metric in place": "total = torch.zeros(())\n"
    + STEP
    + "    total += x.detach().mean()\ntotal = None",
    "no cut batch": "L = DataLoader(TensorDataset(X), batch_size=2)\n" + STEP,
    "looking at a batch first": "first = next(iter(L))\nfirst = None\n" + STEP,
    "validation in the loop": (
        STEP + "    for (v,) in DataLoader(TensorDataset(X), batch_size=3): w(v)\n"
    ),
}


def after(code: str) -> str:
    """Return the plain loop with code between the backward pass and the step."""
    return STEP.replace("opt.step()", code + "; opt.step()")


REFUSED = {
    "gradients added to": (after("w.weight.grad.add_(1)"), "by hand"),
    "gradients clamped through data": (after("w.weight.grad.data.neg_()"), "by hand"),
    "gradients replaced": (after("w.weight.grad = w.weight.grad + 1"), "by hand"),
    "clipping that we do not hold": (after("clipped(w.parameters(), .5)"), "by hand"),
    "clipping by two functions": (
        after(
            "q = list(w.parameters()); nn.utils.clip_grads_with_norm_(q, .5, "
            "nn.utils.get_total_norm([p.grad for p in q]))"
        ),
        "by hand",
    ),
    "gradients by autograd.grad": (
        (
            "for (x,) in L:\n    w.weight.grad = torch.autograd.grad(fit(x).mean(), "
            "w.weight)[0]; opt.step()"
        ),
        "torch.autograd.grad",
    ),
    "grad, by name": (
        "for (x,) in L:\n    w.weight.data -= grad(fit(x).mean(), w.weight)[0]",
        "torch.autograd.grad",
    ),
    "a leaf without optimizer": (
        (
            "v = torch.zeros(1, requires_grad=True)\n"
            "for (x,) in L:\n    fit(x); g, = grad((x * v).mean(), v); v.data -= g"
        ),
        "takes no step",
    ),
    "a leaf whose gradient is set": (
        (
            "v = torch.zeros(1, requires_grad=True); opt = torch.optim.SGD([v], 1.)\n"
            "for (x,) in L:\n    fit(x); v.grad, = grad((x * v).mean(), v); opt.step()"
        ),
        "without a backward",
    ),
    "break after a step": (STEP + "    n += 1\n    if n == 1: break", "leaves a loop"),
    "break after four steps": (
        (
            "for e in range(3):\n  for (x,) in L:\n    opt.zero_grad(); fit(x).mean().backward();"
            " opt.step(); n += 1\n    if n == 2: break"
        ),
        "leaves a loop",
    ),
    "as many as wanted": (
        (
            "it = iter(L)\nfor _ in range(2):\n    (x,) = next(it)\n"
            "    opt.zero_grad(); fit(x).mean().backward(); opt.step()"
        ),
        "leaves a loop",
    ),
    "a part left out": (
        STEP.replace("opt.zero", "n += 1\n    if n == 2: continue\n    opt.zero"),
        "leaves a loop|each part",
    ),
    "lr by hand": (
        STEP + "    n += 1; opt.param_groups[0]['lr'] = .5 ** n",
        "options of an optimizer",
    ),
    "lr by hand, at times": (
        (
            "L = DataLoader(TensorDataset(X.repeat(2, 1)), batch_size=4)\n"
            + STEP
            + "    n += 1\n    if n == 2: opt.param_groups[0]['lr'] = .1"
        ),
        "options of an optimizer",
    ),
    "decay by hand": (STEP + "    w.weight.data.mul_(.5)", "weights or gradients"),
    "an average by hand": (
        (
            "ema = w.weight.detach().clone()\n"
            + STEP
            + "    ema.mul_(.9).add_(w.weight.detach(), alpha=.1)"
        ),
        "copy of the weights",
    ),
    "an average in a dict": (
        (
            "ema = {k: v.clone() + 1 for k, v in w.state_dict().items()}\n"
            + STEP
            + "    "
            "ema = {k: .9 * ema[k] + .1 * v for k, v in w.state_dict().items()}"
        ),
        "copy of the weights",
    ),
    "zip of other sizes": (
        (
            "M = DataLoader(TensorDataset(X), batch_size=3)\n"
            "for (x,), (y,) in zip(L, M):\n"
            "    opt.zero_grad(); (fit(x).mean() + w(y).mean()).backward(); opt.step()"
        ),
        "two loaders",
    ),
    "zip with one that is not cut": (
        (
            "M = DataLoader(TensorDataset(X), batch_size=1)\n"
            "for (x,), (y,) in zip(L, M):\n"
            "    opt.zero_grad(); (fit(x).mean() + w(y).mean()).backward(); opt.step()"
        ),
        "two loaders",
    ),
    "a sum": (STEP.replace("fit(x).mean()", "(fit(x) ** 2).sub(1).sum()"), "a sum"),
    "a sum, scaled": (
        STEP.replace("fit(x).mean()", "(F.mse_loss(fit(x), x, reduction='sum') * 1.0)"),
        "a sum",
    ),
    "a sum over the whole size": (
        STEP.replace("fit(x).mean()", "(fit(x).sum() / 4)"),
        "a sum",
    ),
    "a root": (STEP.replace("fit(x).mean()", "F.mse_loss(fit(x), x).sqrt()"), "a root"),
    "weights of classes": (
        STEP.replace(
            "fit(x).mean()",
            "F.cross_entropy(fit(x) * torch.ones(1, 2), (x > 2).long()[:, 0], "
            "weight=torch.tensor([1., 5.]))",
        ),
        "weight=",
    ),
    "many numbers": (
        STEP.replace("fit(x).mean().backward()", "fit(x).backward(torch.ones_like(x))"),
        "more than one number",
    ),
    "a hook of a weight": (
        "h = w.weight.register_hook(lambda g: g.clamp(-1, 1))\n" + STEP + "h.remove()",
        "a hook of a weight",
    ),
    "zero_grad after backward": (
        STEP.replace("opt.zero_grad(); ", "").replace(
            "opt.step()", "opt.zero_grad(); opt.step()"
        ),
        "between backward",
    ),
}


def fresh(limit: int) -> Notebook:
    """Return a notebook that takes batches of so many samples."""
    notebook = Notebook()
    notebook.run(SETUP)
    notebook.names["limit"] = limit
    return notebook


@pytest.mark.parametrize("cell", RIGHT.values(), ids=RIGHT)
def test_it_is_right(cell: str) -> None:
    """Weight, options and averages are those of whole batches."""
    whole, parts = fresh(4), fresh(2)
    whole.run(cell)
    Repeat(parts.names, cell, auto_batch=True).run()
    torch.testing.assert_close(parts["w"].weight, whole["w"].weight)
    assert whole["w"].weight.item() != 0
    assert parts["n"] == pytest.approx(whole["n"])
    assert parts["opt"].param_groups[0]["lr"] == whole["opt"].param_groups[0]["lr"]
    assert getattr(parts["opt"], "t", 0) == getattr(whole["opt"], "t", 0)


@pytest.mark.parametrize(("cell", "words"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(cell: str, words: str) -> None:
    """With everything as before the cell."""
    notebook = fresh(2)
    names = set(notebook.names)
    with pytest.raises(NotSupportedError) as caught:
        Repeat(notebook.names, cell, auto_batch=True).run()
    assert re.search(words, str(caught.value)), caught.value
    assert notebook["w"].weight.item() == 0
    assert notebook["w"].weight.grad is None
    assert notebook["opt"].param_groups[0]["lr"] == 1
    assert notebook["n"] == 0
    assert set(notebook.names) == names
