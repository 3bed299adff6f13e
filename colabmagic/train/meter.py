"""How long a cell waits for data, and how fast it steps: read at the loader's door."""

from __future__ import annotations

import functools
import sys
import time
import weakref
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Protocol

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter

from colabmagic.memory.loaders import arguments, made_anew
from colabmagic.train.loader_facts import LoaderFacts, WorkerTimes
from colabmagic.train.next_batch import without_mark
from colabmagic.train.rows import is_read_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from types import FrameType

    from colabmagic.train.outcome import TrainOutcome
    from colabmagic.train.patches import Patches

TICK_S: Final = 1.0  # how often more than a sum is done
QUIET_S: Final = 2.0  # a loop that is over by then shows nothing
_MOST_SAMPLES: Final = 240
_MOST_FRAMES: Final = 12
# Who draws a bar or a log of his own around the loop.
_BARS: Final = frozenset(
    {
        "accelerate", "alive_progress", "enlighten", "fastai", "fastprogress", "ignite",
        "lightning", "progressbar", "pytorch_lightning", "rich", "skorch", "tqdm",
        "transformers",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopState:
    """How far a loop over a loader is.

    Attributes
    ----------
    loader
        The user's name of the loader; "" where it has none.
    position
        Batches of this pass that the loop got.
    passes
        The number of this pass over the loader, from 1.
    total
        Batches of a pass; None where the loader does not tell.
    pass_s
        Seconds since this pass began.
    rate
        Batches a second, lately.
    batches
        Batches of all passes and loaders of the cell.
    seconds
        Seconds since the first batch of the cell was asked for.
    memory_bytes
        In use on the device; None where it does not tell.
    """

    loader: str
    position: int
    passes: int
    total: int | None
    pass_s: float
    rate: float
    batches: int
    seconds: float
    memory_bytes: int | None = None


class LoopView(Protocol):
    """Shows a loop while it runs; the front end decides how."""

    def show(self, state: LoopState) -> None:
        """Show how far it is; called about once a second."""

    def close(self, outcome: TrainOutcome, told: Container[str]) -> None:
        """Show what came of it, in the place of `show`.

        Parameters
        ----------
        outcome
            What happened.
        told
            Notes that the user has read already.
        """


@dataclass(eq=False)
class Meter:
    """Adds up the times of a cell's loaders.

    Parameters
    ----------
    namespace
        The user's names, to call a loader by.
    view
        Shows the loop; None to show nothing.
    busy
        Returns how busy the device is, in percent; None where nobody knows.
    memory
        Returns the bytes in use on the device; None where nobody knows.
    clock
        Seconds.

    Attributes
    ----------
    log
        Three clock readings a batch, for whoever stands at the door to add: when the cell
        asked for it, when the loader had it, when its copy to the device was under way.
    due
        When `tick` is to be called, after a batch.
    cached
        Whether plain data stays on the device (``--cache``).
    """

    namespace: dict[str, Any]
    view: LoopView | None = None
    busy: Callable[[], float | None] | None = None
    memory: Callable[[], int | None] | None = None
    clock: Callable[[], float] = time.perf_counter
    log: list[float] = field(default_factory=list)
    due: float = float("-inf")
    cached: bool = False
    _batches: int = 0
    _wait_s: float = 0.0
    _transfer_s: float = 0.0
    _first: float = 0.0
    _last: float = 0.0
    _tick: tuple[float, int] = (0.0, 0)
    _samples: list[float] = field(default_factory=list)
    _stride: int = 1
    _partial: list[float] = field(default_factory=list)
    _busy: list[float] = field(default_factory=list)
    _loaders: dict[int, LoaderFacts] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)
    _begun: dict[int, float] = field(default_factory=dict)
    _work: WorkerTimes = field(default_factory=WorkerTimes)
    _older: dict[str, weakref.ref[Any]] = field(init=False)

    def __post_init__(self) -> None:
        """Note which loaders the cell has not made itself."""
        self._older = {
            name: weakref.ref(value)
            for name, value in list(self.namespace.items())
            if type(value) is DataLoader
        }

    def restart(self) -> None:
        """Forget what was added up: another cell begins."""
        self.log.clear()  # the same list: those at the door have it
        fresh = type(self)(self.namespace)
        kept = {"namespace", "view", "busy", "memory", "clock", "log", "cached"}
        for name in {each.name for each in fields(self)} - kept:
            setattr(self, name, getattr(fresh, name))

    def begin(self, loader: Any) -> None:  # noqa: ANN401 (a DataLoader)
        """Note that a pass over a loader begins.

        Parameters
        ----------
        loader
            A ``torch.utils.data.DataLoader``.
        """
        key = _key(loader)
        known = self._loaders.get(key)
        if known is None:
            self._names[key] = self._name_of(loader)
        self._loaders[key] = LoaderFacts(
            name=self._names[key],
            num_workers=loader.num_workers,
            pin_memory=bool(loader.pin_memory),
            persistent_workers=bool(loader.persistent_workers),
            batch_size=loader.batch_size,
            passes=1 if known is None else known.passes + 1,
            at_once=is_read_at_once(loader),
            anew=self._anew(self._names[key], loader),
        )
        self._begun[key] = self.clock()

    def add_end(self, asked: float, ended: float) -> None:
        """Add the time in which a loader found that there is no more."""
        self._fold()
        self._wait_s += ended - asked
        self._last = max(self._last, ended)

    def tick(self, iterator: Any) -> None:  # noqa: ANN401 (an iterator over a DataLoader)
        """Do once a second what would cost too much for each batch.

        Parameters
        ----------
        iterator
            Where the last batch came from.
        """
        asked, now = self.log[-3], self.log[-1]
        self._fold()
        self.due = now + TICK_S
        if self._batches == 1:
            self._first = asked
            self._tick = (asked, 0)
            return
        then, batches = self._tick
        self._tick = (now, self._batches)
        rate = (self._batches - batches) / max(now - then, 1e-9)
        self._keep(rate)
        self._work.note(iterator, now)
        if self.busy is not None:
            percent = self.busy()
            if percent is None:
                self.busy = None  # it does not tell: ask no more
            else:
                self._busy.append(percent)
        if self.view is None or now - self._first < QUIET_S:
            return
        if has_own_bar(sys._getframe(1)):  # noqa: SLF001 (the caller of the loader)
            return
        try:
            self.view.show(self._state(iterator, now, rate))
        except Exception:  # noqa: BLE001 (a bar is never worth a training)
            self.view = None

    def _fold(self) -> None:
        """Add up what was noted since."""
        log = self.log
        if not log:
            return
        asked, fetched, sent = sum(log[::3]), sum(log[1::3]), sum(log[2::3])
        self._batches += len(log) // 3
        self._wait_s += fetched - asked
        self._transfer_s += sent - fetched
        self._last = log[-1]
        log.clear()

    @property
    def batches(self) -> int:
        """How many batches came."""
        return self._batches + len(self.log) // 3

    @property
    def wait_s(self) -> float:
        """Seconds in which the cell waited for a loader."""
        self._fold()
        return self._wait_s

    @property
    def transfer_s(self) -> float:
        """Seconds in which batches were sent to the device.

        What the device does meanwhile without the processor is not in it.
        """
        self._fold()
        return self._transfer_s

    @property
    def loop_s(self) -> float:
        """Seconds from the first batch that was asked for to the last that came."""
        self._fold()
        return max(self._last - self._first, 0.0) if self._batches else 0.0

    @property
    def rates(self) -> tuple[float, ...]:
        """Batches a second over the time."""
        return tuple(self._samples)

    @property
    def busy_percent(self) -> float | None:
        """How busy the device was on average; None where nobody told."""
        return sum(self._busy) / len(self._busy) if self._busy else None

    @property
    def worker_share(self) -> float | None:
        """How much of their time worker processes computed; None where nobody told."""
        return self._work.share

    def loaders(self) -> tuple[LoaderFacts, ...]:
        """Return the loaders that the cell went through."""
        return tuple(self._loaders.values())

    def _keep(self, rate: float) -> None:
        """Keep a rate; a long run is kept in coarser steps."""
        self._partial.append(rate)
        if len(self._partial) < self._stride:
            return
        self._samples.append(sum(self._partial) / len(self._partial))
        self._partial.clear()
        if len(self._samples) >= _MOST_SAMPLES:
            pairs = zip(self._samples[::2], self._samples[1::2], strict=False)
            self._samples = [(one + other) / 2 for one, other in pairs]
            self._stride *= 2

    def _state(self, iterator: Any, now: float, rate: float) -> LoopState:  # noqa: ANN401
        """Return how far the loop is."""
        position = int(getattr(iterator, "_num_yielded", 0))
        key = _key(iterator)
        return LoopState(
            loader=self._names.get(key, ""),
            position=position,
            passes=self._loaders[key].passes if key in self._loaders else 1,
            total=_length(iterator),
            pass_s=now - self._begun.get(key, now),
            rate=rate,
            batches=self._batches,
            seconds=now - self._first,
            memory_bytes=None if self.memory is None else self.memory(),
        )

    def _anew(self, name: str, loader: Any) -> Callable[..., str] | None:  # noqa: ANN401
        """Return what writes a loader anew, if it is older than the cell."""
        known = self._older.get(name)
        if known is None or known() is not loader:
            return None
        given = arguments(name, loader)
        return lambda changes: made_anew(name, given | changes, self.namespace)

    def _name_of(self, loader: object) -> str:
        """Return the user's name of a loader."""
        for name, value in self.namespace.items():
            if value is loader and not name.startswith("_"):
                return name
        return ""


def has_own_bar(frame: FrameType | None) -> bool:
    """Tell whether somebody else shows how far this loop is.

    Parameters
    ----------
    frame
        Where the next batch is asked for.
    """
    std = sys.modules.get("tqdm.std")
    if std is not None and len(getattr(std.tqdm, "_instances", ())):
        return True
    for _ in range(_MOST_FRAMES):
        if frame is None:
            return False
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _BARS:
            return True
        frame = frame.f_back
    return False


def _key(loader: Any) -> int:  # noqa: ANN401 (a DataLoader, or an iterator over one)
    """Return what a loader and its iterators have in common."""
    return id(getattr(loader, "_index_sampler", loader))


def _length(iterator: Any) -> int | None:  # noqa: ANN401
    """Return how many batches a pass has; None where the loader does not tell."""
    try:
        return len(iterator)
    except Exception:  # noqa: BLE001 (a sampler of the user's; many have no length)
        return None


def count_passes(patches: Patches, meter: Meter) -> None:
    """Tell a meter whenever a pass over a loader begins.

    Parameters
    ----------
    patches
        Take it back.
    meter
        What is told.
    """
    original = DataLoader.__iter__

    @functools.wraps(original)
    def __iter__(loader: Any) -> Any:  # noqa: ANN401, N807
        meter.begin(loader)
        return original(loader)

    patches.set(DataLoader, "__iter__", __iter__)


def time_batches(patches: Patches, meter: Meter) -> None:
    """Let a meter add up a cell that sends no batch anywhere.

    Parameters
    ----------
    patches
        Take it back.
    meter
        What adds up.
    """
    original = _BaseDataLoaderIter.__next__
    take = without_mark(original)
    clock, note = meter.clock, meter.log.extend

    @functools.wraps(original)
    def __next__(iterator: Any) -> Any:  # noqa: ANN401, N807
        asked = clock()
        try:
            result = take(iterator)
        except StopIteration:
            meter.add_end(asked, clock())
            raise
        fetched = clock()
        note((asked, fetched, fetched))
        if fetched >= meter.due:
            meter.tick(iterator)
        return result

    patches.set(_BaseDataLoaderIter, "__next__", __next__)
    count_passes(patches, meter)
