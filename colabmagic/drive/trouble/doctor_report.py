"""What the doctor has found, as text, HTML and data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from colabmagic.report.document import Document
from colabmagic.report.model import Finding, Report, Severity, Table
from colabmagic.report.plain import to_plain

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport(Document):
    """The answer of `colabmagic.drive.trouble.doctor.examine`.

    Parameters
    ----------
    checks
        What was looked at, and what was seen.
    findings
        What is wrong, the worst first.
    elapsed_s
        How long it took.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.drive-doctor+json"

    checks: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    elapsed_s: float | None = None

    @property
    def ok(self) -> bool:
        """Tell whether nothing is broken."""
        return not any(one.severity is Severity.ERROR for one in self.findings)

    def view(self) -> Report:
        """Return what a person sees."""
        count = sum(one.severity is not Severity.INFO for one in self.findings)
        things = "1 THING" if count == 1 else f"{count} THINGS"
        return Report(
            title="Drive doctor",
            verdict=f"{things} TO MEND" if count else "NOTHING WRONG WAS FOUND",
            findings=self.findings,
            tables=(
                Table(caption="Looked at", columns=("What", "Seen"), rows=self.checks),
            ),
            elapsed_s=self.elapsed_s,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "findings": to_plain(self.findings),
            "checks": dict(self.checks),
        }

    def __repr__(self) -> str:
        """Return the answer, short enough for a debugger."""
        return f"<DoctorReport: {', '.join(one.code for one in self.findings) or 'ok'}>"
