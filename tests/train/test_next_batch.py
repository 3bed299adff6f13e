"""Tests for `colabmagic.train.next_batch`."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch._dynamo  # a mode imports it, and it wraps functions of torch
from torch._C._profiler import _ExperimentalConfig
from torch.autograd.profiler import profile
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data.dataloader import _BaseDataLoaderIter

from colabmagic.train.next_batch import without_mark

if TYPE_CHECKING:
    from collections.abc import Iterator

take: Any = without_mark(_BaseDataLoaderIter.__next__)


def loader(**options: Any) -> Iterator[Any]:  # noqa: ANN401
    """Return an iterator over five rows in batches of two."""
    return iter(DataLoader(TensorDataset(torch.arange(5)), batch_size=2, **options))


def taken(batches: Any) -> list[list[int]]:  # noqa: ANN401
    """Take all batches."""
    found = []
    while True:
        try:
            (rows,) = take(batches)
        except StopIteration:
            return found
        found.append(rows.tolist())


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the marks that torch's own method makes."""
    made: list[str] = []
    enter = torch.autograd.profiler.record_function.__enter__

    def note(mark: Any) -> Any:  # noqa: ANN401
        made.append(mark.name)
        return enter(mark)

    monkeypatch.setattr(torch.autograd.profiler.record_function, "__enter__", note)
    return made


def test_this_torch_is_known() -> None:
    """A version in which the method does more would run as it is: a slower one."""
    assert take is not _BaseDataLoaderIter.__next__


def test_the_batches_are_the_same(marks: list[str]) -> None:
    """Order, end and count, without a mark."""
    batches: Any = loader()
    assert taken(batches) == [[0, 1], [2, 3], [4]]
    assert batches._num_yielded == 3
    assert taken(batches) == []
    assert not marks
    torch.manual_seed(1)
    shuffled = taken(loader(shuffle=True))
    torch.manual_seed(1)
    assert shuffled == [rows.tolist() for (rows,) in loader(shuffle=True)]


def test_a_profiler_gets_its_marks() -> None:
    """Whoever profiles sees what he would see without us."""
    with profile() as watched:
        assert taken(loader()) == [[0, 1], [2, 3], [4]]
    names = [event.name for event in watched.function_events]
    assert (
        names.count("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__") == 4
    )


def test_a_dispatch_mode_gets_its_marks(marks: list[str]) -> None:
    """A mode of the user's sees operations of the mark."""

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, _: Any, *given: Any) -> Any:  # noqa: ANN401
            return function(*given[0], **given[1])

    with Watch():
        taken(loader())
    assert len(marks) == 4


def test_a_function_mode_gets_its_marks(marks: list[str]) -> None:
    """A mode of the user's sees the calls of the mark."""

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function: Any, _: Any, *given: Any) -> Any:  # noqa: ANN401
            args, options = (*given, {})[:2]
            return function(*args, **(options or {}))

    with Watch():
        taken(loader())
    assert len(marks) == 4


def test_a_profiler_of_all_threads_gets_its_marks() -> None:
    """One that was started elsewhere is not that of the thread that loads."""
    options = _ExperimentalConfig(profile_all_threads=True)
    with torch.profiler.profile(experimental_config=options) as watched:
        thread = threading.Thread(target=lambda: taken(loader()))
        thread.start()
        thread.join()
    names = [event.name for event in watched.events() or ()]
    assert (
        names.count("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__") == 4
    )


def test_a_monitor_of_the_gpu_gets_its_marks(
    monkeypatch: pytest.MonkeyPatch, marks: list[str]
) -> None:
    """It is told of marks by the mark itself."""
    monitor = pytest.importorskip("torch.profiler._cupti_monitor", reason="newer torch")
    told: list[str] = []

    class Monitor:
        push_user_annotation = staticmethod(told.append)

    monkeypatch.setattr(monitor, "_monitor_singleton", Monitor)
    taken(loader())
    assert told == marks
    assert len(told) == 4


def test_a_mark_that_was_changed_before_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the user came first."""

    class Mark(torch.autograd.profiler.record_function):
        pass

    name = "colabmagic.train.next_batch"
    monkeypatch.setattr(torch.autograd.profiler, "record_function", Mark)
    monkeypatch.delitem(sys.modules, name)
    anew = importlib.import_module(name)
    original = _BaseDataLoaderIter.__next__
    assert anew.without_mark(original) is original


def test_a_changed_mark_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has put in the place of torch's mark is his."""
    made: list[str] = []

    class Mark(torch.autograd.profiler.record_function):
        def __init__(self, name: str) -> None:
            made.append(name)
            super().__init__(name)

    monkeypatch.setattr(torch.autograd.profiler, "record_function", Mark)
    taken(loader())
    assert len(made) == 4


def test_other_iterators_are_left_to_torch(marks: list[str]) -> None:
    """Streams may warn; an iterator may be the user's own."""

    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter([(torch.tensor(1),), (torch.tensor(2),)])

    assert taken(iter(DataLoader(Stream()))) == [[1], [2]]
    assert len(marks) == 3


def test_what_is_not_torchs_own_stays() -> None:
    """A method that somebody has wrapped is called as it is."""

    def wrapped(iterator: Any) -> Any:  # noqa: ANN401
        return _BaseDataLoaderIter.__next__(iterator)

    assert without_mark(wrapped) is wrapped
