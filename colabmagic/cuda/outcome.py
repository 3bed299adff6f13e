"""What an installation did, and what proves it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.report.document import Document

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.planning.plan import Plan
    from colabmagic.cuda.verifying.ladder import Ladder
    from colabmagic.report.model import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Document):
    """What was done.

    Attributes
    ----------
    plan
        What was to be done.
    root
        The toolkit's folder.
    ladder
        What was proven; None: nothing was to be.
    variables
        What this kernel's environment has since.
    packages
        What pip did (`colabmagic.cuda.packages.changes.Changes`); None: nothing.
    fetched_bytes
        That came over the net.
    seconds
        In all.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.cuda-outcome+json"

    plan: Plan
    root: Path | None
    ladder: Ladder | None
    variables: dict[str, str] = field(default_factory=dict)
    packages: Any = None
    fetched_bytes: int = 0
    seconds: float = 0.0

    def view(self) -> Report:
        """Return what a person sees."""
        from colabmagic.cuda.report import outcome_view  # noqa: PLC0415 (not by scripts)

        return outcome_view(self)
