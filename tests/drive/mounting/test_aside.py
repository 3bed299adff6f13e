"""What is in the way of a mountpoint is renamed, never deleted."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from colabmagic.drive.errors import MountpointError
from colabmagic.drive.mounting.aside import put_back, set_aside


def test_a_folder_keeps_what_is_in_it(tmp_path: Path) -> None:
    """It has another name, that is all; and it comes back."""
    path = tmp_path / "drive"
    path.mkdir()
    (path / "a").write_text("x")
    aside = set_aside(path)
    assert (aside / "a").read_text() == "x"
    assert not path.exists()
    path.mkdir()  # what a mount that failed leaves
    assert put_back(path, aside)
    assert (path / "a").read_text() == "x"
    assert not aside.exists()


def test_a_name_in_use_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename would replace a file or an empty folder: another name is found."""
    monkeypatch.setattr(time, "strftime", lambda _: "20261130-120000")
    path = tmp_path / "drive"
    moved = []
    for text in ("one", "two", "three"):
        path.write_text(text)
        moved.append(set_aside(path))
    assert [aside.read_text() for aside in moved] == ["one", "two", "three"]
    assert moved[1].name == "drive.local-20261130-120000-1"


def test_it_stays_aside_where_something_has_come_up(tmp_path: Path) -> None:
    """Nothing there is overwritten."""
    path, aside = tmp_path / "drive", tmp_path / "aside"
    path.mkdir()
    (path / "new").touch()
    aside.mkdir()
    assert not put_back(path, aside)
    assert (path / "new").exists()
    assert aside.exists()


def test_the_working_directory_is_not_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither it nor a folder above it: relative paths would lead elsewhere."""
    inner = tmp_path / "work/inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    for path in (inner, inner.parent):
        with pytest.raises(MountpointError, match="working directory") as caught:
            set_aside(path)
        assert caught.value.hint.endswith(f"{path}/drive")


def test_the_systems_folders_and_home_are_not_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody means that."""
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me").mkdir()
    monkeypatch.chdir("/")
    with pytest.raises(MountpointError, match="home"):
        set_aside(tmp_path / "me")
    with pytest.raises(MountpointError, match="system"):
        set_aside(Path("/usr"))


def test_a_rename_that_fails_is_told(tmp_path: Path) -> None:
    """In the system's words."""
    with pytest.raises(MountpointError, match="cannot be renamed") as caught:
        set_aside(tmp_path / "none")
    assert caught.value.seen == "No such file or directory"
