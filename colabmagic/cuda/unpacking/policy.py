"""Where an archive may write: below one folder, ordinary files and links in it only.

Our own, as Python's ``data`` filter for tar files is not in every 3.11, and zip and ar
have none. An archive is foreign: its paths, links and modes are not believed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import shutil
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from colabmagic.cuda.errors import ChecksumError, CudaError, DiskFullError
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PIECE: Final = 2**20
MEMBER_BYTES: Final = 512  # that a file or link counts beside its content
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


class Outlet:
    """Writes what an archive holds below a folder.

    Parameters
    ----------
    root
        The folder; it is made.
    name
        Of the archive, for errors.
    rename
        Gives the path that a member gets; None: it is not wanted. All patterns are of
        this path.
    only, skip
        Patterns of what is wanted, and of what is not; see
        `colabmagic.cuda.steps.fetch.Unpack`.
    rooted
        Absolute links mean the folder, as on a machine that has it as its root.
    system
        A folder of this machine whose files links may name; empty: none.
    most_bytes
        All files together have no more, each counted with `MEMBER_BYTES` besides; None:
        only the disk sets a limit.
    """

    def __init__(  # noqa: PLR0913 (by keyword)
        self,
        root: Path,
        *,
        name: str,
        rename: Callable[[str], str | None] | None = None,
        only: Sequence[str] = (),
        skip: Sequence[str] = (),
        rooted: bool = False,
        system: str = "",
        most_bytes: int | None = None,
    ) -> None:
        self.name = name
        self.files = 0
        self._rename, self._only, self._skip = rename, only, skip
        self._rooted, self._system, self._left = rooted, system, most_bytes
        self._links: list[str] = []
        self._of_system: set[str] = set()  # where links of this archive lead there
        with self.writing():
            root.mkdir(parents=True, exist_ok=True)
            self.root = root.resolve()

    def wanted(self, path: str) -> str | None:
        """Return the path that a member gets, safe; None if it is not wanted.

        Parameters
        ----------
        path
            As the archive has it.

        Raises
        ------
        ChecksumError
            It leads out of the folder.
        """
        safe = self._safe(path)
        if safe is not None and self._rename is not None:
            renamed = self._rename(safe)
            safe = self._safe(renamed) if renamed else None
        if safe is None:
            return None
        if self._only and not any(fnmatchcase(safe, each) for each in self._only):
            return None
        return None if any(fnmatchcase(safe, each) for each in self._skip) else safe

    def file(self, path: str, stream: IO[bytes], *, mode: int) -> None:
        """Write a file.

        Parameters
        ----------
        path
            As `wanted` gave it.
        stream
            Its bytes.
        mode
            As the archive has it; only who may run it is kept.
        """
        self._count(MEMBER_BYTES)
        place = self._place(path)
        mode = 0o755 if mode & stat.S_IXUSR else 0o644
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self.writing():
            descriptor = os.open(place, flags, mode)
        # Nothing is buffered: on a full disk, closing would fail once more, as a read does.
        with open(descriptor, "wb", buffering=0) as out:  # noqa: PTH123 (a descriptor)
            while piece := stream.read(_PIECE):
                self._count(len(piece))
                left = memoryview(piece)
                while left:
                    with self.writing():
                        left = left[out.write(left) :]
        self.files += 1

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link that stays in the folder.

        Parameters
        ----------
        path
            As `wanted` gave it.
        target
            As the archive has it.
        """
        self._count(MEMBER_BYTES)
        if target.startswith("/") and self._rooted:
            depth = path.count("/")
            target = "../" * depth + target.lstrip("/")
        if self._is_of_system(target):
            place = self._place(path)
            with self.writing():
                place.symlink_to(target)
            self._of_system.add(os.path.realpath(target))
            return
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if not target or target.startswith("/") or _leads_out(inside):
            raise self.refused(f"link {path} → {target}")
        place = self._place(path)
        with self.writing():
            if (
                place.is_dir()
            ):  # parts of a toolkit: a folder in one is a link in another
                self._merge(place, Path(os.path.realpath(place.parent / target)))
            place.symlink_to(target)
        self._links.append(path)

    def hard_link(self, path: str, target: str) -> None:
        """Give a file of this archive another name.

        Parameters
        ----------
        path
            As `wanted` gave it.
        target
            As the archive has it: the first name.
        """
        self._count(MEMBER_BYTES)
        source = self.wanted(target)
        if source is None or not self._is_own_file(self.root / source):
            raise self.refused(f"hard link {path} → {target}")
        place = self._place(path)
        with self.writing():
            try:
                os.link(self.root / source, place, follow_symlinks=False)
            except PermissionError:  # a disk without hard links
                shutil.copy2(self.root / source, place, follow_symlinks=False)
        self.files += 1

    def finish(self) -> None:
        """Look at all links once more: through each other they might lead out.

        Raises
        ------
        ChecksumError
            One does; all links of this archive are gone then.
        """
        for path in self._links:
            real = os.path.realpath(self.root / path)
            if real in self._of_system:  # by way of such a link
                continue
            if not Path(real).is_relative_to(self.root):
                for each in self._links:
                    (self.root / each).unlink(missing_ok=True)
                raise self.refused(f"link {path} → {real}")

    def refused(self, seen: str) -> ChecksumError:
        """Return the error for what no honest archive holds."""
        return ChecksumError(
            f"{clean(self.name)} wants to write where it may not; nothing of it is kept",
            seen=clean(seen)[:120],
            hint="another source: --mirror URL; this file is damaged or made to harm",
        )

    def damaged(self, seen: str) -> ChecksumError:
        """Return the error for an archive that cannot be read."""
        return damaged(self.name, seen)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn an error of the disk into ours."""
        try:
            yield
        except OSError as error:
            raise _unwritable(self.name, getattr(self, "root", Path()), error) from None

    def _safe(self, path: str) -> str | None:
        """Return a path without ``./``; None for the folder itself."""
        if path.startswith("/") or "\0" in path or "\\" in path:
            raise self.refused(path)
        if ".." in path.split("/"):
            raise self.refused(path)
        inside = posixpath.normpath(path)
        return None if inside == "." else inside

    def _place(self, path: str) -> Path:
        """Return where a member goes; what has its name goes away."""
        with self.writing():
            parent = Path(os.path.realpath((self.root / path).parent))
            if not parent.is_relative_to(self.root):
                raise self.refused(path)
            parent.mkdir(parents=True, exist_ok=True)
            place = parent / posixpath.basename(path)
            if place.is_symlink() or not place.is_dir():
                place.unlink(missing_ok=True)
        return place

    def _merge(self, folder: Path, target: Path) -> None:
        """Move what is in a folder into another one, so that a link can take its place."""
        if not target.is_relative_to(self.root) or target.is_relative_to(folder):
            raise self.refused(f"link {folder.name} → {target}")
        target.mkdir(parents=True, exist_ok=True)
        for each in tuple(folder.iterdir()):
            place = target / each.name
            if place.is_dir() and each.is_dir() and not each.is_symlink():
                self._merge(each, place)
            else:
                each.replace(place)
        if folder.is_dir():
            folder.rmdir()

    def _count(self, size: int) -> None:
        """Refuse an archive that holds more than it may."""
        if self._left is None:
            return
        self._left -= size
        if self._left < 0:
            raise self.refused("it holds more than was announced")

    def _is_of_system(self, target: str) -> bool:
        """Tell whether a link names a file of the machine that it may name."""
        folder, name = posixpath.split(target)
        is_allowed = bool(self._system) and folder == self._system
        return is_allowed and name not in {"", ".", ".."} and "\0" not in name

    def _is_own_file(self, place: Path) -> bool:
        """Tell whether a path is an ordinary file in the folder."""
        return (
            place.is_file()
            and not place.is_symlink()
            and place.resolve().is_relative_to(self.root)
        )


def _leads_out(path: str) -> bool:
    """Tell whether a normal path begins by leaving its folder."""
    return path == ".." or path.startswith(("/", "../"))


def damaged(name: str, seen: str) -> ChecksumError:
    """Return the error for an archive that cannot be read.

    Parameters
    ----------
    name
        Of the archive.
    seen
        What is wrong with it.
    """
    return ChecksumError(
        f"{clean(name)} is damaged: no whole archive; nothing of it is kept",
        seen=clean(seen)[:120],
        hint="run the cell again; if it stays so, another source: --mirror URL",
    )


def _unwritable(name: str, root: Path, error: OSError) -> CudaError:
    """Return the error for a disk that does not take a file."""
    if isinstance(error, CudaError):
        return error
    if error.errno in _FULL:
        return DiskFullError(
            f"the disk is full while {clean(name)} is unpacked",
            seen=f"{clean(str(root))}: {error.strerror}",
            hint="free room there and run the cell again: what was downloaded is kept\n"
            "or set COLABMAGIC_HOME to a folder on another disk",
        )
    return CudaError(
        f"{clean(name)} cannot be unpacked",
        seen=f"{clean(str(root))}: {error.strerror or type(error).__name__}",
        hint="set COLABMAGIC_HOME to a folder that you may write",
    )
