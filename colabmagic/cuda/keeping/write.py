"""Write a finished toolkit as one archive: it is there as a whole, or not at all."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import stat
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from colabmagic.cuda.keeping.label import DIGITS, ENDING, as_label, distrust, stem_of
from colabmagic.cuda.rooting.host import FOLDER as HOST
from colabmagic.cuda.rooting.manifest import NAME as MANIFEST
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from colabmagic.cuda.machine.facts import Kept

# What belongs to this one installation.
_NOT_KEPT: Final = frozenset({"toolkit.json", "verified.json"})
_LEVEL: Final = 1  # of gzip: see docs/design.md
_STALE_S: Final = 3600.0  # nobody writes one archive for so long
_PIECE: Final = 2**20


def write_archive(
    root: Path,
    folder: Path,
    kept: Kept,
    *,
    advance: Callable[[int], object] = lambda _: None,
) -> Kept:
    """Write the archive of a toolkit and its label; return what is there then.

    Parameters
    ----------
    root
        Of the finished toolkit.
    folder
        It is made.
    kept
        What the toolkit is; of the archive nothing is known yet.
    advance
        Told how many bytes of the toolkit are in it.

    Raises
    ------
    ValueError
        Links lead out of it, the folder lies in it, or the folder's disk has no owners.
    OSError
        The folder takes no file, or the toolkit changes meanwhile.
    """
    members = list(_members(root, system_folder(kept.arch)))
    if MANIFEST not in members:
        raise ValueError("it has no list of its files")
    if folder.resolve().is_relative_to(root.resolve()):
        raise ValueError("the folder lies in the toolkit, and would go with it")
    folder.mkdir(parents=True, exist_ok=True)
    stem = stem_of(kept)
    older = _archives(folder, stem)
    fresh = folder / f".{stem}.{os.getpid()}.{os.urandom(4).hex()}.part"
    try:
        with _opened(fresh) as file:
            _check_owner(file)
            out = _Hashing(file)
            total = _write(out, root, members, advance)
            _flush(file)
        sha256 = out.sha256.hexdigest()
        place = folder / f"{stem}-{sha256[:DIGITS]}{ENDING}"
        done = replace(
            kept,
            path=str(place),
            sha256=sha256,
            size=out.size,
            files=len(members),
            unpacked_bytes=total,
        )
        # The label that is there names the archive that is there, until the new one does.
        was_there = place.exists()
        try:
            fresh.replace(place)
            with _opened(fresh) as file:
                file.write(json.dumps(as_label(done), indent=1).encode())
                _flush(file)
            fresh.replace(folder / f"{stem}.json")
        except BaseException:  # without a label it only fills the disk
            if not was_there:
                with contextlib.suppress(OSError):
                    place.unlink(missing_ok=True)
            raise
    finally:
        with contextlib.suppress(OSError):  # the disk may be gone
            fresh.unlink(missing_ok=True)
    _sync(folder)
    _sweep(folder, stem, {each: of for each, of in older.items() if each != place.name})
    return done


def system_folder(arch: str) -> str:
    """Return where this system's libraries lie, to which a g++ that was brought links.

    Parameters
    ----------
    arch
        As in ``platform.machine()``.
    """
    return f"/usr/lib/{arch}-linux-gnu"


def _opened(path: Path) -> IO[bytes]:
    """Make a file that is ours alone to write."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o644), "wb")


def _check_owner(file: IO[bytes]) -> None:
    """Refuse a disk on which all files are everybody's: none would be believed later."""
    seen = os.fstat(file.fileno())
    why = distrust({seen.st_uid}, {stat.S_IMODE(seen.st_mode)})
    if why:
        raise ValueError(f"of any file on that disk it must be said that {why}")


def _flush(file: IO[bytes]) -> None:
    """Put a file on disk: a name must not outrun its content."""
    file.flush()
    os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Put the names in a folder on disk; some file systems cannot."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _archives(folder: Path, stem: str) -> dict[str, tuple[int, int]]:
    """Return what tells each archive of a toolkit from a newer one of the same name."""
    form = re.compile(rf"{re.escape(stem)}-[0-9a-f]{{{DIGITS}}}{re.escape(ENDING)}")
    found = {}
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if form.fullmatch(entry.name):
                seen = entry.stat(follow_symlinks=False)
                found[entry.name] = (seen.st_ino, seen.st_mtime_ns)
    return found


def _sweep(folder: Path, stem: str, older: dict[str, tuple[int, int]]) -> None:
    """Remove older archives of this toolkit, and what killed processes left.

    What came after we had begun is another kernel's, whose label may be about to come.
    """
    now = _archives(folder, stem)
    for name in [name for name, seen in older.items() if now.get(name) == seen]:
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)
    begun = re.compile(rf"\.{re.escape(stem)}\.\d+\.[0-9a-f]+\.part")
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            is_stale = begun.fullmatch(entry.name) and (
                time.time() - entry.stat().st_mtime > _STALE_S
            )
            if is_stale:
                Path(entry.path).unlink(missing_ok=True)


class _Hashing:
    """Writes, and knows the hash of it all."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.sha256, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        """Write a piece."""
        self._file.write(data)
        self.sha256.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: it is flushed at the end."""


def _write(
    out: _Hashing, root: Path, members: list[str], advance: Callable[[int], object]
) -> int:
    """Write all members; return the bytes of their files. Equal trees give equal bytes."""
    total = 0
    with (
        gzip.GzipFile("", "wb", _LEVEL, out, mtime=0) as packed,
        tarfile.open(
            fileobj=packed, mode="w|", bufsize=_PIECE, format=tarfile.PAX_FORMAT
        ) as archive,
    ):
        for name in members:
            info = archive.gettarinfo(str(root / name), arcname=name)
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            if info.isreg():
                with (root / name).open("rb") as file:
                    archive.addfile(info, file)
                total += info.size
                advance(info.size)
            else:
                archive.addfile(info)
    return total


def _members(root: Path, system: str) -> Iterator[str]:
    """Yield the paths of all files and links, in a fixed order.

    Raises
    ------
    ValueError
        A link leads out of the toolkit: on another machine it would lead nowhere.
    """
    for place, folders, names in os.walk(root, onerror=_fail):
        here = Path(place)
        links = [each for each in folders if (here / each).is_symlink()]
        folders[:] = sorted(set(folders) - set(links))
        for name in sorted([*names, *links]):
            path = here / name
            inside = path.relative_to(root).as_posix()
            if inside in _NOT_KEPT:
                continue
            kind = path.lstat().st_mode
            if stat.S_ISLNK(kind):
                _check_link(path, root, system)
            elif not stat.S_ISREG(kind):
                raise ValueError(f"{clean(inside)} is no file and no link")
            yield inside


def _fail(error: OSError) -> None:
    """Let a folder that cannot be read end it."""
    raise error


def _check_link(path: Path, root: Path, system: str) -> None:
    """Refuse a link that leads out, but for those of a g++ to this system's libraries."""
    target = os.readlink(path)  # noqa: PTH115 (the text as it stands)
    inside = path.relative_to(root)
    if os.path.isabs(target):  # noqa: PTH117 (a text)
        is_kept = inside.parts[0] == HOST and os.path.dirname(target) == system  # noqa: PTH120
    else:
        whole = Path(os.path.normpath(path.parent / target))
        is_kept = whole.is_relative_to(root)
    if not is_kept:
        raise ValueError(
            f"{clean(inside.as_posix())} is a link to {clean(target)}, which another "
            "machine need not have"
        )
