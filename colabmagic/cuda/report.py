"""Plans, as people see them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from colabmagic.report.model import (
    NOTE,
    Code,
    Field,
    Finding,
    Listing,
    Report,
    Severity,
    Table,
)
from colabmagic.report.size import in_words
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.planning.plan import Candidate, Plan, Problem
    from colabmagic.cuda.steps.base import Step

METHODS: Final = {
    "reuse": "what is here",
    "archive": "an archive that was kept",
    "wheels": "NVIDIA's wheels",
    "redist": "NVIDIA's archives",
    "deb": "the distribution's packages, unpacked",
    "apt": "NVIDIA's apt repository",
    "runfile": "NVIDIA's runfile, unpacked",
}
_UNSURE: Final = {
    "memory": "from memory, not checked",
    "inferred": "by a rule, not tried",
    "read": "as documented, not tried",
}
_ANOTHER_WAY: Final = ("%", "!uv venv", "Runtime > ")
# Of these the next fix is the second step.
_BRINGS_UV: Final = "%pip install uv"
_BRINGS_COMPILER: Final = re.compile(r"!.* (?:g\+\+|gcc)[\w+.-]*$")
_TYPED: Final = ("%", "!", "uv ", "python ", "nvcc ", "apt-get ", "sudo ")
_RUN: Final = (*_TYPED, "dpkg", "ln ", "mv ", "add-apt")
_BITS: Final = 2


def plan_view(plan: Plan) -> Report:
    """Return what a person sees of a plan.

    Parameters
    ----------
    plan
        The plan.
    """
    return Report(
        title=f"CUDA {clean(plan.wanted)}",
        verdict=_verdict(plan),
        summary=_summary(plan),
        findings=(*_problems(plan), *_outside(plan)),
        tables=_ways(plan),
        listings=_what_runs(plan),
        fields=_here(plan),
    )


def _verdict(plan: Plan) -> str:
    """Return the answer in a few words."""
    if not plan.can_run or plan.release is None or plan.chosen is None:
        return "not possible here"
    return f"{plan.release.version} from {METHODS[plan.chosen.method]}"


def _summary(plan: Plan) -> str:
    """Return what it costs."""
    chosen = plan.chosen
    if not plan.can_run or chosen is None:
        return "nothing is fetched, nothing changes"
    if chosen.method == "reuse":
        return "nothing to fetch" if plan.packages is None else ""
    is_root = any(getattr(step, "needs_root", False) for step in plan.steps)
    fetch = chosen.download_bytes and f"{in_words(chosen.download_bytes)} to fetch"
    parts = [
        "from the cache alone" if plan.options.offline else fetch,
        chosen.disk_bytes and f"{in_words(chosen.disk_bytes)} on disk",
        chosen.seconds and f"about {chosen.seconds:.0f} s",
        "as root" if is_root else "no root",
    ]
    return ", ".join(part for part in parts if part)


def _problems(plan: Plan) -> tuple[Finding, ...]:
    """Return what stands against it, and what to mind."""
    problems = list(plan.problems)
    if not problems and not plan.can_run:
        problems = [each.problem for each in plan.candidates if each.problem][:1]
    return (
        *(finding(each, Severity.ERROR) for each in problems),
        *(finding(each, Severity.WARN) for each in plan.warnings),
    )


def finding(problem: Problem, severity: Severity) -> Finding:
    """Return a problem as a finding.

    Parameters
    ----------
    problem
        Of a plan.
    severity
        How much it matters.
    """
    return Finding(
        code=problem.code or NOTE,
        severity=severity,
        title=problem.what,
        evidence=(problem.seen,) if problem.seen else (),
        fix=tuple(choices(problem.fix)),
    )


def choices(fixes: Iterable[str]) -> Iterable[str]:
    """Yield the lines of fixes; what is another way, and no further step, says so.

    Parameters
    ----------
    fixes
        Of a problem.
    """
    before = ""
    for fix in fixes:
        if before and _is_another(fix, before):
            yield "or"
        is_line_of_cell = before.startswith("%%") and " " not in fix
        yield from (Code(fix),) if is_line_of_cell else typed(fix)
        before = fix


def _is_another(fix: str, before: str) -> bool:
    """Tell whether a fix is another way, and not the next step of the one before it."""
    if before == _BRINGS_UV or _BRINGS_COMPILER.match(before):
        return False
    is_whole = before.startswith("%cuda_install ")  # what is typed there needs no more
    return is_whole or fix.startswith(_ANOTHER_WAY)


def typed(text: str) -> Iterable[str]:
    """Yield what is to be typed, a line each; what stands behind it goes after it.

    A cell of two lines stays two lines. "command   words" has its words below, so that
    the line can be copied.

    Parameters
    ----------
    text
        Of a fix.
    """
    is_cell = text.startswith("%%")
    for line in text.splitlines():
        command, gap, words = line.partition("   ")
        if not (is_cell or line.startswith(_TYPED)):
            yield line
            continue
        yield Code(command)
        if gap:
            yield f"({words.strip()})"


def _outside(plan: Plan) -> tuple[Finding, ...]:
    """Return what changes outside of our folder, and which compiler is taken."""
    if not plan.can_run:
        return ()
    changed = "; ".join(plan.outside)
    titles = ["Nothing outside our folder changes."]
    if changed:
        titles = [f"This changes outside our folder: {changed}."]
    compiler = plan.compiler
    if compiler is not None and compiler.bring is not None:
        titles.append(
            f"g++ {compiler.bring} is put beside it ({compiler.archive or 'unpacked'}): "
            f"{_why_another(plan)}."
        )
    elif compiler is not None and compiler.here is not None:
        titles.append(f"Its host compiler is {compiler.here.path}.")
    return tuple(
        Finding(code=NOTE, severity=Severity.INFO, title=each) for each in titles
    )


def _why_another(plan: Plan) -> str:
    """Return why none of the compilers here is taken."""
    here = [each.version[0] for each in plan.facts.compilers if each.kind == "gcc"]
    if not here:
        return "there is none here"
    return f"this CUDA does not take g++ {max(here)}, which is here"


def _what_runs(plan: Plan) -> tuple[Listing, ...]:
    """Return the commands; what is no command is a remark between them."""
    steps = (*plan.steps, *plan.afterwards)
    lines = [_line(step, line) for step in steps for line in step.lines()]
    if not plan.can_run or not lines:
        return ()
    return (Listing(caption="What runs", lines=tuple(lines)),)


def _line(step: Step, line: str) -> str:
    """Return a command as it is, other words as a remark."""
    name, sign, _ = line.partition("=")
    is_command = line.startswith(_RUN) or (sign and name.isidentifier())
    if line.startswith("apt-get") and step.kind != "command":  # with a state of its own
        is_command = False
    return line if is_command else f"# {line}"


def _ways(plan: Plan) -> tuple[Table, ...]:
    """Return all ways, and why one was chosen; a reason that is told above is left out.

    Where a way fits and the whole does not, the cell's packages are why: no way matters.
    """
    if not plan.can_run and any(each.fits for each in plan.candidates):
        return ()
    told = {each.what for each in plan.problems}
    rows = [
        _way(each, plan)
        for each in plan.candidates
        if (each.problem is None or each.problem.what not in told)
        and (each.method != "archive" or plan.options.cache is not None)
    ]
    if not rows:
        return ()
    columns = ("way", "verdict", "fetch", "why")
    return (Table(caption="Ways", columns=columns, rows=tuple(rows)),)


def _way(candidate: Candidate, plan: Plan) -> tuple[str, ...]:
    """Return the row of one way, under the name that ``--method`` takes."""
    verdict = "possible" if candidate.fits else "no"
    if candidate is plan.chosen and plan.can_run:
        verdict = "chosen"
    basis = _UNSURE.get(candidate.basis) if candidate.fits else None
    size = candidate.download_bytes if candidate.fits else None
    why = candidate.why + (f" ({basis})" if basis else "")
    if candidate.problem is not None and candidate.problem.what not in why:
        why = f"{why}, but {candidate.problem.what}"
    return (candidate.method, verdict, in_words(size) if size else "", why)


def _here(plan: Plan) -> tuple[Field, ...]:
    """Return the machine in a few words."""
    facts = plan.facts
    torch = facts.torch
    values = {
        "here:": facts.os_name,
        "Python": ".".join(map(str, facts.python)),
        "glibc": ".".join(map(str, facts.glibc)) if facts.glibc else "none",
        "g++": _compilers(facts),
        "driver": "none" if facts.driver is None else str(facts.driver),
        "GPU": ", ".join(dict.fromkeys(each.name for each in facts.gpus)) or "none",
        "PyTorch": torch.version if torch is not None else "none",
    }
    return tuple(Field(label=label, value=value) for label, value in values.items())


def _compilers(facts: MachineFacts) -> str:
    """Return the versions of g++ that are here."""
    found = [
        ".".join(map(str, each.version[:_BITS]))
        for each in facts.compilers
        if each.kind == "gcc"
    ]
    return ", ".join(dict.fromkeys(found)) or "none"
