"""Bring an archive from Drive to the local disk, unpacked, and know it the next time."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.archive import partial
from colabmagic.drive.archive.archives import (
    KNOWN,
    content_bytes,
    kind_of,
    require,
    stem_of,
)
from colabmagic.drive.archive.members import MAX_RATIO, Links
from colabmagic.drive.archive.steps import step
from colabmagic.drive.archive.unpacking import Limits, Unpacking
from colabmagic.drive.errors import (
    CorruptArchiveError,
    DriveError,
    TargetFullError,
)
from colabmagic.drive.transfer.download import (
    PART_BYTES,
    WORKERS,
    Transferred,
    download,
    refuse_without_bytes,
)
from colabmagic.drive.transfer.journal import refuse_full, unwritable
from colabmagic.drive.transfer.reader import open_ranges
from colabmagic.report.progress import SILENT, Progress
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from colabmagic.drive.api.files import Files, RemoteFile
    from colabmagic.drive.archive.members import Target

_COLAB: Final = Path("/content")
_NO_NAMES: Final = {"", ".", ".."}
_HASHED_AT_ONCE: Final = 4 * 2**20


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
    links: Links = "refuse",
    keep_archive: bool = False,
    newest: bool = False,
    progress: Progress = SILENT,
) -> Staged:
    """Download an archive, unpack it, and give the folder its name when all is right.

    A tar is unpacked while it comes; a zip and a 7z, whose directories are at their
    ends, afterwards.

    Parameters
    ----------
    files
        Where it is.
    archive
        Path of a ``.tar``, ``.tar.gz``, ``.tar.xz``, ``.tar.bz2``, ``.tar.zst``, ``.zip``
        or ``.7z`` on Drive.
    to
        The folder; left out: of the archive's name, below ``/content`` or here.
    refresh
        Take it again although it is here.
    workers, part_bytes
        Of the download.
    max_ratio, max_bytes
        How much may come out.
    links
        ``inside``: make the links that stay inside of the folder; else they are refused.
    keep_archive
        Leave the archive beside the folder.
    newest
        Of several files of the same name take the one that changed last.
    progress
        Is told of the download and of unpacking, in the calling thread. What it raises
        ends them; what has come is kept for the next run.

    Returns
    -------
    Staged
        What is here now.

    Raises
    ------
    DriveError
        Nothing lies under the folder's name then that did not before.
    """
    name = archive.rstrip("/").rpartition("/")[2]
    if kind_of(name) is None:
        raise CorruptArchiveError(
            f"{clean(name)} is no archive that can be unpacked",
            seen=f"known: {KNOWN}",
            hint='%mount_drive --pack FOLDER "MyDrive/NAME.tar.zst" makes one',
        )
    if links not in {"refuse", "inside"}:
        raise ValueError(f"links is 'refuse' or 'inside', not {links!r}")
    require(name)
    folder = (to or _default_folder(name)).resolve()
    if not folder.name:
        raise TargetFullError(f"{folder} cannot be made anew", hint="--to FOLDER")
    job = _Stage(
        files, archive, name, folder, workers, part_bytes,
        Limits(max_ratio=max_ratio, max_bytes=max_bytes, links=links),
        keep_archive, progress, newest,
    )  # fmt: skip
    found = None if refresh else job.hit()
    if found is not None:
        return found
    job.refuse_occupied()
    with partial.alone(folder, job.wait_for_other) as waited:
        if waited:
            progress.finish()
            found = job.hit()  # the other one has made it
        return found or job.run()


@dataclass(eq=False)
class _Stage:
    """One archive on its way."""

    files: Files
    archive: str
    name: str
    folder: Path
    workers: int
    part_bytes: int
    limits: Limits
    keep_archive: bool
    progress: Progress
    newest: bool = False

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.marker = self.folder.with_name(f".{self.folder.name}.colabmagic.json")
        self.remote: RemoteFile | None = None

    def hit(self) -> Staged | None:
        """Return what is here, if it is what Drive has: one request."""
        known = _known(self.marker, self.folder)
        self.remote = remote = self._found(known)
        if known is None or (known["id"], known["md5"]) != (remote.id, remote.md5):
            return None
        return Staged(
            path=self.folder, files=known["files"], size=known["size"],
            archive_bytes=remote.size or 0, fetched_bytes=0, md5=known["md5"],
            seconds=time.monotonic() - self.began, notes=tuple(known["notes"]),
        )  # fmt: skip

    def _found(self, known: dict[str, Any] | None) -> RemoteFile:
        """Return the file on Drive: by its id, if it is known from the last time."""
        if known is not None and known["path"] == self.archive and not self.newest:
            with contextlib.suppress(DriveError):
                found = self.files.by_id(str(known["id"]))
                if not found.trashed and found.name == self.name:
                    return found
        return self.files.stat(self.archive, newest=self.newest)

    def wait_for_other(self) -> None:
        """Say that another process makes this folder."""
        self.progress.start(f"wait for who is making {clean(self.folder.name)}")

    def run(self) -> Staged:
        """Download and unpack; nothing half is left, whatever happens."""
        self.remote = remote = self.remote or self._found(None)
        refuse_without_bytes(remote)
        partial.clear(self.folder)
        local = self._local()
        here = _is_content(local, remote)
        if self.keep_archive and local.exists() and not here and not self._kept():
            raise TargetFullError(
                f"{clean(str(local))} is there already, and is another file",
                hint="move it away, or leave --keep-archive out",
            )
        self._refuse_full(remote, local, here=here)
        job = Unpacking(self.name, remote.size or 0, self.folder, self.limits)
        try:
            done = self._fetched(remote, local, job, here=here)
            with step(self.progress, "unpack", self.name, job.size):
                if job.made is None:
                    job.begin(local.open("rb"))
                target = job.result(self.progress)
            md5 = done.md5 if done else str(remote.md5)
            self._appear(job, md5, target)
        except CorruptArchiveError:  # its bytes are those of Drive: of no further use
            job.abandon()
            if not self.keep_archive:
                local.unlink(missing_ok=True)
            raise
        except BaseException:  # also Ctrl-C: nothing half is left
            job.abandon()
            raise
        if not self.keep_archive:
            local.unlink(missing_ok=True)
        return Staged(
            path=self.folder, files=target.files, size=target.written_bytes,
            archive_bytes=job.size, fetched_bytes=done.fetched_bytes if done else 0, md5=md5,
            seconds=time.monotonic() - self.began, notes=tuple(target.notes),
        )  # fmt: skip

    def _fetched(
        self, remote: RemoteFile, local: Path, job: Unpacking, *, here: bool
    ) -> Transferred | None:
        """Download the archive, unless it is here, and unpack a tar meanwhile."""
        if here:
            return None
        with step(self.progress, "download", self.name, remote.size):
            done = download(
                self.files, remote, local,
                workers=self.workers, part_bytes=self.part_bytes,
                progress=self.progress.advance,
                arrived=job if kind_of(self.name) == "tar" else None,
            )  # fmt: skip
        job.size = done.size  # it may have changed meanwhile
        return done

    def _local(self) -> Path:
        """Return where the archive is until it is unpacked, or stays."""
        if self.keep_archive:
            return self.folder.with_name(self.name)
        return self.folder.with_name(f".{self.folder.name}.colabmagic-archive")

    def _kept(self) -> bool:
        """Tell whether the archive beside the folder is one that was kept before."""
        known = _known(self.marker, self.folder) or {}
        return known.get("kept") == self.name

    def _refuse_full(self, remote: RemoteFile, local: Path, *, here: bool) -> None:
        """Raise if the disk cannot take the archive and its content.

        What a tar holds is not written in it: at least as much as it is large.
        """
        size = remote.size or 0
        part = local if here else local.with_name(local.name + ".part")
        with contextlib.suppress(OSError):
            size = max(0, size - part.stat().st_blocks * 512)
        content = None
        if kind_of(self.name) != "tar":
            with local.open("rb") if here else open_ranges(self.files, remote) as file:
                content = content_bytes(self.name, file)
        refuse_full(self.folder, size + (content or remote.size or 0))

    def _appear(self, job: Unpacking, md5: str, target: Target) -> None:
        """Give the folder its name, and note what it is of."""
        assert job.made is not None
        assert self.remote is not None
        facts = {
            "id": self.remote.id, "md5": md5, "path": self.archive,
            "files": target.files, "size": target.written_bytes,
            "notes": list(target.notes), "inode": job.made.stat().st_ino,
            "entries": len(list(job.made.iterdir())),
            "kept": self.name if self.keep_archive else None,
        }  # fmt: skip
        # First what tells of the new folder, then the folder: in between, the number of
        # the old one does not fit, and nothing is taken for what it is not.
        fresh = self.marker.with_name(self.marker.name + ".new")
        try:
            fresh.write_text(json.dumps(facts), "utf-8")
            fresh.replace(self.marker)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise unwritable(self.marker, error) from None
        partial.put_in_place(job.made, self.folder)

    def refuse_occupied(self) -> None:
        """Refuse to replace a folder that is not ours."""
        if self.folder.exists() and not self.marker.exists():
            if self.folder.is_dir() and not any(self.folder.iterdir()):
                return
            raise TargetFullError(
                f"{clean(str(self.folder))} is there already, and was not made by this magic",
                hint="another folder: --to, or move that one away",
            )


def _default_folder(name: str) -> Path:
    """Return where an archive goes if nobody says."""
    stem = stem_of(name)
    parent = _COLAB if _COLAB.is_dir() else Path.cwd()
    return parent / ("data" if stem in _NO_NAMES else stem)


def _known(marker: Path, folder: Path) -> dict[str, Any] | None:
    """Return what was noted when the folder was made; None if it is not all there."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(marker.read_text("utf-8"))
        keys = {"id", "md5", "path", "files", "size", "notes", "inode", "entries"}
        if (
            isinstance(found, dict)
            and keys <= found.keys()
            and folder.stat().st_ino == found["inode"]
            and len(list(folder.iterdir())) >= found["entries"]  # nobody emptied it
        ):
            return found
    return None


def _is_content(local: Path, remote: RemoteFile) -> bool:
    """Tell whether a file that is here has the content of one on Drive."""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with local.open("rb") as file:
            if file.seek(0, io.SEEK_END) != remote.size:
                return False
            file.seek(0)
            while data := file.read(_HASHED_AT_ONCE):
                digest.update(data)
    except OSError:
        return False
    return digest.hexdigest() == remote.md5
