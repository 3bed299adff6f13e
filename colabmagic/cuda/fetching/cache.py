"""Files by their SHA-256, so that nothing is fetched twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of finished files and of those that are still coming.

    Attributes
    ----------
    root
        Its folder.
    """

    root: Path

    def path_of(self, sha256: str) -> Path:
        """Return where a file with this hash lies, or would lie."""
        return self.root / "sha256" / sha256[:2] / sha256
