"""Bring an archive from Drive to the local disk, unpacked, and know it the next time."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from colabmagic.drive.archive import partial, record
from colabmagic.drive.archive.archives import (
    content_bytes,
    kind_of,
    require,
    stem_of,
)
from colabmagic.drive.archive.members import MAX_RATIO, Links
from colabmagic.drive.archive.request import (
    default_folder,
    refuse_in_drive,
    refuse_no_archive,
)
from colabmagic.drive.archive.steps import step
from colabmagic.drive.archive.unpacking import Limits, Unpacking
from colabmagic.drive.errors import (
    ArchiveError,
    CorruptArchiveError,
    DriveError,
    TargetFullError,
)
from colabmagic.drive.transfer import checksum
from colabmagic.drive.transfer.beside import PART, hidden
from colabmagic.drive.transfer.download import (
    PART_BYTES,
    WORKERS,
    Transferred,
    download,
    refuse_without_bytes,
)
from colabmagic.drive.transfer.locks import refuse_full, unwritable
from colabmagic.drive.transfer.reader import open_ranges
from colabmagic.drive.watching.mounts import mount_at
from colabmagic.drive.words import quoted, resolved, shown
from colabmagic.report.progress import SILENT, Progress
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.api.files import Files, RemoteFile
    from colabmagic.drive.archive.members import Target
    from colabmagic.drive.archive.record import Record


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
        Bytes that went over the line in this run.
    source
        What it was made of: ``drive``; ``local``: the archive was here; ``here``: nothing
        was made, the folder was here.
    md5
        Of the archive; the server's and ours are the same.
    seconds
        How long it took.
    notes
        What the user should know.
    checked_files
        Where the folder was here: at how many of its files was looked.
    """

    path: Path
    files: int
    size: int
    archive_bytes: int
    fetched_bytes: int
    md5: str
    seconds: float
    notes: tuple[str, ...] = ()
    source: Literal["drive", "local", "here"] = "drive"
    checked_files: int | None = None


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
        The folder; left out: of the archive's name, in ``/content`` on Colab, else here.
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
    refuse_no_archive(files, archive)
    name = archive.rstrip("/").rpartition("/")[2]
    if links not in {"refuse", "inside"}:
        raise ValueError(f"links is 'refuse' or 'inside', not {links!r}")
    require(name)
    folder = resolved(to or default_folder(name))
    if not folder.name:
        raise TargetFullError(f"{folder} cannot be made anew", hint="--to FOLDER")
    refuse_in_drive(folder, archive)
    job = _Stage(
        files, archive, name, folder, workers, part_bytes,
        Limits(max_ratio=max_ratio, max_bytes=max_bytes, links=links),
        keep_archive, progress, newest,
    )  # fmt: skip
    found = None if refresh else job.hit()
    if found is not None and not job.left_over():
        return found
    job.refuse_occupied()
    with partial.alone(folder, job.wait_for_other) as waited:
        if waited:
            progress.finish()
            found = job.hit()  # the other one has made it
        if found is None:
            return job.run()
        job.tidy()
        return found


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
    began: float = field(default_factory=time.monotonic)
    remote: RemoteFile | None = None

    def hit(self) -> Staged | None:
        """Return what is here, if it is what Drive has: one request, and a short look."""
        known = record.recorded(self.folder)
        self.remote = remote = self._found(known)
        if known is None or (known.id, known.md5) != (remote.id, remote.md5):
            return None
        found = record.look(self.folder, known.mark_ns)
        if found.whole and found.files < known.files:
            return None  # some are missing
        told = record.told(found, known)
        return Staged(
            path=self.folder, files=known.files, size=known.size,
            archive_bytes=remote.size or 0, fetched_bytes=0, md5=known.md5,
            seconds=time.monotonic() - self.began, notes=(*told, *known.notes),
            source="here", checked_files=found.files,
        )  # fmt: skip

    def _found(self, known: Record | None) -> RemoteFile:
        """Return the file on Drive: by its id, if it is known from the last time."""
        if known is not None and known.path == self.archive and not self.newest:
            with contextlib.suppress(DriveError):
                found = self.files.by_id(known.id)
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
        here = checksum.is_content(local, remote)
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
            notes = self._appear(job, md5, target)
        except ArchiveError as error:  # its bytes are those of Drive
            job.abandon()
            self._tell_what_stays(error, local)
            raise
        except BaseException:  # also Ctrl-C: nothing half is left
            job.abandon()
            raise
        self.tidy()
        return Staged(
            path=self.folder, files=target.files, size=target.written_bytes,
            archive_bytes=job.size, fetched_bytes=done.fetched_bytes if done else 0, md5=md5,
            seconds=time.monotonic() - self.began, notes=(*notes, *target.notes),
            source="drive" if done and done.fetched_bytes else "local",
        )  # fmt: skip

    def _tell_what_stays(self, error: ArchiveError, local: Path) -> None:
        """Remove a refused archive, unless an option could unpack it: then say where it is."""
        if self.keep_archive or not local.exists():
            return
        if isinstance(error, CorruptArchiveError) or "--" not in error.hint:
            local.unlink(missing_ok=True)
            return
        stays = f"the archive stays for that: {shown(local)}"
        error.seen = f"{error.seen}; {stays}" if error.seen else stays

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
        return self._hidden

    @property
    def _hidden(self) -> Path:
        """Where an archive is that does not stay."""
        return hidden(self.folder, ".colabmagic-archive")

    def left_over(self) -> list[Path]:
        """Return what an interrupted run has left of an archive; all is unpacked now."""
        part = hidden(self._hidden, PART)
        left = (self._hidden, part, part.with_name(part.name + ".json"))
        return [path for path in left if os.path.lexists(path)]

    def tidy(self) -> None:
        """Remove it; nobody else is at it."""
        for each in self.left_over():
            each.unlink(missing_ok=True)

    def _kept(self) -> bool:
        """Tell whether the archive beside the folder was kept before, and is as it was."""
        known = record.recorded(self.folder)
        if known is None or known.kept != self.name:
            return False
        try:
            return self._local().stat().st_ctime_ns <= known.mark_ns
        except OSError:
            return False

    def _refuse_full(self, remote: RemoteFile, local: Path, *, here: bool) -> None:
        """Raise if the disk cannot take the archive and its content.

        What a tar holds is not written in it: at least as much as it is large.
        """
        size = remote.size or 0
        part = local if here else hidden(local, PART)
        with contextlib.suppress(OSError):
            size = max(0, size - part.stat().st_blocks * 512)
        content = None
        if kind_of(self.name) != "tar":
            with local.open("rb") if here else open_ranges(self.files, remote) as file:
                content = content_bytes(self.name, file)
        refuse_full(self.folder, size + (content or remote.size or 0))

    def _appear(self, job: Unpacking, md5: str, target: Target) -> list[str]:
        """Note what the folder is of, and give it its name; return what to tell."""
        assert job.made is not None
        assert self.remote is not None
        before = record.recorded(self.folder)
        facts = {
            "id": self.remote.id, "md5": md5, "path": self.archive,
            "files": target.files, "size": target.written_bytes,
            "notes": tuple(target.notes), "kept": self.name if self.keep_archive else None,
        }  # fmt: skip
        record.note(facts, job.made, self.folder)
        mark_ns = before.mark_ns if before else 0
        try:
            mine = partial.put_in_place(job.made, self.folder, mark_ns)
        except BaseException:  # also Ctrl-C
            if before is None:  # there is nothing that it could be the record of
                record.marker_of(self.folder).unlink(missing_ok=True)
            raise
        notes = []
        if mine is not None:
            notes.append(
                f"what you had made or changed in {clean(self.folder.name)} is in "
                f"{clean(str(mine))} now"
            )
        if before is not None and before.path != self.archive:
            notes.append(f"the folder held {clean(before.path)} before")
        return notes

    def _is_free(self) -> bool:
        """Tell whether nothing is there, or an empty folder."""
        try:
            return not any(self.folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return not os.path.lexists(self.folder)
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def refuse_occupied(self) -> None:
        """Refuse to replace a folder that is not ours: also one made anew since then."""
        if os.path.ismount(self.folder) or mount_at(self.folder) is not None:
            inside = self.folder / stem_of(self.name)
            raise TargetFullError(
                f"something is mounted at {shown(self.folder)}: it cannot be replaced",
                hint=f"a folder in it: %mount_drive --stage {quoted(self.archive)} "
                f"--to {quoted(inside)}",
            )
        if record.recorded(self.folder) is not None or self._is_free():
            return
        other = self.folder.with_name(f"{self.folder.name}-2")
        raise TargetFullError(
            f"{clean(str(self.folder))} is there already, and was not made by this magic",
            seen="it was made anew, after this magic had unpacked one of this name"
            if record.marker_of(self.folder).exists()
            else None,
            hint=f"%mount_drive --stage {quoted(self.archive)} --to {quoted(other)}\n"
            "or rename that one",
        )
