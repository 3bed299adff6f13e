"""Debian packages: an ``ar`` archive with ``data.tar.*`` in it (deb(5))."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.unpacking.tar import unpack_tar
from colabmagic.cuda.unpacking.zstd import is_readable
from colabmagic.host import command

if TYPE_CHECKING:
    from colabmagic.cuda.unpacking.policy import Outlet

_MAGIC: Final = b"!<arch>\n"
_HEAD: Final = 60
_END: Final = b"`\n"
_TIMEOUT_S: Final = 600.0


def unpack_deb(path: Path, outlet: Outlet) -> None:
    """Unpack the files of a package; its scripts are not read, and never run.

    Parameters
    ----------
    path
        Of the file.
    outlet
        Where it goes; it should be rooted.

    Raises
    ------
    ChecksumError
        It is damaged, or holds what it must not.
    DiskFullError
        There is no room.
    """
    with path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise outlet.damaged("it is no Debian package")
        while head := stream.read(_HEAD):
            name, size = _head(head, outlet)
            begin = stream.tell()
            if name == "data.tar.zst" and not is_readable():
                _by_dpkg(path, outlet)
                return
            if name.startswith("data.tar"):
                part = _Part(stream, begin, size)
                unpack_tar(io.BufferedReader(part), outlet)
                return
            stream.seek(begin + size + size % 2)
    raise outlet.damaged("it ends before its data")


def _by_dpkg(path: Path, outlet: Outlet) -> None:
    """Let dpkg-deb unpack the tar archive, which it reads in each packing it makes.

    Where packages come from apt it is here; it writes one file, and we what is in it.
    """
    if shutil.which("dpkg-deb") is None:
        raise CudaError(
            f"{outlet.name} is packed by zstd, and nothing here reads that",
            seen="no zstd, no dpkg-deb; Python reads it since 3.14",
            hint="%pip install backports.zstd",
        )
    with tempfile.TemporaryDirectory(prefix=".deb-", dir=outlet.root) as folder:
        plain = Path(folder) / "data.tar"
        script = 'exec dpkg-deb --fsys-tarfile "$1" >"$2"'
        outcome = command.run(
            ["sh", "-c", script, "sh", str(path), str(plain)], timeout_s=_TIMEOUT_S
        )
        if not outcome.ok:
            said = outcome.stderr.strip().rpartition(": ")[2]
            raise outlet.damaged(f"dpkg-deb: {said or outcome.error}")
        with plain.open("rb") as stream:
            unpack_tar(stream, outlet)


def _head(head: bytes, outlet: Outlet) -> tuple[str, int]:
    """Return the name and the size of a member."""
    name, size = head[:16].decode("latin-1").strip().rstrip("/"), head[48:58].strip()
    if len(head) != _HEAD or head[58:] != _END or not size.isdigit():
        raise outlet.damaged("it ends before its data")
    return name, int(size)


class _Part(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, stream: IO[bytes], begin: int, size: int) -> None:
        super().__init__()
        self._stream, self._begin, self._size, self._at = stream, begin, size, 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be gone through."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (writable memory)
        """Read on."""
        self._stream.seek(self._begin + self._at)
        piece = self._stream.read(min(len(buffer), max(0, self._size - self._at)))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
