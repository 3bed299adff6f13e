"""Outcomes, ladders and lists, as people see them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.report import METHODS, finding, typed
from colabmagic.report.model import (
    NOTE,
    Field,
    Finding,
    Listing,
    Report,
    Severity,
    Table,
    Unknown,
)
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.cuda.machine.facts import Toolkit
    from colabmagic.cuda.outcome import Done, Outcome, Toolkits
    from colabmagic.cuda.planning.plan import Problem
    from colabmagic.cuda.store.inventory import Installed
    from colabmagic.cuda.verifying.ladder import Ladder, Rung

_NO_DRIVER: Final = "no-driver"  # the summary says so
_MOST_CHANGES: Final = 6
_DAY: Final = "%Y-%m-%d %H:%M"


def outcome_view(outcome: Outcome) -> Report:
    """Return what a person sees when all is done.

    Parameters
    ----------
    outcome
        Of `colabmagic.cuda.install`.
    """
    plan, ladder = outcome.plan, outcome.ladder
    assert plan.release is not None
    version = plan.release.version
    warnings: tuple[Problem, ...] = ()
    if plan.is_reuse:  # else the plan has just been shown
        warnings = tuple(each for each in plan.warnings if each.code != _NO_DRIVER)
    if outcome.is_reused:
        version = _name_of_ours(outcome) or (ladder and ladder.build) or version
    return Report(
        title=f"CUDA {version}",
        verdict="is here already" if outcome.is_reused else "is installed",
        summary=_what_it_took(outcome),
        findings=(
            *(_rung_finding(each) for each in _failed(ladder)),
            *(finding(each, Severity.WARN) for each in warnings),
            *_packages(outcome),
            *(
                Finding(code=NOTE, severity=Severity.INFO, title=each)
                for each in outcome.notes
            ),
        ),
        tables=(
            (_rungs(ladder),)
            if ladder is not None and outcome.proven_at is None
            else ()
        ),
        listings=(_next(*_use_it(outcome)),),
        fields=(Field(label="CUDA_HOME", value=str(outcome.root)),),
    )


def _name_of_ours(outcome: Outcome) -> str | None:
    """Return the release of a toolkit of ours; another's is known by its build only."""
    here = (each for each in outcome.plan.facts.toolkits if each.origin == "ours")
    root = str(outcome.root)
    return next((Path(root).name for each in here if each.root == root), None)


def _what_it_took(outcome: Outcome) -> str:
    """Return what is proven, and what it cost."""
    proven = _proven(outcome.ladder)
    if outcome.proven_at is not None:
        when = time.strftime(_DAY, time.localtime(outcome.proven_at))
        proven = f"{proven} (tried {when}, nothing has changed since)"
    fetched = outcome.fetched_bytes
    parts = [
        proven,
        f"{outcome.seconds:.1f} s",
        f"{in_words(fetched)} fetched" if fetched else "",
    ]
    return ", ".join(part for part in parts if part)


def _use_it(outcome: Outcome) -> Iterable[str]:
    """Yield what can be typed now: builds by pip and torch see it too."""
    yield "!nvcc --version"
    plan = outcome.plan
    if not outcome.is_reused or plan.outside:
        yield "%cuda_install --rollback   # takes it back"


def _proven(ladder: Ladder | None) -> str:
    """Return what is proven, in a few words."""
    if ladder is None:
        return ""
    proven = {rung.name: rung.verdict for rung in ladder.rungs}
    if proven.get("gpu") == "ok":
        return "it computes on the GPU"
    if proven.get("run") == "no driver":
        return "it compiles and links; there is no GPU here to run on"
    if proven.get("run") == "ok":
        return "it compiles, links and runs"
    return "it compiles" if proven.get("cubin") == "ok" else ""


def _failed(ladder: Ladder | None) -> list[Rung]:
    """Return what did not pass."""
    return [] if ladder is None else [rung for rung in ladder.rungs if rung.failed]


def _rung_finding(rung: Rung) -> Finding:
    """Return a rung that failed, and is not the toolkit's fault."""
    return Finding(
        code=rung.code or NOTE,
        severity=Severity.WARN,
        title=f"{rung.title}: {rung.why}",
        evidence=(rung.seen,) if rung.seen else (),
        fix=tuple(typed(rung.fix)),
    )


def _packages(outcome: Outcome) -> tuple[Finding, ...]:
    """Return what pip did, and what must be restarted for it."""
    record = outcome.packages
    if record is None:
        return ()
    found = []
    if record.changes:
        shown = [each.shown for each in record.changes[:_MOST_CHANGES]]
        more = len(record.changes) - len(shown)
        told = "; ".join(shown) + (f"; and {more} more" if more else "")
        title = f"pip has installed: {told}"
        found.append(Finding(code=NOTE, severity=Severity.INFO, title=title))
    if record.restart:
        names = ", ".join(record.restart)
        found.append(
            Finding(
                code="restart-needed",
                severity=Severity.WARN,
                title=f"this kernel still works with the old {names}",
                fix=("restart the kernel, then run the notebook from the top",),
            )
        )
    return tuple(found)


def ladder_view(ladder: Ladder, name: str | None = None) -> Report:
    """Return what a person sees of a toolkit that was tried.

    Parameters
    ----------
    ladder
        Rung by rung.
    name
        The release, as ``--list`` shows it; None: the build is all that is known.
    """
    failed = ladder.failed
    return Report(
        title=f"CUDA {name or ladder.build or 'toolkit'}",
        verdict="passes" if failed is None else f"fails: {failed.title}",
        summary=_proven(ladder) if failed is None else "",
        findings=tuple(map(_rung_finding, _failed(ladder))),
        tables=(_rungs(ladder),),
        fields=(Field(label="CUDA_HOME", value=ladder.root),),
        elapsed_s=ladder.seconds,
    )


def _rungs(ladder: Ladder) -> Table:
    """Return the ladder as a table; what says nothing new is left out."""
    told = ladder.rung("run")
    is_without = told is not None and told.verdict == "no driver"
    rows = [
        (rung.title, rung.verdict, rung.why)
        for rung in ladder.rungs
        if not (is_without and rung.name in {"gpu", "ptx"})
        and not (rung.name == "flags" and rung.verdict == "ok")
    ]
    columns = ("tried", "verdict", "what was seen")
    return Table(caption="What was tried", columns=columns, rows=tuple(rows))


def list_view(toolkits: Toolkits) -> Report:
    """Return what a person sees of all toolkits.

    Parameters
    ----------
    toolkits
        Of ``--list``.
    """
    ours, others = toolkits.ours, toolkits.others
    rows = [_row(each, toolkits.active) for each in ours]
    rows += [_other_row(each, toolkits.active) for each in others]
    columns = ("version", "from", "size", "where")
    table = Table(caption="Toolkits", columns=columns, rows=tuple(rows))
    counts = [f"{len(ours)} in our folder", f"{len(others)} of others"]
    return Report(
        title="CUDA toolkits",
        verdict=", ".join(counts) if rows else "none is here",
        tables=(table,) if rows else (),
        listings=(_next(*_with_them(toolkits)),),
        fields=(
            Field(label="our folder", value=toolkits.folder),
            Field(label="downloads kept", value=in_words(toolkits.cache_bytes)),
        ),
    )


def _row(toolkit: Installed, active: str | None) -> tuple[str, ...]:
    """Return the row of one of ours."""
    mark = " (in use)" if toolkit.root == active else ""
    origin = METHODS.get(toolkit.method, toolkit.method)
    size = in_words(toolkit.size_bytes)
    return (f"{toolkit.name}{mark}", origin, size, toolkit.root)


def _other_row(toolkit: Toolkit, active: str | None) -> tuple[str, ...]:
    """Return the row of another's."""
    version = "unknown" if isinstance(toolkit.build, Unknown) else toolkit.build
    version += " (in use)" if toolkit.root == active else ""
    origin = toolkit.origin if toolkit.has_compiler else f"{toolkit.origin}, no nvcc"
    return (version, origin, "", toolkit.root)


def _with_them(toolkits: Toolkits) -> Iterable[str]:
    """Yield what can be done with what is here."""
    if not toolkits.ours:
        yield "%cuda_install auto"
        return
    idle = [each for each in toolkits.ours if each.root != toolkits.active]
    if idle:
        yield f"%cuda_install --use {idle[0].name}"
    yield f"%cuda_install --verify {toolkits.ours[0].name}"
    yield f"%cuda_install --uninstall {(idle or toolkits.ours)[-1].name}"


def done_view(done: Done) -> Report:
    """Return what a person sees of what was done.

    Parameters
    ----------
    done
        By a verb.
    """
    return Report(
        title=done.title,
        verdict=done.verdict,
        summary=done.summary,
        listings=(_next(*done.typed),) if done.typed else (),
    )


def _next(*lines: str) -> Listing:
    """Return what can be typed now."""
    return Listing(caption="Next", lines=lines)
