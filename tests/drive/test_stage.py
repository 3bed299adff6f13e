"""Staging: an archive on Drive becomes a folder here, once, as a whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.stage import Staged, stage
from tests.drive.test_archives import FILES, content, tar, zipped
from tests.drive.test_transfers import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.files import Files
    from tests.fakes.drive import FakeDrive

ARCHIVE = "MyDrive/sets/data.tar.gz"


@pytest.fixture
def staged(drive: FakeDrive, files: Files, tmp_path: Path) -> Callable[..., Staged]:
    """Return what stages the archive."""
    folder = drive.store.add_folder("sets")
    drive.store.add_file("data.tar.gz", tar("w:gz"), folder.id)

    def run(**options: Any) -> Staged:  # noqa: ANN401
        return stage(files, ARCHIVE, tmp_path / "data", **options)

    return run


def names(folder: Path) -> list[str]:
    """Return what lies in a folder, hidden things too."""
    return sorted(each.name for each in folder.iterdir())


def test_it_is_unpacked_and_known_the_next_time(
    drive: FakeDrive, staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """The second call asks for one resource and downloads nothing."""
    first = staged()
    assert content(tmp_path / "data") == FILES
    assert (first.files, first.size) == (3, sum(map(len, FILES.values())))
    assert first.fetched_bytes == first.archive_bytes == len(tar("w:gz"))
    assert names(tmp_path) == [".data.colabmagic.json", "data"]
    drive.reset_counters()
    second = staged()
    assert second.fetched_bytes == 0
    assert (second.path, second.files, second.md5) == (
        first.path,
        first.files,
        first.md5,
    )
    assert dict(drive.operations) == {"files.get": 1}


def test_a_new_revision_is_taken(
    drive: FakeDrive, staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """The old folder goes as a whole."""
    staged()
    (entry,) = (
        e for e in drive.store.files.values() if e.meta["name"] == "data.tar.gz"
    )
    drive.store.set_content(entry.id, tar("w:gz", {"new": b"1"}))
    staged()
    assert content(tmp_path / "data") == {"new": b"1"}
    assert names(tmp_path) == [".data.colabmagic.json", "data"]
    (tmp_path / "data" / "mine").write_text("x")
    staged(refresh=True)
    assert content(tmp_path / "data") == {"new": b"1"}


@pytest.mark.parametrize(
    "data", [tar("w:gz", {"../x": b""}), tar("w:gz")[:-40], b"no archive"]
)
def test_a_bad_archive_leaves_what_was_there(
    drive: FakeDrive, staged: Callable[..., Staged], tmp_path: Path, data: bytes
) -> None:
    """The folder of before, and no half one."""
    staged()
    (entry,) = (
        e for e in drive.store.files.values() if e.meta["name"] == "data.tar.gz"
    )
    drive.store.set_content(entry.id, data)
    with pytest.raises(errors.ArchiveError):
        staged()
    assert content(tmp_path / "data") == FILES
    assert set(names(tmp_path)) <= {".data.colabmagic.json", "data", ".data.tar.gz"}


def test_a_folder_of_the_users_is_not_replaced(
    staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """Said before anything is downloaded."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").write_text("x")
    with pytest.raises(errors.TargetFullError, match="not made by this magic"):
        staged()
    assert (tmp_path / "data" / "mine").read_text() == "x"


def test_under_faults(
    drive: FakeDrive, staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """A wrong byte and broken answers change nothing."""
    drive.faults.load([fault("corrupt"), fault("truncate", times=2), fault("reset")])
    staged(keep_archive=True)
    assert content(tmp_path / "data") == FILES
    assert names(tmp_path) == [".data.colabmagic.json", "data", "data.tar.gz"]


def test_by_default_it_goes_where_one_is(
    drive: FakeDrive,
    files: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder of the archive's name; what is no archive is refused."""
    monkeypatch.setattr("colabmagic.drive.stage._COLAB", tmp_path / "none")
    drive.store.add_file("set.zip", zipped())
    outer = Path.cwd()
    os.chdir(tmp_path)
    try:
        done = stage(files, "MyDrive/set.zip")
    finally:
        os.chdir(outer)
    assert done.path == tmp_path / "set"
    with pytest.raises(errors.CorruptArchiveError, match="no archive"):
        stage(files, "MyDrive/data.csv", tmp_path / "x")
