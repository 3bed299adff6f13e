"""Members of zips by every method: the same bytes, and never all of them at once."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.archive.zipped import opened
from tests.drive.archive.test_archives import content

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.archive.members import Target

METHODS = [
    zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA,
]  # fmt: skip
HUGE = 64 * 2**20  # twice what may be in memory


def packed(method: int, size: int, said: int | None = None) -> bytes:
    """Return a zip with one member of zeros, which may say another size."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive, archive.open("a", "w") as member:
        for at in range(0, size, 2**20):
            member.write(bytes(min(2**20, size - at)))
    data = bytearray(out.getvalue())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + offset
        data[at : at + 4] = struct.pack("<I", size if said is None else said)
    return bytes(data)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [0, 1, 3 * 2**20 + 5])
def test_the_same_bytes(
    into: Callable[..., Target], tmp_path: Path, method: int, size: int
) -> None:
    """By each method, also of nothing."""
    into(packed(method, size), "x.zip")
    assert content(tmp_path / "target") == {"a": bytes(size)}


@pytest.mark.parametrize("method", METHODS[2:])
def test_little_is_in_memory(method: int) -> None:
    """However much comes out of few bytes, and whatever the member says of its size."""
    for said in (HUGE, 100):
        data = packed(method, HUGE, said)
        tracemalloc.start()
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                (member,) = archive.infolist()
                with opened(archive, member) as file:
                    assert len(file.read(50)) == 50
            assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("method", METHODS)
def test_other_bytes_than_were_packed(into: Callable[..., Target], method: int) -> None:
    """Fewer or more than it says, and others: each is an error."""
    whole = packed(method, 5000)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        right = struct.pack("<I", archive.infolist()[0].CRC)
    for data in (
        packed(method, 5000, 6000),
        packed(method, 5000, 400),
        whole.replace(right, b"\0\0\0\0"),
    ):
        with pytest.raises(errors.CorruptArchiveError):
            into(data, "x.zip")
