"""The entry of the feature: start a cell on a device, finish it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from colabmagic.errors import NestedCellError, NotSupportedError
from colabmagic.interrupts import deferred_interrupts
from colabmagic.train import devices, rows
from colabmagic.train.accounting import dry_run
from colabmagic.train.factories import NUMPY_NOTE
from colabmagic.train.measuring import last_outcome, measured, remember, tell, watch
from colabmagic.train.meter import LoopView, Meter, time_batches
from colabmagic.train.nan_guard import NanGuard, nan_facts
from colabmagic.train.options import TrainOptions
from colabmagic.train.outcome import TrainOutcome, TrainState
from colabmagic.train.patches import Patches
from colabmagic.train.session import Session
from colabmagic.train.standing import Standing
from colabmagic.train.step_guard import StepGuard
from colabmagic.train.tuning import refuse_on_cpu

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "RunningCell",
    "dry_run",
    "fetch_kept",
    "last_outcome",
    "running",
    "stand",
    "standing",
    "start",
    "state",
    "turn_off",
]

NEWS = frozenset({NUMPY_NOTE})  # notes that are none the second time


class RunningCell:
    """A cell that is running; `finish` it whatever happens.

    Parameters
    ----------
    session
        None on the CPU.
    outcome
        What is known at the beginning.
    out
        Shows a line to the user.
    told
        What the user has read in full in earlier cells. Added to.
    meter
        Adds up the times of the loaders.
    nan_guard
        Looks at the losses; None to look at none.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (made in one place)
        self,
        session: Session | None,
        outcome: dict[str, Any],
        out: Callable[[str], None],
        told: set[str],
        meter: Meter,
        nan_guard: NanGuard | None = None,
    ) -> None:
        self._session = session
        self._meter = meter
        self._patches = Patches()
        self._step_guard = StepGuard()
        self._step_guard.install()
        if session is None:
            rows.install(self._patches)  # of all our work the CPU gains by this alone
            time_batches(self._patches, meter)
        self._nan_guard = nan_guard
        if nan_guard is not None:
            nan_guard.install(self._patches)
        self._known = outcome
        self._out = out
        self._told = told
        self._start = time.monotonic()
        self._finished: TrainOutcome | None = None
        self._notes: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """Where it runs."""
        return str(self._known["device"])

    @property
    def meter(self) -> Meter:
        """What adds up the times of the loaders."""
        return self._meter

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._start

    def note(self, *notes: str, **fields: Any) -> None:  # noqa: ANN401
        """Add notes and fields to the outcome.

        Parameters
        ----------
        *notes
            What the user should know.
        **fields
            Of `TrainOutcome`.
        """
        self._notes += notes
        self._known |= fields

    def finish(
        self, result: object = None, error: BaseException | None = None
    ) -> TrainOutcome:
        """Bring everything home; a second call changes nothing.

        Parameters
        ----------
        result
            Value of the last expression of the cell; it comes home too.
        error
            What ended the cell, if it failed.

        Raises
        ------
        DeviceFailedError
            The device could not be read any more.
        """
        with deferred_interrupts():
            if self._finished is None:
                self._finished = self._finish(result, error)
            return self._finished

    def admit(self, namespace: dict[str, Any], names: tuple[str, ...]) -> None:
        """Move what a block or function inside uses; it comes home with the rest.

        Parameters
        ----------
        namespace
            Its names and their values.
        names
            Those that it mentions.
        """
        if self._session is not None:
            self._session.admit_inner(namespace, names)

    def cancel(self, error: BaseException) -> None:
        """Bring everything home before the cell has run, also what ``--keep`` keeps.

        Parameters
        ----------
        error
            Why it will not run.
        """
        self._known["kept"] = False
        self.finish(None, error)

    def _finish(self, result: object, error: BaseException | None) -> TrainOutcome:
        """Bring everything home, tell, and return what happened."""
        global _running  # noqa: PLW0603 (one cell runs at a time in a process)
        session, self._session = self._session, None
        known = dict(self._known, result=result)
        known["error"] = None if error is None else type(error).__name__
        if _running is self:
            _running = None
        self._step_guard.close()
        self._patches.undo()
        found = None if self._nan_guard is None else self._nan_guard.finish()
        try:
            if session is not None:
                known["peak_bytes"] = session.peak_bytes()
                known["moved_bytes"] = session.mover.moved_bytes
                known["notes"] = session.exit(result, error, keep=known["kept"])
                if known["kept"]:
                    _kept.append(session)
                else:
                    known["notes"] += fetch_kept()
        finally:
            if _standing is not None:  # it was left for this cell
                _standing.enter()
        known["notes"] += self._notes
        known["seconds"] = time.monotonic() - self._start
        known |= measured(self._meter, known["device"])
        known |= nan_facts(found, known)
        outcome = TrainOutcome(**known)
        remember(outcome)
        tell(outcome, self._meter.view, self._out, self._told)
        self._told.update(each for each in outcome.notes if each in NEWS)
        return outcome


_running: RunningCell | None = None
_kept: list[
    Session
] = []  # of cells with ``--keep``: what they left may come home later
_standing: Standing | None = None


def stand(  # noqa: PLR0913 (all by keyword)
    *,
    namespace: dict[str, Any],
    device: str,
    options: TrainOptions | None = None,
    out: Callable[[str], None] | None = None,
    told: set[str] | None = None,
    view: LoopView | None = None,
) -> TrainState:
    """Let all later cells run on a device, until `turn_off`.

    Parameters
    ----------
    namespace
        The user's names and their values.
    device
        As the user typed it: "auto", "cpu", "cuda", "cuda:1", "mps" …
    options
        Defaults to `TrainOptions()`.
    out
        Shows a line to the user; silent without it, and with ``options.quiet``.
    told
        What earlier cells have said in full: it is said in short now. Added to.
    view
        Shows loops over loaders while they run, and the card at the end; nothing
        without it, and with ``options.quiet``.

    Returns
    -------
    TrainState
        What is on now.

    Raises
    ------
    BadDeviceError
        There is no such device; what was on stays on.
    DeviceUnavailableError
        It cannot be used, and ``options.strict`` is set; what was on stays on.
    NestedCellError
        A ``%%train_on`` cell is running.
    """
    global _standing  # noqa: PLW0603 (one device for the cells of a process)
    if _running is not None:
        raise NestedCellError(
            "%train_on inside a %%train_on cell",
            hint="turn it on in a cell of its own, or leave it out: this cell has it",
        )
    options = options or TrainOptions()
    show = out if out is not None and not options.quiet else _silent
    told = set() if told is None else told
    found = devices.resolve(device, strict=options.strict)
    turn_off()
    fetch_kept()
    meter = Meter(namespace, None if options.quiet else view)
    standing = Standing(namespace, found, options, show, told, meter)
    standing.enter()
    _standing = standing
    show(standing.entry_line(device.strip() or "auto"))
    if found.fallback is not None:
        told.add(found.fallback)
    return standing.state()


def fetch_kept() -> tuple[str, ...]:
    """Bring home what cells with ``--keep`` have left on devices.

    Returns
    -------
    tuple of str
        Notes for the user.

    Raises
    ------
    DeviceFailedError
        A device could not be read any more.
    """
    notes: tuple[str, ...] = ()
    while _kept:
        notes += _kept.pop().fetch()
    return notes


def running() -> RunningCell | None:
    """Return the cell, block or function that is running; None where none is."""
    return _running


def standing() -> Standing | None:
    """Return what is on for all cells; None where nothing is."""
    return _standing


def turn_off() -> bool:
    """End what `stand` began and bring everything home; return whether it was on.

    Raises
    ------
    DeviceFailedError
        The device could not be read any more; it is off all the same.
    """
    global _standing
    ended, _standing = _standing, None
    if ended is not None:
        ended.turn_off()
    return ended is not None


def state() -> TrainState:
    """Return whether later cells run on a device, and what is there."""
    if _standing is not None:
        return _standing.state()
    left = [each.there() for each in _kept]
    return TrainState(
        kept=tuple(dict.fromkeys(name for names, _ in left for name in names))
    )


def start(  # noqa: PLR0913 (all by keyword)
    *,
    namespace: dict[str, Any],
    device: str,
    names: tuple[str, ...],
    options: TrainOptions | None = None,
    out: Callable[[str], None] | None = None,
    told: set[str] | None = None,
    view: LoopView | None = None,
    meter: Meter | None = None,
) -> RunningCell:
    """Move what a cell uses to a device and patch what it calls.

    Parameters
    ----------
    namespace
        The user's names and their values.
    device
        As the user typed it: "auto", "cpu", "cuda", "cuda:1", "mps" …
    names
        The dotted names that the cell mentions (`colabmagic.train.names`).
    options
        Defaults to `TrainOptions()`.
    out
        Shows a line to the user; silent without it, and with ``options.quiet``.
    told
        What earlier cells have said in full: it is said in short now. Added to.
    view
        Shows loops over loaders while they run, and the card at the end; nothing
        without it, and with ``options.quiet``.
    meter
        Adds up the times of the loaders, in the place of one with `view`.

    Returns
    -------
    RunningCell
        Call its ``finish`` when the cell has ended.

    Raises
    ------
    BadDeviceError
        There is no such device.
    DeviceUnavailableError
        It cannot be used, and ``options.strict`` is set.
    DeviceMemoryError
        What the cell uses does not fit.
    NestedCellError
        Another cell is running.
    NotSupportedError
        The device cannot do what an option asks for.
    """
    if _running is not None:
        raise NestedCellError(
            "%%train_on inside %%train_on", hint="leave the inner one out"
        )
    options = options or TrainOptions()
    if options.repeating:  # `colabmagic.train.repeat` starts the cell without them
        raise NotSupportedError(
            f"{options.repeating[0]} runs the code of a cell more than once, which a "
            "block, a script or a running cell does not allow",
            hint="%%train_on in the first line of a cell of its own",
        )
    show = out if out is not None and not options.quiet else _silent
    meter = meter or Meter(namespace, None if options.quiet else view)
    told = set() if told is None else told
    running = None
    try:
        with deferred_interrupts():  # a cell is open, and known here, or it is not
            running = _open(namespace, device, names, options, show, told, meter)
    except KeyboardInterrupt as error:
        if running is not None:
            running.cancel(error)
        raise
    return running


def _open(  # noqa: PLR0913, PLR0917 (only called above)
    namespace: dict[str, Any],
    device: str,
    names: tuple[str, ...],
    options: TrainOptions,
    show: Callable[[str], None],
    told: set[str],
    meter: Meter,
) -> RunningCell:
    """Start the session of a cell; see `start`."""
    global _running  # noqa: PLW0603 (one cell runs at a time in a process)
    found = devices.resolve(device, strict=options.strict)
    session = note = None
    if found.device.type == "cpu":
        note = refuse_on_cpu(options, asked=found.fallback is None)
    if _standing is not None:
        _standing.leave()
    if any(each.device != found.device for each in _kept):
        fetch_kept()
    for each in _kept:
        each.let_go()
    try:
        if found.device.type != "cpu":
            session = Session(namespace, names, found.device, options, meter=meter)
            session.enter()
            watch(meter, session)
    except BaseException:  # also Ctrl-C: what was on for all cells is on again
        if _standing is not None:
            _standing.enter()
        raise
    known: dict[str, Any] = {
        "device": str(found.device),
        "requested": device.strip() or "auto",
        "fallback": found.fallback,
        "moved": session.moved if session else (),
        "moved_bytes": session.mover.moved_bytes if session else 0,
        "batches": 0,
        "seconds": 0.0,
        "peak_bytes": None,
        "kept": options.keep and session is not None,
        "error": None,
        "notes": () if note is None else (note,),
    }
    nan_guard = NanGuard(options.nan_guard, namespace) if options.nan_guard else None
    running = RunningCell(session, known, show, told, meter, nan_guard)
    _running = running
    try:
        show(TrainOutcome(**known).entry_line(told))
    except BaseException as error:  # the output is closed, or Ctrl-C came meanwhile
        running.cancel(error)  # nobody else will
        raise
    if found.fallback is not None:
        told.add(found.fallback)
    return running


def _silent(_: str) -> None:
    """Show nothing."""
