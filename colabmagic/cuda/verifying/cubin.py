"""Read what nvcc makes for a GPU: an ELF file of a machine of its own."""

from __future__ import annotations

import struct
from typing import Final

MACHINE: Final = 190  # EM_CUDA
_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")  # Elf64_Ehdr
_MAGIC: Final = b"\x7fELF\x02\x01"  # 64 bits, little end first
_ABI: Final = 8  # place of the ABI's version in the magic bytes
_NEW_ABI: Final = 8  # from it on, the GPU's number is in the second byte of the flags


def capability_of(data: bytes) -> int:
    """Return for which GPU a cubin is: 75 of compute capability 7.5.

    Parameters
    ----------
    data
        The whole file.

    Raises
    ------
    ValueError
        It is no ELF file, is cut off, or is for another machine.
    """
    if len(data) < _HEADER.size or data[: len(_MAGIC)] != _MAGIC:
        message = f"no ELF file: {len(data)} bytes that begin with {data[:6]!r}"
        raise ValueError(message)
    header = _HEADER.unpack_from(data)
    machine, sections_at, flags = header[2], header[6], int(header[7])
    if machine != MACHINE:
        message = f"an ELF file for machine {machine}, not for CUDA ({MACHINE})"
        raise ValueError(message)
    if sections_at + header[11] * header[12] > len(data):
        message = f"cut off after {len(data)} bytes"
        raise ValueError(message)
    if data[_ABI] >= _NEW_ABI:
        return flags >> 8 & 0xFF
    return flags & 0xFF
