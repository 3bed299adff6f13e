"""Downloads and uploads under each fault: right bytes, once, or a clear error."""

from __future__ import annotations

import hashlib
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.transfer.download import Transferred, download
from colabmagic.drive.transfer.upload import upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

KIB = 1024
PART = 256 * KIB
DATA = random.Random(1).randbytes(5 * PART + 777)  # noqa: S311 (no secret)
MD5 = hashlib.md5(DATA).hexdigest()  # noqa: S324 (Drive's)
MEDIA = "alt=media"
CHUNKS = "PUT .*upload_id"


def fault(kind: str, match: str = MEDIA, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a rule of a fault script."""
    return {"kind": kind, "match": match, **options}


@pytest.fixture
def fetch(drive: FakeDrive, files: Files, tmp_path: Path) -> Callable[..., Transferred]:
    """Return what downloads the file, under faults."""
    drive.store.add_file("data.bin", DATA)

    def run(*faults: dict[str, Any], **options: Any) -> Transferred:  # noqa: ANN401
        drive.faults.load(list(faults))
        remote = files.stat("MyDrive/data.bin")
        return download(
            files, remote, tmp_path / "data.bin",
            **{"part_bytes": PART, "workers": 3, **options},
        )  # fmt: skip

    return run


def called(rule: dict[str, Any]) -> str:
    """Return the name of a rule."""
    return " ".join(map(str, rule.values())).replace(MEDIA, "").replace("  ", " ")


HEALED = [
    fault("status", code=503, times=3),
    fault("status", code=500, reason="", times=2),
    fault("status", code=429, reason="rateLimitExceeded", times=2),
    fault("status", code=403, reason="userRateLimitExceeded", times=3),
    fault("status", code=403, reason="rateLimitExceeded", times=3),
    fault("reset", times=3),
    fault("cut_headers", times=2),
    fault("truncate", times=3),
    fault("body_reset", times=3),
    fault("corrupt"),
    fault("shift_range"),
    fault("ignore_range", times=2),
    fault("wrong_content_range", times=2),
    fault("stall", seconds=3),
    fault("drip", bytes=65536, seconds=0.01),
    fault("change_file"),
    fault("revoke_tokens"),
    fault("status", match="GET /drive/v3/files\\?", code=503, times=2),
]


@pytest.mark.parametrize("one", HEALED, ids=called)
def test_a_download_heals(
    drive: FakeDrive,
    fetch: Callable[..., Transferred],
    tmp_path: Path,
    one: dict[str, Any],
) -> None:
    """The bytes are those on Drive at the end, and nothing else is left."""
    done = fetch(one)
    assert drive.faults.left == 0
    content = (tmp_path / "data.bin").read_bytes()
    (entry,) = (
        each for each in drive.store.files.values() if each.meta["name"] == "data.bin"
    )
    assert entry.blob is not None
    assert content == entry.blob.read(0, len(DATA))
    assert done.md5 == hashlib.md5(content).hexdigest()  # noqa: S324 (Drive's)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data.bin"]


PERMANENT = {
    "downloadQuotaExceeded": errors.DownloadQuotaError,
    "dailyLimitExceeded": errors.DailyLimitError,
    "sharingRateLimitExceeded": errors.DailyLimitError,
    "insufficientPermissions": errors.InsufficientScopeError,
    "insufficientFilePermissions": errors.InsufficientScopeError,
    "cannotDownloadAbusiveFile": errors.NotDownloadableError,
    "accessNotConfigured": errors.DriveAuthError,
}


@pytest.mark.parametrize("reason", PERMANENT)
def test_what_stays_refused_is_asked_once(
    drive: FakeDrive, fetch: Callable[..., Transferred], tmp_path: Path, reason: str
) -> None:
    """An error of its class, no second attempt, no file under the name."""
    with pytest.raises(PERMANENT[reason]) as caught:
        fetch(fault("status", code=403, reason=reason, times=99), workers=1)
    assert drive.operations["broken"] == 1
    assert reason in str(caught.value.seen)
    assert not (tmp_path / "data.bin").exists()


def test_a_server_that_never_heals(
    drive: FakeDrive, fetch: Callable[..., Transferred], tmp_path: Path
) -> None:
    """After its attempts it is an error; run again, only the rest is fetched."""
    with pytest.raises(errors.ServerFailedError):
        fetch(fault("status", code=503, times=99, skip=3), workers=1)
    assert not (tmp_path / "data.bin").exists()
    drive.reset_counters()
    done = fetch(workers=1)
    assert drive.operations["files.get media"] == 3
    assert done.fetched_bytes == len(DATA) - 3 * PART
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_bytes_that_stay_wrong(
    fetch: Callable[..., Transferred], tmp_path: Path
) -> None:
    """Nothing gets the name."""
    with pytest.raises(errors.IntegrityError, match="did not arrive"):
        fetch(fault("corrupt", times=99))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_until_the_new_one_is_right(
    fetch: Callable[..., Transferred], tmp_path: Path
) -> None:
    """Also when it fails."""
    (tmp_path / "data.bin").write_text("old")
    with pytest.raises(errors.DownloadQuotaError):
        fetch(fault("status", code=403, reason="downloadQuotaExceeded", times=99))
    assert (tmp_path / "data.bin").read_text() == "old"
    fetch()
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_a_journal_of_another_content_is_not_continued(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """The file on Drive has changed since: it is begun anew."""
    entry = drive.store.add_file("data.bin", DATA)
    drive.faults.load([fault("status", code=503, times=99, skip=2)])
    target = tmp_path / "data.bin"
    with pytest.raises(errors.ServerFailedError):
        download(
            files, files.stat("MyDrive/data.bin"), target, part_bytes=PART, workers=1
        )
    drive.faults.load([])
    other = bytes(reversed(DATA))
    drive.store.set_content(entry.id, other)
    done = download(files, files.stat("MyDrive/data.bin"), target, part_bytes=PART)
    assert target.read_bytes() == other
    assert done.fetched_bytes == len(other)


def test_no_room(
    monkeypatch: pytest.MonkeyPatch, fetch: Callable[..., Transferred], tmp_path: Path
) -> None:
    """It is said before anything is fetched."""
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(errors.TargetFullError, match="no room"):
        fetch()
    assert not (tmp_path / "data.bin").exists()


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1])
def test_sizes(drive: FakeDrive, files: Files, tmp_path: Path, size: int) -> None:
    """Also nothing at all."""
    drive.store.add_file("x", DATA[:size])
    download(files, files.stat("MyDrive/x"), tmp_path / "x", part_bytes=PART)
    assert (tmp_path / "x").read_bytes() == DATA[:size]


# --- uploads ------------------------------------------------------------------------


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
