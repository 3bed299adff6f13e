"""Write a stand-in for the driver's library, to link against where no driver is.

No compiler is needed for it: the file is put together here. Each of its functions answers
``CUDA_ERROR_STUB_LIBRARY``, as those of NVIDIA's own stub do; at run time the driver's
library is found by its name.
"""

from __future__ import annotations

import re
import struct
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
    strings, offsets = _strings([*names, SONAME])
    code_at = _HEADER_BYTES + 2 * _SEGMENT_BYTES
    symbols_at = _aligned(code_at + len(code))
    symbols = _SYMBOL.pack(0, 0, 0, 0, 0, 0) + b"".join(
        _SYMBOL.pack(offsets[name], _GLOBAL_FUNCTION, 0, 1, code_at, len(code))
        for name in names
    )
    hash_at = symbols_at + len(symbols)
    table = _hash_table(names)
    strings_at = hash_at + len(table)
    dynamic_at = _aligned(strings_at + len(strings))
    dynamic = b"".join(
        _DYNAMIC.pack(*entry)
        for entry in (
            (14, offsets[SONAME]),  # DT_SONAME
            (4, hash_at),  # DT_HASH
            (5, strings_at),  # DT_STRTAB
            (6, symbols_at),  # DT_SYMTAB
            (10, len(strings)),  # DT_STRSZ
            (11, _SYMBOL.size),  # DT_SYMENT
            (0, 0),
        )
    )
    section_names, named = _strings(
        [".text", ".dynsym", ".hash", ".dynstr", ".dynamic", ".shstrtab"]
    )
    names_at = dynamic_at + len(dynamic)
    sections_at = _aligned(names_at + len(section_names))
    rows = (  # name, type, flags, place, bytes, linked section, info, entry size
        (".text", 1, 6, code_at, len(code), 0, 0, 0),
        (".dynsym", 11, 2, symbols_at, len(symbols), 4, 1, _SYMBOL.size),
        (".hash", 5, 2, hash_at, len(table), 2, 0, 4),
        (".dynstr", 3, 2, strings_at, len(strings), 0, 0, 0),
        (".dynamic", 6, 2, dynamic_at, len(dynamic), 4, 0, _DYNAMIC.size),
        (".shstrtab", 3, 0, names_at, len(section_names), 0, 0, 0),
    )
    sections = bytes(_SECTION.size) + b"".join(
        _SECTION.pack(
            named[name], kind, flags, at if flags else 0, at, size, link, info, 8, each
        )
        for name, kind, flags, at, size, link, info, each in rows
    )
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        3,  # ET_DYN
        number,
        1,
        0,
        _HEADER_BYTES,
        sections_at,
        0,
        _HEADER_BYTES,
        _SEGMENT_BYTES,
        2,
        _SECTION.size,
        len(rows) + 1,
        len(rows),
    )
    segments = struct.pack(  # PT_LOAD, readable and executable; then PT_DYNAMIC
        "<IIQQQQQQ", 1, 5, 0, 0, 0, names_at, names_at, _PAGE
    ) + struct.pack(
        "<IIQQQQQQ", 2, 4, dynamic_at, dynamic_at, dynamic_at, *[len(dynamic)] * 2, 8
    )
    image = bytearray(sections_at)
    for at, piece in (
        (0, header + segments),
        (code_at, code),
        (symbols_at, symbols),
        (hash_at, table),
        (strings_at, strings),
        (dynamic_at, dynamic),
        (names_at, section_names),
    ):
        image[at : at + len(piece)] = piece
    return bytes(image) + sections


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
