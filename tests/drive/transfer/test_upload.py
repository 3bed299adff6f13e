"""Uploads under each fault: the file is there once, with the right bytes, or a clear error."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.transfer.upload import upload
from tests.drive.transfer.test_transfers import CHUNKS, DATA, PART, called, fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from colabmagic.drive.transfer.download import Transferred
    from tests.fakes.drive import FakeDrive

MD5 = hashlib.md5(DATA).hexdigest()  # noqa: S324 (Drive's)


@pytest.fixture
def send(drive: FakeDrive, files: Files, tmp_path: Path) -> Callable[..., Transferred]:
    """Return what uploads the file, under faults."""
    source = tmp_path / "ckpt.pt"
    source.write_bytes(DATA)

    def run(*faults: dict[str, Any], **options: Any) -> Transferred:  # noqa: ANN401
        drive.faults.load(list(faults))
        folder = files.folder("MyDrive/runs")
        return upload(
            files, source, folder, "ckpt.pt", **{"chunk_bytes": PART, **options}
        )

    return run


def stored(drive: FakeDrive) -> list[bytes]:
    """Return the contents of all files of the name."""
    return [
        each.blob.read(0, each.blob.size)
        for each in drive.store.files.values()
        if each.meta["name"] == "ckpt.pt" and each.blob is not None
    ]


UPLOADS_HEALED = [
    fault("status", CHUNKS, code=503, times=3),
    fault("status", CHUNKS, code=503, times=1, skip=5),
    fault("status", "POST /upload", code=503, times=2),
    fault("status", "POST /upload", code=403, reason="userRateLimitExceeded"),
    fault("reset", CHUNKS, times=3),
    fault("lost_reply", CHUNKS, times=2),
    fault("lost_reply", CHUNKS, skip=5),
    fault("lost_reply", "POST /upload", times=2),
    fault("lost_reply", "generateIds"),
    fault("drop_session", CHUNKS, skip=2),
    fault("drop_session", CHUNKS, skip=2, code=410),
    fault("short_commit", CHUNKS, times=3),
    fault("no_range_header", CHUNKS, times=2),
    fault("revoke_tokens", "POST /upload"),
    fault("lost_reply", "POST /drive/v3/files\\?"),  # the folder
]


@pytest.mark.parametrize(
    "one",
    UPLOADS_HEALED,
    ids=called,
)
def test_an_upload_heals(
    drive: FakeDrive, send: Callable[..., Transferred], one: dict[str, Any]
) -> None:
    """The file is there once, with the right bytes."""
    done = send(one)
    assert drive.faults.left == 0
    assert stored(drive) == [DATA]
    assert done.md5 == MD5
    folders = [e for e in drive.store.files.values() if e.meta["name"] == "runs"]
    assert len(folders) == 1


def test_a_second_upload_is_a_new_revision(
    drive: FakeDrive, send: Callable[..., Transferred], tmp_path: Path
) -> None:
    """Not a second file."""
    send()
    (tmp_path / "ckpt.pt").write_bytes(DATA[:100])
    send()
    assert stored(drive) == [DATA[:100]]


def test_a_full_drive(drive: FakeDrive, send: Callable[..., Transferred]) -> None:
    """Said at once, without a second attempt."""
    drive.store.storage_limit = 1000
    with pytest.raises(errors.StorageQuotaError, match="the Drive is full"):
        send()
    assert stored(drive) == []


def test_a_drive_that_fails_for_good_keeps_what_was_there(
    drive: FakeDrive, send: Callable[..., Transferred], tmp_path: Path
) -> None:
    """The old revision stays."""
    send()
    (tmp_path / "ckpt.pt").write_bytes(DATA[:-1])
    with pytest.raises(errors.DriveError):
        send(fault("status", CHUNKS, code=503, times=999))
    assert stored(drive) == [DATA]


def test_a_file_that_grows_meanwhile_is_not_called_saved(
    drive: FakeDrive, send: Callable[..., Transferred], tmp_path: Path
) -> None:
    """What is there is not what is here."""

    def grow(_: int) -> None:
        with (tmp_path / "ckpt.pt").open("r+b") as file:
            file.write(b"other")

    with pytest.raises(errors.IntegrityError, match="changed while"):
        send(progress=grow)
    del drive


def test_nothing_secret_is_in_an_error(
    drive: FakeDrive, send: Callable[..., Transferred]
) -> None:
    """Neither the token nor the address of the upload."""
    with pytest.raises(errors.DriveError) as caught:
        send(fault("reset", CHUNKS, times=999))
    error: BaseException | None = caught.value
    text = ""
    while error is not None:
        text += f"{error!r} {error} {error.__context__!r}"
        error = error.__cause__
    assert drive.token not in text
    assert "upload_id" not in text
