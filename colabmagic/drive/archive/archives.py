"""Unpack tar, zip and 7z archives into a fresh folder; a tar while it still comes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import stat
import struct
import tarfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Final, Self

from colabmagic.drive.archive import sevenzip, zipped, zstd
from colabmagic.drive.errors import (
    ArchiveBombError,
    CorruptArchiveError,
    DriveError,
    UnsafeMemberError,
)
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.drive.archive.members import Target

_PIECE: Final = 2**20
_TAR_BUFFER: Final = 32 * 1024  # tarfile copies the rest of it at each read
_HEADER_BYTES: Final = 8 * _PIECE  # tarfile reads a member's header as a whole
_TRAILER_BYTES: Final = 64 * _PIECE
_END_MARK: Final = 1024
_BLOCK: Final = 4096  # of the disk
_LONGEST_LINK: Final = 4096
_ZSTANDARD: Final = (".tar.zst", ".tzst")
_TAR: Final = (
    ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", *_ZSTANDARD,
)  # fmt: skip
_ENDINGS: Final = {
    **dict.fromkeys(_TAR, "tar"), ".zip": "zip", ".7z": "7z",
}  # fmt: skip
KNOWN: Final = ".tar .tar.gz .tar.xz .tar.bz2 .tar.zst .zip .7z"
_DAMAGED: Final = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, OSError, ValueError, RuntimeError, ArithmeticError, LookupError,
    TypeError, AttributeError, AssertionError, MemoryError,
)  # fmt: skip
"""What the readers of archives raise when their bytes make no sense: almost anything."""
_ENCRYPTED: Final = 0x1
_UNIX: Final = 3


def kind_of(name: str) -> str | None:
    """Return ``tar``, ``zip`` or ``7z`` by the name of an archive; None for what is none.

    Parameters
    ----------
    name
        Of the file.
    """
    return _ENDINGS.get(_ending(name))


def stem_of(name: str) -> str:
    """Return the name without the endings of an archive.

    Parameters
    ----------
    name
        Of the file.
    """
    return name[: len(name) - len(_ending(name))]


def _ending(name: str) -> str:
    """Return the longest ending of an archive that a name has, or nothing."""
    lower = name.lower()
    found = [ending for ending in _ENDINGS if lower.endswith(ending)]
    return max(found, key=len, default="")


def require(name: str) -> None:
    """Raise if a package is missing for an archive of this name.

    Parameters
    ----------
    name
        Of the file.

    Raises
    ------
    MissingPackageError
        It is; the hint installs it.
    """
    if name.lower().endswith(_ZSTANDARD):
        zstd.require()
    if kind_of(name) == "7z":
        sevenzip.package()


def content_bytes(name: str, file: IO[bytes]) -> int | None:
    """Return how much room the content of an archive says that it takes.

    Parameters
    ----------
    name
        Tells its kind.
    file
        The archive; it can be read anywhere.

    Returns
    -------
    int or None
        Bytes; None where that is not written, as in a tar, or cannot be read.
    """
    try:
        if kind_of(name) == "zip":
            with zipfile.ZipFile(file) as archive:
                return _room(archive)
        if kind_of(name) == "7z":
            return sevenzip.content_bytes(file)
    except DriveError:
        raise
    except _damages():
        return None  # unpacking will tell, when the bytes are known to be right
    return None


def _room(archive: zipfile.ZipFile) -> int:
    """Return how much room the members of a zip take, in whole blocks."""
    return sum(
        math.ceil(member.file_size / _BLOCK) * _BLOCK for member in archive.infolist()
    )


def unpack(name: str, file: IO[bytes], target: Target) -> None:
    """Unpack an archive.

    Parameters
    ----------
    name
        Tells its kind.
    file
        The archive; a tar is read once from its beginning to its end, so that it may
        still be coming.
    target
        Where its members go.

    Raises
    ------
    ArchiveError
        It is damaged, or a member may not be written.
    """
    kind = kind_of(name)
    try:
        if kind == "zip":
            _unzip(file, target)
        elif kind == "7z":
            sevenzip.unpack(file, target)
        else:
            _untar(file, target)
        target.finish()
    except DriveError:
        raise
    except _damages() as error:
        raise CorruptArchiveError(
            f"{clean(name)} is damaged or cut off",
            seen=clean(f"{type(error).__name__}: {error}"[:160]),
            hint="upload it again; its MD5 on Drive is what was downloaded",
        ) from None


def _damages() -> tuple[type[BaseException], ...]:
    """Return all that says that an archive is damaged."""
    return (*_DAMAGED, *zstd.damages(), *sevenzip.damages())


def _untar(file: Any, target: Target) -> None:  # noqa: ANN401 (a raw or buffered file)
    """Unpack a tar as a stream, and read on to the checksum of what packs it."""
    buffered = io.BufferedReader(file, _PIECE)
    try:
        plain: Any = _Plain(_opened(buffered), target)
        archive: Any
        with tarfile.open(
            fileobj=plain, mode="r|", bufsize=_TAR_BUFFER, tarinfo=_Header
        ) as archive:
            while (member := plain.next_of(archive)) is not None:
                _untar_member(archive, member, target)
                archive.members.clear()  # else it would remember them all
            plain.left = _TRAILER_BYTES
            while data := archive.fileobj.read(_PIECE):
                if data.count(0) != len(data):
                    raise _not_the_end(target.files)
        if plain.tail.strip(b"\0") or len(plain.tail) < _END_MARK:
            target.notes[
                "the archive has no end mark, as if it were cut off between two files"
            ] = None
    finally:
        buffered.detach()  # whose file stays open


class _Header(tarfile.TarInfo):
    """A header that makes no sense is an error, where tarfile takes it for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header."""
        try:
            return super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"the header of a member: {error}") from None

    def require_size(self) -> None:
        """Raise if its size is no number: tarfile takes such a one for 0."""
        written = self.pax_headers.get("size", "0")
        if self.size < 0 or int(written) < 0:
            raise tarfile.ReadError(f"a member of {self.size} bytes")


def _not_the_end(files: int) -> CorruptArchiveError:
    """Return the error for a tar that goes on behind its end."""
    return CorruptArchiveError(
        "more follows where the archive says that it ends",
        seen=f"after {files:,} files: a damaged header, or several archives in one",
        hint="make it anew as one archive and upload it again; its MD5 on Drive is what "
        "was downloaded",
    )


class _Plain:
    """The bytes of a tar without what packs it; bounds what is no file's content.

    Parameters
    ----------
    file
        Is read.
    target
        Knows whether to go on.
    """

    def __init__(self, file: Any, target: Target) -> None:  # noqa: ANN401 (can be read)
        self._file, self._target = file, target
        self.left: float = _HEADER_BYTES
        self.tail = b""

    def next_of(self, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
        """Return the next member; its header must not be endless."""
        self.left = _HEADER_BYTES
        member = archive.next()
        if isinstance(member, _Header):
            member.require_size()
        self.left = math.inf  # its content is counted as it is written
        return member

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        self._target.count(0, "")
        data: bytes = self._file.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ArchiveBombError(
                "the archive holds a header, or padding, that does not end",
                seen=f"more than {_HEADER_BYTES:,} bytes",
                hint="do not trust this archive; make it anew",
            )
        self.tail = (self.tail + data[-_END_MARK:])[-_END_MARK:]
        return data


def _untar_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: Target
) -> None:
    """Unpack one member of a tar."""
    if member.isdir():
        target.folder(member.name)
    elif member.isreg():
        pieces = _pieces(archive.extractfile(member), member.size)
        target.file(member.name, pieces, executable=bool(member.mode & stat.S_IXUSR))
    elif member.issym():
        target.symlink(member.name, member.linkname)
    elif member.islnk():
        target.hardlink(member.name, member.linkname)
    else:
        raise _device(member.name)


def _opened(file: Any) -> Any:  # noqa: ANN401 (what tarfile can read)
    """Return what a file holds unpacked, by its first bytes."""
    head = file.peek(6)[:6]
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(file)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return zstd.reader(file)
    return file


def _unzip(file: IO[bytes], target: Target) -> None:
    """Unpack a zip; its directory is at the end, and is looked at first."""
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.flag_bits & _ENCRYPTED:
                raise sevenzip.encrypted()
            target.parts(member.filename, note=False)
        target.announce(sum(member.file_size for member in archive.infolist()))
        for member in archive.infolist():
            _unzip_member(archive, member, target)


def _unzip_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Target
) -> None:
    """Unpack one member of a zip."""
    mode = member.external_attr >> 16 if member.create_system == _UNIX else 0
    if stat.S_ISLNK(mode):
        with zipped.opened(archive, member) as content:
            text = content.read(_LONGEST_LINK)
        target.symlink(member.filename, text.decode("utf-8"))
    elif stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _device(member.filename)
    elif member.is_dir():
        target.folder(member.filename)
    else:
        with zipped.opened(archive, member) as content:
            pieces = _pieces(content, member.file_size)
            executable = bool(mode & stat.S_IXUSR)
            target.file(member.filename, pieces, executable=executable)


def _pieces(content: Any, size: int) -> Iterator[bytes]:  # noqa: ANN401 (an open file)
    """Yield a member's content; one that is shorter than it says is damaged."""
    left = size
    while piece := content.read(_PIECE):
        left -= len(piece)
        yield piece
    if left:
        raise EOFError(f"{left} bytes of a member are missing")


def _device(name: str) -> UnsafeMemberError:
    """Return the error for a member that is neither file, folder nor link."""
    return UnsafeMemberError(
        "the archive holds a device, which could lead out of the folder",
        seen=repr(name[:120]),
        hint="pack it without devices and pipes",
    )
