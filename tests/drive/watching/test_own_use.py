"""What this process has in a folder; with real mounts: `test_watch.py`."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING

from colabmagic.drive.watching.own_use import (
    WorkingDirectory,
    open_files,
    working_directory,
)

if TYPE_CHECKING:
    import pytest


def test_open_and_mapped_files_are_named(tmp_path: Path) -> None:
    """Also one that is closed and still mapped; none of a folder beside."""
    for name in ("drive/open", "drive/mapped", "drive2/other"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 4096)
    with (tmp_path / "drive/mapped").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with mapped, (tmp_path / "drive/open").open(), (tmp_path / "drive2/other").open():
        found = open_files(tmp_path / "drive")
    assert found == [str(tmp_path / "drive/mapped"), str(tmp_path / "drive/open")]
    assert open_files(tmp_path / "drive") == []


def test_one_goes_out_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; who was not inside stays where he is."""
    inner = tmp_path / "drive/inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    place = WorkingDirectory(tmp_path / "drive")
    assert not place.leave()
    assert place.come_back(1) is None
    monkeypatch.chdir(inner)
    assert place.leave()
    assert (Path.cwd(), place.left) == (tmp_path, str(inner))
    assert place.come_back(1) is None
    assert (Path.cwd(), place.left) == (inner, None)


def test_a_folder_that_is_gone_is_told_and_kept_in_mind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be there a little later: then it is gone back to."""
    inner = tmp_path / "drive/inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    place = WorkingDirectory(tmp_path / "drive")
    place.leave()
    inner.rmdir()
    assert "No such file or directory" in (place.come_back(1) or "")
    assert place.left == str(inner)
    inner.mkdir()
    assert place.come_back(1) is None
    assert working_directory() == str(inner)


def test_who_has_moved_meanwhile_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory is the user's."""
    (tmp_path / "drive").mkdir()
    monkeypatch.chdir(tmp_path / "drive")
    place = WorkingDirectory(tmp_path / "drive")
    place.leave()
    monkeypatch.chdir("/")
    assert place.come_back(1) is None
    assert (Path.cwd(), place.left) == (Path("/"), None)
