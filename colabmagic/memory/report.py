"""The answer of ``%gpu_memory``: an object that renders itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.memory.view import view
from colabmagic.report.document import Document
from colabmagic.report.plain import to_plain

if TYPE_CHECKING:
    from colabmagic.memory.holders import Holding, MemoryFacts
    from colabmagic.report.model import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReport(Document):
    """Who holds the memory of tensors.

    Attributes
    ----------
    facts
        What the report rests on.
    freed_bytes
        What ``--free`` gave back on devices; None if nothing was asked, or no device
        tells.
    freed
        The same in words.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.gpu-memory+json"

    facts: MemoryFacts
    freed_bytes: int | None = None
    freed: str | None = None

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """Return who holds what, the largest first."""
        return self.facts.holdings

    def view(self) -> Report:
        """Return the report before it becomes text or HTML."""
        return view(self.facts, self.freed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "facts": to_plain(self.facts),
            "freed_bytes": self.freed_bytes,
        }
