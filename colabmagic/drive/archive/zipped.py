"""The content of a member of a zip, unpacked a little at a time.

zipfile bounds what comes out of each read only for deflate. By the other methods it unpacks
at once all that it has read, which a few bytes of bzip2 make into gigabytes.
"""

from __future__ import annotations

import bz2
import contextlib
import copy
import importlib
import lzma
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKED: Final = 2**16
_ZSTANDARD: Final = 93  # Python knows it from 3.14 on
_LZMA_HEADER: Final = struct.Struct("<HHBL")  # version, length of the rest, and that
_LZMA_REST: Final = 5


def opened(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes] | Member:
    """Open a member for reading, in whichever way bounds what comes out.

    Parameters
    ----------
    archive
        The zip.
    member
        Which one.
    """
    kind = _KINDS.get(member.compress_type)
    return archive.open(member) if kind is None else Member(archive, member, kind)


class Member:
    """A member that is packed by another method than deflate.

    Parameters
    ----------
    archive
        The zip.
    member
        Which one.
    kind
        Returns what unpacks, given what reads the packed bytes.
    """

    def __init__(
        self,
        archive: zipfile.ZipFile,
        member: zipfile.ZipInfo,
        kind: Callable[[IO[bytes]], Any],
    ) -> None:
        packed = copy.copy(member)  # as if it were not packed: its bytes as they are
        packed.compress_type, packed.file_size = (
            zipfile.ZIP_STORED,
            packed.compress_size,
        )
        del packed.CRC  # of what comes out
        self._packed = archive.open(packed)
        self._member, self._left, self._sum = member, member.file_size, 0
        self._unpacker = kind(self._packed)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._packed.close()

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end.

        Parameters
        ----------
        size
            How many at most.

        Raises
        ------
        zipfile.BadZipFile
            They are not those that were packed.
        """
        while self._left and not self._unpacker.eof:
            data = self._packed.read(_PACKED) if self._unpacker.needs_input else b""
            if self._unpacker.needs_input and not data:
                break  # cut off
            found: bytes = self._unpacker.decompress(data, min(size, self._left))
            if found:
                self._left -= len(found)
                self._sum = zlib.crc32(found, self._sum)
                return found
        if not self._left and self._sum != self._member.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {self._member.filename!r}")
        return b""


def _of_lzma(packed: IO[bytes]) -> lzma.LZMADecompressor:
    """Return what unpacks LZMA, by what stands before it in a zip."""
    header = packed.read(_LZMA_HEADER.size)
    if len(header) < _LZMA_HEADER.size:
        raise EOFError("the header of LZMA is cut off")
    _, length, properties, dictionary = _LZMA_HEADER.unpack(header)
    if length != _LZMA_REST:
        raise zipfile.BadZipFile("a header of LZMA that makes no sense")
    rest, lc = divmod(properties, 9)
    pb, lp = divmod(rest, 5)
    one = {
        "id": lzma.FILTER_LZMA1,
        "lc": lc,
        "lp": lp,
        "pb": pb,
        "dict_size": dictionary,
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[one])


def _of_zstandard(_: IO[bytes]) -> Any:  # noqa: ANN401 (of a newer Python)
    """Return what unpacks Zstandard."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("compression.zstd").ZstdDecompressor()
    raise zipfile.BadZipFile(
        "it is packed by Zstandard, which Python reads from 3.14 on"
    )


_KINDS: Final[dict[int, Callable[[IO[bytes]], Any]]] = {
    zipfile.ZIP_BZIP2: lambda _: bz2.BZ2Decompressor(),
    zipfile.ZIP_LZMA: _of_lzma,
    _ZSTANDARD: _of_zstandard,
}
