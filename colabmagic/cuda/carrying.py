"""Carry a plan out; where a kept archive does not pass, go on by the next way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.errors import (
    AptBusyError,
    BusyError,
    CudaError,
    DiskFullError,
    NeedsRootError,
)
from colabmagic.cuda.planning.keeping import keeping
from colabmagic.cuda.store.apply import Store
from colabmagic.errors import interrupted

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.planning.plan import Plan
    from colabmagic.cuda.steps.base import Work

ARCHIVE: Final = "archive"
# Another way would end so, too.
_NOT_ITS_FAULT: Final = (AptBusyError, BusyError, DiskFullError, NeedsRootError)


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of a plan.

    Attributes
    ----------
    plan
        That was carried out in the end.
    work
        What its steps shared.
    """

    plan: Plan
    work: Work


def carry_out(plan: Plan, store: Store, before: Path | None) -> Carried:
    """Do what a plan says.

    Parameters
    ----------
    plan
        It can run.
    store
        Who changes our folder.
    before
        Root of the toolkit of ours that this kernel has used so far.

    Raises
    ------
    CudaError
        It failed, and was taken back.
    """
    made: list[Work] = []

    def make_work(staging: Path) -> Work:
        work = store.make_work(staging)
        made.append(work)
        return work

    try:
        return Carried(
            plan, _done(plan, Store(store.home, make_work, store.after), before)
        )
    except CudaError as error:
        other = instead(plan)
        # What fails later (pip) would fail with another toolkit as well.
        has_passed = any(work.root is not None for work in made)
        if other is None or has_passed or isinstance(error, _NOT_ITS_FAULT):
            raise
        note = _not_used(plan, error)
    try:
        work = _done(other, store, before)
    except CudaError as error:
        error.seen = "; ".join(part for part in (error.seen, note.rstrip(".")) if part)
        raise
    work.notes.append(note)
    return Carried(other, work)


def finish(carried: Carried) -> None:
    """Do what nothing depends on: the toolkit is finished, whatever comes of it.

    Parameters
    ----------
    carried
        Of `carry_out`.

    Raises
    ------
    KeyboardInterrupt
        Somebody did not want to wait; it says that the toolkit is there.
    """
    plan = carried.plan
    try:
        for step in plan.afterwards:
            step.do(carried.work)
    except KeyboardInterrupt as error:
        name = plan.release.version if plan.release is not None else plan.wanted
        interrupted(
            error,
            f"stopped; CUDA {name} is installed and in use, only its archive was not "
            "written. Run this cell again to keep it",
        )
        raise


def instead(plan: Plan) -> Plan | None:
    """Return the plan by the next way that fits; None where none is, or one was named.

    Parameters
    ----------
    plan
        Perhaps by a kept archive.
    """
    chosen = plan.chosen
    if chosen is None or chosen.method != ARCHIVE or plan.options.method == ARCHIVE:
        return None
    rest = (each for each in plan.candidates if each.fits and each.method != ARCHIVE)
    other = next(rest, None)
    if other is None or plan.release is None:
        return None
    after = keeping(plan.release, plan.facts, plan.options, other)
    return replace(plan, chosen=other, afterwards=after)


def _done(plan: Plan, store: Store, before: Path | None) -> Work:
    """Do the steps, as a whole or not at all."""
    return store.carry_out(
        plan.deed,
        plan.steps,
        details=lambda work: {
            "name": plan.release.version if plan.release else "",
            "root": str(work.root),
            "was_used": work.root is not None and work.root == before,
            "transient": plan.is_reuse and not plan.outside,
        },
    )


def _not_used(plan: Plan, error: CudaError) -> str:
    """Return why the archive was not used, in one line."""
    assert plan.chosen is not None
    path = getattr(plan.chosen.steps[0], "path", "the archive")
    name = PurePath(path).name
    what = error.what.removeprefix(f"{name} ").rstrip(".")
    parts = ("" if what == "is not used" else what, error.seen)
    told = "; ".join(part for part in parts if part)
    return f"The archive {name} was not used: {told}."
