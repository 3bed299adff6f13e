"""What a run of pip found, kept so that it can be taken back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from colabmagic.cuda.store.layout import Home

_FOLDER = "pip"
PROCESS = uuid.uuid4().hex  # a kernel that has restarted is another one


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A package that changes.

    Attributes
    ----------
    before, after
        Versions; None: it is not there.
    """

    name: str
    before: str | None
    after: str | None

    @property
    def shown(self) -> str:
        """Return "numpy 2.1.0 → 1.26.4"."""
        return f"{self.name} {self.before or '(new)'} → {self.after or '(removed)'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was there before, and what changed.

    Attributes
    ----------
    before
        Lines of ``pip freeze`` of the packages that change.
    changes
        What changed.
    restart
        Packages that the kernel has imported and that changed: until it restarts, it
        works with the old ones.
    process
        Which process wrote it: `restart` is of that one alone.
    """

    before: tuple[str, ...]
    changes: tuple[Change, ...]
    restart: tuple[str, ...] = ()
    process: str = PROCESS


def token_of(parts: Iterable[str]) -> str:
    """Return a name for a run that tells nothing about it."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _path(home: Home, token: str) -> Path:
    """Return where a record lies."""
    return home.toolkits / _FOLDER / f"{token}.json"


def write_record(home: Home, token: str, record: Record) -> None:
    """Keep a record, so that it survives the end of this process."""
    path = _path(home, token)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "before": list(record.before),
        "changes": [[each.name, each.before, each.after] for each in record.changes],
        "restart": list(record.restart),
        "process": record.process,
    }
    beside = path.with_suffix(".part")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_record(home: Home, token: str) -> Record | None:
    """Return a record; None: nothing was changed."""
    try:
        data = json.loads(_path(home, token).read_text(encoding="utf-8"))
        return Record(
            before=tuple(map(str, data["before"])),
            changes=tuple(
                Change(name=str(name), before=before, after=after)
                for name, before, after in data["changes"]
            ),
            restart=tuple(map(str, data["restart"])),
            process=data["process"],
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def has_record(home: Home, token: str) -> bool:
    """Tell whether there is a record, be it one that can be read or not."""
    return _path(home, token).exists()


def drop_record(home: Home, token: str) -> None:
    """Forget a record."""
    _path(home, token).unlink(missing_ok=True)


def name_of(line: str) -> str | None:
    """Return the package of a line of ``pip freeze``; None: it is a comment."""
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    if line.startswith("-e"):
        egg = re.search(r"[#&]egg=([\w.-]+)", line)
        return normal(egg[1]) if egg else normal(line.rstrip("/").rpartition("/")[2])
    found = re.match(r"[\w.-]+", line)
    return normal(found[0]) if found else None


def normal(name: str) -> str:
    """Return a name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
