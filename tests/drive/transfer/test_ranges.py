"""In which ranges a file is asked for, and when more connections begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.drive.transfer.download import download
from colabmagic.drive.transfer.ranges import part_size

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

MIB = 2**20


def asked(drive: FakeDrive) -> list[int]:
    """Return the lengths of the ranges that were asked for, in turn."""
    lengths = []
    for record in drive.requests:
        if record.operation == "files.get media":
            start, _, last = record.headers["Range"].partition("=")[2].partition("-")
            lengths.append(int(last) + 1 - int(start))
    return lengths


def test_small_files_are_one_range_for_each_worker() -> None:
    """Of a MiB at least; large ones are several, each of them larger."""
    assert part_size(16 * MIB, 8) == 2 * MIB
    assert part_size(16 * MIB + 1, 8) * 8 > 16 * MIB
    assert part_size(3 * MIB, 8) == MIB
    assert part_size(0, 8) == MIB
    assert part_size(64 * MIB, 8) == 4 * MIB
    assert part_size(1024 * MIB, 8) == 16 * MIB


def test_a_fast_connection_is_left_alone(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """It asks for long ranges: few requests for a file that has many parts."""
    data = bytes(range(256)) * (16 * MIB // 256)
    drive.store.add_file("x", data)
    found = files.stat("MyDrive/x")
    download(files, found, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == data
    assert len(asked(drive)) <= 8


def test_slow_connections_share_what_is_there(
    drive: FakeDrive, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All begin; the more is left, the longer the ranges; none is asked for twice."""
    part, count = 16 * 1024, 64
    monkeypatch.setattr("colabmagic.drive.transfer.download.part_size", lambda *_: part)
    data = bytes(range(256)) * (part * count // 256)
    drive.store.add_file("x", data)
    drive.bytes_per_second, drive.latency_s = 4_000_000, 0.03
    download(files, files.stat("MyDrive/x"), tmp_path / "x", workers=2)
    assert (tmp_path / "x").read_bytes() == data
    assert sum(asked(drive)) == len(data)
    assert len(asked(drive)) < count / 2
    assert max(asked(drive)) >= 8 * part
    assert asked(drive)[-1] == part
    drive.reset_counters()
    drive.latency_s = 0
    limited = files.stat("MyDrive/x")
    download(files, limited, tmp_path / "y", workers=2, part_bytes=part)
    assert set(asked(drive)) == {part}
