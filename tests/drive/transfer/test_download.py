"""Downloads as seen by who calls: progress in his thread, bytes while they come."""

from __future__ import annotations

import random
import threading
from typing import IO, TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.transfer.download import download
from tests.drive.transfer.test_transfers import fault

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.api.files import Files, RemoteFile
    from tests.fakes.drive import FakeDrive

PART = 64 * 1024
DATA = random.Random(7).randbytes(12 * PART + 9)  # noqa: S311 (no secret)


@pytest.fixture
def remote(drive: FakeDrive, files: Files) -> RemoteFile:
    """Return a file of 12 ranges and a bit."""
    drive.store.add_file("data.bin", DATA)
    return files.stat("MyDrive/data.bin")


class Collector:
    """Reads a download in a thread of its own."""

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self.abandoned = 0
        self.stop: BaseException | None = None
        self._thread: threading.Thread | None = None

    def begin(self, stream: IO[bytes]) -> None:
        """Begin."""

        def work() -> None:
            with stream:
                try:
                    while data := stream.read(10_000):
                        self.read[-1] += data
                except EOFError:
                    pass

        self.read.append(b"")
        self._thread = threading.Thread(target=work)
        self._thread.start()

    def check(self) -> None:
        """Go on, or not."""
        if self.stop is not None and len(self.read[-1]) > PART:
            raise self.stop

    def abandon(self) -> None:
        """Stop."""
        self.abandoned += 1
        self.end()

    def end(self) -> None:
        """Wait for the last byte."""
        if self._thread is not None:
            self._thread.join(10)


def test_progress_is_told_in_the_calling_thread(
    drive: FakeDrive, files: Files, remote: RemoteFile, tmp_path: Path
) -> None:
    """Its sum is the size, also where an earlier run has left ranges or bytes were wrong."""
    drive.bytes_per_second = 2_000_000
    told: list[tuple[int, int]] = []

    def tell(count: int) -> None:
        told.append((threading.get_ident(), count))
        if sum(each for _, each in told) > 4 * PART:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        download(
            files, remote, tmp_path / "x", part_bytes=PART, workers=2, progress=tell
        )
    assert {thread for thread, _ in told} == {threading.get_ident()}
    drive.bytes_per_second = None
    drive.faults.load([fault("corrupt")])
    counts: list[int] = []
    done = download(
        files,
        remote,
        tmp_path / "x",
        part_bytes=PART,
        workers=2,
        progress=counts.append,
    )
    assert counts[0] >= 2 * PART  # what the first run has left
    assert sum(counts) == len(DATA)
    assert min(counts) == -len(DATA)
    assert done.fetched_bytes < 2 * len(DATA)
    assert (tmp_path / "x").read_bytes() == DATA


def test_who_reads_meanwhile_gets_the_right_bytes(
    drive: FakeDrive, files: Files, remote: RemoteFile, tmp_path: Path
) -> None:
    """After wrong ones he is told, and begins again."""
    drive.faults.load([fault("corrupt"), fault("truncate", times=3), fault("reset")])
    reader = Collector()
    download(files, remote, tmp_path / "x", part_bytes=PART, workers=3, arrived=reader)
    reader.end()
    assert reader.abandoned == 1
    assert reader.read[-1] == DATA
    assert len(reader.read) == 2


def test_who_reads_may_end_it(
    drive: FakeDrive, files: Files, remote: RemoteFile, tmp_path: Path
) -> None:
    """As where his disk is full: the rest is not fetched."""
    drive.bytes_per_second = 500_000
    reader = Collector()
    reader.stop = errors.TargetFullError("full", hint="more room")
    with pytest.raises(errors.TargetFullError):
        download(
            files, remote, tmp_path / "x", part_bytes=PART, workers=1, arrived=reader
        )
    reader.end()
    assert not (tmp_path / "x").exists()
    assert drive.operations["files.get media"] < 12


def test_a_disk_that_becomes_full_meanwhile(
    drive: FakeDrive, files: Files, remote: RemoteFile, small_disk: Path
) -> None:
    """Nothing gets the name; when there is room again, only the rest is fetched."""
    drive.bytes_per_second = 1_000_000
    filler = small_disk / "filler"

    def fill(_: int) -> None:
        if not filler.exists():
            filler.write_bytes(bytes(2**22 - len(DATA) // 2 - 100_000))

    with pytest.raises(errors.TargetFullError, match="cannot be written"):
        download(
            files, remote, small_disk / "x", part_bytes=PART, workers=1, progress=fill
        )
    assert not (small_disk / "x").exists()
    filler.unlink()
    drive.bytes_per_second = None
    done = download(files, remote, small_disk / "x", part_bytes=PART)
    assert (small_disk / "x").read_bytes() == DATA
    assert done.fetched_bytes < len(DATA)
