"""Where everything lies in our folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE = "COLABMAGIC_HOME"


def home_folder(env: Mapping[str, str] | None = None) -> Path:
    """Return our folder: ``$COLABMAGIC_HOME``, else below the user's data directory.

    Parameters
    ----------
    env
        Environment variables; those of the process where left out.
    """
    env = os.environ if env is None else env
    chosen = env.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    data = env.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "colabmagic"


@dataclass(frozen=True, slots=True)
class Home:
    """Our folder, and what lies in it.

    ::

        cuda/13.0.3/            a finished toolkit, with toolkit.json beside bin/
        cuda/.staging-<id>/     one that is being made
        cuda/.removed-<id>/     one that is being taken away
        cuda/journal.jsonl      what was done, with its inverse
        cuda/lock               one writer at a time
        cache/sha256/ab/…       files by their hash
        cache/partial/…         files that are still coming
    """

    root: Path

    @property
    def toolkits(self) -> Path:
        """Return the folder of toolkits."""
        return self.root / "cuda"

    @property
    def journal(self) -> Path:
        """Return the journal."""
        return self.toolkits / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Return the lock."""
        return self.toolkits / "lock"

    @property
    def cache(self) -> Path:
        """Return the cache."""
        return self.root / "cache"
