"""Write a stand-in for the driver's library, to link against where no driver is.

No compiler is needed for it: the file is put together here. Each of its functions answers
``CUDA_ERROR_STUB_LIBRARY``, as those of NVIDIA's own stub do; at run time the driver's
library is found by its name.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SONAME: Final = "libcuda.so.1"

_DECLARED: Final = re.compile(r"\bCUDAAPI\s+(cu[A-Z]\w*)\s*\(")
_RENAMED: Final = re.compile(r"^\s*#\s*define\s+(cu[A-Z]\w*)\s+(.*)$", re.MULTILINE)
_NAME: Final = re.compile(r"\bcu[A-Z]\w*")

# return 34: ``mov eax, 34; ret`` and ``mov w0, #34; ret``, with ELF's machine number
_CODE: Final = {
    "x86_64": (62, bytes.fromhex("b822000000c3")),
    "aarch64": (183, bytes.fromhex("40048052c0035fd6")),
}
_NAMES: Final = ".shstrtab"
_PAGE: Final = 0x1000
_HEADER_BYTES: Final = 64
_SEGMENT_BYTES: Final = 56
_SYMBOL: Final = struct.Struct("<IBBHQQ")  # Elf64_Sym
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
_DYNAMIC: Final = struct.Struct("<QQ")  # Elf64_Dyn
_GLOBAL_FUNCTION: Final = 0x12  # STB_GLOBAL, STT_FUNC


def write_stub(root: Path, machine: str) -> bool:
    """Write ``lib64/stubs/libcuda.so`` unless the toolkit has one.

    Parameters
    ----------
    root
        Of the toolkit; ``include/cuda.h`` names the functions.
    machine
        As in ``platform.machine()``.

    Returns
    -------
    bool
        Whether it was written.
    """
    place = root / "lib64" / "stubs" / "libcuda.so"
    header = root / "include" / "cuda.h"
    if place.exists() or machine not in _CODE or not header.exists():
        return False
    names = function_names(header.read_text(encoding="utf-8", errors="replace"))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(shared_library(names, machine))
    (place.parent / SONAME).symlink_to(place.name)
    return True


def function_names(header: str) -> list[str]:
    """Return the names of the driver's functions, in all their versions.

    Parameters
    ----------
    header
        The text of ``cuda.h``.
    """
    names = set(_DECLARED.findall(header))
    for name, meaning in _RENAMED.findall(header):
        if name in names or _NAME.search(meaning):
            names.update(_NAME.findall(meaning))
    whole = {name for name in names if not name.isupper()}
    per_thread = {f"{name}{end}" for name in whole for end in ("_ptds", "_ptsz")}
    return sorted(whole | per_thread)


def shared_library(names: list[str], machine: str) -> bytes:
    """Return a shared library whose functions all answer that it is a stand-in.

    Parameters
    ----------
    names
        Of the functions.
    machine
        ``x86_64`` or ``aarch64``.
    """
    number, code = _CODE[machine]
    pieces = _pieces(names, code)
    section_names, named = _strings([*(each.name for each in pieces), _NAMES])
    names_at = pieces[-1].at + len(pieces[-1].content)
    pieces.append(_Piece(_NAMES, 3, 0, names_at, section_names))
    sections_at = _aligned(names_at + len(section_names))
    image = bytearray(sections_at)
    for piece in pieces:
        image[piece.at : piece.at + len(piece.content)] = piece.content
    head = _header(number, sections_at, len(pieces)) + _segments(pieces)
    image[: len(head)] = head
    rows = (piece.row(named[piece.name]) for piece in pieces)
    return bytes(image) + bytes(_SECTION.size) + b"".join(rows)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A section: its name, type, flags, place and content; see the ELF specification."""

    name: str
    kind: int
    flags: int
    at: int
    content: bytes
    link: int = 0
    info: int = 0
    each: int = 0

    def row(self, named: int) -> bytes:
        """Return its entry in the table of sections."""
        address, size = (self.at if self.flags else 0), len(self.content)
        return _SECTION.pack(
            named, self.kind, self.flags, address, self.at, size,
            self.link, self.info, 8, self.each,
        )  # fmt: skip


def _pieces(names: list[str], code: bytes) -> list[_Piece]:
    """Return what is loaded, in the order in which sections refer to each other."""
    strings, offsets = _strings([*names, SONAME])
    code_at = _HEADER_BYTES + 2 * _SEGMENT_BYTES
    symbols_at = _aligned(code_at + len(code))
    symbols = bytes(_SYMBOL.size) + b"".join(
        _SYMBOL.pack(offsets[name], _GLOBAL_FUNCTION, 0, 1, code_at, len(code))
        for name in names
    )
    hash_at = symbols_at + len(symbols)
    table = _hash_table(names)
    strings_at = hash_at + len(table)
    entries = (
        (14, offsets[SONAME]),  # DT_SONAME
        (4, hash_at),  # DT_HASH
        (5, strings_at),  # DT_STRTAB
        (6, symbols_at),  # DT_SYMTAB
        (10, len(strings)),  # DT_STRSZ
        (11, _SYMBOL.size),  # DT_SYMENT
        (0, 0),
    )
    dynamic = b"".join(_DYNAMIC.pack(*entry) for entry in entries)
    dynamic_at = _aligned(strings_at + len(strings))
    return [
        _Piece(".text", 1, 6, code_at, code),
        _Piece(
            ".dynsym", 11, 2, symbols_at, symbols, link=4, info=1, each=_SYMBOL.size
        ),
        _Piece(".hash", 5, 2, hash_at, table, link=2, each=4),
        _Piece(".dynstr", 3, 2, strings_at, strings),
        _Piece(".dynamic", 6, 2, dynamic_at, dynamic, link=4, each=_DYNAMIC.size),
    ]


def _header(machine: int, sections_at: int, sections: int) -> bytes:
    """Return the header of a shared library."""
    return struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        3,  # ET_DYN
        machine,
        1,
        0,
        _HEADER_BYTES,
        sections_at,
        0,
        _HEADER_BYTES,
        _SEGMENT_BYTES,
        2,
        _SECTION.size,
        sections + 1,
        sections,
    )


def _segments(pieces: list[_Piece]) -> bytes:
    """Return what a loader maps: all as one, and within it the dynamic section."""
    dynamic = next(each for each in pieces if each.name == ".dynamic")
    at, size = dynamic.at, len(dynamic.content)
    whole = at + size
    return struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, whole, whole, _PAGE) + struct.pack(
        "<IIQQQQQQ", 2, 4, at, at, at, size, size, 8
    )


def _aligned(offset: int) -> int:
    """Return the next multiple of eight."""
    return -(-offset // 8) * 8


def _strings(names: list[str]) -> tuple[bytes, dict[str, int]]:
    """Return a table of strings, and where each one begins."""
    table = b"\0"
    offsets = {}
    for name in names:
        offsets[name] = len(table)
        table += name.encode("ascii") + b"\0"
    return table, offsets


def _hash_table(names: list[str]) -> bytes:
    """Return ELF's old hash table, which every loader and linker reads."""
    buckets = [0] * max(1, len(names) // 2)
    chain = [0] * (len(names) + 1)
    for index, name in enumerate(names, start=1):
        place = _elf_hash(name) % len(buckets)
        chain[index], buckets[place] = buckets[place], index
    words = [len(buckets), len(chain), *buckets, *chain]
    return struct.pack(f"<{len(words)}I", *words)


def _elf_hash(name: str) -> int:
    """Return the hash of a name, as in the System V ABI."""
    value = 0
    for byte in name.encode("ascii"):
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return value
