"""Tests for `colabmagic.train.meter`: sums at the loader's door, on a clock of ours."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from colabmagic.host.process import cpu_seconds
from colabmagic.train import meter as meters
from colabmagic.train.loader_facts import WorkerTimes
from colabmagic.train.meter import Meter
from colabmagic.train.patches import Patches

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from colabmagic.train.meter import LoopState
    from colabmagic.train.outcome import TrainOutcome


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass
class View:
    """Keeps what would be shown."""

    states: list[LoopState] = field(default_factory=list)

    def show(self, state: LoopState) -> None:
        """Keep a state."""
        self.states.append(state)

    def close(self, outcome: TrainOutcome, told: Container[str]) -> None:
        """Show nothing."""


class Slow(IterableDataset[int]):
    """Items that take their time; it has no length."""

    def __init__(self, clock: Clock, count: int, seconds: float) -> None:
        self.clock, self.count, self.seconds = clock, count, seconds

    def __iter__(self) -> Iterator[int]:
        """Yield numbers."""
        for number in range(self.count):
            self.clock.now += self.seconds
            yield number


@dataclass
class Stand:
    """A meter that is installed."""

    clock: Clock
    view: View
    meter: Meter

    def loop(self, loader: DataLoader[Any], seconds: float, passes: int = 1) -> None:
        """Go through a loader with steps of some seconds."""
        for _ in range(passes):
            for _ in loader:
                self.clock.now += seconds


@pytest.fixture
def stand() -> Iterator[Stand]:
    """Give a meter on a clock of ours; torch is as before afterwards."""
    before = (DataLoader.__iter__, meters._BaseDataLoaderIter.__next__)
    clock, view, patches = Clock(), View(), Patches()
    meter = Meter({}, view, clock=clock)
    meters.time_batches(patches, meter)
    yield Stand(clock, view, meter)
    patches.undo()
    assert before == (DataLoader.__iter__, meters._BaseDataLoaderIter.__next__)


def test_waiting_and_the_rest(stand: Stand) -> None:
    """Ten batches, 0.3 s of waiting and 0.1 s of work each."""
    loader = DataLoader(Slow(stand.clock, 10, 0.3), batch_size=None)
    stand.loop(loader, 0.1)
    meter = stand.meter
    assert meter.batches == 10
    assert meter.wait_s == pytest.approx(3.0)
    assert meter.loop_s == pytest.approx(4.0)
    assert meter.transfer_s == 0


def test_a_short_loop_shows_nothing(stand: Stand) -> None:
    """Below two seconds there is no bar."""
    stand.loop(DataLoader(Slow(stand.clock, 9, 0.1), batch_size=None), 0.1)
    assert stand.view.states == []


def test_a_long_loop_is_shown_once_a_second(stand: Stand) -> None:
    """Name, place, pass, rate and memory, never more than one state a second."""
    stand.meter.namespace["train_loader"] = loader = DataLoader(
        TensorDataset(torch.zeros(40)), batch_size=1
    )
    stand.meter.memory = lambda: 5
    stand.loop(loader, 0.25, passes=2)
    states = stand.view.states
    assert 17 <= len(states) <= 19
    last = states[-1]
    assert (last.loader, last.total, last.passes) == ("train_loader", 40, 2)
    assert last.rate == pytest.approx(4.0)
    assert last.memory_bytes == 5
    assert min(each.position for each in states if each.passes == 2) <= 5
    gaps = (later.seconds - one.seconds for one, later in pairwise(states))
    assert min(gaps) >= 1
    (facts,) = stand.meter.loaders()
    assert (facts.name, facts.passes, facts.num_workers) == ("train_loader", 2, 0)
    # The cell has made it: a line that makes it anew would do nothing.
    assert facts.written({"num_workers": 2}) == "DataLoader(..., num_workers=2)"


def test_a_loader_of_an_earlier_cell_can_be_made_anew(stand: Stand) -> None:
    """The line gives the same loader but for what is to change."""
    names = stand.meter.namespace
    names["rows"] = DataLoader(Slow(stand.clock, 30, 0.3), batch_size=2, drop_last=True)
    stand.meter.restart()
    stand.loop(names["rows"], 0.1)
    (facts,) = stand.meter.loaders()
    line = facts.written({"num_workers": 1})
    exec(line, names)  # noqa: S102 (as the user pastes it)
    made = names["rows"]
    assert (made.batch_size, made.drop_last, made.num_workers) == (2, True, 1)


def test_what_workers_compute_is_seen_of_their_processes() -> None:
    """The process of the test stands for one: it sleeps, then it computes."""
    if cpu_seconds(os.getpid()) is None:
        pytest.skip("no /proc here")
    times = WorkerTimes()
    iterator = SimpleNamespace(_workers=[SimpleNamespace(pid=os.getpid())])
    times.note(iterator, 0.0)
    assert times.share is None
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass
    times.note(iterator, 1.0)
    assert times.share is not None
    assert times.share > 0.3
    times.note(iterator, 1000.0)
    assert times.share < 0.1


def test_a_loader_without_length_or_name(stand: Stand) -> None:
    """Both are simply not known."""
    stand.loop(DataLoader(Slow(stand.clock, 40, 0.1), batch_size=4), 0.1)
    state = stand.view.states[-1]
    assert (state.loader, state.total) == ("", None)


def test_a_bar_of_the_users_own(stand: Stand) -> None:
    """There are not two bars, whether tqdm wraps the loader or is updated by hand."""
    from tqdm import tqdm

    loader = DataLoader(Slow(stand.clock, 40, 0.1), batch_size=4)
    for _ in tqdm(loader, disable=True):  # draws nothing, and still is his own
        stand.clock.now += 1
    assert stand.view.states == []
    with tqdm(total=10, file=open("/dev/null", "w")) as bar:  # noqa: PTH123
        stand.loop(loader, 1.0)
    assert stand.view.states == []
    bar.fp.close()
    stand.loop(loader, 1.0)
    assert stand.view.states


def test_nested_loops_are_not_counted_twice(stand: Stand) -> None:
    """A validation loop inside a training loop."""
    inner = DataLoader(Slow(stand.clock, 2, 0.2), batch_size=None)
    for _ in DataLoader(Slow(stand.clock, 3, 0.1), batch_size=None):
        stand.loop(inner, 0.3)
    meter = stand.meter
    assert meter.batches == 9
    assert meter.wait_s == pytest.approx(3 * 0.1 + 6 * 0.2)
    assert meter.loop_s == pytest.approx(3 * 0.1 + 6 * 0.5)


def test_a_long_run_keeps_few_rates(stand: Stand) -> None:
    """Eleven hours, one batch a second: the memory stays small, the mean the same."""
    meter = stand.meter
    for _ in range(40_000):
        asked = stand.clock.now
        stand.clock.now += 1.0
        meter.log.extend((asked, asked, stand.clock.now))
        if stand.clock.now >= meter.due:
            meter.tick(None)
    assert len(meter.rates) <= 240
    assert sum(meter.rates) / len(meter.rates) == pytest.approx(1.0)


def test_a_device_that_does_not_tell_is_asked_once(stand: Stand) -> None:
    """And one that does gives a mean."""
    asked = []
    stand.meter.busy = lambda: asked.append(1)  # returns None
    stand.loop(DataLoader(TensorDataset(torch.zeros(20)), batch_size=1), 1.0)
    assert len(asked) == 1
    assert stand.meter.busy_percent is None
    percents = iter([20.0, 40.0] * 20)
    stand.meter.busy = lambda: next(percents)
    stand.loop(DataLoader(TensorDataset(torch.zeros(20)), batch_size=1), 1.0)
    assert stand.meter.busy_percent == pytest.approx(30.0)


def test_restart(stand: Stand) -> None:
    """Another cell begins at nothing, with the same clock and view."""
    stand.loop(DataLoader(TensorDataset(torch.zeros(20)), batch_size=1), 1.0)
    stand.meter.restart()
    assert (stand.meter.batches, stand.meter.loop_s, stand.meter.rates) == (0, 0, ())
    assert stand.meter.clock is stand.clock
    assert stand.meter.view is stand.view


def test_an_error_in_the_loader_passes(stand: Stand) -> None:
    """What came before is counted."""

    class Broken(Slow):
        def __iter__(self) -> Iterator[int]:
            yield from super().__iter__()
            raise KeyError("here")

    with pytest.raises(KeyError):
        stand.loop(DataLoader(Broken(stand.clock, 3, 0.1), batch_size=None), 0.1)
    assert stand.meter.batches == 3


def test_a_view_that_fails_is_left_out(stand: Stand) -> None:
    """The training goes on without a bar."""

    class Broken(View):
        def show(self, state: LoopState) -> None:
            super().show(state)
            raise OSError("the front end is gone")

    stand.meter.view = view = Broken()
    stand.loop(DataLoader(TensorDataset(torch.zeros(20)), batch_size=1), 1.0)
    assert len(view.states) == 1
    assert stand.meter.batches == 20


@pytest.mark.parametrize(
    ("text", "at_once"),
    [
        ("DataLoader(rows)", True),
        ("DataLoader(Subset(Subset(rows, [0, 1]), [0]))", True),
        ("DataLoader(rows, num_workers=1)", False),
        ("DataLoader(rows, collate_fn=list)", False),
        ("DataLoader([1, 2])", False),
    ],
)
def test_it_knows_which_loaders_cut_batches_out_of_tensors(
    text: str, *, at_once: bool
) -> None:
    """For the advice: a worker would not make those faster."""
    names: dict[str, Any] = {}
    source = (
        "import torch\nfrom torch.utils.data import DataLoader, Subset, TensorDataset\n"
        f"rows = TensorDataset(torch.zeros(4, 2))\nloader = {text}"
    )
    exec(source, names)  # noqa: S102 (a notebook's cell)
    meter = Meter(names)
    meter.begin(names["loader"])
    assert meter.loaders()[0].at_once is at_once
