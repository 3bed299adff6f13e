"""Plain results, as every feature shows them: findings, tables, a report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How much a finding matters to the user."""

    ERROR = "error"  # the thing asked about does not work
    WARN = "warn"  # it works, with a catch
    INFO = "info"  # good to know

    @property
    def word(self) -> str:
        """Return the word that leads a finding; colour alone would not do.

        An error is why the verdict is bad.
        """
        return _WORDS[self]


NOTE = "note"  # the code of what has no name of its own
_WORDS = {Severity.ERROR: "Why", Severity.WARN: "Warning", Severity.INFO: "Note"}


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that could not be read, and why; never a zero in disguise."""

    reason: str

    def __str__(self) -> str:
        """Return the words for a report."""
        return f"unknown ({self.reason})"


class Code(str):
    """A line of a fix that is to be typed as it stands: it is never wrapped."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was noticed, what shows it, and what to do.

    Parameters
    ----------
    code
        Stable name in words, such as ``driver-too-old``; `NOTE` is not shown.
    title
        The cause, one sentence.
    evidence
        What was seen, so that a wrong guess can be recognised.
    fix
        What to type or click, one step an entry, the most likely first.
    """

    code: str
    severity: Severity
    title: str
    evidence: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """Return the title, with the name that one can search for."""
        return self.title if self.code == NOTE else f"{self.title} [{self.code}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A captioned table; the first cell of a row names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Captioned lines that mend nothing: what runs, or what can be typed next.

    None is ever wrapped, so that each can be copied.
    """

    caption: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A labelled value, such as a version."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a person sees, before it becomes text or HTML.

    Parameters
    ----------
    title
        What was looked at.
    verdict
        The answer in one or a few words.
    summary
        One line that goes with the verdict; may be empty.
    """

    title: str
    verdict: str
    summary: str = ""
    findings: tuple[Finding, ...] = ()
    tables: tuple[Table, ...] = ()
    listings: tuple[Listing, ...] = ()
    fields: tuple[Field, ...] = ()
    elapsed_s: float | None = None

    @property
    def headline(self) -> str:
        """Return title, verdict and summary in one line."""
        return f"{self.title}: {self.verdict}  {self.summary}".rstrip()
