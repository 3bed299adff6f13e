"""Downloads under each fault: right bytes, or a clear error."""

from __future__ import annotations

import hashlib
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.transfer.download import Transferred, download

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

KIB = 1024
PART = 256 * KIB
DATA = random.Random(1).randbytes(5 * PART + 777)  # noqa: S311 (no secret)
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
