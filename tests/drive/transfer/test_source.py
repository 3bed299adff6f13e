"""What is uploaded: a file, whole as it was at one moment; what Drive had stays till then."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.client import Drive
from colabmagic.drive.transfer.source import Source
from colabmagic.drive.transfer.upload import upload
from tests.drive.leaks import everything

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

UNIT = 256 * 1024
DATA = random.Random(4).randbytes(3 * UNIT + 5)  # noqa: S311 (no secret)
CHUNKS = "PUT .*upload_id"


def names(drive: FakeDrive) -> list[str]:
    """Return the names of all that is on Drive, below its root."""
    return sorted(
        each.meta["name"]
        for each in drive.store.files.values()
        if each.meta["parents"] and not each.meta["trashed"]
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a file of four chunks."""
    path = tmp_path / "ckpt.pt"
    path.write_bytes(DATA)
    return path


def other(path: Path) -> None:
    """Write other bytes, as many."""
    path.write_bytes(bytes(len(DATA)))


def silently(path: Path) -> None:
    """Change one byte without a trace in the times, as through a mapping."""
    times = path.stat()
    with path.open("r+b") as file:
        file.write(bytes([DATA[0] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def shorter(path: Path) -> None:
    """Cut the end off."""
    os.truncate(path, 2 * UNIT)


def longer(path: Path) -> None:
    """Write something at the end."""
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("change", [other, silently, shorter, longer])
@pytest.mark.parametrize("new", [False, True], ids=["over a file", "new"])
def test_a_file_that_changes_leaves_what_drive_had(
    drive: FakeDrive,
    files: Files,
    source: Path,
    change: Callable[[Path], None],
    *,
    new: bool,
) -> None:
    """No mixture of both gets the name, and a new file is not made."""
    if not new:
        drive.store.add_file("ckpt.pt", b"before")
    reports: list[int] = []

    def progress(number: int) -> None:
        reports.append(number)
        if len(reports) == 2:
            change(source)

    with pytest.raises(errors.IntegrityError, match="while it was uploaded"):
        upload(
            files, source, files.stat("MyDrive"), "ckpt.pt",
            chunk_bytes=UNIT, progress=progress,
        )  # fmt: skip
    found = [e for e in drive.store.files.values() if e.meta["name"] == "ckpt.pt"]
    assert [each.blob and each.blob.read(0, 99) for each in found] == [b"before"] * (
        not new
    )


@pytest.mark.parametrize("kind", ["short_commit", "no_range_header", "lost_reply"])
def test_what_the_server_has_is_what_was_sent_first(
    drive: FakeDrive, files: Files, source: Path, kind: str
) -> None:
    """A chunk is sent again, in part: the bytes that were kept still count."""
    drive.store.add_file("ckpt.pt", b"before")
    drive.faults.load([{"kind": kind, "match": CHUNKS, "times": 1}])
    done = upload(files, source, files.stat("MyDrive"), "ckpt.pt", chunk_bytes=2 * UNIT)
    assert drive.faults.left == 0
    assert done.md5 == files.stat("MyDrive/ckpt.pt").md5


@pytest.mark.parametrize("what", ["/dev/zero", "/proc/cpuinfo", "pipe", "folder", "no"])
def test_what_is_no_file_is_refused_at_once(
    drive: FakeDrive, files: Files, tmp_path: Path, what: str
) -> None:
    """It is not waited for, and nothing on Drive is made or changed for it."""
    drive.store.add_file("ckpt.pt", b"before")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(errors.DrivePathError):
        Drive(files.transport).save(tmp_path / what, "MyDrive/new/ckpt.pt")
    with pytest.raises(errors.DrivePathError):
        Drive(files.transport).save(tmp_path / what, "MyDrive/ckpt.pt")
    assert set(names(drive)) <= {"ckpt.pt", "new"}
    (entry,) = (e for e in drive.store.files.values() if e.meta["name"] == "ckpt.pt")
    assert entry.blob is not None
    assert entry.blob.read(0, 99) == b"before"


def test_a_server_that_loses_bytes(source: Path) -> None:
    """The upload is begun anew: what it has is not known any more."""
    with source.open("rb") as file:
        sent = Source(file, "ckpt.pt")
        sent.begin()
        sent.chunk(0, 2 * UNIT)
        sent.arrived(2 * UNIT)
        with pytest.raises(errors.SessionLostError):
            sent.arrived(UNIT)
        with pytest.raises(errors.ServerFailedError, match="form"):
            sent.arrived(2 * UNIT + 1)


@pytest.mark.parametrize("fault", ["reset", "drop_session", "status"])
def test_no_variable_of_a_failed_upload_shows_a_key(
    drive: FakeDrive, files: Files, source: Path, fault: str
) -> None:
    """Neither the token nor the address of the upload, in no frame of ours."""
    drive.faults.load([{"kind": fault, "match": CHUNKS, "times": 999}])
    with pytest.raises(errors.DriveError) as caught:
        upload(files, source, files.stat("MyDrive"), "ckpt.pt", chunk_bytes=UNIT)
    seen = everything(caught.value)
    assert drive.token not in seen
    assert "upload_id" not in seen
    assert not any(key in seen for key in drive.store.sessions)
