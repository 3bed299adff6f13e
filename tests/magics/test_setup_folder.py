"""Tests for `colabmagic.magics._setup_folder`; Drive that hangs is a real FUSE mount."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import pytest

from colabmagic.magics import _setup_folder as places
from colabmagic.setup.errors import SetupValueError
from tests.fakes.fuse import FuseFolder, why_not

if TYPE_CHECKING:
    from pathlib import Path

needs_fuse = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder; afterwards nothing is remembered of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "_MEMORY", places._Memory())
    return tmp_path


def refused(target: Path) -> SetupValueError:
    """Return why a folder cannot be entered."""
    with pytest.raises(SetupValueError) as caught:
        places.change_to(target)
    return caught.value


def test_a_folder_that_is_not_there(place: Path) -> None:
    """What makes it can be copied as it stands."""
    error = refused(place / "a")
    assert error.what == f"there is no folder {place}/a"
    command, other = error.hint.splitlines()
    assert command == f"!mkdir -p {place}/a"
    assert other.startswith("or name a folder that is there")


@pytest.mark.parametrize(
    "name", ["a b", "'; touch pwned; '", "$(touch pwned)", "{x}", "\u202ea"]
)
def test_a_name_runs_nothing(name: str, place: Path) -> None:
    """Names come from files: neither the shell nor IPython does what stands in them."""
    command = refused(place / name).hint.splitlines()[0]
    if command.startswith("!"):
        assert shlex.split(command[1:]) == ["mkdir", "-p", f"{place}/{name}"]
        assert not {"$", "{"} & set(command)
    else:
        exec(command, {})  # noqa: S102 (that is what the user does with it)
        assert (place / name).is_dir()


@pytest.mark.parametrize(
    ("name", "words", "seen"),
    [
        ("file", "is no folder", "Not a directory"),
        ("file/x", "is no folder", "Not a directory"),
        ("a\0b", "cannot be entered", "embedded null byte"),
        ("x" * 300, "cannot be entered", "File name too long"),
        ("loop", "cannot be entered", "Too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_a_folder(name: str, words: str, seen: str, place: Path) -> None:
    """Nobody is told to make it."""
    (place / "file").touch()
    (place / "loop").symlink_to("loop")
    error = refused(place / name)
    assert words in error.what
    assert error.seen == seen
    assert "mkdir" not in error.hint


def test_a_user_that_there_is_not() -> None:
    """It is said of whom the home was to be."""
    with pytest.raises(SetupValueError, match="there is no user ~nobody-here"):
        places.expanded("~nobody-here/x")


def test_what_is_there(place: Path) -> None:
    """On a disk one just looks; also what leads nowhere is in the way."""
    (place / "link").symlink_to("nowhere")
    assert places.exists(place / "link")
    assert not places.exists(place / "nowhere")
    assert not places.may_hang(place)
    assert places.leave_dead() is None


def test_a_working_directory_that_was_deleted(place: Path) -> None:
    """There is none; and `--cd` goes on from there all the same."""
    (place / "gone").mkdir()
    os.chdir("gone")
    (place / "gone").rmdir()
    assert places.working_directory() is None
    assert places.leave_dead() is None
    places.change_to(place)
    assert places.entered(None) == place
    assert places.notebook_folder() == place


@needs_fuse
def test_drive_that_hangs_is_not_touched(place: Path) -> None:
    """Nobody would come back; when it answers again, it is a folder as any other."""
    with FuseFolder(place / "drive") as drive:
        assert places.may_hang(drive.path / "MyDrive")
        assert places.exists(drive.path)
        drive.stop()
        error = refused(drive.path)
        assert error.what == f"Drive does not answer at {drive.path}"
        assert error.hint == "%mount_drive"
        drive.go_on()
        places.change_to(drive.path)
        os.chdir(place)


@needs_fuse
def test_a_working_directory_that_is_dead_is_left(place: Path) -> None:
    """Each import would look there first; the user reads where he is."""
    with FuseFolder(place / "drive") as drive:
        places.change_to(drive.path)
        assert places.entered(place) == drive.path
        assert places.leave_dead() is None
        drive.kill()
        error = places.leave_dead()
        assert error is not None
        assert error.what == (
            f"Drive does not answer at {drive.path}, where the working directory was; "
            "it is / now"
        )
        assert str(places.working_directory()) == "/"
        os.chdir(place)
