"""The entry of the feature: start a cell on a device, finish it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from colabmagic.errors import NestedCellError
from colabmagic.train import devices, rows
from colabmagic.train.factories import NUMPY_NOTE
from colabmagic.train.options import TrainOptions
from colabmagic.train.outcome import TrainOutcome
from colabmagic.train.patches import Patches
from colabmagic.train.session import Session
from colabmagic.train.tuning import refuse_on_cpu

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """

    def __init__(
        self,
        session: Session | None,
        outcome: dict[str, Any],
        out: Callable[[str], None],
        told: set[str],
    ) -> None:
        self._session = session
        self._patches = Patches()
        if session is None:
            rows.install(self._patches)  # of all our work the CPU gains by this alone
        self._known = outcome
        self._out = out
        self._told = told
        self._start = time.monotonic()
        self._finished: TrainOutcome | None = None

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
        global _running, _last  # noqa: PLW0603 (one cell runs at a time in a process)
        if self._finished is not None:
            return self._finished
        session, self._session = self._session, None
        known = dict(self._known, result=result)
        known["error"] = None if error is None else type(error).__name__
        if _running is self:
            _running = None
        self._patches.undo()
        if session is not None:
            known["peak_bytes"] = session.peak_bytes()
            known["notes"] = session.exit(result, error)
            known["batches"] = session.scope.batches
            known["moved_bytes"] = session.mover.moved_bytes
        known["seconds"] = time.monotonic() - self._start
        self._finished = _last = TrainOutcome(**known)
        self._out(self._finished.exit_line(self._told))
        self._told.update(each for each in self._finished.notes if each in NEWS)
        return self._finished


_running: RunningCell | None = None
_last: TrainOutcome | None = None


def last_outcome() -> TrainOutcome | None:
    """Return what the last cell did; None before the first."""
    return _last


def start(  # noqa: PLR0913 (all by keyword)
    *,
    namespace: dict[str, Any],
    device: str,
    names: tuple[str, ...],
    options: TrainOptions | None = None,
    out: Callable[[str], None] | None = None,
    told: set[str] | None = None,
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
    global _running  # noqa: PLW0603 (one cell runs at a time in a process)
    if _running is not None:
        raise NestedCellError(
            "%%train_on inside %%train_on", hint="leave the inner one out"
        )
    options = options or TrainOptions()
    show = out if out is not None and not options.quiet else _silent
    found = devices.resolve(device, strict=options.strict)
    session = note = None
    if found.device.type == "cpu":
        note = refuse_on_cpu(options, asked=found.fallback is None)
    else:
        session = Session(namespace, names, found.device, options)
        session.enter()
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
    told = set() if told is None else told
    running = RunningCell(session, known, show, told)
    _running = running
    try:
        show(TrainOutcome(**known).entry_line(told))
    except BaseException as error:
        running.finish(None, error)  # nobody else will
        raise
    if found.fallback is not None:
        told.add(found.fallback)
    return running


def _silent(_: str) -> None:
    """Show nothing."""
