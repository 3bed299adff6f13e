"""In which ranges a file is asked for, and when more connections begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.transfer.download import download
from colabmagic.drive.transfer.ranges import (
    FAST,
    Pace,
    ask,
    fits,
    part_size,
    total_of,
)
from tests.drive.api.test_answers import answer

if TYPE_CHECKING:
    from pathlib import Path

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


def looks(monkeypatch: pytest.MonkeyPatch, *brought: float) -> list[bool]:
    """Return whether a connection is slow, at looks between which it brings some bytes.

    Each is told in bytes per second, and comes 20 ms after the one before.
    """
    now = [100.0]
    monkeypatch.setattr(
        "colabmagic.drive.transfer.ranges.time.monotonic", lambda: now[0]
    )
    pace, fetched, slow = Pace(), 0.0, []
    for rate in brought:
        now[0] += 0.02
        fetched += rate * 0.02
        slow.append(pace.is_slow(int(fetched)))
    return slow


def test_how_fast_a_connection_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was fast may pause for a moment; one that never was is slow at once."""
    fast, slow = FAST * 1.1, FAST * 0.9
    assert looks(monkeypatch, slow) == [True]
    assert looks(monkeypatch, fast, fast) == [False, False]
    assert looks(monkeypatch, fast, slow, slow, fast, slow) == [False] * 5
    assert looks(monkeypatch, fast, slow, slow, slow) == [False] * 3 + [True]


def test_a_look_too_soon_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a tick hardly anything can have come."""
    monkeypatch.setattr(
        "colabmagic.drive.transfer.ranges.time.monotonic", lambda: 100.0
    )
    pace = Pace()
    assert [pace.is_slow(0) for _ in range(9)] == [False] * 9


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


@pytest.mark.parametrize(
    ("status", "span", "start", "end", "right"),
    [
        (206, "bytes 5-8/20", 5, 9, True),
        (206, "bytes 0-19/20", 0, 20, True),
        (200, "", 0, 20, True),
        (200, "", 5, 9, False),
        (200, "", 0, 19, False),
        (206, "", 0, 20, False),
        (206, "bytes 5-9/20", 5, 9, False),
        (206, "bytes 4-8/20", 5, 9, False),
        (206, "bytes 5-8/21", 5, 9, False),
        (206, "bytes 5-8/*", 5, 9, False),
        (203, "bytes 5-8/20", 5, 9, False),
        (204, "", 0, 20, False),
    ],
)
def test_an_answer_must_be_what_was_asked_for(
    status: int, span: str, start: int, end: int, *, right: bool
) -> None:
    """The very range of the very file, or all of it where all was wanted."""
    one = answer(status, **({"Content_Range": span} if span else {}))
    assert fits(one, start, end, 20) is right


@pytest.mark.parametrize(
    ("span", "total"), [("bytes 0-4/20", "20"), ("bytes 0-4/*", "*"), ("5/20", None)]
)
def test_how_large_an_answer_says_that_the_file_is(
    span: str, total: str | None
) -> None:
    """That is how a change is noticed in the midst of a download."""
    assert total_of(answer(206, Content_Range=span)) == total
    assert total_of(answer(200)) is None


def test_a_file_that_google_holds_for_harmful(drive: FakeDrive, files: Files) -> None:
    """The wish to have it all the same is said to Google, only where there is one."""
    drive.store.add_file("x", b"12345")
    found = files.stat("MyDrive/x")
    assert ask(files.transport, found, 1, 3).content == b"23"
    ask(files.transport, found, 0, 5, acknowledge_abuse=True)
    first, second = (e for e in drive.requests if e.operation == "files.get media")
    assert "acknowledgeAbuse" not in first.line
    assert "acknowledgeAbuse=true" in second.line
