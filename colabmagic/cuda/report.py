"""Plans, outcomes, ladders and lists, as people see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from colabmagic.report.document import Document
from colabmagic.report.model import (
    NOTE,
    Code,
    Field,
    Finding,
    Report,
    Severity,
    Table,
    Unknown,
)
from colabmagic.report.plain import to_plain
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.cuda.machine.facts import MachineFacts, Toolkit
    from colabmagic.cuda.outcome import Outcome
    from colabmagic.cuda.planning.plan import Candidate, Plan, Problem
    from colabmagic.cuda.store.inventory import Installed
    from colabmagic.cuda.verifying.ladder import Ladder

_METHODS: Final = {
    "reuse": "what is here",
    "wheels": "wheels of PyPI",
    "redist": "NVIDIA's archives",
    "deb": "the distribution's packages, unpacked",
    "apt": "NVIDIA's apt repository",
    "runfile": "NVIDIA's runfile, unpacked",
}
_UNSURE: Final = {
    "memory": "not checked",
    "inferred": "by a rule",
    "read": "as documented",
}
_BITS: Final = 2


def plan_view(plan: Plan) -> Report:
    """Return what a person sees of a plan.

    Parameters
    ----------
    plan
        The plan.
    """
    return Report(
        title=f"CUDA {plan.wanted}",
        verdict=_verdict(plan),
        summary=_summary(plan),
        findings=(*_problems(plan), *_what_is_done(plan)),
        tables=(_ways(plan),) if plan.candidates else (),
        fields=_here(plan.facts),
    )


def _verdict(plan: Plan) -> str:
    """Return the answer in a few words."""
    if not plan.can_run or plan.release is None:
        return "not possible here"
    assert plan.chosen is not None
    return f"{plan.release.version} from {_METHODS[plan.chosen.method]}"


def _summary(plan: Plan) -> str:
    """Return what it costs."""
    chosen = plan.chosen
    if not plan.can_run or chosen is None:
        return ""
    if chosen.method == "reuse":
        return "nothing to fetch"
    parts = [
        chosen.download_bytes and f"{in_words(chosen.download_bytes)} to fetch",
        chosen.disk_bytes and f"{in_words(chosen.disk_bytes)} on disk",
        chosen.seconds and f"about {chosen.seconds:.0f} s",
        "root" if any("root" in each for each in plan.outside) else "no root",
    ]
    return ", ".join(part for part in parts if part)


def _problems(plan: Plan) -> tuple[Finding, ...]:
    """Return what stands against it, and what to mind."""
    problems = list(plan.problems)
    if not problems and not plan.can_run:
        problems = [each.problem for each in plan.candidates if each.problem][:1]
    return (
        *(_finding(each, Severity.ERROR) for each in problems),
        *(_finding(each, Severity.WARN) for each in plan.warnings),
    )


def _finding(problem: Problem, severity: Severity) -> Finding:
    """Return a problem as a finding."""
    return Finding(
        code=problem.code,
        severity=severity,
        title=problem.what,
        evidence=(problem.seen,) if problem.seen else (),
        fix=tuple(_typed(each) for each in problem.fix),
    )


def _typed(text: str) -> str:
    """Return a line that is to be typed as such; words stay words."""
    is_command = text.startswith(("%", "!", "uv ", "python "))
    return Code(text) if is_command else text


def _what_is_done(plan: Plan) -> tuple[Finding, ...]:
    """Return the commands, and what changes outside of our folder."""
    if not plan.can_run:
        return ()
    lines = [Code(line) for step in plan.steps for line in step.lines()]
    outside = plan.outside or ("nothing: all goes into our own folder",)
    return (
        Finding(
            code=NOTE,
            severity=Severity.INFO,
            title="changed outside of our folder: " + "; ".join(outside),
        ),
        *_compiler(plan),
        Finding(
            code=NOTE, severity=Severity.INFO, title="what runs:", fix=tuple(lines)
        ),
    )


def _compiler(plan: Plan) -> tuple[Finding, ...]:
    """Return what compiles the host's half."""
    compiler = plan.compiler
    if compiler is None:
        return ()
    if compiler.bring is not None:
        title = f"g++ {compiler.bring} is brought along: nvcc needs one of its age"
    elif compiler.here is not None:
        version = ".".join(map(str, compiler.here.version))
        title = f"host compiler: {compiler.here.path} ({version})"
    else:
        return ()
    return (Finding(code=NOTE, severity=Severity.INFO, title=title),)


def _ways(plan: Plan) -> Table:
    """Return all ways, and why one was chosen."""
    return Table(
        caption="Ways",
        columns=("from", "verdict", "fetch", "disk", "why"),
        rows=tuple(_way(each, plan.chosen) for each in plan.candidates),
    )


def _way(candidate: Candidate, chosen: Candidate | None) -> tuple[str, ...]:
    """Return the row of one way."""
    if candidate is chosen:
        verdict = "chosen"
    elif candidate.fits:
        verdict = "possible"
    else:
        verdict = f"no ({candidate.problem.code})" if candidate.problem else "no"
    basis = _UNSURE.get(candidate.basis) if candidate.fits else None
    why = candidate.why + (f" ({basis})" if basis else "")
    return (
        _METHODS[candidate.method],
        verdict,
        _size(candidate.download_bytes),
        _size(candidate.disk_bytes),
        why,
    )


def _size(size_bytes: int | None) -> str:
    """Return a size; nothing where nobody knows."""
    return "" if size_bytes is None else in_words(size_bytes)


def _here(facts: MachineFacts) -> tuple[Field, ...]:
    """Return the machine in a few words."""
    gcc = [
        ".".join(map(str, each.version[:_BITS]))
        for each in facts.compilers
        if each.kind == "gcc"
    ]
    torch = facts.torch
    values = {
        "here:": facts.os_name,
        "Python": ".".join(map(str, facts.python)),
        "glibc": ".".join(map(str, facts.glibc)) if facts.glibc else "none",
        "g++": ", ".join(dict.fromkeys(gcc)) or "none",
        "driver": "none" if facts.driver is None else str(facts.driver),
        "GPU": ", ".join(dict.fromkeys(each.name for each in facts.gpus)) or "none",
        "PyTorch": torch.version if torch is not None else "none",
    }  # fmt: skip
    return tuple(Field(label=label, value=value) for label, value in values.items())


def outcome_view(outcome: Outcome) -> Report:
    """Return what a person sees when all is done.

    Parameters
    ----------
    outcome
        Of `colabmagic.cuda.install`.
    """
    plan = outcome.plan
    assert plan.release is not None
    assert plan.chosen is not None
    done = "is here already" if plan.chosen.method == "reuse" else "is installed"
    fetched = outcome.fetched_bytes
    return Report(
        title=f"CUDA {plan.release.version}",
        verdict=done,
        summary=", ".join(
            part
            for part in (
                _proven(outcome.ladder),
                f"{outcome.seconds:.1f} s",
                f"{in_words(fetched)} fetched" if fetched else "",
            )
            if part
        ),
        findings=(
            *_complaints(outcome.ladder),
            *(_finding(each, Severity.WARN) for each in plan.warnings),
            *_packages(outcome),
            Finding(
                code=NOTE,
                severity=Severity.INFO,
                title="use it in any later cell; builds by pip and torch see it too",
                fix=(Code("!nvcc --version"),),
            ),
        ),
        tables=(_rungs(outcome.ladder),) if outcome.ladder is not None else (),
        fields=(Field(label="CUDA_HOME", value=str(outcome.root)),),
    )


def _proven(ladder: Ladder | None) -> str:
    """Return what is proven, in a few words."""
    if ladder is None:
        return ""
    proven = {rung.name: rung.verdict for rung in ladder.rungs}
    if proven.get("gpu") == "ok":
        return "proven on the GPU"
    if proven.get("run") == "no driver":
        return "it compiles and links; there is no GPU here to run on"
    if proven.get("run") == "ok":
        return "it compiles, links and runs"
    return "it compiles" if proven.get("cubin") == "ok" else ""


def _complaints(ladder: Ladder | None) -> tuple[Finding, ...]:
    """Return what did not pass, and is not the toolkit's fault."""
    if ladder is None:
        return ()
    return tuple(
        Finding(
            code=rung.code or NOTE,
            severity=Severity.WARN,
            title=f"{rung.title}: {rung.why}",
            evidence=(rung.seen,) if rung.seen else (),
            fix=tuple(_typed(line) for line in rung.fix.splitlines()),
        )
        for rung in ladder.rungs
        if rung.failed
    )


def _packages(outcome: Outcome) -> tuple[Finding, ...]:
    """Return what pip did, and what must be restarted for it."""
    changes = outcome.packages
    if changes is None:
        return ()
    found = [
        Finding(code=NOTE, severity=Severity.INFO, title="pip: " + "; ".join(changes.lines()))
    ]  # fmt: skip
    if changes.restart:
        names = ", ".join(changes.restart)
        found.append(
            Finding(
                code="restart-needed",
                severity=Severity.WARN,
                title=f"this kernel still has the old {names}",
                fix=("restart the kernel, then run the notebook from the top",),
            )
        )
    return tuple(found)


def _rungs(ladder: Ladder) -> Table:
    """Return the ladder as a table."""
    return Table(
        caption="What was proven",
        columns=("test", "verdict", "time", "what was seen"),
        rows=tuple(
            (rung.title, rung.verdict, f"{rung.seconds:.1f} s", rung.why)
            for rung in ladder.rungs
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(Document):
    """What ``--verify`` found.

    Attributes
    ----------
    ladder
        Rung by rung.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.cuda-ladder+json"

    ladder: Ladder

    @property
    def ok(self) -> bool:
        """Tell whether nothing failed."""
        return self.ladder.ok

    def view(self) -> Report:
        """Return what a person sees."""
        ladder = self.ladder
        failed = ladder.failed
        return Report(
            title=f"CUDA {ladder.build or 'toolkit'}",
            verdict="passes" if failed is None else f"fails at: {failed.title}",
            summary=_proven(ladder) if failed is None else failed.why,
            findings=_complaints(ladder),
            tables=(_rungs(ladder),),
            fields=(Field(label="root", value=ladder.root),),
            elapsed_s=ladder.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"ok": self.ok, **self.ladder.to_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkits(Document):
    """What ``--list`` shows.

    Attributes
    ----------
    ours
        In our folder.
    others
        Of the system, of PyTorch.
    active
        Root of the one that this kernel uses; None: none of ours.
    cache_bytes
        What is kept of downloads.
    folder
        Ours.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.cuda-toolkits+json"

    ours: tuple[Installed, ...] = ()
    others: tuple[Toolkit, ...] = ()
    active: str | None = None
    cache_bytes: int = 0
    folder: str = ""
    notes: tuple[str, ...] = field(default=())

    def view(self) -> Report:
        """Return what a person sees."""
        count = len(self.ours)
        rows = [*map(self._row, self.ours), *map(self._other_row, self.others)]
        first = self.ours[0].name if self.ours else "auto"
        return Report(
            title="CUDA toolkits",
            verdict=f"{count} of ours" if count else "none of ours yet",
            summary=f"{len(self.others)} of others" if self.others else "",
            findings=(
                *(
                    Finding(code=NOTE, severity=Severity.INFO, title=each)
                    for each in self.notes
                ),
                Finding(
                    code=NOTE,
                    severity=Severity.INFO,
                    title="to go on:",
                    fix=(
                        Code(f"%cuda_install --use {first}")
                        if self.ours
                        else Code("%cuda_install auto"),
                    ),
                ),
            ),
            tables=(
                (
                    Table(
                        caption="Toolkits",
                        columns=("version", "nvcc", "from", "size", "where"),
                        rows=tuple(rows),
                    ),
                )
                if rows
                else ()
            ),
            fields=(
                Field(label="our folder", value=self.folder),
                Field(label="cache", value=in_words(self.cache_bytes)),
            ),
        )

    def _row(self, toolkit: Installed) -> tuple[str, ...]:
        """Return the row of one of ours."""
        mark = " (in use)" if toolkit.root == self.active else ""
        return (
            f"{toolkit.name}{mark}",
            toolkit.build,
            _METHODS.get(toolkit.method, toolkit.method),
            in_words(toolkit.size_bytes),
            toolkit.root,
        )

    @staticmethod
    def _other_row(toolkit: Toolkit) -> tuple[str, ...]:
        """Return the row of another's."""
        build = "unknown" if isinstance(toolkit.build, Unknown) else toolkit.build
        return (
            toolkit.minor or "unknown",
            build if toolkit.has_compiler else f"{build}, no compiler",
            toolkit.origin,
            "",
            toolkit.root,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "ours": [to_plain(each) for each in self.ours],
            "others": [to_plain(each) for each in self.others],
            "active": self.active,
            "cache_bytes": self.cache_bytes,
            "folder": self.folder,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Document):
    """What a verb without a report of its own did.

    Attributes
    ----------
    title, verdict, summary
        As of a `Report`.
    typed
        What can be typed now.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.cuda-done+json"

    title: str
    verdict: str
    summary: str = ""
    typed: tuple[str, ...] = ()

    def view(self) -> Report:
        """Return what a person sees."""
        return Report(
            title=self.title,
            verdict=self.verdict,
            summary=self.summary,
            findings=tuple(_next(self.typed)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"title": self.title, "verdict": self.verdict, "summary": self.summary}


def _next(typed: Iterable[str]) -> Iterable[Finding]:
    """Yield what can be typed now."""
    for line in typed:
        yield Finding(
            code=NOTE, severity=Severity.INFO, title="next:", fix=(Code(line),)
        )
