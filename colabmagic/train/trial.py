"""The first steps of a cell, to see how long a step takes; nothing of it is kept."""

from __future__ import annotations

import gc
import time
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from colabmagic.train.measuring import last_outcome_kept
from colabmagic.train.meter import Meter
from colabmagic.train.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.train.comparison import Comparison

WARM_UP: Final = 3  # steps in which memory is fetched and kernels are loaded


class EnoughSteps(BaseException):
    """Ends a trial; no ``except Exception`` of the user's stops it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """How long the first steps of a cell took on one device.

    Attributes
    ----------
    device
        Where.
    unit
        What a step is: "step" (of an optimizer), "batch", or "cell" if it has neither.
    step_s
        Mean time of a step, loading included.
    timed
        How many steps the mean is of.
    skipped
        How many steps before them were left out.
    """

    device: str
    unit: str
    step_s: float
    timed: int
    skipped: int


@dataclass(eq=False)
class Steps:
    """Counts steps, and ends the trial after so many.

    Parameters
    ----------
    most
        After how many steps to end it.
    wait
        Returns when the device has done all its work.
    has_optimizer
        Whether the cell has an optimizer; asked where batches come without a step.
    clock
        Seconds.
    """

    most: int
    wait: Callable[[], None]
    has_optimizer: Callable[[], bool]
    clock: Callable[[], float] = time.perf_counter
    steps: int = 0
    batches: int = 0
    _start: float = 0.0
    _marks: dict[str, tuple[float, int]] = field(default_factory=dict)
    _end: tuple[float, str] | None = None

    def begin(self) -> None:
        """Note when the cell begins."""
        self._start = self.clock()

    def step(self, *_: object) -> None:
        """Count a step of an optimizer."""
        self.steps += 1
        self._count("step", self.steps)

    def batch(self) -> None:
        """Count a batch that the cell is about to get."""
        self.batches += 1
        # The batch before this one is done now.
        done = self.batches - 1
        if done and not self.steps:
            self._count("batch", done, is_step=not self._trains(done))

    def _trains(self, done: int) -> bool:
        """Tell whether steps are still to come: it gathers gradients, or validates."""
        return done >= self.most and self.has_optimizer()

    def _count(self, unit: str, count: int, *, is_step: bool = True) -> None:
        if self._end is not None:  # a bare ``except:`` has stopped the first one
            raise EnoughSteps
        if count == min(WARM_UP, self.most - 1):
            self.wait()
            self._marks[unit] = (self.clock(), count)
        if count >= self.most and is_step:
            self.finish(unit)
            raise EnoughSteps

    def finish(self, unit: str | None = None) -> None:
        """Note when the last step ended."""
        if self._end is None:
            self.wait()
            self._end = (
                self.clock(),
                unit or ("step" if self.steps else "batch" if self.batches else "cell"),
            )

    def times(self, device: str) -> StepTimes:
        """Return how long a step took."""
        assert self._end is not None
        end, unit = self._end
        done = {"step": self.steps, "batch": self.batches, "cell": 1}[unit]
        if unit == "batch":
            done = min(done, self.most)
        then, skipped = self._marks.get(unit, (self._start, 0))
        if done <= skipped:
            then, skipped = self._start, 0
        timed = done - skipped
        return StepTimes(
            device=device,
            unit=unit,
            step_s=(end - then) / timed,
            timed=timed,
            skipped=skipped,
        )


class _CountingMeter(Meter):
    """Tells of each batch before the cell gets it."""

    on_batch: Callable[[], None]

    def tick(self, iterator: Any) -> None:  # noqa: ANN401 (as the class above)
        """Tell of a batch; it is always due."""
        super().tick(iterator)
        self.due = float("-inf")
        self.on_batch()


def run_trial(
    body: Callable[[], object],
    open_on: Callable[[Meter], Any],
    namespace: dict[str, Any],
    names: tuple[str, ...],
    most: int,
) -> StepTimes:
    """Run the first steps of a cell.

    Parameters
    ----------
    body
        Runs the cell.
    open_on
        Starts the session on the device, with a meter.
    namespace
        The user's names.
    names
        The dotted names that the cell mentions.
    most
        How many steps.

    Returns
    -------
    StepTimes
        What was measured. An error of the cell comes out as it is; everything is at
        home again then, too.
    """

    def has_optimizer() -> bool:
        return bool(Reach(namespace).names(names).optimizers)

    meter = _CountingMeter(namespace)
    with last_outcome_kept(), warnings.catch_warnings():
        running = open_on(meter)
        device = torch.device(running.device)
        steps = Steps(most, lambda: _synchronize(device), has_optimizer)
        meter.on_batch = steps.batch
        hook = register_optimizer_step_post_hook(steps.step)
        try:
            warnings.simplefilter("ignore")
            steps.begin()
            try:
                body()
            except EnoughSteps as end:
                end.__traceback__ = None
            steps.finish()
        except BaseException as error:
            hook.remove()
            running.finish(None, error)
            raise
        hook.remove()
        running.finish()
    gc.collect()  # loaders of the trial end their workers
    return steps.times(running.device)


@dataclass(eq=False)
class StepCount:
    """Counts the steps of a whole cell.

    Attributes
    ----------
    is_held
        Tells whether a step is none, as it is held back.
    """

    is_held: Callable[[], bool] = field(default=bool)
    steps: int = 0
    _meter: Meter | None = None
    _hook: Any = None

    def open(self, meter: Meter) -> None:
        """Begin to count.

        Parameters
        ----------
        meter
            Counts the batches of the cell.
        """
        self.close()
        self.steps = 0
        self._meter = meter
        self._hook = register_optimizer_step_post_hook(self._step)

    def close(self) -> None:
        """Count no more."""
        hook, self._hook = self._hook, None
        if hook is not None:
            hook.remove()

    def _step(self, *_: object) -> None:
        if not self.is_held():
            self.steps += 1

    def complete(self, compared: Comparison, whole_s: float) -> Comparison:
        """Return a comparison with the times of the whole cell.

        Parameters
        ----------
        compared
            Of the first steps.
        whole_s
            How long the whole cell took.
        """
        unit = compared.device.unit
        batches = 0 if self._meter is None else self._meter.batches
        steps = {"step": self.steps, "batch": batches, "cell": 1}[unit]
        others = max(whole_s - steps * compared.device.step_s, 0.0)
        return replace(
            compared,
            steps=steps,
            whole_s=whole_s,
            other_whole_s=others + steps * compared.other.step_s,
        )


def _synchronize(device: torch.device) -> None:
    """Wait until a device has done its work."""
    module: Any = getattr(torch, device.type, None)
    if device.type != "cpu" and hasattr(module, "synchronize"):
        module.synchronize()
