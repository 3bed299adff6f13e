"""Reading a file piece by piece, ahead of who reads it in order."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.errors import DriveError, IntegrityError
from colabmagic.drive.mounting.fuse_reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

DATA = random.Random(1).randbytes(5_000_000)  # noqa: S311 (a test's bytes)
READ = 131_072  # as the kernel asks


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    """Yield threads that fetch."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def reader(drive: FakeDrive, files: Files, workers: ThreadPoolExecutor) -> Reader:
    """Return a reader of a file."""
    drive.store.add_file("data.bin", DATA)
    return Reader(files, files.stat("MyDrive/data.bin"), workers)


def test_in_order(drive: FakeDrive, files: Files, workers: ThreadPoolExecutor) -> None:
    """The bytes are right; each is fetched once, in few requests."""
    file = reader(drive, files, workers)
    drive.reset_counters()
    parts = [file.read(at, READ) for at in range(0, len(DATA) + READ, READ)]
    assert b"".join(parts) == DATA
    assert drive.operations["files.get media"] <= 4
    file.close()


def test_anywhere(drive: FakeDrive, files: Files, workers: ThreadPoolExecutor) -> None:
    """From the end to the beginning, over the borders of pieces, and past the end."""
    file = reader(drive, files, workers)
    for at in (4_999_990, 3_000_000, 2**20 - 5, 7, 0):
        assert file.read(at, 100) == DATA[at : at + 100]
    assert file.read(len(DATA), 10) == b""
    file.close()


def test_damage_is_found_before_the_end_is_given_out(
    drive: FakeDrive, files: Files, workers: ThreadPoolExecutor
) -> None:
    """Who reads all of it never gets the last of wrong bytes, however often he asks."""
    file = reader(drive, files, workers)
    drive.faults.load([{"kind": "corrupt", "match": "alt=media", "times": 1}])
    *others, last = range(0, len(DATA), READ)
    with contextlib.suppress(IntegrityError):  # it fetches ahead, and may know already
        for at in others:
            file.read(at, READ)
    with pytest.raises(IntegrityError, match="did not arrive as it is"):
        file.read(last, READ)
    with pytest.raises(IntegrityError):
        file.read(0, READ)
    file.close()


def test_a_piece_that_failed_is_asked_for_anew(
    drive: FakeDrive, files: Files, workers: ThreadPoolExecutor
) -> None:
    """The error is for one read, not for the file."""
    file = reader(drive, files, workers)
    drive.faults.load(
        [{"kind": "status", "code": 403, "reason": "cannotDownloadFile",
          "match": "alt=media", "times": 1}]
    )  # fmt: skip
    with pytest.raises(DriveError):
        file.read(0, 10)
    assert file.read(0, 10) == DATA[:10]
    file.close()
