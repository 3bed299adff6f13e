"""``--compare``: two trials, and a cell that has not noticed them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from colabmagic.errors import DeviceUnavailableError, NotSupportedError
from colabmagic.train import service
from colabmagic.train.comparison import Comparison, clock, duration
from colabmagic.train.trial import StepTimes
from tests.train.cell import Notebook
from tests.train.repeated import DEVICE, Repeat

if TYPE_CHECKING:
    import types

SETUP = """
import random
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
random.seed(0); np.random.seed(0); torch.manual_seed(0)
X = torch.randn(96, 8)
y = (X.sum(1) > 0).long()
model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.2), nn.Linear(16, 2))
opt = torch.optim.Adam(model.parameters(), lr=0.01)
sched = torch.optim.lr_scheduler.StepLR(opt, 2)
loss_fn = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True,
                    generator=torch.Generator().manual_seed(5))
rng = np.random.default_rng(3)
ours = random.Random(4)
losses, seen, old = [], {}, 1
class Counted(Dataset):
    reads = 0
    def __init__(self): self.cache = {}
    def __len__(self): return 48
    def __getitem__(self, i):
        Counted.reads += 1
        self.cache[i] = np.random.rand() + random.random()
        return X[i] + self.cache[i], y[i]
class Stream(IterableDataset):
    def __init__(self): self.at = 0
    def __iter__(self):
        while self.at % 40 < 39:
            self.at += 1
            yield X[self.at % 96], y[self.at % 96]
        self.at += 1
counted = DataLoader(Counted(), batch_size=8, shuffle=True)
stream = DataLoader(Stream(), batch_size=8)
workers = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True, num_workers=1,
                     persistent_workers=True)
weights = np.zeros(4)
class Trainer:
    def __init__(self): self.best, self.history, self.ema = None, [], torch.zeros(2)
trainer = Trainer()
def fit(batches, epochs=1):
    global last
    for _ in range(epochs):
        for a, b in batches:
            opt.zero_grad()
            loss = loss_fn(model(a), b)
            loss.backward()
            opt.step()
            last = losses.append(loss.item())
"""

CELLS = {
    "plain": "fit(loader, 3)\nsched.step()",
    "fewer steps than asked": "fit(loader, 1)",
    "a model made in the cell": """
model = nn.Linear(8, 2)
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
fit(loader, 2)
made = model.weight.sum().item()
""",
    "two loaders": """
for (a, b), (c, d) in zip(loader, counted):
    opt.zero_grad()
    (loss_fn(model(a), b) + loss_fn(model(c), d)).backward()
    opt.step()
""",
    "an iterable dataset": "fit(stream, 2)",
    "workers": "fit(workers, 2)",
    "names deleted": "del old, rng\nfit(loader, 2)\nold = 3",
    "all streams": """
for a, b in counted:
    opt.zero_grad()
    noise = torch.rand(8, 8) * rng.random() * ours.random() + np.random.rand()
    loss_fn(model(a + noise), b).backward()
    opt.step()
    weights += random.random()
    seen[len(seen)] = float(noise.sum())
    trainer.history.append(rng.integers(9))
    trainer.best = {k: v.clone() for k, v in model.state_dict().items()}
    trainer.ema.mul_(0.9).add_(0.1)
    model[0].extra = len(seen)
""",
    "no step": """
model.eval()
with torch.no_grad():
    hits = sum((model(a).argmax(1) == b).sum().item() for a, b in loader)
""",
    "no loader": """
for i in range(30):
    opt.zero_grad(set_to_none=False)
    loss_fn(model(X), y).backward()
    opt.step()
""",
    "a closure and a class": """
class Counter:
    total = 0
def outer():
    calls = 0
    def inner():
        nonlocal calls
        calls += 1
        Counter.total = calls
        return calls
    return inner
tick = outer()
Counted.extra = [tick() for _ in range(3)]
fit(loader, 2)
tick()
""",
    "bare except": """
for a, b in loader:
    try:
        opt.zero_grad(); loss_fn(model(a), b).backward(); opt.step()
    except Exception:
        old = "caught"
""",
    "catches everything": """
for a, b in loader:
    try:
        opt.zero_grad(); loss_fn(model(a), b).backward(); opt.step()
    except:
        old = "caught"
""",
    "gradients gathered": """
for n, (a, b) in enumerate(loader):
    loss_fn(model(a), b).backward()
    if n % 2:
        opt.step()
        opt.zero_grad()
""",
}


def fresh() -> Notebook:
    """Return a notebook with everything made."""
    notebook = Notebook()
    notebook.run(SETUP)
    return notebook


def plain(value: object) -> Any:  # noqa: ANN401, C901, PLR0911 (one return for each kind)
    """Return a value so that two of them can be compared."""
    if isinstance(value, torch.Tensor):
        grad = None if value.grad is None else value.grad.tolist()
        return [str(value.device), value.tolist(), value.requires_grad, grad]
    if isinstance(value, torch.nn.Module):
        return [type(value).__name__, value.training, plain(dict(value.state_dict()))]
    if isinstance(value, torch.optim.Optimizer):
        return plain(value.state_dict())
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    if isinstance(value, int | float | str | type(None)):
        return value
    return None


def state(notebook: Notebook) -> dict[str, Any]:
    """Return all that the notebook's cells can see."""
    names = notebook.names
    fake: Any = torch.fake  # type: ignore[attr-defined]
    found = {k: plain(v) for k, v in names.items() if not k.startswith("__")}
    found["streams"] = [
        random.getstate(),
        np.random.get_state()[1].tolist(),  # type: ignore[index]  # noqa: NPY002
        torch.get_rng_state().tolist(),
        fake.get_rng_state(1).tolist(),
    ]
    found["inside"] = [
        plain(vars(names["trainer"])),
        plain(names["counted"].dataset.cache),
        names["Counted"].reads,
        getattr(names["Counted"], "extra", None),
        names["stream"].dataset.at,
        plain(names["loader"].generator),
        getattr(names["model"], "extra", None),
        names["sched"].last_epoch,
        names["tick"].__closure__[0].cell_contents if "tick" in names else None,
    ]
    return found


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_what_is_left_is_what_the_device_run_leaves(
    fake: types.ModuleType, cell: str
) -> None:
    """Every bit, name and stream; in either case from the same beginning."""
    left = []
    for compares in (False, True):
        fake.manual_seed_all(7)
        notebook = fresh()
        if compares:
            repeat = Repeat(notebook.names, cell, compare="cpu", steps=5)
            outcome = repeat.run()
            assert outcome is not None
            assert isinstance(outcome.comparison, Comparison), repeat.lines
        else:
            notebook.train_on(cell)
        left.append(state(notebook))
        notebook["workers"]._iterator = None
    assert left[0] == left[1]


def test_the_table() -> None:
    """Steps, times, speed, and the whole time on each; the tutorial's figures."""
    times = {"unit": "step", "timed": 17, "skipped": 3}
    compared = Comparison(
        device=StepTimes(device="cuda:0", step_s=0.0717, **times),  # type: ignore[arg-type]
        other=StepTimes(device="cpu", step_s=2.212, **times),  # type: ignore[arg-type]
        whole_s=717,
        other_whole_s=22120,
        steps=10_000,
    )
    assert compared.text.splitlines()[1:] == [
        "Device  Steps timed  Time of a step  Speed  Whole cell",
        "cpu     17           2.2 s           1.0x   about 06:08:40",
        "cuda:0  17           71.7 ms         30.9x  00:11:57",
        "Not timed: the first 3, in which a device warms up",
    ]
    assert compared.text.startswith("train_on compare: cuda:0 is 30.9 times as fast")
    assert "<td" in compared.html
    assert "06:08:40" in compared.html
    assert compared.to_dict()["speed_up"] == pytest.approx(30.85, abs=0.01)
    assert compared.line() == (
        "train_on compare: a step takes 71.7 ms on cuda:0 and 2.2 s on cpu "
        "(30.9 times as fast); now the whole cell"
    )


@pytest.mark.parametrize(
    ("step_s", "timed", "words"),
    [
        (1.01, 9, "(as fast as the other); now"),
        (0.99, 9, "(as fast as the other); now"),
        (2.0, 9, "(2.0 times as slow); now"),
        (0.5, 4, "(2.0 times as fast, by 4 steps only); now"),
        (0.5, 1, "(2.0 times as fast, by 1 step only); now"),
    ],
)
def test_the_words_for_a_speed(step_s: float, timed: int, words: str) -> None:
    """No factor where there is none, and on how little it rests."""
    one = StepTimes(device="fake:0", unit="step", step_s=step_s, timed=timed, skipped=3)
    other = StepTimes(device="cpu", unit="step", step_s=1, timed=timed, skipped=3)
    compared = Comparison(device=one, other=other)
    assert words in compared.line()
    assert words[1:-6] in compared.text


@pytest.mark.usefixtures("fake")
def test_a_device_that_is_absent_is_told_by_its_option() -> None:
    """Not by --strict, which nobody gave."""
    with pytest.raises(DeviceUnavailableError) as caught:
        Repeat(fresh().names, "fit(loader)", compare="cuda").run()
    assert caught.value.what == "--compare cuda: there is nothing to compare with"
    assert "--strict" not in str(caught.value)
    assert caught.value.hint == "--compare cpu, or the cell without --compare"


@pytest.mark.usefixtures("fake")
def test_what_cannot_be_put_back_stops_the_cell() -> None:
    """It does not train on from where the trial was; the error says why."""
    notebook = fresh()
    notebook.run("import functools\n@functools.lru_cache\ndef f(x): return x\nf(1)")
    before = state(notebook)["model"]
    with pytest.raises(NotSupportedError, match="stopped before its next run"):
        Repeat(notebook.names, "f(2)\nfit(loader)", compare="cpu").run()
    assert state(notebook)["model"] == before


@pytest.mark.usefixtures("fake")
def test_what_a_trial_leaves_around_tensors() -> None:
    """Hooks, arrays of another shape and context variables are as before each run."""
    notebook = fresh()
    notebook.run(
        "import contextvars\nseen = contextvars.ContextVar('seen', default=0)\n"
        "q = nn.Linear(1, 1); a = np.zeros(4)"
    )
    cell = (
        "h = q.weight.register_hook(lambda g: g * 0.5)\n"
        "q(torch.ones(1, 1)).sum().backward(); fit(loader)\nh.remove()\n"
        "a += 1; a.shape = (2, 2); seen.set(seen.get() + 1)"
    )
    Repeat(notebook.names, cell, compare="cpu", steps=2).run()
    assert notebook["q"].weight.grad.item() == 0.5
    assert notebook["a"].tolist() == [[1, 1], [1, 1]]
    assert notebook["seen"].get() == 1
    assert not notebook["q"].weight._backward_hooks


def test_times_in_words() -> None:
    """Short ones with a unit, long ones as a clock."""
    assert [duration(each) for each in (2e-5, 0.0123, 1.55, 42)] == [
        "20 us", "12.3 ms", "1.6 s", "42 s",
    ]  # fmt: skip
    assert [clock(each) for each in (0.5, 59.6, 3661, 90000)] == [
        "500 ms", "00:01:00", "01:01:01", "25:00:00",
    ]  # fmt: skip


def test_steps_are_counted_and_the_first_are_skipped(fake: types.ModuleType) -> None:
    """A cut after so many steps; the whole cell counts all."""
    del fake
    notebook = fresh()
    outcome = Repeat(notebook.names, CELLS["plain"], compare="cpu", steps=10).run()
    assert outcome is not None
    assert outcome.comparison is not None
    assert outcome.comparison.other.timed == 7
    assert outcome.comparison.other.skipped == 3
    assert outcome.comparison.steps == 18
    assert outcome.to_dict()["comparison"]["steps"] == 18


@pytest.mark.usefixtures("fake")
def test_without_a_step_batches_are_steps() -> None:
    """Where the cell only looks at its model."""
    notebook = fresh()
    outcome = Repeat(notebook.names, CELLS["no step"], compare="cpu", steps=2).run()
    assert outcome is not None
    assert outcome.comparison is not None
    assert outcome.comparison.device.unit in {"batch", "cell"}


@pytest.mark.usefixtures("fake")
def test_what_the_trials_print_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    """Once for the whole cell, not three times."""
    Repeat(fresh().names, "print('hello')\nfit(loader)", compare="cpu").run()
    assert capsys.readouterr().out == "hello\n"


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("at", ["len(losses) == 2", "str(X.device) != 'cpu'"])
def test_an_error_in_a_trial_leaves_the_word_to_the_cell(at: str) -> None:
    """No comparison, everything put back, and the cell itself fails as ever."""
    notebook = fresh()
    before = state(notebook)["model"]
    repeat = Repeat(
        notebook.names,
        f"for a, b in loader:\n    fit([(a, b)])\n    if {at}: raise ValueError('no')",
        compare="cpu",
    )
    with pytest.raises(ValueError, match="no"):
        repeat.run()
    assert any("failed with ValueError: no" in line for line in repeat.lines)
    assert repeat.shown == []
    assert state(notebook)["model"] != before


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_an_interrupt_in_a_trial_leaves_everything_as_it_was(error: str) -> None:
    """Nothing was trained, and nothing is open."""
    notebook = fresh()
    before = state(notebook)
    cell = f"for a, b in loader:\n    fit([(a, b)])\n    if losses[2:]: raise {error}"
    with pytest.raises(BaseException, match=r"^$") as caught:
        Repeat(notebook.names, cell, compare="cpu").run()
    assert type(caught.value).__name__ == error
    assert state(notebook) == before
    assert service._running is None


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("it = (i for i in range(3))", "`it` is a generator in the middle"),
        ("it = iter(loader)", "`it` is an iterator in the middle of a loader"),
        ("it = iter([1, 2])", "`it` is an iterator"),
        ("it = open('/dev/null')", "`it` is an open file"),
        ("trainer.it = {'deep': map(str, [1])}", "`trainer` is an iterator"),
    ],
)
def test_what_cannot_be_put_back_is_refused(made: str, words: str) -> None:
    """Before anything has run, by name."""
    notebook = fresh()
    notebook.run(made)
    cell = "losses.append(1); it = trainer = None"
    with pytest.raises(NotSupportedError) as caught:
        Repeat(notebook.names, cell, compare="cpu").run()
    assert words in str(caught.value.seen)
    assert notebook["losses"] == []
    notebook.run("if 'open' in MADE: it.close()".replace("MADE", repr(made)))


@pytest.mark.usefixtures("fake")
def test_a_device_is_not_compared_with_itself() -> None:
    """One line, and the cell runs."""
    notebook = fresh()
    repeat = Repeat(notebook.names, "fit(loader)", compare=DEVICE)
    repeat.run()
    assert "nothing to compare" in repeat.lines[0]
    assert len(notebook["losses"]) == 6


@pytest.mark.usefixtures("fake")
def test_not_while_a_device_is_on_for_all_cells() -> None:
    """What lives there could not be put back."""
    notebook = fresh()
    service.stand(namespace=notebook.names, device=DEVICE)
    try:
        with pytest.raises(NotSupportedError, match="on for all cells"):
            Repeat(notebook.names, "fit(loader)", compare="cpu").run()
    finally:
        service.turn_off()


@pytest.mark.usefixtures("fake")
def test_a_running_cell_cannot_be_compared() -> None:
    """A block or a script has no code to run again: refused, not ignored."""
    with pytest.raises(NotSupportedError, match="--compare runs the code"):
        fresh().train_on("1", compare="cpu")
