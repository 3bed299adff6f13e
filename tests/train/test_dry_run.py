"""Tests for what would move, and whether it fits: `accounting`, `budget`, `dry_run`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pytest
import torch

from colabmagic.errors import BadDeviceError, DeviceMemoryError
from colabmagic.memory.devices import DeviceMemory, read_device
from colabmagic.report.model import Severity
from colabmagic.train import last_outcome, service
from colabmagic.train.budget import OTHERS, usable_bytes
from colabmagic.train.devices import resolve
from colabmagic.train.dry_run import DryRun, view
from colabmagic.train.names import mentioned_names
from tests.train.cell import DEVICE, Notebook

if TYPE_CHECKING:
    import types

pytestmark = pytest.mark.usefixtures("registered_fake")
SETUP = """
import torch
model = torch.nn.Linear(100, 50)
optimizer = torch.optim.Adam(model.parameters())
X = torch.zeros(1000, 100)
part = X[:10]
y = torch.zeros(1000, dtype=torch.int64)
unused = torch.zeros(5000)
class Trainer:
    def __init__(self):
        self.teacher = torch.nn.Linear(300, 300)
trainer = Trainer()
"""
CELL = "optimizer.zero_grad()\nmodel(X), part, y\ntrainer.teacher"


@pytest.fixture
def notebook() -> Notebook:
    """Return a notebook with data and models."""
    notebook = Notebook()
    notebook.run(SETUP)
    return notebook


def tried(notebook: Notebook, cell: str = CELL, device: str = DEVICE) -> DryRun:
    """Return what a cell would move."""
    return service.dry_run(
        namespace=notebook.names, device=device, names=mentioned_names(ast.parse(cell))
    )


def sizes(dry_run: DryRun) -> dict[str, int]:
    """Return names and bytes, in their order."""
    return {each.name: each.size_bytes for each in dry_run.items}


@pytest.mark.usefixtures("fake")
def test_it_lists_what_would_move(notebook: Notebook) -> None:
    """Names, types and bytes, the largest first; shared memory counts once."""
    found = tried(notebook)
    assert list(sizes(found).items()) == [
        ("X", 400_000),
        ("trainer", 361_200),
        ("model", 20_200),
        ("y", 8_000),
    ]
    assert found.items[0].kinds == ("float32",)
    assert found.items[3].kinds == ("int64",)


def test_nothing_moves(fake: types.ModuleType, notebook: Notebook) -> None:
    """No tensor is away, nothing was copied, the last outcome is what it was."""
    before = last_outcome()
    figures = []
    for look in (lambda: resolve(DEVICE, strict=False), lambda: tried(notebook)):
        fake.reset_stats(1)
        look()
        figures.append(fake.stats(1))
    asked, looked = figures  # whether the device answers is asked in both
    assert looked == asked
    assert looked["h2d"] == 0
    assert notebook["model"].weight.is_cpu
    assert last_outcome() is before


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("trained", [False, True])
def test_the_total_is_what_a_cell_moves(notebook: Notebook, *, trained: bool) -> None:
    """Also with gradients and the state of an optimizer."""
    if trained:
        notebook.run("model(X).sum().backward()\noptimizer.step()")
    found = tried(notebook)
    assert found.total_bytes > 0
    outcome = notebook.train_on(CELL)
    assert found.total_bytes == outcome.moved_bytes


@pytest.mark.usefixtures("fake")
def test_what_no_name_leads_to_plainly_is_listed_too(notebook: Notebook) -> None:
    """A function's globals belong to the function; nothing is lost from the sum."""
    notebook.run("def go():\n    return model(X)")
    assert sum(sizes(tried(notebook, "go()")).values()) == 420_200
    assert set(sizes(tried(notebook, "go()"))) <= {"go", OTHERS}


def test_what_is_there_already_does_not_move(
    fake: types.ModuleType, notebook: Notebook
) -> None:
    """While a device is on for all cells, only what is new counts."""
    service.stand(namespace=notebook.names, device=DEVICE)
    try:
        standing = service.standing()
        assert standing is not None
        standing.cell(("X", "y")).finish()
        assert sizes(tried(notebook, "X, y, model")) == {"model": 20_200}
    finally:
        service.turn_off()
    del fake


def test_whether_it_fits(fake: types.ModuleType, notebook: Notebook) -> None:
    """The device's free memory decides; the report says what to do."""
    assert tried(notebook).fits is True
    fake.set_limit(1, 500_000)
    found = tried(notebook)
    assert (found.fits, found.free_bytes) == (False, 500_000)
    assert found.device_bytes == 500_000
    report = view(found)
    assert report.verdict == "DOES NOT FIT"
    assert report.findings[0].severity is Severity.ERROR
    assert "the cell did not run, nothing has moved" in found.text
    assert "%gpu_memory" in found.text
    assert max(map(len, found.text.splitlines())) <= 80
    assert "<table" in found.html
    assert found.to_dict()["fits"] is False
    assert found.to_dict()["items"][0]["name"] == "X"


@pytest.mark.usefixtures("fake")
def test_on_the_cpu_there_is_nothing_to_move(notebook: Notebook) -> None:
    """The report says so; a device that does not exist is an error."""
    found = tried(notebook, device="cpu")
    assert found.items == ()
    assert "NOTHING TO MOVE" in found.text
    with pytest.raises(BadDeviceError):
        tried(notebook, device="cuda:x")


@pytest.mark.usefixtures("fake")
def test_a_device_without_memory_fits_nobody_knows(notebook: Notebook) -> None:
    """Where the device does not tell, the report does not guess."""
    found = tried(notebook, device="meta")
    assert found.fits is None
    assert "FIT UNKNOWN" in found.text
    assert "the device does not tell" in found.text


@pytest.mark.usefixtures("fake")
def test_names_are_escaped() -> None:
    """A name is the user's: it cannot become markup."""
    notebook = Notebook({"__name__": "__main__", "<b>": torch.zeros(9)})
    found = service.dry_run(namespace=notebook.names, device=DEVICE, names=("<b>",))
    assert "<b>" not in found.html
    assert "&lt;b&gt;" in found.html


def test_too_much_is_refused_at_entry(
    fake: types.ModuleType, notebook: Notebook
) -> None:
    """Before anything is copied, with the largest names and what to type."""
    fake.set_limit(1, 500_000)
    fake.reset_stats(1)
    with pytest.raises(DeviceMemoryError) as caught:
        notebook.train_on(CELL)
    assert "nothing was moved" in caught.value.what
    seen = str(caught.value.seen)
    assert "789.4 KB to move, 500.0 KB free" in seen
    assert "largest: X 400.0 KB, trainer 361.2 KB, model 20.2 KB" in seen
    assert "%gpu_memory" in caught.value.hint
    assert fake.stats(1)["h2d"] == 0
    assert notebook["model"].weight.is_cpu
    fake.clear_limit(1)
    notebook.train_on(CELL)


def test_what_just_fits_is_let_in(fake: types.ModuleType, notebook: Notebook) -> None:
    """The check is about bytes that move, not about a guess of what follows."""
    fake.set_limit(1, tried(notebook).total_bytes)
    notebook.train_on("model, X, part, y, trainer")


def test_a_standing_device_refuses_too(
    fake: types.ModuleType, notebook: Notebook
) -> None:
    """A later cell that does not fit is refused; what is there stays."""
    fake.set_limit(1, 500_000)
    service.stand(namespace=notebook.names, device=DEVICE)
    try:
        standing = service.standing()
        assert standing is not None
        standing.cell(("X",)).finish()
        with pytest.raises(DeviceMemoryError, match="does not fit"):
            standing.cell(("X", "trainer"))
        assert not notebook["X"].is_cpu
        assert notebook["trainer"].teacher.weight.is_cpu
    finally:
        service.turn_off()
    assert notebook["X"].is_cpu


def test_the_check_waits_for_nothing(
    fake: types.ModuleType, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is synchronised; where nothing moves, the device is not even asked."""
    from colabmagic.train import budget

    asked: list[Any] = []
    original = budget.read_device
    monkeypatch.setattr(
        budget, "read_device", lambda device: asked.append(device) or original(device)
    )
    fake.reset_stats(1)
    read_device(torch.device(DEVICE))
    assert fake.stats(1)["syncs"] == 0
    notebook.train_on("1 + 1")
    assert asked == []
    notebook.train_on("model")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("free", "total", "cached", "usable"),
    [(5, 10, 2, 7), (5, 10, None, 5), (None, 10, 2, None), (2**63, 10, 0, None)],
)
def test_what_can_be_used(
    free: int | None, total: int, cached: int | None, usable: int | None
) -> None:
    """Free, and what the allocator only keeps; nonsense is no figure."""
    memory = DeviceMemory(
        device="cuda:0",
        total_bytes=total,
        free_bytes=free,
        allocated_bytes=None,
        cached_bytes=cached,
    )
    assert usable_bytes(memory) == usable
