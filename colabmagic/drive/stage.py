"""Bring an archive from Drive to the local disk, unpacked, and know it the next time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.archives import kind_of, stem_of, unpack
from colabmagic.drive.download import PART_BYTES, WORKERS, download
from colabmagic.drive.errors import (
    CorruptArchiveError,
    DriveError,
    TargetFullError,
)
from colabmagic.drive.members import MAX_RATIO, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.files import Files, RemoteFile

_COLAB: Final = Path("/content")
_PARTIAL: Final = ".colabmagic-partial-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A dataset that lies on the local disk.

    Attributes
    ----------
    path
        The folder.
    files
        How many are in it.
    size
        Bytes of its files.
    archive_bytes
        Bytes of the archive on Drive.
    fetched_bytes
        Bytes that went over the line in this run; 0 where it was here already.
    md5
        Of the archive; the server's and ours are the same.
    seconds
        How long it took.
    notes
        What the user should know.
    """

    path: Path
    files: int
    size: int
    archive_bytes: int
    fetched_bytes: int
    md5: str
    seconds: float
    notes: tuple[str, ...] = ()


def stage(  # noqa: PLR0913 (by keyword)
    files: Files,
    archive: str,
    to: Path | None = None,
    *,
    refresh: bool = False,
    workers: int = WORKERS,
    part_bytes: int = PART_BYTES,
    max_ratio: float = MAX_RATIO,
    max_bytes: int | None = None,
    keep_archive: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Staged:
    """Download an archive, unpack it, and give the folder its name when all is right.

    Parameters
    ----------
    files
        Where it is.
    archive
        Path of a ``.tar``, ``.tar.gz``, ``.tar.xz``, ``.tar.bz2``, ``.tar.zst`` or ``.zip``
        on Drive.
    to
        The folder; left out: of the archive's name, below ``/content`` or here.
    refresh
        Take it again although it is here.
    workers, part_bytes
        Of the download.
    max_ratio, max_bytes
        How much may come out.
    keep_archive
        Leave the archive beside the folder.
    progress
        Called with a number of bytes that have come.

    Returns
    -------
    Staged
        What is here now.

    Raises
    ------
    DriveError
        Nothing lies under the folder's name then that did not before.
    """
    began = time.monotonic()
    name = archive.rstrip("/").rpartition("/")[2]
    if kind_of(name) is None:
        raise CorruptArchiveError(
            f"{name} is no archive that can be unpacked",
            seen="known: .tar .tar.gz .tar.xz .tar.bz2 .tar.zst .zip",
            hint='%mount_drive --pack FOLDER "MyDrive/NAME.tar.zst" makes one',
        )
    folder = (to or _default_folder(name)).absolute()
    marker = folder.with_name(f".{folder.name}.colabmagic.json")
    known = None if refresh else _known(marker, folder)
    remote = _remote(files, archive, known)
    if known is not None and (known["id"], known["md5"]) == (remote.id, remote.md5):
        return Staged(
            path=folder, files=known["files"], size=known["size"],
            archive_bytes=remote.size or 0, fetched_bytes=0, md5=known["md5"],
            seconds=time.monotonic() - began, notes=tuple(known["notes"]),
        )  # fmt: skip
    _refuse_occupied(folder, marker)
    local = folder.with_name(name if keep_archive else f".{name}")
    done = download(
        files, remote, local, workers=workers, part_bytes=part_bytes, progress=progress
    )
    _clear(folder)
    beside = _beside(folder)
    try:
        target = _unpacked(local, name, beside, max_ratio, max_bytes)
        notes = list(target.notes)
        facts = {
            "id": remote.id, "md5": done.md5, "path": archive, "files": target.files,
            "size": target.written_bytes, "notes": notes, "inode": beside.stat().st_ino,
        }  # fmt: skip
        # First what tells of the new folder, then the folder: in between, the number of
        # the old one does not fit, and nothing is taken for what it is not.
        fresh = marker.with_name(marker.name + ".new")
        fresh.write_text(json.dumps(facts), "utf-8")
        fresh.replace(marker)
        _put_in_place(beside, folder)
    except BaseException:  # also Ctrl-C: nothing half is left
        shutil.rmtree(beside, ignore_errors=True)
        raise
    if not keep_archive:
        local.unlink(missing_ok=True)
    return Staged(
        path=folder, files=target.files, size=target.written_bytes, archive_bytes=done.size,
        fetched_bytes=done.fetched_bytes, md5=done.md5,
        seconds=time.monotonic() - began, notes=tuple(notes),
    )  # fmt: skip


def _unpacked(
    local: Path, name: str, beside: Path, max_ratio: float, max_bytes: int | None
) -> Target:
    """Unpack an archive into a fresh folder."""
    with local.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        with Target(beside, size, max_ratio=max_ratio, max_bytes=max_bytes) as target:
            unpack(name, file, target)
    return target


def _beside(folder: Path) -> Path:
    """Make a folder beside another, which is of this process."""
    try:
        made = Path(
            tempfile.mkdtemp(
                prefix=f".{folder.name}{_PARTIAL}{os.getpid()}-", dir=folder.parent
            )
        )
        made.chmod(0o755)
    except OSError as error:
        raise TargetFullError(
            f"{folder.parent} cannot be written",
            seen=error.strerror or type(error).__name__,
            hint="another folder: --to",
        ) from None
    return made


def _put_in_place(beside: Path, folder: Path) -> None:
    """Give a folder its name; one that has it goes."""
    if folder.exists():
        old = _beside(folder)
        folder.replace(old / folder.name)
        beside.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        beside.replace(folder)


def _clear(folder: Path) -> None:
    """Remove what processes that were killed have left beside a folder."""
    start = f".{folder.name}{_PARTIAL}"
    for each in folder.parent.iterdir():
        process = each.name.removeprefix(start).partition("-")[0]
        if (
            each.name.startswith(start)
            and process.isdecimal()
            and not _is_alive(int(process))
        ):
            shutil.rmtree(each, ignore_errors=True)


def _is_alive(process: int) -> bool:
    """Tell whether a process is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _default_folder(name: str) -> Path:
    """Return where an archive goes if nobody says."""
    return (_COLAB if _COLAB.is_dir() else Path.cwd()) / stem_of(name)


def _known(marker: Path, folder: Path) -> dict[str, Any] | None:
    """Return what was noted when the folder was made; None if it is not all there."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(marker.read_text("utf-8"))
        keys = {"id", "md5", "path", "files", "size", "notes", "inode"}
        if isinstance(found, dict) and keys <= found.keys():
            return found if folder.stat().st_ino == found["inode"] else None
    return None


def _remote(files: Files, archive: str, known: dict[str, Any] | None) -> RemoteFile:
    """Return the file on Drive: by its id, if it is known from the last time."""
    if known is not None and known["path"] == archive:
        with contextlib.suppress(DriveError):
            found = files.by_id(str(known["id"]))
            if not found.trashed:
                return found
    return files.stat(archive)


def _refuse_occupied(folder: Path, marker: Path) -> None:
    """Refuse to replace a folder that is not ours."""
    if (
        folder.exists()
        and not marker.exists()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise TargetFullError(
            f"{folder} is there already, and was not made by this magic",
            hint="another folder: --to, or move that one away",
        )
