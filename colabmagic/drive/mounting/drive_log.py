"""What Colab's Drive program wrote about a mount: quota, time-outs, policy.

``google.colab`` looks for a time-out anywhere in the log, so that an old line gives a new
failure a wrong name. Here only lines count that came after a mark.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from colabmagic.drive.words import home as users_home

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = ".config/Google/DriveFS/Logs"
NAMES: Final = ("drive_fs.txt", "timeouts.txt")
_MOST_BYTES: Final = 256 * 1024  # of the end of each file
_TAIL_LINES: Final = 5
_LINE_CHARS: Final = 160

_QUOTA: Final = re.compile(
    r"QUOTA_EXCEEDED|quota\s*exceeded|quotaExceeded", re.IGNORECASE
)
_TIMED_OUT: Final = re.compile(r"timed[ _-]?out|DEADLINE_EXCEEDED", re.IGNORECASE)
_POLICY: Final = re.compile(r"domain policy|disabled Drive File Stream", re.IGNORECASE)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,6})?)")

# Whatever lets somebody in; the log is Google's, and may hold anything.
_SECRET: Final = re.compile(
    r"ya29\.[\w.-]+"
    r"|\b1//[\w-]{10,}"
    r"|\bAIza[\w-]{20,}"
    r"|\beyJ[\w-]{8,}\.[\w.-]+"
    r"|(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]+"
    r"|(?i:(?:\b|_)(?:token|secret|password|code|key|authorization|cookie)"
    r"\"?\s*[=:]\s*\"?)[^\s\"&,;]+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMark:
    """How far the logs were written at one moment: inode and size by file name."""

    folder: Path
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFindings:
    """What the logs say; each a line, cleaned for showing, or None."""

    quota: str | None = None
    timed_out: str | None = None
    policy: str | None = None
    tail: tuple[str, ...] = ()


def log_folder(home: Path | None = None) -> Path:
    """Return where Colab's Drive program keeps its logs.

    Parameters
    ----------
    home
        The user's folder; that of this process where left out.
    """
    return (users_home() if home is None else home) / FOLDER


def mark(home: Path | None = None) -> LogMark:
    """Remember how far the logs are written; never raises.

    Parameters
    ----------
    home
        As for `log_folder`.
    """
    folder = log_folder(home)
    sizes = {}
    for name in NAMES:
        try:
            status = os.stat(folder / name)  # noqa: PTH116 (one call)
        except OSError:
            continue
        sizes[name] = (status.st_ino, status.st_size)
    return LogMark(folder=folder, sizes=sizes)


def read_log(since: LogMark | float, home: Path | None = None) -> LogFindings:
    """Return what the logs say since then; never raises.

    Parameters
    ----------
    since
        A mark, or a time in seconds of the epoch: lines with an older time are left out.
    home
        As for `log_folder`; a mark knows it.
    """
    lines = [
        line
        for name in NAMES
        for line in (
            _after_mark(since, name)
            if isinstance(since, LogMark)
            else _after_time(since, log_folder(home) / name)
        )
    ]
    return LogFindings(
        quota=_first(_QUOTA, lines),
        timed_out=_first(_TIMED_OUT, lines),
        policy=_first(_POLICY, lines),
        tail=tuple(clean(line) for line in lines[-_TAIL_LINES:]),
    )


def clean(text: str, most: int = _LINE_CHARS) -> str:
    """Return foreign text for showing: one line, no controls, no credential, not long.

    Parameters
    ----------
    text
        What somebody else wrote.
    most
        How many characters are shown.
    """
    hidden = _SECRET.sub("(hidden)", text)
    plain = "".join(c if c.isprintable() else " " for c in hidden)
    short = " ".join(plain.split())
    return short if len(short) <= most else short[: most - 1] + "…"


def _first(pattern: re.Pattern[str], lines: list[str]) -> str | None:
    """Return the newest line that fits."""
    for line in reversed(lines):
        if pattern.search(line):
            return clean(line)
    return None


def _after_mark(since: LogMark, name: str) -> list[str]:
    """Return the lines that a file got after a mark; a new file is new as a whole."""
    path = since.folder / name
    inode, size = since.sizes.get(name, (0, 0))
    try:
        status = os.stat(path)  # noqa: PTH116 (as above)
    except OSError:
        return []
    same = status.st_ino == inode and status.st_size >= size
    return _lines(path, size if same else 0)


def _after_time(since: float, path: Path) -> list[str]:
    """Return the lines that are not older; one without a time goes with the one before."""
    try:
        if path.stat().st_mtime < since:
            return []
    except OSError:
        return []
    kept, fresh = [], False
    for line in _lines(path, 0):
        written = _time_of(line)
        if written is not None:
            fresh = written >= since
        if fresh:
            kept.append(line)
    return kept


def _time_of(line: str) -> float | None:
    """Return when a line was written (UTC, as the program writes), where it says so."""
    found = _TIME.search(line[:80])
    if found is None:
        return None
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00").timestamp()
    except ValueError:
        return None


def _lines(path: Path, start: int) -> list[str]:
    """Return the lines of a file from a place on; of a long rest, the end."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - _MOST_BYTES))
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]
