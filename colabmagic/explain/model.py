"""What an explanation is, and how it looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colabmagic.report.html import render_html
from colabmagic.report.model import Code, Field, Finding, Report, Severity
from colabmagic.report.text import render_text

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a rule found, before it becomes words.

    Attributes
    ----------
    key
        The message: a code, or a code and a variant, as ``device-mismatch.tensor``.
    values
        What fills the places of the message.
    evidence
        What was seen, one line an entry.
    names
        The user's names that it speaks of, the one to change first.
    """

    key: str
    values: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The code without its variant."""
        return self.key.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One error in plain words; it holds texts only, no part of the error.

    Attributes
    ----------
    code
        Stable name of the cause; ``docs/errors.md`` has a heading for each.
    title
        The cause in a few words.
    cause
        The cause in one sentence, with the user's names.
    evidence
        What was seen, so that a wrong guess can be recognised.
    fix
        What to type or change; empty where that is not certain. Lines to type are
        `colabmagic.report.model.Code`.
    names
        The user's names that it speaks of, the one to change first.
    translations
        Pairs of a language's own name and the explanation in it, on one line.
    """

    code: str
    title: str
    cause: str
    evidence: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    translations: tuple[tuple[str, str], ...] = ()

    @property
    def commands(self) -> tuple[str, ...]:
        """The parts of the fix that are to be typed as they are."""
        return tuple(str(entry) for entry in self.fix if isinstance(entry, Code))

    def report(self) -> Report:
        """Return it in the form that all features show."""
        finding = Finding(
            code=self.code,
            severity=Severity.ERROR,
            title=self.cause,
            evidence=self.evidence,
            fix=self.fix,
        )
        return Report(
            title="colabmagic",
            verdict=self.title,
            findings=(finding,),
            fields=tuple(
                Field(label=name, value=line) for name, line in self.translations
            ),
        )

    def __str__(self) -> str:
        """Return the text that follows a traceback."""
        return render_text(self.report())

    def _repr_mimebundle_(
        self,
        include: object = None,  # noqa: ARG002 (IPython passes it)
        exclude: object = None,  # noqa: ARG002
    ) -> dict[str, str]:
        """Answer IPython: plain text first, and the same as HTML."""
        report = self.report()
        return {"text/plain": render_text(report), "text/html": render_html(report)}
