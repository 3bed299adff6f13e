"""Tests for `colabmagic.setup.files`."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from colabmagic.setup import files
from colabmagic.setup.files import nearby, on_drive, read

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "[tool.colabmagic]\ndrive = true\n"
SECRET = "s3cret"  # noqa: S105 (of the test)


def write(path: Path, text: str) -> Path:
    """Write a file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["colabmagic.toml", "pyproject.toml"])
def test_beside_the_notebook(name: str, tmp_path: Path) -> None:
    """Both files have the same table."""
    write(tmp_path / name, TABLE)
    found = nearby(tmp_path)
    assert found.wanted == ("drive",)
    assert found.sources == (name,)


def test_ours_needs_no_heading(tmp_path: Path) -> None:
    """In colabmagic.toml the keys may stand alone; in pyproject.toml they are others'."""
    write(tmp_path / "colabmagic.toml", "train = 'cuda'\n")
    assert nearby(tmp_path).by_part["train"].value == "cuda"
    write(tmp_path / "b/pyproject.toml", "train = 'cuda'\n[tool.other]\nx = 1\n")
    assert nearby(tmp_path / "b").sources == ()


def test_the_nearest_file_counts_up_to_the_repository(tmp_path: Path) -> None:
    """A pyproject.toml without our table is passed by; what is above the root is not ours."""
    repository, folder = tmp_path / "repository", tmp_path / "repository/a/b"
    write(tmp_path / "colabmagic.toml", "gpu = true\n")
    write(repository / ".git/HEAD", "")
    write(folder / "pyproject.toml", "[project]\nname = 'x'\n")
    assert nearby(folder).sources == ()
    write(repository / "pyproject.toml", TABLE)
    assert nearby(folder).wanted == ("drive",)
    write(folder.parent / "colabmagic.toml", "cd = 'x'\n")
    assert nearby(folder).wanted == ("cd",)


def test_home_is_the_end(tmp_path: Path) -> None:
    """Folders below one's home are looked through up to it."""
    write(tmp_path / "colabmagic.toml", "gpu = true\n")
    folder = tmp_path / "home/a"
    folder.mkdir(parents=True)
    assert nearby(folder, tmp_path / "home").sources == ()
    write(tmp_path / "home/colabmagic.toml", "cd = 'x'\n")
    assert nearby(folder, tmp_path / "home").wanted == ("cd",)


def test_elsewhere_only_the_folder_itself(tmp_path: Path) -> None:
    """Above a folder that is in no home and no repository there may be other people's."""
    write(tmp_path / "colabmagic.toml", "gpu = true\n")
    (tmp_path / "a").mkdir()
    assert nearby(tmp_path / "a", tmp_path / "home").sources == ()
    assert nearby(tmp_path, tmp_path / "home").wanted == ("gpu",)


@pytest.mark.parametrize("below", ["", "MyDrive"])
def test_on_drive(below: str, tmp_path: Path) -> None:
    """In the user's own part of it, whichever folder is mounted."""
    write(tmp_path / "MyDrive/colabmagic.toml", "train = true\n")
    found = on_drive(tmp_path / below)
    assert found.wanted == ("train",)
    assert found.sources == ("MyDrive/colabmagic.toml",)
    assert on_drive(tmp_path / "other").sources == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"drive = \xff", "is no TOML: it is not in UTF-8"),
        (b"drive = true\npassword = s3cret", "is no TOML: look at line 2, column 12"),
        (b"drive = 's3cret", "is no TOML: look at"),
        (b"tool = {colabmagic = 3}", "[tool.colabmagic] is no table"),
        (b"#" * 1_000_001, "is too long"),
        (b"x = " + b"[" * 100_000, "is no TOML: its brackets are nested too deep"),
        (b"x = " + b"1" * 5000, "is no TOML: a number in it is too long"),
        (b"[colabmagic]\ngpu = true", ": [colabmagic] is not read; write [tool.colab"),
        (b"[tool.colab-magic]\ngpu = true", ": [tool.colab-magic] is not read; write"),
    ],
)
def test_a_broken_file_is_one_line(content: bytes, words: str, tmp_path: Path) -> None:
    """It is named, and what is in it is not shown: that may be a secret."""
    path = tmp_path / "colabmagic.toml"
    path.write_bytes(content)
    found = read(path)
    assert found is not None
    (problem,) = found.problems
    assert problem.startswith(f"colabmagic.toml{'' if words[0] == ':' else ' '}{words}")
    assert SECRET not in problem
    assert (found.wanted, found.sources) == ((), ())  # no default is from it


def test_a_broken_project_of_others_is_not_ours_to_tell(tmp_path: Path) -> None:
    """Unless it has something for us."""
    assert read(write(tmp_path / "pyproject.toml", "[project\n")) is None
    found = read(write(tmp_path / "pyproject.toml", TABLE + "x = \n"))
    assert found is not None
    assert "pyproject.toml is no TOML" in found.problems[0]


def test_a_folder_of_that_name_is_told(tmp_path: Path) -> None:
    """Whatever cannot be read is one line."""
    (tmp_path / "colabmagic.toml").mkdir()
    found = read(tmp_path / "colabmagic.toml")
    assert found is not None
    assert "cannot be read" in found.problems[0]


def test_a_mark_of_windows_editors(tmp_path: Path) -> None:
    """A byte order mark is no mistake."""
    path = tmp_path / "colabmagic.toml"
    path.write_bytes(b"\xef\xbb\xbfgpu = true")
    found = read(path)
    assert found is not None
    assert found.wanted == ("gpu",)


def test_keys_above_the_heading_count(tmp_path: Path) -> None:
    """Who adds the heading later means them too; what stands below it goes first."""
    found = read(write(tmp_path / "colabmagic.toml", "gpu = false\ncd = 'x'\n" + TABLE))
    assert found is not None
    assert found.problems == ()
    assert found.wanted == ("drive", "cd")


def test_a_heading_of_a_project_that_was_meant_to_be_ours(tmp_path: Path) -> None:
    """It is told; one like it that is somebody else's is not."""
    found = read(write(tmp_path / "pyproject.toml", "[tool.colabmagics]\ngpu = 1\n"))
    assert found is not None
    (problem,) = found.problems
    assert problem.startswith("pyproject.toml: [tool.colabmagics] is not read")
    others = "[project]\ndependencies = ['colabmagic']\n[tool.colab]\nx = 1\n"
    assert read(write(tmp_path / "pyproject.toml", others)) is None


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe, a device, a socket and a link in a circle are one line each."""
    path = tmp_path / "colabmagic.toml"
    for make in (
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(path.name),
    ):
        make()
        found = read(path)
        assert found is not None
        assert found.problems[0].startswith("colabmagic.toml cannot be read (")
        path.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))  # its name may not be long
        found = read(path)
    assert found is not None
    assert "cannot be read" in found.problems[0]


def test_a_home_behind_a_link(tmp_path: Path) -> None:
    """The working directory has no links in it, and the home's name may have some."""
    write(tmp_path / "disk/colabmagic.toml", "cd = 'x'\n")
    (tmp_path / "disk/a").mkdir()
    (tmp_path / "home").symlink_to("disk")
    assert nearby(tmp_path / "disk/a", tmp_path / "home").wanted == ("cd",)


def test_where_one_may_hang_another_process_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there is read as ever; who does not answer is left, and told."""
    monkeypatch.setattr(files, "ANSWER_S", 0.3)
    folder = tmp_path / "repository/ä b"
    write(tmp_path / "repository/.git/HEAD", "")
    write(tmp_path / "repository/pyproject.toml", TABLE)
    folder.mkdir()
    assert nearby(folder, may_hang=lambda _: True).wanted == ("drive",)
    own = write(folder / "colabmagic.toml", "\ufefftrain = 'cpu'  # ä\n")
    assert nearby(folder, may_hang=lambda _: True).by_part["train"].value == "cpu"
    for content, words in (
        (b"\xff\xfe", "cannot be read (it is not in UTF-8)"),
        (b"#" * 1_000_001, "is too long"),
    ):
        own.write_bytes(content)
        assert words in nearby(folder, may_hang=lambda _: True).problems[0]
    own.unlink()
    os.mkfifo(own)  # nobody writes
    (problem,) = nearby(folder, may_hang=lambda _: True).problems
    assert problem == "colabmagic.toml cannot be read (no answer within 0.3 s)"
    own.rename(tmp_path / "repository/colabmagic.toml")
    (tmp_path / "MyDrive").symlink_to("repository")
    (problem,) = on_drive(tmp_path).problems
    assert problem.startswith("MyDrive/colabmagic.toml cannot be read (no answer")
