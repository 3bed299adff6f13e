"""Find the constants in a Linux library, which are a small part of it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import mmap

_NAME: Final = b".rodata"
_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")  # Elf64_Ehdr
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
_MAGIC: Final = b"\x7fELF\x02\x01"  # 64 bits, little end first


def constants(data: mmap.mmap | bytes) -> tuple[int, int] | None:
    """Return where the section of constants begins and ends.

    Parameters
    ----------
    data
        The bytes of a library.

    Returns
    -------
    tuple of int or None
        None where it is no such library, or is cut off.
    """
    if data[: len(_MAGIC)] != _MAGIC or len(data) < _HEADER.size:
        return None
    header = _HEADER.unpack_from(data)
    table, size, count, names = header[6], header[11], header[12], header[13]
    if size < _SECTION.size or table + size * count > len(data) or names >= count:
        return None
    sections = [_SECTION.unpack_from(data, table + size * n) for n in range(count)]
    texts = sections[names][4]
    for section in sections:
        start = texts + section[0]
        if data[start : start + len(_NAME) + 1] == _NAME + b"\0":
            first, last = section[4], section[4] + section[5]
            return (first, last) if last <= len(data) else None
    return None
