"""Paths as they are typed: each odd one is one error of ours."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.account.auth import locate
from colabmagic.drive.mounting.folders import default_path
from colabmagic.drive.words import home, local, remote, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def gone(tmp_path: Path) -> Iterator[None]:
    """Have a working directory that is not there any more."""
    before = Path.cwd()
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    yield
    os.chdir(before)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("n" * 300, "longer"),
        ("/tmp/" + "字" * 86, "longer"),  # noqa: S108 (nothing is written)
        ("/" + "a/" * 2500, "longer"),
        ("a\0b", "no name has"),
        ("a\ud800b", "no name has"),
        ("~nobody-of-this-name/x", "home of a user"),
    ],
)
def test_local_paths_that_no_disk_has(path: str, said: str) -> None:
    """Refused, and shown so that nothing in them controls a terminal."""
    with pytest.raises(errors.DrivePathError, match=said) as caught:
        local(path)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 500


def test_other_local_paths() -> None:
    """Are as they were typed."""
    assert local("a/b") == Path("a/b")
    assert local("~") == Path.home()
    assert local("n" * 255) == Path("n" * 255)


def test_no_working_directory(gone: None) -> None:
    """What is below it is nowhere; the rest of the machine is still there."""
    del gone
    for path in (".", "a"):
        with pytest.raises(errors.DrivePathError, match="working directory is gone"):
            local(path)
    assert local("/etc") == Path("/etc")


def test_links_are_followed(tmp_path: Path) -> None:
    """But not in a circle."""
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "link").symlink_to("there")
    assert resolved(tmp_path / "link") == tmp_path.resolve() / "there"
    with pytest.raises(errors.DrivePathError, match="circle"):
        resolved(tmp_path / "circle")


def test_paths_on_drive() -> None:
    """Texts and paths; none with what no name has."""
    assert remote("MyDrive/a/") == "MyDrive/a/"
    assert remote(PurePosixPath("MyDrive/a")) == "MyDrive/a"
    for path in ("MyDrive/a\0", "MyDrive/\ud800"):
        with pytest.raises(errors.DrivePathError, match="no name has"):
            remote(path)
    with pytest.raises(TypeError):
        remote(5)  # type: ignore[arg-type]


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is run under another number: said so, with what to type."""

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    for ask in (home, lambda: locate(env={}), lambda: default_path({})):
        with pytest.raises(errors.DrivePathError, match="no home") as caught:
            ask()
        assert caught.value.hint.startswith("%env HOME=")
