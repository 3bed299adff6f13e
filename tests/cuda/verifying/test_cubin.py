"""The header of code for a GPU is read as ELF, in both of its forms."""

from __future__ import annotations

import re
import struct

import pytest

from colabmagic.cuda.verifying.cubin import capability_of


def header(*, abi: int, flags: int, machine: int = 190, sections: int = 0) -> bytes:
    """Return the header of an ELF file."""
    magic = b"\x7fELF\x02\x01\x01" + bytes([0x41, abi]) + bytes(7)
    return struct.pack(
        "<16sHHIQQQIHHHHHH",
        magic, 2, machine, 0, 0, 0, 64, flags, 64, 56, 0, 64, sections, 0,
    )  # fmt: skip


# Flags as nvcc 12.4 and 13.0 wrote them.
@pytest.mark.parametrize(
    ("abi", "flags", "capability"),
    [(7, 0x004B054B, 75), (8, 0x06004B04, 75), (8, 0x06007804, 120)],
)
def test_the_capability_is_read(abi: int, flags: int, capability: int) -> None:
    """Before 13 it is in the first byte of the flags, from then on in the second."""
    assert capability_of(header(abi=abi, flags=flags)) == capability


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no ELF file: 0 bytes"),
        (b"text" * 30, "no ELF file: 120 bytes that begin with b'textte'"),
        (header(abi=7, flags=75, machine=62), "machine 62, not for CUDA"),
        (header(abi=7, flags=75, sections=3), "cut off after 64 bytes"),
    ],
)
def test_what_is_no_cubin(data: bytes, words: str) -> None:
    """The error says what it is instead."""
    with pytest.raises(ValueError, match=re.escape(words)):
        capability_of(data)
