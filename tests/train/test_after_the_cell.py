"""What outlives a cell: wrappers that were kept, and results that are used plainly."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from tests.fakes.accelerator.fake_accelerator import kernel_code
from tests.kernel.support import ROOT
from tests.train.cell import Notebook

if TYPE_CHECKING:
    import types

SETUP = """
import torch
from torch import nn
torch.manual_seed(0)
X = torch.randn(12, 3)
model = nn.Linear(3, 2)
"""


@pytest.fixture
def notebook(fake: types.ModuleType) -> Notebook:
    """Return a namespace with a model and data."""
    del fake
    made = Notebook()
    made.run(SETUP)
    return made


@pytest.mark.parametrize(
    "cell",
    [
        "from torch import zeros as kept",
        "from torch import *\nkept = zeros",
        "import functools\nkept = functools.partial(torch.full, fill_value=0.0)",
        "class Holder: make = staticmethod(torch.zeros)\nkept = Holder.make",
    ],
)
def test_a_factory_that_was_kept_is_plain(notebook: Notebook, cell: str) -> None:
    """Whatever name a wrapper got in the cell, later calls make CPU tensors."""
    notebook.train_on(cell)
    notebook.run("made = kept((3,))")
    assert notebook["made"].device.type == "cpu"


def test_calls_that_were_kept_are_plain(notebook: Notebook) -> None:
    """A bound call of a model and a bound ``next`` of a loader move nothing later."""
    notebook.run("loader = torch.utils.data.DataLoader(X, 4)")
    notebook.train_on("call = model.__call__\nfollowing = iter(loader).__next__")
    notebook.run("out, batch = call(X), following()")
    assert notebook["out"].device.type == notebook["batch"].device.type == "cpu"


@pytest.mark.parametrize(
    "cell",
    [
        "device = next(model.parameters()).device\nout = X.to(device)",
        "out = torch.zeros(3, device=X.device)",
        "out = nn.Linear(3, 2).to(X.device).weight",
        "out = torch.ones(2).to(device=model.weight.device)",
    ],
)
def test_following_a_tensor_places_nothing(notebook: Notebook, cell: str) -> None:
    """``device=x.device`` is written for any device: its results go home."""
    notebook.train_on(cell)
    assert notebook["out"].device.type == "cpu"


def test_a_named_device_places(notebook: Notebook) -> None:
    """A device that the user made himself is a choice: what he puts there stays."""
    notebook.run("device = torch.device('fake:1')")
    notebook.train_on("out = torch.zeros(3, device=device)")
    assert str(notebook["out"].device) == "fake:1"


def test_backward_code_is_on_the_device(notebook: Notebook) -> None:
    """Checkpoints, custom gradients and hooks run in torch's own threads."""
    notebook.run(
        "from torch.utils.checkpoint import checkpoint\n"
        "class Twice(torch.autograd.Function):\n"
        "    @staticmethod\n"
        "    def forward(ctx, x): return x * 2\n"
        "    @staticmethod\n"
        "    def backward(ctx, g): return g * torch.full((3,), 2.0)\n"
        "def part(x): return model(x) + torch.ones(2) * x.sum()"
    )
    notebook.train_on(
        "leaf = X.clone().requires_grad_()\n"
        "leaf.register_hook(lambda g: g + torch.zeros(3))\n"
        "checkpoint(part, Twice.apply(leaf), use_reentrant=False).sum().backward()"
    )
    gradient = notebook["leaf"].grad
    notebook.run("leaf.grad = None\npart(Twice.apply(leaf)).sum().backward()")
    assert torch.allclose(notebook["leaf"].grad, gradient)


def test_a_generator_of_the_cpu_gives_its_numbers(notebook: Notebook) -> None:
    """Draws with a CPU generator give what they give on the CPU."""
    draws = (
        "g = torch.Generator().manual_seed(3)\n"
        "picked = torch.multinomial(torch.ones(6), 2, generator=g)\n"
        "filled = torch.empty(4).normal_(generator=g)\n"
        "coins = torch.bernoulli(torch.full((5,), 0.5), generator=g)\n"
    )
    notebook.train_on(draws)
    values = [notebook[name] for name in ("picked", "filled", "coins")]
    notebook.run(draws)
    assert all(
        torch.equal(value, notebook[name])
        for value, name in zip(values, ("picked", "filled", "coins"), strict=True)
    )


def test_a_state_of_the_random_numbers_may_be_set(notebook: Notebook) -> None:
    """A state that an earlier cell took goes back in, from wherever it is."""
    notebook.run("state = torch.get_rng_state()\nwanted = torch.randn(3)")
    notebook.train_on("torch.set_rng_state(state)\ndrawn = torch.randn(3)")
    assert torch.equal(notebook["drawn"], notebook["wanted"])


@pytest.mark.parametrize(
    "steps",
    [
        # Torch loads its compiler for the first optimizer, and looks at what is wrapped.
        (
            "book.train_on('opt = torch.optim.Adam(model.parameters())')\n"
            "book.run('later = torch.optim.SGD(nn.Linear(2, 2).parameters())')\n"
        ),
        # The compiler wraps what we have wrapped, for good.
        (
            "book.train_on('c = torch.compile(model, backend=\"eager\"); c(X)')\n"
            "book.run('other = nn.Linear(3, 2); out = other(torch.ones(1, 3)); model(X)')\n"
            "assert book['out'].is_cpu and book['model'].weight.is_cpu\n"
        ),
    ],
)
def test_torchs_compiler_in_a_fresh_process(steps: str) -> None:
    """What torch loads late, inside a cell, works there and moves nothing later."""
    code = (
        kernel_code()
        + f"sys.path.insert(0, {str(ROOT)!r})\n"
        + "from tests.train.cell import Notebook\n"
        + "import torch\n"
        + "assert 'torch._dynamo' not in sys.modules\n"
        + f"book = Notebook(); book.run({SETUP!r})\n"
        + steps
        + "print('fine')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.stdout.strip() == "fine", done.stderr
