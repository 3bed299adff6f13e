"""A cell whose code runs more than once: ``--compare`` and ``--auto-batch``."""

from __future__ import annotations

import contextlib
import contextvars
import gc
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from colabmagic.errors import (
    ColabMagicError,
    DeviceUnavailableError,
    NotSupportedError,
)
from colabmagic.interrupts import deferred_interrupts
from colabmagic.memory.oom import find_out_of_memory, first_line
from colabmagic.train import devices, service
from colabmagic.train.comparison import Comparison
from colabmagic.train.micro import MicroBatches
from colabmagic.train.options import TrainOptions
from colabmagic.train.snapshot import Snapshot
from colabmagic.train.trial import StepCount, StepTimes, run_trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from colabmagic.train.meter import LoopView, Meter
    from colabmagic.train.outcome import TrainOutcome


@dataclass(eq=False, kw_only=True)
class RepeatedCell:
    """A cell that `run` may run more than once; then `finish` it.

    Parameters
    ----------
    namespace, device, names, options, out, told, view
        As in `service.start`.
    hidden
        Makes a block whose output is not shown.
    show
        Shows a report.
    """

    namespace: dict[str, Any]
    device: str
    names: tuple[str, ...]
    options: TrainOptions
    out: Callable[[str], None]
    told: set[str]
    view: LoopView | None = None
    hidden: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext
    show: Callable[[Comparison], None] | None = None
    _running: service.RunningCell | None = None
    _comparison: Comparison | None = None
    _is_muted: bool = False
    _count: StepCount = field(default_factory=StepCount)

    def run(self, body: Callable[[], object]) -> object:
        """Run the cell as its options say; return the value of its last run.

        Parameters
        ----------
        body
            Runs the code of the cell; may be called again.

        Raises
        ------
        NotSupportedError
            What the cell uses cannot be put back; nothing has run then.
        """
        if service.standing() is not None:
            raise NotSupportedError(
                f"{self.options.repeating[0]} while %train_on is on for all cells",
                hint="%train_on off, in a cell of its own",
            )
        found = devices.resolve(self.device, strict=self.options.strict).device
        other = None
        if self.options.compare is not None:
            other = _other_device(self.options.compare)
        if other == found:
            self._say(f"train_on compare: both devices are {found}, nothing to compare")
            other = None
        halves = self.options.auto_batch and found.type != "cpu"
        if other is None and not halves:
            return self._once(body)
        places = [found] if other is None else [found, other]
        snapshot = Snapshot.take(self.namespace, self.names, places)
        if other is not None:
            self._compare(body, snapshot, str(other), str(found))
        if halves:
            return self._until_it_fits(body, snapshot)
        del snapshot  # its copies are not needed while the cell runs
        return self._once(body)

    def finish(
        self, result: object, error: BaseException | None
    ) -> TrainOutcome | None:
        """Close the cell; None if it has not begun.

        Parameters
        ----------
        result
            The value of its last expression.
        error
            What ended it, if it failed.
        """
        running, self._running = self._running, None
        self._count.close()
        if running is None:
            return None
        compared = self._comparison
        if compared is None:
            outcome = running.finish(result, error)
            del running
            gc.collect()  # our wrappers around those of the session hold its memory
            return outcome
        if error is None:
            compared = self._count.complete(compared, running.elapsed_s)
        running.note(comparison=compared)
        outcome = running.finish(result, error)
        if self.show is not None and not self.options.quiet:
            self.show(compared)
        return outcome

    def _say(self, line: str) -> None:
        """Print a line, unless the user wants none."""
        if not self.options.quiet:
            self.out(line)

    def _start(self, device: str, **others: Any) -> service.RunningCell:  # noqa: ANN401
        """Start a session as the user asked for, but for `others`."""
        arguments: dict[str, Any] = {
            "options": replace(self.options, compare=None, auto_batch=False),
            "out": self.out,
            "told": self.told,
            "view": self.view,
        }
        return service.start(
            namespace=self.namespace,
            device=device,
            names=self.names,
            **(arguments | others),
        )

    def _once(self, body: Callable[[], object]) -> object:
        """Run the cell on the device that the user asked for."""
        self._running = self._start(self.device)
        if self._comparison is not None:
            self._count.open(self._running.meter)
        return body()

    # ---- --compare -----------------------------------------------------------------

    def _compare(
        self, body: Callable[[], object], snapshot: Snapshot, other: str, own: str
    ) -> None:
        """Time the first steps on two devices; say what came of it."""
        self._say(
            f"train_on compare: up to {self.options.steps} steps on {other} and on {own} "
            "first; what they print is not shown"
        )
        found: list[StepTimes] = []
        for device in (other, own):
            failed: Exception | None = None
            try:
                with self.hidden():
                    found.append(self._trial(body, snapshot, device))
            except Exception as error:  # noqa: BLE001 (the cell itself tells it better)
                failed = error.with_traceback(None)
            finally:
                with deferred_interrupts():
                    snapshot.restore()  # an error of it ends the cell
            if failed is not None:
                self._say(
                    f"train_on compare: no comparison, the trial on {device} failed with "
                    f"{type(failed).__name__}: {_short(failed)}; now the whole cell"
                )
                return
        if {each.unit for each in found} != {found[0].unit}:
            self._say("train_on compare: no comparison, the cell took other ways there")
            return
        self._comparison = Comparison(device=found[1], other=found[0])
        self._say(self._comparison.line())

    def _trial(
        self, body: Callable[[], object], snapshot: Snapshot, device: str
    ) -> StepTimes:
        """Run the first steps on a device."""
        options = TrainOptions(strict=True, rng=self.options.rng, quiet=True)
        if device.partition(":")[0] != "cpu":
            options = replace(
                self.options, keep=False, quiet=True, compare=None, auto_batch=False
            )

        def open_on(meter: Meter) -> service.RunningCell:
            return self._start(
                device, options=options, told=set(), view=None, meter=meter
            )

        snapshot.without_workers()
        # What the trial sets in context variables is dropped with this context.
        return contextvars.copy_context().run(
            run_trial, body, open_on, self.namespace, self.names, self.options.steps
        )

    # ---- --auto-batch --------------------------------------------------------------

    def _until_it_fits(self, body: Callable[[], object], snapshot: Snapshot) -> object:
        """Run the cell, with half the batch again whenever it does not fit."""
        micro = MicroBatches(self.namespace, self.names)
        self._count.is_held = lambda: micro.is_held
        while True:
            done = self._attempt(body, snapshot, micro)
            if done is not None:
                return done.result

    def _attempt(
        self, body: Callable[[], object], snapshot: Snapshot, micro: MicroBatches
    ) -> _Done | None:
        """Run the cell once; return None if it is to start again."""
        self._is_muted = micro.parts > 1  # what moved was said at the first start
        self._running = self._start(self.device, out=self._tell)
        self._is_muted = False
        if micro.parts > 1:
            self._running.note(
                f"batches came in {micro.parts} parts of at most {micro.size}, and the "
                "code of the loop ran for each part: counts and printed losses are those "
                "of parts"
            )
        if self._comparison is not None:
            self._count.open(self._running.meter)
        context = contextvars.copy_context()
        try:
            with micro.installed():
                result = context.run(body)
            _adopt(context)
            return _Done(result)
        except BaseException as error:
            if micro.parts > 1 and isinstance(error, ColabMagicError):
                self._go_back(snapshot, error)
                raise
            cause = find_out_of_memory(error)
            if not isinstance(cause, torch.OutOfMemoryError):
                _adopt(context)
                raise
            why = micro.halve()
            if why is not None:
                self.out(
                    f"train_on {self._running.device}: --auto-batch cannot help, {why}"
                )
                _adopt(context)
                raise
            device = self._running.device
            self._running.meter.view = None  # one more run follows: no end is shown
            self._is_muted = True
            self._go_back(snapshot, error)
            del cause
        gc.collect()
        gc.collect()  # what the first one has finalised
        _empty_cache(device)
        self.out(
            f"train_on {device}: out of memory at batch {micro.failed}: started again "
            f"with {micro.parts} x {micro.size}"
            + (f" ({micro.warning})" if micro.warning else "")
        )
        return None

    def _tell(self, line: str) -> None:
        """Print a line of a session, but where another run follows or went before."""
        if not self._is_muted:
            self.out(line)

    def _go_back(self, snapshot: Snapshot, error: BaseException) -> None:
        """Close the attempt, free what it held, and put everything back."""
        running, self._running = self._running, None
        self._count.close()
        assert running is not None
        with deferred_interrupts():
            running.finish(None, error)
            if not isinstance(error, ColabMagicError):
                _let_go(error)
            snapshot.restore()
            snapshot.without_workers()


def _other_device(text: str) -> torch.device:
    """Return the device to compare with; the CPU never stands for it."""
    try:
        return devices.resolve(text, strict=True).device
    except DeviceUnavailableError as error:
        raise DeviceUnavailableError(
            f"--compare {text}: there is nothing to compare with",
            seen=error.seen,
            hint="--compare cpu, or the cell without --compare",
        ) from None


def _adopt(context: contextvars.Context) -> None:
    """Set the context variables that a run has set."""
    for variable, value in context.items():
        if variable not in contextvars.copy_context() or variable.get() is not value:
            variable.set(value)


@dataclass(frozen=True, slots=True)
class _Done:
    """The cell has ended; its last value."""

    result: object


def _let_go(error: BaseException) -> None:
    """Free what the frames of an error hold."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        pending += [each.__cause__, each.__context__]
        each.__traceback__ = None


def _empty_cache(device: str) -> None:
    """Give cached memory back to a device."""
    module: Any = getattr(torch, device.partition(":")[0], None)
    if module is not None and hasattr(module, "empty_cache"):
        with contextlib.suppress(RuntimeError):
            module.empty_cache()


def _short(error: BaseException) -> str:
    """Return the first line of an error, cut where it is long."""
    text = first_line(error)
    return text if len(text) <= 100 else text[:97] + "..."  # noqa: PLR2004
