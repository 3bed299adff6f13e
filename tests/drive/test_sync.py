"""``--sync``: what was written under a mount, compared with the server."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive import sync as program
from colabmagic.drive.client import Drive
from colabmagic.drive.sync import find_written, sync

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """Return a folder laid out as Drive is, with what was there before."""
    root = tmp_path / "drive"
    (root / "MyDrive" / "old").mkdir(parents=True)
    (root / "MyDrive" / "runs").mkdir()
    (root / "My Drive").symlink_to("MyDrive")
    before = root / "MyDrive" / "old" / "before.bin"
    before.write_bytes(b"before")
    os.utime(before, (1, 1))
    return root


def write(mount: Path, name: str, data: bytes) -> None:
    """Write a file as a training loop does."""
    (mount / "MyDrive" / name).write_bytes(data)


def test_what_was_written_is_found_once(mount: Path) -> None:
    """New files with size and MD5; old ones, links and Drive's own folders are not."""
    since = time.time() - 60
    write(mount, "runs/a.pt", b"a" * 10)
    (mount / "MyDrive" / ".Trash").mkdir()
    write(mount, ".Trash/gone", b"x")
    (mount / "MyDrive" / "link").symlink_to(mount / "MyDrive" / "runs" / "a.pt")
    found = find_written(mount, since)
    assert found.complete
    assert found.files == (
        {
            "path": "MyDrive/runs/a.pt",
            "size": 10,
            "md5": "e09c80c42fda55f9d992e59ca6b3307d",
        },
    )


def test_a_copy_that_kept_its_old_time_is_found_while_it_waits(mount: Path) -> None:
    """Drive's own mark tells that it was not uploaded, whatever its time says."""
    before = mount / "MyDrive" / "old" / "before.bin"
    try:
        os.setxattr(before, "user.drive.id", b"local-123")
    except OSError:
        pytest.skip("this file system has no attributes of the user")
    (found,) = find_written(mount, time.time()).files
    assert found["path"] == "MyDrive/old/before.bin"


def test_a_short_time_is_told(mount: Path) -> None:
    """What could not be looked through is not called complete."""
    write(mount, "runs/a.pt", b"a")
    found = find_written(mount, 0, scan_s=0)
    assert not found.complete
    report = sync(mount, 0, None, why_not="no login", scan_s=0)
    assert not report.ok
    assert "not all folders" in report.text.replace("\n", " ")


def test_signs_of_life_give_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that takes longer than the limit, and says that it goes on, does not hang."""
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\n"
        "for _ in range(7): print('{\"alive\": true}', flush=True); time.sleep(0.5)\n"
        "print('{\"complete\": true}')"
    )
    monkeypatch.setattr(program, "_PROGRAM", slow)
    monkeypatch.setattr(program, "_LATE_S", 2.0)
    assert find_written(tmp_path, 0, scan_s=0.5).complete


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """One clear error, from another process."""
    with pytest.raises(errors.MountHungError, match="could not be looked through"):
        find_written(tmp_path / "none", 0)


def test_each_file_is_proven_or_uploaded(
    drive: FakeDrive, files: Files, mount: Path
) -> None:
    """There with the same bytes; there with others; not there; name not its own."""
    since = time.time() - 60
    runs = drive.store.add_folder("runs")
    drive.store.add_file("same.pt", b"same", runs.id)
    drive.store.add_file("stale.pt", b"old bytes", runs.id)
    for name, data in {
        "same.pt": b"same",
        "stale.pt": b"new bytes",
        "absent.pt": b"absent",
    }.items():
        write(mount, f"runs/{name}", data)
    report = sync(mount, since, Drive(files.transport), wait_s=0)
    states = {each.path: each.state for each in report.files}
    assert states == {
        "MyDrive/runs/same.pt": "there",
        "MyDrive/runs/stale.pt": "uploaded",
        "MyDrive/runs/absent.pt": "uploaded",
    }
    assert report.ok
    assert "ALL ON DRIVE" in report.headline
    assert "there may be two" in " ".join(report.text.split())
    again = sync(mount, since, Drive(files.transport), wait_s=0)
    assert again.count("there") == 3
    assert again.notes == ()


def test_drives_own_upload_is_waited_for(
    drive: FakeDrive, files: Files, mount: Path
) -> None:
    """A file that arrives meanwhile is not uploaded a second time."""
    write(mount, "late.pt", b"late")
    waited: list[float] = []

    def arrive(seconds: float) -> None:
        waited.append(seconds)
        drive.store.add_file("late.pt", b"late")

    report = sync(
        mount, time.time() - 60, Drive(files.transport), wait_s=30, sleep=arrive
    )
    assert [each.state for each in report.files] == ["there"]
    assert len(waited) == 1


def test_without_credentials_nothing_is_claimed(mount: Path) -> None:
    """It says what cannot be proven, and what would prove it."""
    write(mount, "runs/a.pt", b"a")
    report = sync(mount, time.time() - 60, None, why_not="nobody is logged in")
    text = " ".join(report.text.split())
    assert not report.ok
    assert "NOT ALL PROVEN" in text
    assert "nobody is logged in" in text
    assert "%mount_drive --unmount" in text
    assert report.to_dict()["files"][0]["state"] == "unproven"


def test_a_full_drive_is_told_for_each_file(
    drive: FakeDrive, files: Files, mount: Path
) -> None:
    """A file that cannot be uploaded is named with its reason; the others go on."""
    write(mount, "a.pt", b"a" * 100)
    drive.store.storage_limit = 50
    report = sync(mount, time.time() - 60, Drive(files.transport), wait_s=0)
    (failed,) = report.files
    assert failed.state == "failed"
    assert "the Drive is full" in failed.why
    assert not report.ok
