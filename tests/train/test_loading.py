"""Tests for `colabmagic.train.loading`."""

from __future__ import annotations

import signal
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Sampler,
    Subset,
    TensorDataset,
)
from torch.utils.data.dataloader import (
    _BaseDataLoaderIter,
    _MultiProcessingDataLoaderIter,
)

from colabmagic.train.loading import Loading, indexed_datasets
from colabmagic.train.meter import Meter
from colabmagic.train.move import Mover
from colabmagic.train.patches import Patches
from colabmagic.train.scope import Scope

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

Item = tuple[torch.Tensor, int]


def fake_1() -> torch.device:
    """Return the device; torch knows its name once it is registered."""
    return torch.device("fake", 1)


class Rows(Dataset[Item]):
    """Notes where its tensors are while its code runs."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows
        self.seen: list[str] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Item:
        self.seen.append(self.rows.device.type)
        return self.rows[index] * 2, index


class Stream(IterableDataset[torch.Tensor]):
    """Gives its rows one by one; its length is an error."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows
        self.seen: list[str] = []

    def __iter__(self) -> Iterator[torch.Tensor]:
        for row in self.rows:
            self.seen.append(self.rows.device.type)
            yield row

    def __len__(self) -> int:
        raise RuntimeError


class Angry(Rows):
    """Refuses every question that is not about items."""

    def __bool__(self) -> bool:
        raise RuntimeError

    def __eq__(self, _: object) -> bool:
        raise RuntimeError

    __hash__ = Rows.__hash__

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError(name)


class Door:
    """A patched loader, as in a cell."""

    def __init__(self) -> None:
        self.scope = Scope(device=fake_1())
        self.mover = Mover(fake_1())
        self.meter = Meter({})
        self.loading = Loading(self.scope, self.mover, self.meter)
        self.patches = Patches()

    def open(self, *datasets: object) -> None:
        """Install the patches."""
        self.loading.install(self.patches)
        self.loading.meet(self.patches, datasets)


@pytest.fixture
def door(fake: types.ModuleType) -> Iterator[Door]:  # noqa: ARG001
    """Give a door; close it and bring everything home afterwards."""
    door = Door()
    yield door
    door.patches.undo()
    door.mover.home()


def test_batches_come_to_the_device(door: Door) -> None:
    """Each batch is moved and counted; the dataset's code worked on the CPU."""
    rows = Rows(torch.arange(6.0))
    door.open()
    batches = list(DataLoader(rows, batch_size=2))
    assert all(x.device == n.device == fake_1() for x, n in batches)
    assert torch.cat([x.cpu() for x, _ in batches]).tolist() == [0, 2, 4, 6, 8, 10]
    assert door.meter.batches == 3
    assert rows.seen == ["cpu"] * 6
    assert rows.rows.device.type == "cpu"


def test_shuffling_is_the_cpus(door: Door) -> None:
    """The order and the state of the stream are those of a plain run."""
    loader = DataLoader(TensorDataset(torch.arange(20.0)), batch_size=3, shuffle=True)
    torch.manual_seed(4)
    plain = [x.tolist() for (x,) in loader] + [torch.get_rng_state().tolist()]
    door.open()
    torch.manual_seed(4)
    assert [x.cpu().tolist() for (x,) in loader] + [
        torch.get_rng_state().tolist()
    ] == plain


def test_code_of_a_dataset_is_marked(door: Door) -> None:
    """While items, samples and batches are made, `inside_loader` is above zero."""
    marks = []

    class Marked(Rows):
        def __getitem__(self, index: int) -> Item:
            marks.append(("item", door.scope.inside_loader))
            return super().__getitem__(index)

    class Sampled(Sampler[int]):
        def __iter__(self) -> Iterator[int]:
            marks.append(("sampler", door.scope.inside_loader))
            return iter([0])

        def __len__(self) -> int:
            return 1

    def collate(items: list[Item]) -> Any:  # noqa: ANN401
        marks.append(("collate", door.scope.inside_loader))
        return items[0]

    door.open()
    list(DataLoader(Marked(torch.zeros(1)), sampler=Sampled(), collate_fn=collate))
    assert [name for name, _ in marks] == ["sampler", "item", "collate"]
    assert all(depth > 0 for _, depth in marks)
    assert door.scope.inside_loader == 0


@pytest.mark.parametrize("kind", [Rows, Stream])
def test_an_error_in_a_dataset_passes(door: Door, kind: type[Any]) -> None:
    """It reaches the user, and the door is shut behind it."""

    class Broken(kind):  # type: ignore[misc]
        def __getitem__(self, _: int) -> Item:
            raise ZeroDivisionError

        def __iter__(self) -> Iterator[torch.Tensor]:
            raise ZeroDivisionError

    rows = torch.zeros(2)
    door.mover.away([rows])
    door.open()
    with pytest.raises(ZeroDivisionError):
        list(DataLoader(Broken(rows)))
    assert door.scope.inside_loader == 0
    assert rows.device == fake_1()


@pytest.mark.parametrize("kind", [Rows, Stream, Angry])
def test_what_dataset_and_cell_share_visits_home(door: Door, kind: type[Any]) -> None:
    """The cell's tensor is on the device, the dataset's code sees it on the CPU."""
    rows = torch.arange(4.0)
    data = kind(rows)
    door.mover.away([rows])
    door.open()
    rows.add_(1)
    assert sum(1 for _ in DataLoader(data, batch_size=2)) == 2
    assert data.seen == ["cpu"] * 4
    assert rows.device == fake_1()


def test_the_dataset_sees_what_the_cell_writes_between_batches(door: Door) -> None:
    """Weights of samples that the cell updates are read anew for each batch."""
    rows = torch.zeros(4)
    door.mover.away([rows])
    door.open()
    seen = []
    for x, _ in DataLoader(Rows(rows), batch_size=1):
        seen.append(x.item())
        rows.add_(1)
    assert seen == [0, 2, 4, 6]


def test_what_a_dataset_writes_is_kept(door: Door) -> None:
    """A counter in the dataset, shared with the cell, counts on both sides."""

    class Counting(Rows):
        def __getitem__(self, index: int) -> Item:
            self.rows[index] += 1
            return super().__getitem__(index)

    rows = torch.zeros(3)
    door.mover.away([rows])
    door.open()
    for _ in range(2):
        list(DataLoader(Counting(rows)))
    assert rows.cpu().tolist() == [2, 2, 2]
    door.mover.home()
    assert rows.tolist() == [2, 2, 2]


def test_a_dataset_over_a_slice_made_in_the_cell(door: Door) -> None:
    """The slice is fetched for the dataset, and its base comes home to its memory."""
    rows = torch.arange(6.0)
    address = rows.data_ptr()
    door.mover.away([rows])
    door.open()
    batches = list(DataLoader(TensorDataset(rows[:3]), batch_size=3))
    assert batches[0][0].cpu().tolist() == [0, 1, 2]
    door.mover.home()
    assert rows.data_ptr() == address


def test_items_that_the_cell_takes_itself(door: Door) -> None:
    """``dataset[i]`` and ``for x in dataset`` come through the same door."""
    rows, stream = Rows(torch.arange(3.0)), Stream(torch.arange(3.0))
    shared = rows.rows
    door.mover.away([shared])
    door.open(rows, stream)
    item, index = rows[1]
    assert item.device == fake_1()
    assert index == 1
    assert item.item() == 2
    assert [x.item() for x in stream] == [0, 1, 2]
    assert all(x.device == fake_1() for x in stream)
    assert rows.seen == ["cpu"]
    assert shared.device == fake_1()
    door.patches.undo()
    door.mover.home()
    assert rows[0][0].device.type == "cpu"


def test_a_dataset_inside_a_dataset(door: Door) -> None:
    """Only the outermost call is the door: inner items stay on the CPU."""

    class Outer(Dataset[torch.Tensor]):
        def __init__(self, inner: Rows) -> None:
            self.inner = inner
            self.seen: list[str] = []

        def __getitem__(self, index: int) -> torch.Tensor:
            item = self.inner[index][0]
            self.seen.append(item.device.type)
            loaded = next(iter(DataLoader(self.inner)))[0]
            self.seen.append(loaded.device.type)
            return item

    inner = Rows(torch.arange(3.0))
    outer = Outer(inner)
    door.open(outer, inner)
    assert outer[1].device == fake_1()
    assert outer.seen == ["cpu", "cpu"]


def test_a_class_and_its_base_are_patched_once_each(door: Door) -> None:
    """``super().__getitem__`` inside a patched method is an inner call."""

    class Derived(Rows):
        def __getitem__(self, index: int) -> Item:
            item, number = super().__getitem__(index)
            assert item.device.type == "cpu"
            return item + 1, number

    base, derived = Rows(torch.arange(3.0)), Derived(torch.arange(3.0))
    door.open(base, derived)
    assert derived[1][0].item() == 3
    assert base[1][0].device == fake_1()


def test_subsets_and_slices(door: Door) -> None:
    """Datasets of torch are patched like the user's."""
    rows = TensorDataset(torch.arange(4.0), torch.arange(4))
    half = Subset(rows, [2, 3])
    door.open(rows, half)
    assert half[0][0].device == fake_1()
    assert rows[1:3][1].tolist() == [1, 2]
    assert rows[1:3][0].device == fake_1()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("persistent", [True, False])
def test_workers_get_tensors_of_the_cpu(door: Door, *, persistent: bool) -> None:
    """Worker processes inherit everything at home; their batches are moved here."""
    rows = torch.arange(4.0)
    door.mover.away([rows])
    door.open()
    loader = DataLoader(
        TensorDataset(rows), batch_size=2, num_workers=1, persistent_workers=persistent
    )
    for _ in range(2):
        assert [x.cpu().tolist() for (x,) in loader] == [[0, 1], [2, 3]]
    assert rows.device == fake_1()
    del loader


class OwnLoader(DataLoader[Any]):
    """Makes its iterators itself, as torchdata's loader does."""

    def _get_iterator(self) -> Any:  # noqa: ANN401
        vars(self)["seen"] = self.dataset.tensors[0].device.type  # type: ignore[attr-defined]
        return OwnIterator(self)


class OwnIterator(_MultiProcessingDataLoaderIter):
    """Begins epochs itself."""

    def _reset(self, loader: Any, first_iter: bool = False) -> None:  # noqa: ANN401, FBT001, FBT002
        super()._reset(loader, first_iter)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("persistent", [True, False])
def test_workers_of_other_loaders_get_tensors_of_the_cpu(
    door: Door,
    *,
    persistent: bool,
) -> None:
    """A loader with a method of its own starts its workers at home, too."""
    rows = torch.arange(4.0)
    door.mover.away([rows])
    own = {kind: dict(vars(kind)) for kind in (OwnLoader, OwnIterator)}
    door.open()
    loader = OwnLoader(
        TensorDataset(rows),
        batch_size=2,
        num_workers=1,
        persistent_workers=persistent,
    )
    for _ in range(2):
        assert [x.cpu().tolist() for (x,) in loader] == [[0, 1], [2, 3]]
    assert vars(loader)["seen"] == "cpu"
    assert rows.device == fake_1()
    door.patches.undo()
    assert {kind: dict(vars(kind)) for kind in own} == own


class InterruptedLock:
    """A queue's lock, and a Ctrl-C that comes when it has just been taken."""

    def __init__(self, lock: Any) -> None:  # noqa: ANN401
        self.lock = lock
        self.pressed = False

    def __enter__(self) -> None:
        self.lock.__enter__()
        if not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)

    def __exit__(self, *error: object) -> None:
        self.lock.__exit__(*error)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.lock, name)


@contextmanager
def interrupted_put(queue: Any) -> Iterator[None]:  # noqa: ANN401
    """Press Ctrl-C while something is put into a queue; it must come, and leave no lock."""
    lock, queue._notempty = queue._notempty, InterruptedLock(queue._notempty)
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGINT, outer)
        queue._notempty = lock
        taken = not lock.acquire(blocking=False)
        lock.release()  # in any case: the iterator could not end
    assert not taken


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_interrupt_leaves_no_queue_of_workers_locked(door: Door) -> None:
    """Ctrl-C waits until the batch's number is there, or torch would wait for ever."""
    door.mover.away([])
    door.open()
    loader = DataLoader(TensorDataset(torch.arange(9.0)), num_workers=1)
    batches: Any = iter(loader)
    next(batches)
    (queue,) = batches._index_queues
    with interrupted_put(queue):
        next(batches)
    assert [x.item() for (x,) in batches] == [2, 3, 4, 5, 6, 7, 8]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_interrupt_leaves_the_queue_of_a_stream_unlocked(door: Door) -> None:
    """Ctrl-C waits also where a worker is told that its stream is over."""
    door.mover.away([])
    door.open()
    batches: Any = iter(DataLoader(Stream(torch.arange(2.0)), num_workers=1))
    assert [next(batches).item() for _ in range(2)] == [0, 1]
    (queue,) = batches._index_queues
    with interrupted_put(queue):
        next(batches)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_interrupt_leaves_no_queue_of_persistent_workers_locked(door: Door) -> None:
    """Ctrl-C waits also where workers are told to begin anew."""
    door.mover.away([])
    door.open()
    loader: Any = DataLoader(
        TensorDataset(torch.arange(4.0)), num_workers=1, persistent_workers=True
    )
    assert len(list(loader)) == 4
    (queue,) = loader._iterator._index_queues
    with interrupted_put(queue):
        iter(loader)
    assert "put" not in vars(queue)


def test_a_dataset_is_let_go_at_the_end(door: Door) -> None:
    """What the user drops after the cell is gone at once, whoever still has the door."""
    rows = torch.arange(4.0)
    door.mover.away([rows])
    door.open()
    dataset = Rows(rows)
    gone = weakref.ref(dataset)
    assert len(list(DataLoader(dataset))) == 4
    door.loading.close()
    del dataset
    assert gone() is None


def test_a_loader_that_is_left_and_begun_again(door: Door) -> None:
    """A ``break`` in an epoch leaves nothing behind."""
    rows = torch.arange(4.0)
    door.mover.away([rows])
    door.open()
    loader = DataLoader(Rows(rows))
    for _ in loader:
        break
    assert rows.device == fake_1()
    assert len(list(loader)) == 4


def test_what_the_user_put_there_is_not_brought_home(door: Door) -> None:
    """A dataset that the user filled with tensors of the device keeps them."""
    rows = torch.arange(2.0).to(fake_1())
    door.scope.on_device.add(rows)
    data = Rows(rows)
    door.open()
    list(DataLoader(data))
    assert data.seen == ["fake", "fake"]


@pytest.mark.parametrize(
    "action",
    [iter, list],
    ids=["begun", "finished"],
)
@pytest.mark.usefixtures("fake")
def test_everything_is_undone(action: Callable[[Any], object]) -> None:
    """The classes are as before, and a loader that outlives the cell gives CPU batches."""
    owners = (_BaseDataLoaderIter, DataLoader, Rows, Stream)
    before = [dict(vars(each)) for each in owners]
    door = Door()
    loader = DataLoader(Rows(torch.arange(2.0)))
    door.open(Rows(torch.zeros(1)), Stream(torch.zeros(1)))
    kept = action(loader)
    door.patches.undo()
    assert [dict(vars(each)) for each in owners] == before
    assert next(iter(loader))[0].device.type == "cpu"
    if isinstance(kept, _BaseDataLoaderIter):
        assert next(kept)[0].device.type == "cpu"


def test_which_values_are_datasets() -> None:
    """Only the values themselves, without asking them."""
    rows = Angry(torch.zeros(1))
    loader = DataLoader(rows)
    (found,) = indexed_datasets([rows, loader, rows], inside=False)
    assert found is rows
    assert not indexed_datasets([loader], inside=False)
    subset = Subset(ConcatDataset([rows]), [0])
    inner = indexed_datasets([DataLoader(subset)], inside=True)
    assert [type(each) for each in inner] == [Subset, ConcatDataset, type(rows)]
