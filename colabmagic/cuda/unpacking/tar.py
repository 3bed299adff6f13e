"""Tar archives, read as a stream: only what is wanted is written."""

from __future__ import annotations

import contextlib
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, Final

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.unpacking.zstd import open_zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from colabmagic.cuda.unpacking.policy import Outlet

_PIECE: Final = 2**20
_LONGEST_MAGIC: Final = 6
_USTAR: Final = slice(257, 262)
_LONGEST_NAME: Final = 2**20
_DESCRIBES: Final = frozenset(
    {
        tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE,
        tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
    }
)  # fmt: skip


def unpack_tar(stream: IO[bytes], outlet: Outlet) -> None:
    """Unpack a tar archive, packed in whatever way; all of it is read.

    Parameters
    ----------
    stream
        At its first byte; it can seek.
    outlet
        Where it goes.

    Raises
    ------
    ChecksumError
        It is damaged, or holds what it must not.
    DiskFullError
        There is no room.
    """
    with _reading(outlet), opened(stream) as plain:
        _unpack(plain, outlet)


def unpack_gzip(stream: IO[bytes], outlet: Outlet) -> None:
    """Unpack a tar archive that is packed by gzip, of a stream that cannot seek.

    Parameters
    ----------
    stream, outlet
        As for `unpack_tar`, which see for errors.
    """
    import gzip  # noqa: PLC0415 (rarely wanted)

    with _reading(outlet), gzip.GzipFile(fileobj=stream) as plain:
        _unpack(plain, outlet)  # type: ignore[arg-type]  # it is one


@contextlib.contextmanager
def _reading(outlet: Outlet) -> Iterator[None]:
    """Turn what damaged archives raise into ours."""
    import lzma  # noqa: PLC0415 (a Python may lack it)

    try:
        yield
    except CudaError:
        raise
    except (
        tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError,
        RecursionError,  # of a thousand headers for one member
    ) as error:  # fmt: skip
        raise outlet.damaged(str(error) or type(error).__name__) from None


def _unpack(plain: IO[bytes], outlet: Outlet) -> None:
    """Unpack a tar archive that is not packed."""
    with tarfile.open(fileobj=plain, mode="r|", tarinfo=_Header) as archive:
        for member in archive:
            _member(archive, member, outlet)
    while plain.read(_PIECE):  # its last checksum is at its end
        pass


class _Header(tarfile.TarInfo):
    """A member's header; what only names a member is read into memory, and is small."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read one block.

        Raises
        ------
        ValueError
            A name, or what else describes the next member, would fill our memory.
        """
        header = super().frombuf(buf, encoding, errors)
        if header.type in _DESCRIBES and header.size > _LONGEST_NAME:
            raise ValueError(f"a name of {header.size} bytes")
        return header


def opened(stream: IO[bytes]) -> IO[bytes]:
    """Return the plain bytes of a stream, by what it begins with.

    Parameters
    ----------
    stream
        Where the packed bytes begin; it can seek.

    Raises
    ------
    ValueError
        It is packed in no way that is known.
    """
    begin = stream.tell()
    head = stream.read(512)
    stream.seek(begin)
    for magic, opener in _OPENERS:
        if head.startswith(magic):
            return opener(stream)
    if head[_USTAR] == b"ustar":
        return stream
    raise ValueError(f"it begins with {head[:_LONGEST_MAGIC]!r}")


def _xz(stream: IO[bytes]) -> IO[bytes]:
    """Return what is packed by xz."""
    import lzma  # noqa: PLC0415 (a Python may lack it)

    return lzma.open(stream)


def _gzip(stream: IO[bytes]) -> IO[bytes]:
    """Return what is packed by gzip."""
    import gzip  # noqa: PLC0415 (rarely wanted)

    return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]  # it is one


def _bzip2(stream: IO[bytes]) -> IO[bytes]:
    """Return what is packed by bzip2."""
    import bz2  # noqa: PLC0415 (a Python may lack it)

    return bz2.open(stream)


_OPENERS: Final[tuple[tuple[bytes, Callable[[IO[bytes]], IO[bytes]]], ...]] = (
    (b"\xfd7zXZ\0", _xz),
    (b"\x1f\x8b", _gzip),
    (b"BZh", _bzip2),
    (b"\x28\xb5\x2f\xfd", open_zstd),
)


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, outlet: Outlet) -> None:
    """Write one member, if it is wanted."""
    path = outlet.wanted(member.name)
    if path is None or member.isdir():
        return
    if member.issym():
        outlet.link(path, member.linkname)
    elif member.islnk():
        outlet.hard_link(path, member.linkname)
    elif member.isreg():
        content = archive.extractfile(member)
        assert content is not None
        outlet.file(path, content, mode=member.mode)
    else:
        raise outlet.refused(f"{member.name} is a device or a pipe")
