"""Tests for `colabmagic.train.batch_size`: the largest batch that would fit."""

from __future__ import annotations

import ast
import random
from typing import TYPE_CHECKING, Any

import pytest
import torch

from colabmagic.train import service
from colabmagic.train.names import mentioned_names
from tests.train.cell import DEVICE, Notebook

if TYPE_CHECKING:
    import types

    from colabmagic.train.batch_size import BatchEstimate
    from colabmagic.train.dry_run import DryRun

pytestmark = pytest.mark.usefixtures("registered_fake")

SETUP = """
import torch
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, TensorDataset
def data(*shape, n=64):
    return TensorDataset(torch.zeros(n, *shape), torch.zeros(n, dtype=torch.int64))
"""
CONVOLUTIONS = """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(),
    nn.Linear(32 * 14 * 14, 10),
)
samples = data(3, 32, 32)
"""
LAYERS = """
model = nn.Sequential(nn.Linear(50, 400), nn.Tanh(), nn.Linear(400, 400), nn.Tanh(),
    nn.Linear(400, 10))
samples = data(50)
"""
WORDS = """
class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.rnn = nn.Embedding(500, 32), nn.Linear(32, 64)
        self.attend = nn.MultiheadAttention(64, 4, batch_first=True)
        self.out = nn.Linear(64, 2)
    def forward(self, x):
        h = self.rnn(self.words(x)).relu()
        places = torch.arange(h.shape[1])
        h = h + places[None, :, None]
        return self.out(self.attend(h, h, h)[0].mean(1))
model = Tagger()
samples = TensorDataset(torch.zeros(64, 20, dtype=torch.int64), torch.zeros(64, dtype=torch.int64))
"""
CELL = """
for x, y in loader:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
"""
# All batches are alike: the first step makes the optimizer's state, the next has all.
FOUR_STEPS = CELL.replace(
    "for x, y in loader", "for _, (x, y) in zip(range(4), loader)"
)


def tried(notebook: Notebook, cell: str = CELL) -> DryRun:
    """Return what a cell would take."""
    return service.dry_run(
        namespace=notebook.names, device=DEVICE, names=mentioned_names(ast.parse(cell))
    )


def estimated(notebook: Notebook, cell: str = CELL) -> BatchEstimate:
    """Return what its batches would take."""
    estimate = tried(notebook, cell).batch
    assert estimate is not None
    return estimate


def book(*sources: str) -> Notebook:
    """Return a notebook that has run some cells."""
    notebook = Notebook()
    for source in (SETUP, *sources):
        notebook.run(source)
    return notebook


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
@pytest.mark.parametrize(
    "model", [CONVOLUTIONS, LAYERS, WORDS], ids=["convolutions", "layers", "words"]
)
def test_the_largest_batch_fits_and_not_much_more(
    fake: types.ModuleType, model: str, optimizer: str
) -> None:
    """Put to the device: that batch trains, one of twice the size does not."""
    again = f"""
model.zero_grad()
optimizer = torch.optim.{optimizer}(model.parameters(), 0.1)
loader = DataLoader(ConcatDataset([samples] * 80), batch_size=size)
"""
    notebook = book(model, "size = 4", again)
    fake.set_limit(1, 12_000_000)
    found = tried(notebook)
    batch = found.batch
    assert batch is not None
    assert batch.largest is not None
    assert (batch.models, batch.source, batch.batch_size) == (("model",), "loader", 4)
    assert 4 < batch.largest < 2_500
    assert f"up to about {batch.largest:,} samples (loader has 4)" in " ".join(
        found.text.split()
    )

    notebook.run(f"size = {batch.largest}" + again)
    notebook.train_on(FOUR_STEPS)
    notebook.run(f"size = {2 * batch.largest}" + again)
    with pytest.raises(torch.OutOfMemoryError):
        notebook.train_on(FOUR_STEPS)


def test_a_batch_that_would_not_fit_is_named(fake: types.ModuleType) -> None:
    """With what to type."""
    notebook = book(
        CONVOLUTIONS,
        "optimizer = torch.optim.AdamW(model.parameters())\n"
        "loader = DataLoader(samples, batch_size=32)",
    )
    fake.set_limit(1, 8_000_000)
    found = tried(notebook)
    assert "FITS" in found.text
    assert "batches of 32 would not fit" in found.text
    assert found.batch is not None
    assert f"batch_size={found.batch.largest} in loader" in found.text
    assert found.to_dict()["batch"]["largest"] == found.batch.largest
    fake.set_limit(1, 1_200_000)
    assert "not even a batch of one sample" in tried(notebook).text


WITNESSES = """
import random
events, bank, rows = [], torch.zeros(2), torch.ones(10, 3)
own = torch.Generator()
class Own(Dataset):
    def __len__(self): return 10
    def __getitem__(self, i):
        print("reads", i)
        events.append(i)
        rows[i] *= 1.1
        noise = torch.rand(3, generator=own)
        return {"image": rows[i] + noise + random.random(), "label": i}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.inner, self.norm = 0, nn.Linear(3, 4), nn.BatchNorm1d(4)
    def forward(self, image, label=None):
        global state
        self.calls += 1
        state = image
        events.append(image)
        bank.add_(1)
        print("runs")
        return nn.functional.dropout(self.norm(self.inner(image)))
model = Net()
model.register_forward_hook(lambda *_: events.append("hook"))
every = nn.modules.module.register_module_forward_hook(lambda *_: events.append("all"))
state = None
loader = DataLoader(Own(), batch_size=2)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
"""


@pytest.mark.usefixtures("fake")
def test_nothing_of_the_user_changes(capfd: pytest.CaptureFixture[str]) -> None:
    """A sample is read and the model runs, and no object of his notices."""
    notebook = book(WITNESSES)
    model = notebook["model"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    random.seed(3)
    streams = (torch.get_rng_state().tolist(), random.getstate())
    generator = notebook["own"].get_state().tolist()
    found = estimated(notebook)
    assert found.source == "loader"
    assert found.sample_bytes > 0
    notebook["every"].remove()
    assert capfd.readouterr() == ("", "")
    assert notebook["events"] == []
    assert notebook["state"] is None
    assert notebook["bank"].tolist() == [0, 0]
    assert notebook["rows"].tolist() == torch.ones(10, 3).tolist()
    assert notebook["own"].get_state().tolist() == generator
    assert model.calls == 0
    assert (torch.get_rng_state().tolist(), random.getstate()) == streams
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(each.grad is None for each in model.parameters())
    assert notebook["optimizer"].state == {}


@pytest.mark.usefixtures("fake")
def test_batches_cut_from_a_tensor() -> None:
    """A loop without a loader: rows of the tensor that the model takes."""
    notebook = book(
        "y, X = torch.zeros(100, dtype=torch.int64), torch.zeros(100, 7)\n"
        "model = nn.Linear(7, 2)"
    )
    found = estimated(notebook, "model(X[:10]), y")
    assert (found.source, found.batch_size) == ("X", None)
    # weights and bias: a gradient, and Adam's two states, in case the cell makes it
    assert found.once_bytes == 3 * 16 * 4


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("setup", "cell", "reason"),
    [
        ("pass", "model = nn.Linear(1, 1)", "no model that exists"),
        ("model = nn.Linear(1, 1)", "model", "no DataLoader, dataset or tensor"),
        (
            "model = nn.Linear(3, 1)\nX = torch.zeros(5, 4)",
            "model(X)",
            "no model takes what comes from X (RuntimeError",
        ),
        (
            (
                "class Odd(nn.Linear):\n    def forward(self, x):\n"
                "        return x * float(x.sum())\n"
                "model = Odd(3, 1)\nX = torch.zeros(5, 3)"
            ),
            "model(X)",
            "no model takes what comes from X (",
        ),
        (
            (
                "class Broken(Dataset):\n    def __len__(self): return 3\n"
                "    def __getitem__(self, i): raise OSError('gone')\n"
                "model = nn.Linear(3, 1)\nloader = DataLoader(Broken())"
            ),
            "for x in loader: model(x)",
            "no DataLoader, dataset or tensor",
        ),
        (
            (
                "class Locked(nn.Linear):\n    def __deepcopy__(self, m): raise TypeError('no')\n"
                "model = Locked(3, 1)\nX = torch.zeros(5, 3)"
            ),
            "model(X)",
            "no model takes what comes from X (TypeError: no)",
        ),
    ],
)
def test_what_cannot_be_told(setup: str, cell: str, reason: str) -> None:
    """The reason is given; the rest of the report stands."""
    found = tried(book(setup), cell)
    assert found.batch is not None
    assert found.batch.largest is None
    assert reason in str(found.batch.why_not)
    assert "only a run can tell" in " ".join(found.text.split())


@pytest.mark.usefixtures("fake")
def test_no_batch_is_larger_than_the_data() -> None:
    """Where all samples fit, no larger number is named."""
    notebook = book(
        "model = nn.Linear(3, 2)", "loader = DataLoader(data(3), batch_size=8)"
    )
    found = tried(notebook, "for x, y in loader: model(x)")
    assert found.batch is not None
    assert found.batch.samples == 64
    assert "all 64 samples of loader would fit in one" in " ".join(found.text.split())


@pytest.mark.usefixtures("fake")
def test_models_in_functions_and_two_models() -> None:
    """What a function of an earlier cell trains counts, and each model."""
    notebook = book(
        "first, second = nn.Linear(3, 8), nn.Sequential(nn.Linear(3, 4), nn.ReLU())\n"
        "loader = DataLoader(data(3), batch_size=8)\n"
        "def train():\n    for x, _ in loader: first(x), second(x)"
    )
    both = estimated(notebook, "train()")
    assert set(both.models) == {"first", "second"}
    one = estimated(notebook, "for x, _ in loader: first(x)")
    assert one.sample_bytes < both.sample_bytes


@pytest.mark.usefixtures("fake")
def test_state_that_exists_counts_once() -> None:
    """After a step gradients and state move at entry: nothing comes besides."""
    step = "model(torch.zeros(4, 3)).sum().backward(); optimizer.step()"
    setup = """
model = nn.Linear(3, 4)
optimizer = torch.optim.{0}
loader = DataLoader(data(3), batch_size=8)
"""
    sizes: dict[str, list[Any]] = {
        "Adam(model.parameters())": [3 * 64],
        "SGD(model.parameters(), 0.1)": [64],
        "SGD(model.parameters(), 0.1, momentum=0.9)": [2 * 64],
        "RMSprop(model.parameters())": [2 * 64],
        "LBFGS(model.parameters())": [3 * 64],  # not known: as Adam's
    }
    for optimizer, (expected,) in sizes.items():
        notebook = book(setup.format(optimizer))
        assert estimated(notebook).once_bytes == expected, optimizer
        if "LBFGS" not in optimizer:
            notebook.run(step)
            once = estimated(notebook).once_bytes
            assert once <= (64 if "momentum" not in optimizer else 0), optimizer
