"""One member of an archive while it is written."""

from __future__ import annotations

import errno
import io
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.archive.member_file import MemberFile, unwritten

if TYPE_CHECKING:
    from pathlib import Path


def test_each_piece_is_counted_before_it_is_written(tmp_path: Path) -> None:
    """Who counts may refuse it: then it is not on the disk."""
    path, counted = tmp_path / "x", []

    def count(size: int, name: str) -> None:
        counted.append((size, name, path.stat().st_size))
        if len(counted) == 3:
            raise errors.ArchiveBombError("too large", hint="x")

    with MemberFile(count, "m", io.FileIO(path, "w")) as out:
        out.write(b"12")
        out.write(b"345")
        with pytest.raises(errors.ArchiveBombError):
            out.write(b"6")
    assert counted == [(2, "m", 0), (3, "m", 2), (1, "m", 5)]
    assert path.read_bytes() == b"12345"


def test_a_disk_that_takes_a_part_at_a_time(tmp_path: Path) -> None:
    """The rest is written after it."""

    class Slow(io.FileIO):
        def write(self, data: object) -> int:
            return super().write(memoryview(data)[:3])  # type: ignore[call-overload]

    with MemberFile(lambda *_: None, "m", Slow(tmp_path / "x", "w")) as out:
        out.write(b"0123456789")
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_a_disk_that_is_full() -> None:
    """The member is named, and what to do."""
    with (
        pytest.raises(errors.TargetFullError, match="'m' cannot be written") as caught,
        MemberFile(lambda *_: None, "m", io.FileIO("/dev/full", "w")) as out,
    ):
        out.write(b"x")
    assert caught.value.seen == "No space left on device"


def test_a_long_name_is_cut_at_its_front() -> None:
    """Its end tells which file it is."""
    told = unwritten("d/" * 200 + "the file", OSError(errno.EIO, "broken"))
    assert "the file" in told.what
    assert len(told.what) < 160
