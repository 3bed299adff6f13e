"""Tests for `colabmagic.train.ahead`: pinning, and copies before they are asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils import pin_memory as torchs_pinning

from colabmagic.train import ahead
from colabmagic.train.ahead import Ahead
from colabmagic.train.patches import Patches
from tests.train.cell import DEVICE, Notebook

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
SETUP = """
import torch
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.arange(24.).reshape(12, 2), torch.arange(12))
loader = DataLoader(data, 2, num_workers=1)
seen = []
"""


class Numbers(Dataset[torch.Tensor]):
    """Gives single numbers."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor([float(index)])


class Custom:
    """A batch of a type that somebody wrote; notes in which thread its code runs."""

    def __init__(self, items: list[torch.Tensor]) -> None:
        self.items = torch.stack(items)
        self.threads: list[str] = []

    def pin_memory(self) -> Custom:
        """Say that somebody asked."""
        self.threads.append("pin " + threading.current_thread().name)
        return self

    def to(self, device: torch.device) -> Custom:
        """Move itself."""
        self.threads.append("to " + threading.current_thread().name)
        self.items = self.items.to(device)
        return self


@pytest.fixture
def opened(fake: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Pin and send ahead to the test device, as a cell does."""
    monkeypatch.setattr(ahead, "OVERLAPPING", {"fake"})
    patches = Patches()
    assert ahead.install(patches, torch.device(DEVICE))
    yield fake
    patches.undo()
    ahead.close()


def begun(loader: Any) -> Any:  # noqa: ANN401
    """Begin an epoch as the patched loader does."""
    return ahead.iterate(loader, lambda: DataLoader._get_iterator(loader))


def test_which_devices() -> None:
    """Only where copies run beside the computation; never on MPS."""
    assert "mps" not in ahead.OVERLAPPING
    patches = Patches()
    assert not ahead.install(patches, torch.device("mps"))
    assert not ahead.install(patches, torch.device("cpu"))


@pytest.mark.usefixtures("opened")
def test_the_loader_is_as_the_user_made_it() -> None:
    """Batches are pinned by the loader's own thread; nothing of it can be seen."""
    loader = DataLoader(Numbers(), 2, num_workers=1)
    loop = torchs_pinning._pin_memory_loop
    before = dict(vars(loader))
    iterator = begun(loader)
    assert vars(loader) == before
    assert loader.pin_memory is False
    assert torchs_pinning._pin_memory_loop is loop
    assert all(batch.is_pinned() for batch in iterator)


@pytest.mark.usefixtures("opened")
def test_without_workers_nothing_is_pinned() -> None:
    """Pinning on the main thread is slower than not pinning."""
    batch = next(begun(DataLoader(Numbers(), 2)))
    assert not batch.is_pinned()


@pytest.mark.usefixtures("opened")
def test_a_failure_leaves_the_loader_alone() -> None:
    """A worker that cannot start leaves no trace in the loader."""
    loader = DataLoader(Numbers(), 2, num_workers=1)

    def fails() -> None:
        raise BlockingIOError

    loop = torchs_pinning._pin_memory_loop
    with pytest.raises(BlockingIOError):
        ahead.iterate(loader, fails)
    assert loader.pin_memory is False
    assert torchs_pinning._pin_memory_loop is loop


def test_a_batch_is_sent_and_taken(opened: Any) -> None:  # noqa: ANN401
    """One copy for each tensor, without waiting; the same tensor twice stays one."""
    sender = Ahead()
    tensor = torch.ones(2).pin_memory()
    batch = [tensor, {"again": (tensor, "text", None)}]
    opened.reset_stats(1)
    sender.send(batch)
    sender.send(batch)
    there = sender.take(batch)
    stats = opened.stats(1)
    assert (stats["h2d"], stats["non_blocking"], stats["syncs"]) == (1, 1, 0)
    assert there[0] is there[1]["again"][0]
    assert there[0].device == torch.device(DEVICE)
    assert there[1]["again"][1:] == ("text", None)
    assert sender.take(batch) is None


@pytest.mark.usefixtures("opened")
def test_no_more_than_two_are_on_their_way() -> None:
    """Memory of the device is the user's."""
    sender = Ahead()
    batches = [[torch.ones(2)] for _ in range(4)]
    for each in batches:
        sender.send(each)
    taken = [sender.take(each) is not None for each in batches]
    assert taken == [True, True, False, False]


def test_a_big_batch_waits_until_it_is_asked_for(
    fake: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundredth of the memory at most: a loop that just fits by hand fits here."""
    monkeypatch.setattr(ahead, "OVERLAPPING", {"fake"})
    fake.set_limit(1, 10_000)
    patches = Patches()
    ahead.install(patches, torch.device(DEVICE))
    try:
        sender, small, big = Ahead(), [torch.ones(25)], [torch.ones(20), torch.ones(6)]
        sender.send(small)
        sender.send(big)
        assert sender.take(small) is not None
        assert sender.take(big) is None
    finally:
        patches.undo()


def test_a_full_device_is_no_error_yet(opened: Any) -> None:  # noqa: ANN401
    """It is raised when the batch is asked for, at its place in the loop."""
    opened.fail_allocation(1, 0)
    sender, batch = Ahead(), [torch.ones(2)]
    sender.send(batch)
    assert sender.take(batch) is None


@pytest.mark.usefixtures("opened")
def test_no_code_of_the_user_runs_in_the_thread() -> None:
    """A batch of a type of his own is neither pinned nor moved there."""
    loader: Any = DataLoader(Numbers(), 2, num_workers=1, collate_fn=Custom)
    assert all(not batch.threads for batch in begun(loader))


@pytest.mark.usefixtures("opened")
def test_an_iterator_that_is_thrown_away_by_its_own_thread() -> None:
    """The garbage collector may run in any thread; this one cannot wait for itself."""
    iterator = begun(DataLoader(Numbers(), 2, num_workers=1))
    thread = iterator._pin_memory_thread
    assert isinstance(thread, threading.Thread)
    kind = type(thread)
    assert kind is not threading.Thread
    own = threading.current_thread()
    assert kind.join(own) is None  # plainly a RuntimeError


def test_copies_are_those_of_a_loop_by_hand(
    fake: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many copies as batches hold tensors, and nobody waits for one."""
    monkeypatch.setattr(ahead, "OVERLAPPING", {"fake"})
    notebook = Notebook()
    notebook.run(SETUP)
    notebook.run("model = torch.nn.Linear(2, 2)")
    loop = "for x, y in loader:\n    with torch.no_grad(): model(x)\ndel x, y"
    notebook.train_on(loop)  # the first time a device is used
    fake.reset_stats(1)
    notebook.train_on("model")
    alone = fake.stats(1)
    fake.reset_stats(1)
    notebook.train_on(loop)
    stats = fake.stats(1)
    assert stats["h2d"] - alone["h2d"] == 2 * 6
    assert stats["syncs"] == alone["syncs"]
    assert stats["current"] == 0


def test_nothing_is_kept_after_the_cell(
    fake: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that persist give plain batches in later cells, and are used again."""
    monkeypatch.setattr(ahead, "OVERLAPPING", {"fake"})
    notebook = Notebook()
    notebook.run(SETUP)
    notebook.run("loader = DataLoader(data, 2, num_workers=1, persistent_workers=True)")
    notebook.train_on("iterator = iter(loader); first = next(iterator)")
    assert fake.stats(1)["current"] == 0
    assert ahead._now.device is None
    notebook.run("rest = [x for x, _ in iterator]; again = [x for x, _ in loader]")
    assert [x[0, 0].item() for x in notebook["rest"]] == [4, 8, 12, 16, 20]
    assert not any(x.is_pinned() for x in notebook["again"])
    notebook.train_on("third = [x for x, _ in loader]")
    assert torch.equal(torch.cat(notebook["third"]), notebook["data"].tensors[0])
    notebook.run("loader._iterator._shutdown_workers(); del iterator, loader")
