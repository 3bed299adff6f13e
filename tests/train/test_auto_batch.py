"""``--auto-batch``: half the batch, and the gradient of the whole one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from colabmagic.errors import NotSupportedError
from colabmagic.train import service
from colabmagic.train.micro import MicroBatches
from tests.train.cell import Notebook
from tests.train.repeated import Repeat

if TYPE_CHECKING:
    import types

SETUP = """
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
torch.manual_seed(0)
X = torch.randn(200, 64, 8)
y = torch.randint(0, 10, (200,))
class Mean(nn.Module):  # much to compute, few weights
    def forward(self, x): return x.mean(1)
model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), Mean(), nn.Linear(16, 10))
opt = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.01)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)
loss_fn = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
ran = []
"""
SAID = "train_on fake:1: out of memory"
LOOP = """
ran.append(1)
for epoch in range(2):
    for a, b in loader:
        opt.zero_grad()
        loss_fn(model(a), b).backward()
        opt.step()
"""
LOOPS = {
    "zero_grad first": LOOP,
    "zero_grad last": """
for a, b in loader:
    loss_fn(model(a), b).backward()
    opt.step()
    opt.zero_grad()
""",
    "the model's zero_grad": """
for a, b in loader:
    model.zero_grad(set_to_none=False)
    loss_fn(model(a), b).backward()
    opt.step()
""",
    "clipping and a schedule for each batch": """
for a, b in loader:
    opt.zero_grad()
    loss_fn(model(a), b).backward()
    clip_grad_norm_(model.parameters(), 0.05)
    torch.nn.utils.clip_grad_value_(model.parameters(), 0.01)
    opt.step()
    sched.step()
""",
    "a schedule for each pass": """
for epoch in range(3):
    for a, b in loader:
        opt.zero_grad()
        loss_fn(model(a), b).backward()
        opt.step()
    sched.step()
""",
    "two losses": """
for a, b in loader:
    opt.zero_grad()
    out = model(a)
    loss_fn(out, b).backward(retain_graph=True)
    (0.1 * out.pow(2).mean()).backward()
    opt.step()
""",
    "two optimizers": """
one = torch.optim.SGD(model[0].parameters(), lr=0.1, momentum=0.9)
two = torch.optim.RMSprop(model[3].parameters())
for a, b in loader:
    one.zero_grad(); two.zero_grad()
    loss_fn(model(a), b).backward()
    one.step(); two.step()
""",
    "validation in between": """
for n, (a, b) in enumerate(loader):
    opt.zero_grad()
    loss_fn(model(a), b).backward()
    opt.step()
    with torch.no_grad():
        for c, d in DataLoader(TensorDataset(X, y), batch_size=50):
            loss_fn(model(c), d)
""",
    "a loader made in the cell, with workers": """
mine = DataLoader(TensorDataset(X, y), batch_size=64, num_workers=1)
for a, b in mine:
    opt.zero_grad()
    loss_fn(model(a), b).backward()
    opt.step()
""",
    "the last batch left out": """
mine = DataLoader(TensorDataset(X, y), batch_size=48, drop_last=True)
for a, b in mine:
    opt.zero_grad()
    loss_fn(model(a), b).backward()
    opt.step()
assert len(mine) in {4, 8, 12, 16}, len(mine)
""",
}


def fresh(*cells: str) -> Notebook:
    """Return a notebook with everything made."""
    notebook = Notebook()
    for cell in (SETUP, *cells):
        notebook.run(cell)
    return notebook


def weights(notebook: Notebook) -> torch.Tensor:
    """Return all weights as one vector."""
    return torch.cat(
        [each.detach().flatten() for each in notebook["model"].parameters()]
    )


@pytest.mark.parametrize("limit", [700_000, 800_000])
@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_the_gradient_is_that_of_the_whole_batch(
    fake: types.ModuleType, loop: str, limit: int
) -> None:
    """Weights, schedule and stream as after a CPU run, but for rounding."""
    whole = fresh(loop)
    parts = fresh()
    fake.set_limit(1, limit)
    repeat = Repeat(parts.names, loop, auto_batch=True)
    outcome = repeat.run()
    assert outcome is not None
    assert any("started again" in line for line in repeat.lines)
    torch.testing.assert_close(weights(parts), weights(whole), atol=2e-6, rtol=2e-5)
    assert parts["sched"].get_last_lr() == whole["sched"].get_last_lr()
    steps = [
        [state["step"].item() for state in each["opt"].state.values()]
        for each in (parts, whole)
    ]
    assert steps[0] == steps[1]


def test_the_streams_are_those_of_the_whole_batch(fake: types.ModuleType) -> None:
    """The sampler draws once for each batch, as before."""
    fresh(LOOP)
    stream = torch.get_rng_state()
    parts = fresh()
    fake.set_limit(1, 600_000)
    Repeat(parts.names, LOOP, auto_batch=True).run()
    assert torch.equal(torch.get_rng_state(), stream)


def test_it_says_what_it_did(fake: types.ModuleType) -> None:
    """Once for each start; the loader, torch and the notebook are as before."""
    originals = (torch.autograd.backward, torch.optim.Optimizer.zero_grad)
    notebook = fresh()
    sampler = notebook["loader"].batch_sampler
    fake.set_limit(1, 600_000)
    repeat = Repeat(notebook.names, LOOP, auto_batch=True)
    outcome = repeat.run()
    assert outcome is not None
    said = [line for line in repeat.lines if line.startswith(SAID)]
    assert said[0] == (
        "train_on fake:1: out of memory at batch 64: started again with 2 x 32"
    )
    # What moved, one line for each start, how it ended and what to mind.
    assert len(repeat.lines) == 1 + len(said) + 1
    assert not any("stopped by" in line for line in repeat.lines)
    parts = said[-1].rpartition("with ")[2].split(" x ")
    assert outcome.notes == (
        (
            f"batches came in {parts[0]} parts of at most {parts[1]}, and the code of the "
            "loop ran for each part: counts and printed losses are those of parts"
        ),
    )
    assert repeat.lines[-1].endswith("  note: " + outcome.notes[0])
    assert notebook["ran"] == [1]  # the list of the run that counts
    assert notebook["loader"].batch_sampler is sampler
    assert notebook["loader"].batch_size == 64
    assert len(notebook["loader"]) == 4
    assert (torch.autograd.backward, torch.optim.Optimizer.zero_grad) == originals
    assert notebook["clip_grad_norm_"] is torch.nn.utils.clip_grad_norm_
    assert service._running is None


def test_what_fits_is_not_repeated(fake: types.ModuleType) -> None:
    """One run, the bits of a run without the option."""
    del fake
    one = fresh()
    one.train_on(LOOP)
    other = fresh()
    Repeat(other.names, LOOP, auto_batch=True).run()
    assert torch.equal(weights(one), weights(other))
    assert other["ran"] == [1]


def test_at_batch_1_it_gives_up(fake: types.ModuleType) -> None:
    """The ordinary error comes out, after one line that says why."""
    notebook = fresh("loader = DataLoader(TensorDataset(X, y), batch_size=4)")
    cell = LOOP.replace("opt.zero_grad()", "big = torch.zeros(1_000_000)")
    fake.set_limit(1, 600_000)
    repeat = Repeat(notebook.names, cell, auto_batch=True)
    with pytest.raises(torch.OutOfMemoryError):
        repeat.run()
    said = [line for line in repeat.lines if line.startswith(SAID)]
    assert [line.rpartition("with ")[2] for line in said] == ["2 x 2", "4 x 1"]
    assert any("cannot help, the batch is 1 already" in line for line in repeat.lines)
    assert {str(each.device) for each in notebook["model"].parameters()} == {"cpu"}
    assert notebook["loader"].batch_size == 4


@pytest.mark.parametrize(
    ("setup", "cell", "why"),
    [
        ("", "torch.zeros(1_000_000)", "no batch from a DataLoader"),
        (
            "loader = DataLoader(TensorDataset(X, y), batch_sampler=[[0, 1], [2, 3]])",
            LOOP.replace("opt.zero_grad()", "torch.zeros(1_000_000)"),
            "a batch sampler of its own",
        ),
        (
            (
                "class Stream(IterableDataset):\n"
                "    def __iter__(self): return zip(X, y)\n"
                "loader = DataLoader(Stream(), batch_size=8)"
            ),
            LOOP.replace("opt.zero_grad()", "torch.zeros(1_000_000)"),
            "an IterableDataset does not tell",
        ),
    ],
)
def test_where_no_batch_can_be_halved(
    fake: types.ModuleType, setup: str, cell: str, why: str
) -> None:
    """It says so, and the error is the ordinary one."""
    notebook = fresh(setup)
    fake.set_limit(1, 600_000)
    repeat = Repeat(notebook.names, cell, auto_batch=True)
    with pytest.raises(torch.OutOfMemoryError):
        repeat.run()
    assert any(why in line for line in repeat.lines), repeat.lines


@pytest.mark.parametrize(
    ("loop", "words"),
    [
        (
            (
                "for n, (a, b) in enumerate(loader):\n"
                "    loss_fn(model(a), b).backward()\n"
                "    if n % 2: opt.step(); opt.zero_grad()"
            ),
            "takes no step",
        ),
        (
            (
                "for a, b in loader:\n"
                "    loss_fn(model(a), b).backward()\n"
                "    opt.step()\n"
                "    for p in model.parameters(): p.grad = None"
            ),
            "weights or gradients by hand",
        ),
        (
            (
                "for a, b in loader:\n"
                "    opt.zero_grad(); loss_fn(model(a), b).backward(); opt.step()\n"
                "    opt.zero_grad(); loss_fn(model(a), b).backward(); opt.step()"
            ),
            "goes backward again after a step",
        ),
        (
            (
                "opt = torch.optim.LBFGS(model.parameters())\n"
                "for a, b in loader:\n"
                "    def closure():\n"
                "        opt.zero_grad(); l = loss_fn(model(a), b); l.backward(); return l\n"
                "    opt.step(closure)"
            ),
            "a closure",
        ),
        (
            (
                "for a, b in loader:\n"
                "    opt.zero_grad()\n"
                "    nn.functional.cross_entropy(model(a), b, reduction='sum').backward()"
            ),
            "the loss is a sum",
        ),
        (
            (
                "scaler = torch.amp.GradScaler('cpu')\n"
                "for a, b in loader:\n"
                "    scaler.scale(loss_fn(model(a), b)).backward()"
            ),
            "GradScaler",
        ),
    ],
)
def test_a_cell_whose_gradient_would_be_another_is_refused(
    fake: types.ModuleType, loop: str, words: str
) -> None:
    """When it starts again, and everything is as it was before the cell."""
    notebook = fresh()
    before = weights(notebook)
    fake.set_limit(1, 600_000)
    with pytest.raises(NotSupportedError, match=words):
        Repeat(notebook.names, loop, auto_batch=True).run()
    assert torch.equal(weights(notebook), before)
    assert notebook["loader"].batch_size == 64
    assert all(each.grad is None for each in notebook["model"].parameters())


def test_an_interrupt_in_the_second_run_leaves_everything_home(
    fake: types.ModuleType,
) -> None:
    """The loader has its batch again, nothing is patched or open."""
    notebook = fresh()
    backward = torch.autograd.backward
    cell = LOOP + "        if loader.batch_size < 64: raise KeyboardInterrupt\n"
    fake.set_limit(1, 600_000)
    with pytest.raises(KeyboardInterrupt):
        Repeat(notebook.names, cell, auto_batch=True).run()
    assert {str(each.device) for each in notebook["model"].parameters()} == {"cpu"}
    assert notebook["loader"].batch_size == 64
    assert torch.autograd.backward is backward
    assert service._running is None


def test_the_model_of_the_failed_run_is_freed(fake: types.ModuleType) -> None:
    """What the first run made on the device is gone when the second begins."""
    notebook = fresh()
    cell = "kept = torch.zeros(5_000)\n" + LOOP
    fake.set_limit(1, 600_000)
    Repeat(notebook.names, cell, auto_batch=True).run()
    stats: Any = fake.stats(1)
    assert stats["current"] == 0


def test_batch_norm_is_named() -> None:
    """It sees a part at a time, so the result is another."""
    notebook = fresh("model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))")
    micro = MicroBatches(notebook.names, ("model",), size=16)
    assert micro.warning == "BatchNorm sees 16 at a time"
    notebook["model"].eval()
    assert micro.warning == ""
