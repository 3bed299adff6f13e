"""``%train_on DEVICE`` as a line: on for all later cells, until it is turned off."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colabmagic.train.measuring import measured, remember, tell, watch
from colabmagic.train.meter import time_batches
from colabmagic.train.nan_guard import NanGuard, nan_facts
from colabmagic.train.outcome import LEFT_BEHIND, TrainOutcome, TrainState
from colabmagic.train.patches import Patches
from colabmagic.train.session import Session
from colabmagic.train.step_guard import StepGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.train.devices import Resolved
    from colabmagic.train.meter import Meter
    from colabmagic.train.options import TrainOptions


@dataclass(eq=False)
class Standing:
    """A device on which all cells run that are let in by `cell`.

    Parameters
    ----------
    namespace
        The user's names.
    found
        The device.
    options
        What the user asked for.
    out
        Shows a line to the user.
    told
        What the user has read in full. Added to.
    meter
        Adds up the times of the loaders, cell by cell.
    """

    namespace: dict[str, Any]
    found: Resolved
    options: TrainOptions
    out: Callable[[str], None]
    told: set[str]
    meter: Meter
    cells: int = 0
    _patches: Patches = field(default_factory=Patches)
    _step_guard: StepGuard = field(default_factory=StepGuard)
    _nan_guard: NanGuard | None = None
    _session: Session | None = None
    _start: float = field(default_factory=time.monotonic)

    @property
    def device(self) -> str:
        """Where the cells run."""
        return str(self.found.device)

    def enter(self) -> None:
        """Turn it on, or on again after `leave`."""
        if self.found.device.type == "cpu":
            time_batches(self._patches, self.meter)
            self._guard_losses()
            return
        session = Session(
            self.namespace,
            (),
            self.found.device,
            self.options,
            lasting=True,
            meter=self.meter,
        )
        session.enter()
        watch(self.meter, session)
        self._session = session
        self._guard_losses()

    def _guard_losses(self) -> None:
        """Look at the losses of every cell, if the user asked for it."""
        if self.options.nan_guard:
            self._nan_guard = NanGuard(self.options.nan_guard, self.namespace)
            self._nan_guard.install(self._patches)

    def entry_line(self, requested: str) -> str:
        """Return the line to print when it has been turned on.

        Parameters
        ----------
        requested
            The device as the user typed it.
        """
        if self.found.fallback is not None:
            reason = self.found.fallback
            if reason in self.told:
                reason = reason.partition(". ")[0] + " (more: %gpu_check)"
            return f"train_on {requested}: cells run on the CPU. {reason}"
        return f"train_on {self.device}: on for all later cells; %train_on off ends it"

    def leave(self, error: BaseException | None = None) -> tuple[str, ...]:
        """Bring everything home; `enter` may follow.

        Parameters
        ----------
        error
            What has just failed, whose traceback holds values of the device.

        Returns
        -------
        tuple of str
            Notes for the user.
        """
        self._step_guard.close()
        self._patches.undo()
        session, self._session = self._session, None
        return () if session is None else session.exit(None, error)

    def turn_off(self) -> None:
        """Bring everything home, and say so."""
        notes = self.leave()
        line = f"train_on {self.device}: off after {_counted(self._done())}"
        if self.found.device.type != "cpu":
            left = any(LEFT_BEHIND in note for note in notes)
            line += (
                ", back on the CPU, but for what the note says"
                if left
                else ", everything is back on the CPU"
            )
        fresh = [f"  note: {note}" for note in notes if note not in self.told]
        self.out("\n".join([line, *fresh]))

    def cell(self, names: tuple[str, ...]) -> StandingCell:
        """Let a cell in: what it uses goes to the device.

        Parameters
        ----------
        names
            The dotted names that it mentions.
        """
        self.meter.restart()
        if self._nan_guard is not None:
            self._nan_guard.restart()
        if self._session is not None:
            self._session.admit(names)
        self.cells += 1
        self._step_guard.install()  # a kernel sets its own handler for each cell
        return StandingCell(self, time.monotonic())

    def cell_ended(self, seconds: float, error: BaseException | None) -> None:
        """Free what the cell has dropped; say what is new.

        Parameters
        ----------
        seconds
            How long the cell took.
        error
            What ended it, if it failed.
        """
        self._step_guard.close()
        session = self._session
        found = None if self._nan_guard is None else self._nan_guard.finish()
        notes: tuple[str, ...] = ()
        if session is not None:  # else on the CPU, or turned off by the cell itself
            session.let_go()
            notes = tuple(each for each in session.scope.notes if each not in self.told)
        known: dict[str, Any] = {
            "error": None if error is None else type(error).__name__
        }
        known |= {"notes": notes}
        known |= nan_facts(found, known)
        notes = known["notes"]
        if self.meter.batches or found is not None:
            outcome = TrainOutcome(
                device=self.device,
                requested=self.device,
                fallback=self.found.fallback,
                moved=(),
                moved_bytes=0,
                seconds=seconds,
                peak_bytes=None if session is None else session.peak_bytes(),
                kept=False,
                standing=True,
                **known,
                **measured(self.meter, self.device),
            )
            remember(outcome)
            show = _silent if found is None else self.out
            tell(outcome, self.meter.view, show, self.told)
        elif notes:
            lines = (f"train_on {self.device}: note: {note}" for note in notes)
            self.out("\n".join(lines))
        self.told.update(notes)

    def _done(self) -> int:
        """Return how many cells have run: not the one that began it, nor this one."""
        return max(self.cells - 2, 0)

    def state(self) -> TrainState:
        """Return what there is to know."""
        session = self._session
        there, size = session.there() if session is not None else ((), 0)
        return TrainState(
            device=self.device,
            fallback=self.found.fallback,
            cells=self._done(),
            seconds=time.monotonic() - self._start,
            there=there,
            there_bytes=size,
        )


@dataclass(eq=False, slots=True)
class StandingCell:
    """One cell under a `Standing`."""

    _standing: Standing
    _start: float

    def finish(
        self, result: object = None, error: BaseException | None = None
    ) -> object:
        """Close the cell; return the value to show, which stays where it is."""
        self._standing.cell_ended(time.monotonic() - self._start, error)
        return result


def _counted(cells: int) -> str:
    """Return a number of cells in words."""
    return "1 cell" if cells == 1 else f"{cells} cells"


def _silent(_: str) -> None:
    """Show nothing: a short loop in one of many cells is no news."""
