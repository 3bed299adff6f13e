"""Carry out steps so that they are done as a whole, or leave nothing."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.errors import CudaError, NotInstalledError
from colabmagic.cuda.steps.registry import INSIDE, step_from_dict
from colabmagic.cuda.store.journal import Change, Journal
from colabmagic.cuda.store.lock import locked
from colabmagic.cuda.store.trouble import unwritable
from colabmagic.interrupts import deferred_interrupts
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from colabmagic.cuda.steps.base import Step, Work
    from colabmagic.cuda.store.layout import Home

STAGING = ".staging-"
REMOVED = ".removed-"


@dataclass(eq=False, slots=True)
class Aftermath:
    """What became of a change that did not end well.

    Attributes
    ----------
    is_whole
        It was done before it was interrupted.
    failures
        Why parts of it could not be taken back; whoever comes next tries again.
    """

    is_whole: bool = False
    failures: list[CudaError | OSError] = field(default_factory=list)

    def reset(self) -> None:
        """Forget it: another change begins."""
        self.is_whole = False
        self.failures.clear()


@dataclass(frozen=True, slots=True)
class Store:
    """Our folder, and who changes it.

    Attributes
    ----------
    home
        Our folder.
    make_work
        Makes what the steps of a change share, from the folder that it fills.
    after
        What became of the last change that raised.
    """

    home: Home
    make_work: Callable[[Path], Work]
    after: Aftermath = field(default_factory=Aftermath)

    def carry_out(
        self,
        what: str,
        steps: Sequence[Step],
        *,
        wait_s: float = 0.0,
        details: Callable[[Work], dict[str, Any]] | None = None,
    ) -> Work:
        """Do all steps; after a failure, or Ctrl-C, everything is as it was.

        Parameters
        ----------
        what
            In words, for the journal: "install 13.0.3".
        steps
            In order.
        wait_s
            How long another kernel may be at work first.
        details
            What the journal keeps of the finished change.

        Returns
        -------
        Work
            What the steps shared.

        Raises
        ------
        CudaError
            What failed; it was taken back, as far as `after` says.
        """
        self.after.reset()
        with locked(self.home, wait_s=wait_s):
            self._recover()
            journal = Journal(self.home.journal)
            try:
                change = journal.begin(what)
                work = self._work_of(change)
                _do_all(steps, journal, change, work)
                kept = details(work) if details is not None else {}
                with deferred_interrupts():
                    journal.commit(change, **kept)
                    self.after.is_whole = True
            except BaseException as error:  # also Ctrl-C: nothing may be left by half
                with deferred_interrupts(deliver=False):
                    self._recover(self.after.failures)
                if isinstance(error, OSError) and not isinstance(error, CudaError):
                    raise unwritable(self.home.toolkits, error) from None
                raise
            self._sweep()
        return work

    def recover(self) -> list[Change]:
        """Take back what a killed process left by half.

        Returns
        -------
        list of Change
            What was taken back.
        """
        with locked(self.home):
            return self._recover()

    def take_back_last(self) -> Change | None:
        """Take the newest finished change back.

        Returns
        -------
        Change or None
            What was taken back; None if there is nothing.

        Raises
        ------
        CudaError, OSError
            A part of it cannot be taken back, or none of it.
        """
        with locked(self.home):
            self._recover()
            done = [
                change
                for change in Journal(self.home.journal).changes()
                if change.state == "committed" and not change.details.get("transient")
            ]
            if not done:
                return None
            change = done[-1]
            if not change.details.get("reversible", True):
                raise NotInstalledError(
                    f"{change.what} cannot be taken back",
                    seen="its files are gone; what was fetched for it may be in the cache",
                    hint=f"%cuda_install {change.details.get('name', '')}".strip(),
                )
            failures = self._take_back(change)
            if failures:
                raise failures[0]
            return change

    def _recover(
        self, failures: list[CudaError | OSError] | None = None
    ) -> list[Change]:
        """Take back every change that is not whole, the newest first."""
        changes = Journal(self.home.journal).changes()
        left = [change for change in changes if change.state == "open"]
        for change in reversed(left):
            failed = self._take_back(change)
            if failures is not None:
                failures += failed
        self._sweep()
        return left

    def _take_back(self, change: Change) -> list[CudaError | OSError]:
        """Do the inverse of each step that began, the last first; return what failed.

        A step may have been done, by half or not at all: its inverse copes with that.
        What failed stays open in the journal, so that whoever comes next tries again.
        """
        work = self._work_of(change)
        failures: list[CudaError | OSError] = []
        for inverse in reversed(change.undo):
            for data in inverse:
                try:
                    step = step_from_dict(data)
                    self._check_trust(step)
                    step.do(work)
                except (CudaError, OSError) as error:
                    failures.append(error)  # the others are taken back all the same
        shutil.rmtree(work.staging, ignore_errors=True)
        if not failures:  # a full disk has room for the record by now
            with contextlib.suppress(OSError):  # said again by whoever comes next
                Journal(self.home.journal).undone(change)
        return failures

    def _check_trust(self, step: Step) -> None:
        """Refuse what reaches out of our folder where others could have written it.

        Raises
        ------
        CudaError
            The journal is not ours alone.
        """
        if step.kind not in INSIDE and not Journal(self.home.journal).is_ours_alone():
            raise CudaError(
                "a change is not taken back: others can write to the journal of changes",
                seen=f"{clean(str(self.home.journal))}; it would run: "
                f"{clean('; '.join(step.lines()))}",
                hint=f"!ls -l {shlex.quote(str(self.home.journal))}\n(tells whose it "
                "is; if it is yours, chmod 600 it, and run this cell again)",
            )

    def _sweep(self) -> None:
        """Remove the folders of changes that are over."""
        alive = {
            change.id
            for change in Journal(self.home.journal).changes()
            if change.state == "open"
        }
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(self.home.toolkits)):
                is_left = entry.name.startswith((STAGING, REMOVED))
                if is_left and entry.name.rpartition("-")[2] not in alive:
                    shutil.rmtree(entry.path, ignore_errors=True)

    def _work_of(self, change: Change) -> Work:
        """Return what the steps of a change share."""
        return self.make_work(self.home.toolkits / change.staging)


def change_of(staging: Path) -> str:
    """Return the name of the change that fills a folder.

    Parameters
    ----------
    staging
        That of `Work`.
    """
    return staging.name.removeprefix(STAGING)


def set_aside(staging: Path, target: Path) -> None:
    """Give a toolkit another name for the length of a change; its files go afterwards.

    Parameters
    ----------
    staging
        Of the change.
    target
        The toolkit.
    """
    target.rename(_aside(staging, target))


def bring_back(staging: Path, target: Path) -> None:
    """Give a toolkit that was set aside its name back, where it is free.

    Parameters
    ----------
    staging, target
        As of `set_aside`; it may have been done already, or never.
    """
    before = _aside(staging, target)
    if os.path.lexists(before) and not os.path.lexists(target):
        before.rename(target)


def _aside(staging: Path, target: Path) -> Path:
    """Return the name that a toolkit has meanwhile."""
    return target.with_name(f"{REMOVED}{target.name}-{change_of(staging)}")


def _do_all(
    steps: Sequence[Step], journal: Journal, change: Change, work: Work
) -> None:
    """Do the steps; the inverse of each is in the journal before it begins."""
    work.staging.mkdir(parents=True)
    for step in steps:
        journal.step(change, step, step.undo())
        step.do(work)
        journal.done(change)
