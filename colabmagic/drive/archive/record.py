"""What was noted of a folder when it was unpacked, and what has become of it since.

A file that was written, moved in or changed after that has a later time of change: the
system sets it, nobody else can. So what is the user's own is told from what the archive
has, without a list of all files.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import time
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.transfer.beside import fresh_file, hidden
from colabmagic.drive.transfer.locks import unwritable
from colabmagic.drive.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAMED: Final = 3
_LOOK_S: Final = 0.05  # a second `--stage` takes no time, however many files there are
_AT_ONCE: Final = 128  # files between two looks at the clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A folder as it was unpacked.

    Attributes
    ----------
    id, md5, path
        Of the archive on Drive.
    files, size
        What came out of it, in bytes.
    notes
        What was told then.
    inode
        Of the folder.
    mark_ns
        When all was written, by the clock of its file system.
    kept
        Name of the archive, if it stayed beside the folder.
    """

    id: str
    md5: str
    path: str
    files: int
    size: int
    notes: tuple[str, ...]
    inode: int
    mark_ns: int
    kept: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look through a folder has found.

    Attributes
    ----------
    files
        How many were looked at.
    changed
        Those that are not as they were unpacked, from the folder on.
    whole
        Whether all were looked at.
    """

    files: int
    changed: tuple[str, ...]
    whole: bool


def marker_of(folder: Path) -> Path:
    """Return where the record of a folder is kept.

    Parameters
    ----------
    folder
        The folder.
    """
    return hidden(folder, ".colabmagic.json")


def recorded(folder: Path) -> Record | None:
    """Return the record that fits the folder of a name; None if it is not ours.

    Parameters
    ----------
    folder
        The folder; one that was made anew under the name is not ours.
    """
    found = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(_text(marker_of(folder)))
        inode = folder.stat().st_ino
    if not isinstance(found, dict):
        return None
    for facts in (found, found.get("before")):
        if isinstance(facts, dict) and facts.get("inode") == inode:
            return _read(facts)
    return None


def note(record: dict[str, Any], made: Path, folder: Path) -> None:
    """Note what a folder is of, before it gets its name.

    Until then the record of the one that has the name still counts, so that a process
    which is killed in between leaves no folder that nobody knows.

    Parameters
    ----------
    record
        Of `Record`, without what is read from the folder.
    made
        The folder as it is now.
    folder
        As it will be.
    """
    marker, before = marker_of(folder), recorded(folder)
    fresh = marker.with_name(marker.name + ".new")
    try:
        os.close(fresh_file(fresh))
        facts = Record(
            **record, inode=made.stat().st_ino, mark_ns=fresh.stat().st_ctime_ns
        )
        text = {**asdict(facts), "before": asdict(before) if before else None}
        fresh.write_text(json.dumps(text), "utf-8")
        fresh.replace(marker)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise unwritable(marker, error) from None


def look(folder: Path, mark_ns: int, seconds: float | None = _LOOK_S) -> Look:
    """Look which files of a folder were changed after a time.

    Parameters
    ----------
    folder
        The folder; links in it are not followed.
    mark_ns
        The time.
    seconds
        How long it may take; None for no bound.
    """
    end = None if seconds is None else time.monotonic() + seconds
    count, changed = 0, []
    for name, is_changed in _files(folder, mark_ns):
        count += 1
        if is_changed:
            changed.append(name)
        if end and count % _AT_ONCE == 0 and time.monotonic() > end:
            return Look(files=count, changed=tuple(changed), whole=False)
    return Look(files=count, changed=tuple(changed), whole=True)


def told(found: Look, record: Record) -> Iterator[str]:
    """Yield what to tell of a folder that is here already.

    Parameters
    ----------
    found
        By `look`.
    record
        Of the folder.
    """
    if not found.changed:
        return
    count, more = len(found.changed), found.files - record.files
    if found.whole and count == more:
        yield f"{_counted(count)} more than in the archive: {some(found.changed)}; left alone"
        return
    yield (
        f"{_counted(count)} no longer as unpacked: {some(found.changed)}; --refresh brings "
        f"the archive's again, and puts these beside the folder"
    )


def keep_changed(folder: Path, mark_ns: int) -> tuple[str, ...]:
    """Remove from a folder what is as it was unpacked; return what stays.

    Parameters
    ----------
    folder
        The folder; it goes as a whole if nothing stays.
    mark_ns
        When it was unpacked.
    """
    stays = look(
        folder, mark_ns, None
    ).changed  # first all: removing a link changes others
    if not stays:
        shutil.rmtree(folder, ignore_errors=True)
        return ()
    kept = {os.path.join(folder, name) for name in stays}  # noqa: PTH118 (as the walk has them)
    for at, folders, files in os.walk(folder, topdown=False):
        links = (each for each in folders if os.path.islink(os.path.join(at, each)))  # noqa: PTH114, PTH118
        for path in (os.path.join(at, name) for name in (*files, *links)):  # noqa: PTH118
            if path not in kept:
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108
        with contextlib.suppress(OSError):
            os.rmdir(at)  # noqa: PTH106 (only if nothing is in it)
    return stays


def some(names: tuple[str, ...]) -> str:
    """Return the first of some names, as they may be shown."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(quoted(name[:80]) for name in sorted(names)[:_NAMED]) + more


def _counted(count: int) -> str:
    """Return ``1 file``, ``2 files``."""
    return "1 file" if count == 1 else f"{count:,} files"


def _text(marker: Path) -> str:
    """Return what a record holds; nothing of a pipe, which could hold us up."""
    is_file = stat.S_ISREG(marker.lstat().st_mode)
    return marker.read_text("utf-8") if is_file else ""


def _read(facts: dict[str, Any]) -> Record | None:
    """Return a record that was written down; None if it makes no sense."""
    values = {each.name: facts.get(each.name) for each in fields(Record)}
    numbers, texts = ("files", "size", "inode", "mark_ns"), ("id", "md5", "path")
    if not (
        all(isinstance(values[name], int) for name in numbers)
        and all(isinstance(values[name], str) for name in texts)
        and isinstance(values["notes"], list)
    ):
        return None
    values["notes"] = tuple(map(str, values["notes"]))
    return Record(**values)  # type: ignore[arg-type]  # as was just looked at


def _files(folder: Path, mark_ns: int) -> Iterator[tuple[str, bool]]:
    """Yield each file below a folder, and whether it was changed after a time.

    A folder that cannot be read counts as one file that was changed.
    """
    waiting = [("", str(folder))]
    while waiting:
        prefix, at = waiting.pop()
        try:
            with os.scandir(at) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((f"{prefix}{entry.name}/", entry.path))
                    else:
                        when = entry.stat(follow_symlinks=False).st_ctime_ns
                        yield prefix + entry.name, when > mark_ns
        except OSError:
            yield prefix or ".", True
