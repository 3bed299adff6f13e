"""What came of the setup: the value of the magic."""

from __future__ import annotations

from dataclasses import dataclass
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
)
from colabmagic.report.plain import to_plain
from colabmagic.report.text import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: Final = 1  # counted up when a field goes or means something else
TITLE: Final = "Setup"

OK: Final = "ok"  # it was looked at, and is well
DONE: Final = "done"
ALREADY: Final = "already"
FAILED: Final = "failed"
GIVEN_UP: Final = "given up"  # by Ctrl-C
LEFT_OUT: Final = "left out"  # for what it needs has failed
NOT_RUN: Final = "not run"

_WELL: Final = frozenset({OK, DONE, ALREADY})
_EXAMPLE: Final = "%colab_setup --drive --train --keepalive 4h"
_SLOW_S: Final = 0.5  # below it a time says nothing
_STATEMENT: Final = "import "  # of Python: what no line for the shell can hold
_ON_GPU: Final = frozenset({"require", "gpu"})  # where these fail, they say why


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOutcome:
    """What came of one part.

    Attributes
    ----------
    name
        ``require``, ``gpu``, ``cuda``, ``drive``, ``cd``, ``train`` or ``keepalive``.
    state
        ``ok``, ``done``, ``already``, ``failed``, ``given up``, ``left out``, ``not run``.
    what
        What was done or seen; of a failure, what happened.
    seen
        Of a failure: the evidence.
    todo
        What to type or click, a line each; empty for nothing.
    source
        The file or setting that asked for it; empty for the line.
    error
        The class of the error.
    seconds
        How long it took.
    """

    name: str
    state: str
    what: str
    seen: str = ""
    todo: str = ""
    source: str = ""
    error: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Tell whether it is as it was asked for."""
        return self.state in _WELL


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupReport(Document):
    """What came of the setup.

    Attributes
    ----------
    parts
        What came of each part, in the order in which they ran.
    gpu
        The headline of ``%gpu_check``.
    gpu_ok
        Whether that is well.
    sources
        The files and settings that were read.
    problems
        What in them means nothing, a line each.
    seconds
        In all.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.setup+json"

    parts: tuple[PartOutcome, ...]
    gpu: str
    gpu_ok: bool = True
    sources: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Tell whether each part is as it was asked for, and each file was understood."""
        return not self.problems and all(part.ok for part in self.parts)

    def __getitem__(self, name: str) -> PartOutcome:
        """Return the part of a name.

        Raises
        ------
        KeyError
            It was not asked for.
        """
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)

    def view(self) -> Report:
        """Return what a person sees."""
        title, _, rest = self.gpu.partition(":")
        told = any(part.name in _ON_GPU and part.state == FAILED for part in self.parts)
        more = "" if self.gpu_ok or told else "; why, and what to do: %gpu_check"
        return Report(
            title=TITLE,
            verdict=self._verdict(),
            summary=self._summary(),
            findings=tuple(self._findings()),
            tables=self._tables(),
            fields=(Field(label=f"{title}:", value=" ".join(rest.split()) + more),),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "parts": to_plain(self.parts),
            "gpu": self.gpu,
            "gpu_ok": self.gpu_ok,
            "sources": list(self.sources),
            "problems": list(self.problems),
            "seconds": round(self.seconds, 3),
        }

    def __repr__(self) -> str:
        """Return the answer in one line."""
        return f"<{self.headline}>"

    def _verdict(self) -> str:
        """Return the answer."""
        if not self.parts:
            return "NOTHING WAS ASKED FOR"
        if all(part.ok for part in self.parts):
            return "READY"
        is_stopped = any(part.state == NOT_RUN for part in self.parts)
        return "STOPPED" if is_stopped else "NOT ALL DONE"

    def _summary(self) -> str:
        """Return how many parts came to what, and who asked for them."""
        states = [part.state for part in self.parts if part.state != OK]
        counts = [
            "all was so already"
            if set(states) == {ALREADY}
            else ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
        ]
        if self.parts and self.seconds >= _SLOW_S:
            counts.append(f"{self.seconds:.1f} s")
        if self.sources:
            counts.append(f"defaults from {', '.join(self.sources)}")
        return "; ".join(each for each in counts if each)

    def _findings(self) -> Iterator[Finding]:
        """Yield what failed, then what was not understood."""
        for part in self.parts:
            if part.state == FAILED:
                yield Finding(
                    code=NOTE,
                    severity=Severity.ERROR,
                    title=f"{part.name}: {part.what}{_asked_by(part)}",
                    evidence=(part.seen,) if part.seen else (),
                    fix=tuple(_typed_lines(part.todo)),
                )
        for problem in self.problems:
            yield Finding(code=NOTE, severity=Severity.WARN, title=problem)
        if not self.parts:
            yield Finding(
                code=NOTE,
                severity=Severity.INFO,
                title="name the parts here, or in colabmagic.toml beside the notebook:",
                fix=(Code(_EXAMPLE),),
            )

    def _tables(self) -> tuple[Table, ...]:
        """Return the one table, without columns that are empty."""
        rows = [
            (
                part.name,
                part.state,
                "see Why above" if part.state == FAILED else part.what,
                "" if part.state == FAILED else part.todo,
            )
            for part in self.parts
        ]
        if not rows:
            return ()
        columns = ("Part", "State", "What", "Type or click")
        width = 4 if any(row[3] for row in rows) else 3
        return (
            Table(
                caption="What was done",
                columns=columns[:width],
                rows=tuple(row[:width] for row in rows),
            ),
        )


def _asked_by(part: PartOutcome) -> str:
    """Return who asked for a part, unless that is the line, or has been said."""
    if not part.source or part.source in part.what:
        return ""
    return f" ({part.source} asks for it)"


def _typed_lines(hint: str) -> Iterator[str]:
    """Yield the lines of a hint; those below a cell magic are of the same cell."""
    is_of_cell = False
    for line in hint.splitlines():
        is_word = " " not in line and line != "or"
        is_of_cell = line.startswith("%%") or (is_of_cell and is_word)
        yield Code(line) if is_of_cell else _typed(line)


def _typed(line: str) -> str:
    """Return a line of a hint; what is to be copied is never wrapped."""
    is_command = line.startswith(COMMANDS) and ", " not in line
    return Code(line) if is_command or line.startswith(_STATEMENT) else line
