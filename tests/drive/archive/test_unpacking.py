"""Unpacking in a thread of its own."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.archive.unpacking import Limits, Unpacking
from tests.drive.archive.test_archives import FILES, content, link, tar, tar_of
from tests.drive.archive.test_stage import Told, names

if TYPE_CHECKING:
    from pathlib import Path


def unpacking(tmp_path: Path, data: bytes, **limits: object) -> Unpacking:
    """Return a tar that is to be unpacked into a folder beside another."""
    return Unpacking("x.tar", len(data), tmp_path / "x", Limits(**limits))  # type: ignore[arg-type]


def test_it_is_unpacked_beside_its_place(tmp_path: Path) -> None:
    """Told in the calling thread, up to the archive's size; the place stays free."""
    data, told = tar(), Told()
    job = unpacking(tmp_path, data)
    job.begin(io.BytesIO(data))
    told.start("unpack")
    target = job.result(told)
    assert job.made is not None
    assert content(job.made) == FILES
    assert target.files == len(FILES)
    assert told.steps[0][2] == len(data)
    assert told.threads == {threading.get_ident()}
    assert not (tmp_path / "x").exists()


def test_what_goes_wrong_is_raised_to_who_waits(tmp_path: Path) -> None:
    """Wrong bytes may come again: only what they cannot mend ends a download at once."""
    data = tar_of(link("l", "a"))
    job = unpacking(tmp_path, data)
    job.begin(io.BytesIO(data))
    with pytest.raises(errors.UnsafeMemberError):
        job.result(Told(lambda _: pytest.fail("nothing was unpacked")))
    job.check()
    job._errors.append(errors.TargetFullError("full", hint="x"))
    with pytest.raises(errors.TargetFullError):
        job.check()
    job.abandon()


def test_abandoned_and_begun_again(tmp_path: Path) -> None:
    """Nothing of the first time is left, in the folder or in what is told."""
    data = tar()
    job = unpacking(tmp_path, data, max_bytes=10**6)
    wrong = io.BytesIO(tar(members={"wrong": b"1"}))
    job.begin(wrong)
    job.abandon()
    assert wrong.closed
    assert names(tmp_path) == []
    assert job.made is None
    job.begin(io.BytesIO(data))
    told = Told()
    told.start("unpack")
    job.result(told)
    assert job.made is not None
    assert content(job.made) == FILES


def test_abandoned_while_it_waits_for_bytes(tmp_path: Path) -> None:
    """It ends at its next piece, however long the archive is."""
    data = tar(members={"zeros": bytes(2**20)})
    more = threading.Event()

    class Endless(io.RawIOBase):
        """Brings the same piece again and again, when it is asked to."""

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            more.wait(10)
            buffer[:512] = data[:512]
            return 512

    job = unpacking(tmp_path, data)
    job.begin(Endless())  # type: ignore[arg-type]
    timer = threading.Timer(0.1, more.set)
    timer.start()
    job.abandon()
    timer.join()
    assert names(tmp_path) == []
