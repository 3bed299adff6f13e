"""Many small files become one archive on Drive, which takes one upload and one download."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shlex
import stat
import tarfile
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from colabmagic.drive.archive import zstd
from colabmagic.drive.archive.archives import require
from colabmagic.drive.archive.names import leads_out
from colabmagic.drive.archive.steps import step
from colabmagic.drive.errors import DrivePathError, IntegrityError
from colabmagic.drive.transfer.locks import refuse_full
from colabmagic.drive.transfer.logins import Logins
from colabmagic.drive.transfer.upload import upload
from colabmagic.drive.transfer.workroom import WorkRoom
from colabmagic.drive.words import quoted
from colabmagic.report.progress import SILENT, Progress
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from colabmagic.drive.api.files import Files

MANY_FILES: Final = 10_000  # in one folder: Colab's mount times out at such
_SHOWN: Final = 3
_GZIP_LEVEL: Final = 6
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without waiting: a pipe that has taken the place of a file would hold us up.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A folder that is an archive on Drive now.

    Attributes
    ----------
    path
        The archive on Drive.
    files
        How many are in it.
    size
        Bytes of its files.
    archive_bytes
        Bytes of the archive.
    md5
        Of the archive; the server's and ours are the same.
    seconds
        How long it took.
    notes
        What was left out: links, devices, logins.
    """

    path: str
    files: int
    size: int
    archive_bytes: int
    md5: str
    seconds: float
    notes: tuple[str, ...] = ()


def pack(
    files: Files, folder: Path, remote: str, *, progress: Progress = SILENT
) -> Packed:
    """Pack a local folder and upload it; return when the server's MD5 is ours.

    The same files give the same archive, byte for byte. Links are not followed, and a
    login to a Google account is left out.

    Parameters
    ----------
    files
        Where to.
    folder
        The local folder; its content is at the top of the archive.
    remote
        The archive on Drive; its ending tells how it is packed: ``.tar``, ``.tar.gz``,
        ``.tar.xz``, ``.tar.bz2`` or ``.tar.zst``. One that is there gets a new revision.
    progress
        Is told of packing and of the upload, in the calling thread.

    Raises
    ------
    DriveError
        The archive is not on Drive; a file that cannot be read is such a reason.
    """
    began = time.monotonic()
    parent, _, name = remote.rpartition("/")
    opener = _opener(name, folder, remote)
    files.refuse(remote)
    with contextlib.ExitStack() as stack:
        content = _Content.of(folder, stack)
        work = stack.enter_context(WorkRoom("archive"))
        archive = work.path / "archive"
        try:
            refuse_full(archive, 0 if opener else content.size)
            with step(progress, "pack", name, content.size), archive.open("xb") as out:
                content.write(out, opener, progress.advance)
        except OSError as error:
            raise work.no_room(error) from None
        size = archive.stat().st_size
        with step(progress, "upload", name, size):
            target = files.folder(parent)
            done = upload(files, archive, target, name, progress=progress.advance)
    return Packed(
        path=remote, files=len(content.files), size=content.size, archive_bytes=size,
        md5=done.md5, seconds=time.monotonic() - began, notes=tuple(content.notes()),
    )  # fmt: skip


def count_hint(path: str, count: int) -> str | None:
    """Return what to tell of a folder on Drive with very many files; None for others.

    Parameters
    ----------
    path
        Of the folder, as it is shown.
    count
        How many files are in it.
    """
    if count <= MANY_FILES:
        return None
    archive = shlex.quote(clean(path).rstrip("/") + ".tar.gz")
    return (
        f"{clean(path)} holds {count:,} files: as a mounted folder it is slow and times "
        f"out, and each file is a request. As one archive it is quick: "
        f"%mount_drive --pack DIR {archive}"
    )


def _opener(
    name: str, folder: Path, remote: str
) -> Callable[[IO[bytes]], IO[bytes]] | None:
    """Return what packs an archive of this name; None for a plain tar."""
    lower = name.lower()
    if lower.endswith(".tar"):
        return None
    ways: dict[tuple[str, ...], Callable[[Any], Any]] = {
        (".tar.gz", ".tgz"): lambda out: gzip.GzipFile(
            "", "wb", _GZIP_LEVEL, out, mtime=0
        ),
        (".tar.xz", ".txz"): lambda out: lzma.LZMAFile(out, "wb"),  # noqa: SIM115 (who packs closes it)
        (".tar.bz2", ".tbz2"): lambda out: bz2.BZ2File(out, "wb"),
        (".tar.zst", ".tzst"): zstd.writer,
    }
    for endings, way in ways.items():
        if lower.endswith(endings):
            require(name)
            return way
    whole = remote if name else f"{remote}{folder.resolve().name}"
    for ending in (".zip", ".7z"):
        whole = whole.removesuffix(ending)
    raise DrivePathError(
        f"{clean(name)!r} is no name of an archive that can be made"
        if name
        else f"{clean(remote)!r} is a folder, and the archive needs a name in it",
        seen="known: .tar .tar.gz .tar.xz .tar.bz2 .tar.zst",
        hint=f"%mount_drive --pack {quoted(folder)} {quoted(whole + '.tar.gz')}",
    )


@dataclass(eq=False)
class _Content:
    """What is in a folder, in the order of names; all can be read."""

    root: int
    folders: list[str] = field(default_factory=list)
    files: list[tuple[str, os.stat_result]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, stack: contextlib.ExitStack) -> _Content:
        """Look through a folder; raise for what cannot be read, before anything is done."""
        try:
            root = os.open(folder, _FOLDER & ~os.O_NOFOLLOW)
        except OSError as error:
            raise DrivePathError(
                f"{clean(str(folder))} cannot be read as a folder",
                seen=error.strerror or type(error).__name__,
                hint="--pack FOLDER: one on this machine",
            ) from None
        stack.callback(os.close, root)
        content = cls(root)
        content._walk()
        if content.odd:
            raise DrivePathError(
                f"{len(content.odd):,} names in {clean(str(folder))} mean something else elsewhere",
                seen=_some(content.odd),
                hint="rename them: no backslash, no control characters, no C: at the start",
            )
        if content.unreadable:
            raise DrivePathError(
                f"{len(content.unreadable):,} files of {clean(str(folder))} cannot be read",
                seen=_some(content.unreadable),
                hint="an archive without them would not be the folder: mend their "
                "permissions, or move them away",
            )
        return content

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(status.st_size for _, status in self.files)

    def notes(self) -> Iterator[str]:
        """Yield what was left out."""
        for kind, names in (
            ("links", self.links),
            ("devices or pipes", self.others),
            ("logins to a Google account", self.logins),
        ):
            if names:
                yield f"{len(names):,} {kind} were left out: {_some(names)}"

    def _walk(self) -> None:
        """Find what is there; links are not followed."""
        waiting, known = [""], Logins()
        while waiting:
            name = waiting.pop()
            try:
                with _opened(self.root, name, _FOLDER) as folder:
                    for each in sorted(os.listdir(folder)):  # noqa: PTH208 (has no path)
                        path = f"{name}/{each}" if name else each
                        if self._sorted_in(path, folder, each, known):
                            waiting.append(path)
            except OSError:
                self.unreadable.append(name or ".")

    def _sorted_in(self, path: str, folder: int, name: str, known: Logins) -> bool:
        """Note what something in an open folder is; tell whether it is to be walked too."""
        status = os.lstat(name, dir_fd=folder)
        if "\\" in path or leads_out(path):
            self.odd.append(path)
        elif stat.S_ISDIR(status.st_mode):
            self.folders.append(path)
            return True
        elif stat.S_ISLNK(status.st_mode):
            self.links.append(path)
        elif not stat.S_ISREG(status.st_mode):
            self.others.append(path)
        elif not os.access(name, os.R_OK, dir_fd=folder):
            self.unreadable.append(path)
        elif known.may_be(status, name) and _is_login(known, folder, name):
            self.logins.append(path)
        else:
            self.files.append((path, status))
        return False

    def write(
        self,
        out: IO[bytes],
        opener: Callable[[IO[bytes]], IO[bytes]] | None,
        progress: Callable[[int], object],
    ) -> None:
        """Write the archive."""
        entries: list[tuple[str, os.stat_result | None]]
        entries = [(name, None) for name in self.folders]
        entries += self.files
        entries.sort(key=lambda each: os.fsencode(each[0]).split(b"/"))
        packed = opener(out) if opener else contextlib.nullcontext(out)
        with packed as plain, tarfile.open(
            fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT, bufsize=2**20
        ) as archive:  # fmt: skip
            for name, status in entries:
                self._add(archive, name, status, progress)

    def _add(
        self,
        archive: tarfile.TarFile,
        name: str,
        status: os.stat_result | None,
        progress: Callable[[int], object],
    ) -> None:
        """Add a file or folder; nothing of who it belongs to."""
        member = tarfile.TarInfo(name)
        if status is None:
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
            return
        member.size, member.mtime = status.st_size, int(status.st_mtime)
        member.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        with _unchanged(self.root, name, status) as file:
            archive.addfile(member, _Counted(name, file, progress))  # type: ignore[arg-type]


class _Counted:
    """A file whose reads are told; the archive holds what was there, or there is none."""

    def __init__(
        self, name: str, file: IO[bytes], progress: Callable[[int], object]
    ) -> None:
        self._name, self._file, self._progress = name, file, progress

    def read(self, size: int) -> bytes:
        """Read, and tell."""
        try:
            data = self._file.read(size)
        except OSError as error:  # of this disk, not of the one that the archive is on
            raise DrivePathError(
                f"{clean(self._name)!r} cannot be read to its end",
                seen=error.strerror or type(error).__name__,
                hint="look at the disk that it is on",
            ) from None
        if len(data) < size:
            raise _changed(self._name)
        self._progress(len(data))
        return data


@contextlib.contextmanager
def _opened(root: int, name: str, flags: int) -> Iterator[int]:
    """Open what is below a folder, step by step, never through a link."""
    parts = name.split("/") if name else []
    current = os.dup(root) if parts else os.open(".", _FOLDER, dir_fd=root)
    try:
        for number, part in enumerate(parts, 1):
            how = flags if number == len(parts) else _FOLDER
            following = os.open(part, how, dir_fd=current)
            os.close(current)
            current = following
        yield current
    finally:
        os.close(current)


@contextlib.contextmanager
def _unchanged(root: int, name: str, status: os.stat_result) -> Iterator[IO[bytes]]:
    """Open a file below a folder; raise unless it is, and stays, what it was."""
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stack.enter_context(_opened(root, name, _FILE))
            file = stack.enter_context(open(descriptor, "rb", closefd=False))
        except OSError as error:  # gone, or something else has its name by now
            raise _changed(name, error.strerror) from None
        if not _same(os.fstat(descriptor), status):
            raise _changed(name)
        yield file
        if not _same(os.fstat(descriptor), status):
            raise _changed(name)


def _is_login(known: Logins, folder: int, name: str) -> bool:
    """Tell whether a file of an open folder is a user's login."""
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except OSError:  # gone, or a link by now: packing tells
        return False
    try:
        return known.has(descriptor, name)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    """Tell whether a file is as it was."""
    return (one.st_ino, one.st_size, one.st_mtime_ns, stat.S_IFMT(one.st_mode)) == (
        other.st_ino, other.st_size, other.st_mtime_ns, stat.S_IFMT(other.st_mode),
    )  # fmt: skip


def _changed(name: str, reason: str | None = None) -> IntegrityError:
    """Return the error for a file that somebody writes to, or has moved away."""
    return IntegrityError(
        "a file changed while it was packed",
        seen=repr(name)[:120] + (f": {reason}" if reason else ""),
        hint="run it again, when nobody writes to the folder",
    )


def _some(names: Sequence[str]) -> str:
    """Return the first of some names."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name[:80]) for name in sorted(names)[:_SHOWN]) + more
