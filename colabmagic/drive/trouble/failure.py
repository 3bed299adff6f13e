"""One way in which Drive can fail."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.report.model import Code, Severity

if TYPE_CHECKING:
    from colabmagic.drive.errors import DriveError

# A command in the midst of words.
COMMAND: Final = re.compile(
    r"(?:%mount_drive|python -m colabmagic)"
    r"(?: (?:--[\w-]+|[\w./:-]*[./:][\w/-]+|api|drive|login|MyDrive|\d+|[A-Z]+\b))*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An entry of the catalogue.

    Parameters
    ----------
    code
        Stable name in words.
    error
        The class by which it is raised; None for what only the doctor finds.
    title
        What it means, one sentence.
    seen
        How it shows itself, or is found out.
    fix
        What to type or click, one step an entry, the most likely first.
    marks
        Words of an error's text by which a cause is known within its class.
    severity
        How much it matters.
    """

    code: str
    error: type[DriveError] | None = None
    title: str
    seen: str
    fix: tuple[str, ...]
    marks: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR

    @property
    def heading(self) -> str:
        """Return its heading in the documentation, without the signs before it."""
        if self.error is None or self.marks:
            return f"`{self.code}`"
        return f"{self.error.__name__}: `{self.code}`"

    @property
    def anchor(self) -> str:
        """Return where it is explained."""
        words = re.sub(r"[^\w\- ]", "", self.heading.lower()).replace(" ", "-")
        return f"docs/drive.md#{words}"

    def markdown(self) -> str:
        """Return its section of the documentation."""
        steps = "\n".join(f"- {_step(fix)}" for fix in self.fix)
        return f"### {self.heading}\n{self.title}\n\n*Seen:* {_step(self.seen)}\n\n{steps}\n"


def _step(fix: str) -> str:
    """Return a step; what is to be typed looks like it."""
    if isinstance(fix, Code) or fix.startswith(("%", "!")):
        return f"`{fix}`"
    return COMMAND.sub(r"`\g<0>`", fix)
