"""Unpack a kept toolkit, and check while it is read that it is what its label says."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from typing import IO, TYPE_CHECKING, Any, Final

from colabmagic.cuda.errors import ChecksumError
from colabmagic.cuda.keeping.label import distrust
from colabmagic.cuda.unpacking.policy import MEMBER_BYTES, Outlet
from colabmagic.cuda.unpacking.tar import unpack_gzip
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PIECE: Final = 2**20


def unpack_archive(  # noqa: PLR0913 (by keyword)
    path: Path,
    root: Path,
    *,
    sha256: str,
    size: int,
    files: int,
    unpacked_bytes: int,
    system: str,
    advance: Callable[[int], object] = lambda _: None,
) -> int:
    """Unpack an archive below a folder; what is there counts once this has returned.

    Parameters
    ----------
    path
        Of the archive.
    root
        The folder; it goes if this raises.
    sha256, size
        That the archive must have.
    files, unpacked_bytes
        That come out of it at most.
    system
        Folder of this machine's libraries, to which links may lead.
    advance
        Told how many bytes have been read.

    Returns
    -------
    int
        How many files there are.

    Raises
    ------
    ChecksumError
        It is another file, damaged, or holds what it must not.
    DiskFullError
        There is no room.
    OSError
        It cannot be opened.
    """
    most = unpacked_bytes + MEMBER_BYTES * files
    outlet = Outlet(root, name=path.name, system=system, most_bytes=most)
    # What has this name by now may be a pipe, to which nobody ever writes.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 (a descriptor)
        seen = os.fstat(descriptor)
        why = distrust({seen.st_uid}, {stat.S_IMODE(seen.st_mode)})
        if not stat.S_ISREG(seen.st_mode):
            why = "it is no ordinary file any more"
        if why:
            raise ChecksumError(f"{clean(path.name)} is not used", seen=why, hint="")
        hashed = _Hashed(file, advance, size)
        stream = io.BufferedReader(hashed, _PIECE)
        unpack_gzip(stream, outlet)
        try:
            while stream.read(_PIECE):  # what stands behind the archive counts, too
                pass
        except OSError as error:
            raise outlet.damaged(str(error)) from None
    outlet.finish()
    found = hashed.sha256.hexdigest()
    if (hashed.size, found) != (size, sha256):
        raise ChecksumError(
            f"{clean(path.name)} is not the archive that was kept",
            seen=f"sha256 {found[:16]}…, kept {sha256[:16]}…",
            hint="",
        )
    return outlet.files


class _Hashed(io.RawIOBase):
    """A file that is read once, from its beginning, and hashed meanwhile."""

    def __init__(
        self, file: IO[bytes], advance: Callable[[int], object], size: int
    ) -> None:
        self._file, self._advance, self._most = file, advance, size
        self.sha256, self.size = hashlib.sha256(), 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (writable memory)
        """Read on."""
        if self.size > self._most:  # zeros without end may stand behind it
            return 0
        data = self._file.read(len(buffer)) or b""
        buffer[: len(data)] = data
        self.sha256.update(data)
        self.size += len(data)
        self._advance(len(data))
        return len(data)
