"""Unpack tar and zip archives into a fresh folder, from a file or while it still comes."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import importlib
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Final

from colabmagic.drive.errors import CorruptArchiveError, UnsafeMemberError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.drive.members import Target

_PIECE: Final = 2**20
_TAR: Final = (
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.xz",
    ".txz",
    ".tar.bz2",
    ".tar.zst",
    ".tzst",
)
_ZIP: Final = (".zip",)
_DAMAGED: Final = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,
)  # fmt: skip
_ENCRYPTED: Final = 0x1
_UNIX: Final = 3


def kind_of(name: str) -> str | None:
    """Return ``tar`` or ``zip`` by the name of an archive; None for what is none.

    Parameters
    ----------
    name
        Of the file.
    """
    lower = name.lower()
    if lower.endswith(_TAR):
        return "tar"
    return "zip" if lower.endswith(_ZIP) else None


def stem_of(name: str) -> str:
    """Return the name without the endings of an archive."""
    lower = name.lower()
    for ending in sorted((*_TAR, *_ZIP), key=len, reverse=True):
        if lower.endswith(ending):
            return name[: -len(ending)]
    return name


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
    try:
        if kind_of(name) == "zip":
            _unzip(file, target)
        else:
            _untar(file, target)
    except _DAMAGED as error:
        raise CorruptArchiveError(
            f"{name} is damaged or cut off",
            seen=f"{type(error).__name__}: {error}"[:160],
            hint="upload it again; its MD5 on Drive is what was downloaded",
        ) from None


def _untar(file: Any, target: Target) -> None:  # noqa: ANN401 (a raw or buffered file)
    """Unpack a tar as a stream, and read on to the checksum of what packs it."""
    buffered = io.BufferedReader(file)
    try:
        with tarfile.open(
            fileobj=_opened(buffered), mode="r|", bufsize=_PIECE
        ) as archive:
            for member in archive:
                _untar_member(archive, member, target)
            while archive.fileobj.read(_PIECE):
                pass
    finally:
        buffered.detach()  # whose file stays open


def _untar_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: Target
) -> None:
    """Unpack one member of a tar."""
    if member.isdir():
        target.folder(member.name)
    elif member.isreg():
        pieces = _pieces(archive.extractfile(member), member.size)
        target.file(member.name, pieces, executable=bool(member.mode & stat.S_IXUSR))
    else:
        raise _neither(
            member.name, "link" if member.issym() or member.islnk() else "device"
        )


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
        return _zstandard(file)
    return file


def _zstandard(file: IO[bytes]) -> IO[bytes]:
    """Return a stream of what Zstandard has packed."""
    for name in ("compression.zstd", "backports.zstd"):  # Python 3.14, and its backport
        with contextlib.suppress(ImportError):
            stream: IO[bytes] = importlib.import_module(name).ZstdFile(file)
            return stream
    raise CorruptArchiveError(
        "this Python cannot read .zst yet", hint="%pip install backports.zstd"
    )


def _unzip(file: IO[bytes], target: Target) -> None:
    """Unpack a zip; its directory is at the end."""
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16 if member.create_system == _UNIX else 0
            if member.flag_bits & _ENCRYPTED:
                raise CorruptArchiveError(
                    "the zip is encrypted",
                    seen=repr(member.filename[:120]),
                    hint="unpack it where its password is known, and pack it without",
                )
            if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise _neither(
                    member.filename, "link" if stat.S_ISLNK(mode) else "device"
                )
            if member.is_dir():
                target.folder(member.filename)
            else:
                with archive.open(member) as content:
                    pieces = _pieces(content, member.file_size)
                    target.file(
                        member.filename, pieces, executable=bool(mode & stat.S_IXUSR)
                    )


def _pieces(content: Any, size: int) -> Iterator[bytes]:  # noqa: ANN401 (an open file)
    """Yield a member's content; one that is shorter than it says is damaged."""
    left = size
    while piece := content.read(_PIECE):
        left -= len(piece)
        yield piece
    if left:
        raise EOFError(f"{left} bytes of a member are missing")


def _neither(name: str, kind: str) -> UnsafeMemberError:
    """Return the error for a member that is neither file nor folder."""
    return UnsafeMemberError(
        f"the archive holds a {kind}, which could lead out of the folder",
        seen=repr(name[:120]),
        hint="pack it without links and devices (tar --dereference)",
    )
