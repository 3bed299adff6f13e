"""Tests for `colabmagic.gpu.sources.elf`."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from colabmagic.gpu.sources.elf import constants

NAMES = b"\0.text\0.rodata\0.rodata.str\0"


def library(*sections: tuple[str, bytes]) -> bytes:
    """Return the bytes of a library with these sections, and one of their names."""
    body, headers = bytearray(64), []
    for name, content in (*sections, (".shstrtab", NAMES)):
        place = max(0, NAMES.find(name.encode() + b"\0"))
        headers.append(
            struct.pack(
                "<IIQQQQIIQQ", place, 1, 0, 0, len(body), len(content), 0, 0, 1, 0
            )
        )
        body += content
    table = len(body)
    body += b"".join(headers)
    body[:64] = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        *(3, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, len(headers), len(headers) - 1),
    )
    return bytes(body)


def test_the_section_is_found() -> None:
    """Where it begins and ends, in the file."""
    data = library((".text", b"code"), (".rodata.str", b"no"), (".rodata", b"sm_75"))
    found = constants(data)
    assert found is not None
    assert data[slice(*found)] == b"sm_75"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        b"MZ" + b"\0" * 100,
        library((".text", b"code")),
        library((".rodata", b"sm_75"))[:200],
        library((".rodata", b"sm_75"))[:-1],
        b"\x7fELF\x02\x01" + b"\xff" * 200,
    ],
)
def test_what_is_no_whole_library(data: bytes) -> None:
    """Another system's, one without constants, one that is cut off."""
    assert constants(data) is None


def test_the_installed_pytorch() -> None:
    """The constants of the real library are a small part of it."""
    import importlib.util

    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "lib/libtorch_python.so"
    if not path.exists():
        pytest.skip("this PyTorch is not built for Linux")
    data = path.read_bytes()
    found = constants(data)
    assert found is not None
    assert 0 < found[1] - found[0] < len(data) / 4
