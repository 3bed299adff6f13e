"""What is noted of a folder, and how what came since is told from it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive.archive import record
from tests.drive.archive.test_stage import names

if TYPE_CHECKING:
    from pathlib import Path

FACTS: dict[str, Any] = {
    "id": "1", "md5": "a" * 32, "path": "MyDrive/x.tar", "files": 2, "size": 2,
    "notes": ("one",), "kept": None,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two files and a link."""
    made = tmp_path / "data"
    (made / "sub").mkdir(parents=True)
    (made / "a").write_text("1")
    os.link(made / "a", made / "sub" / "b")
    (made / "up").symlink_to(tmp_path)
    return made


def after(folder: Path) -> int:
    """Return a time after which the next change is noticed."""
    clock = folder.with_name("clock")
    clock.write_text("")
    begin = clock.stat().st_ctime_ns
    while clock.stat().st_ctime_ns <= begin:
        clock.write_text("")
    clock.unlink()
    return begin


def test_the_record_is_of_this_folder(folder: Path, tmp_path: Path) -> None:
    """Not of another one of its name; until a new one has the name, of the old one."""
    assert record.recorded(folder) is None
    record.note(FACTS, folder, folder)
    first = record.recorded(folder)
    assert first is not None
    assert (first.id, first.notes) == ("1", ("one",))
    new = tmp_path / "new"
    new.mkdir()
    record.note({**FACTS, "id": "2"}, new, folder)
    assert record.recorded(folder) == first
    folder.rename(tmp_path / "old")
    new.rename(folder)
    second = record.recorded(folder)
    assert second is not None
    assert second.id == "2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"inode": 1}',
        '{"before": {"inode": 1}}',
        "\x00",
        "[" * 100_000,
    ],
)
def test_a_note_that_makes_no_sense(folder: Path, text: str) -> None:
    """Is none: such a folder is the user's."""
    record.marker_of(folder).write_text(text.replace("1", str(folder.stat().st_ino)))
    assert record.recorded(folder) is None


def test_what_was_changed_since(folder: Path, tmp_path: Path) -> None:
    """Written, moved in, or of new rights; links are not followed."""
    mark = after(folder)
    assert record.look(folder, mark) == record.Look(files=3, changed=(), whole=True)
    (tmp_path / "old").write_text("x")
    os.utime(tmp_path / "old", (1, 1))
    (tmp_path / "old").rename(folder / "sub" / "moved")
    (folder / "sub" / "deep").mkdir()
    (folder / "sub" / "deep" / "link").symlink_to("nowhere")
    found = record.look(folder, mark)
    assert set(found.changed) == {"sub/moved", "sub/deep/link"}
    (folder / "a").chmod(0o600)  # which is b as well
    assert len(record.look(folder, mark).changed) == 4


def test_only_what_was_changed_stays(folder: Path, tmp_path: Path) -> None:
    """A name that goes changes the file's other names: that is not taken for theirs."""
    mark = after(folder)
    (folder / "sub" / "mine").write_text("x")
    (folder / "sub" / "dir").symlink_to(tmp_path)
    assert set(record.keep_changed(folder, mark)) == {"sub/mine", "sub/dir"}
    assert names(folder) == ["sub"]
    assert names(folder / "sub") == ["dir", "mine"]
    assert record.keep_changed(folder, 2**63) == ()
    assert not folder.exists()
    assert tmp_path.is_dir()


def test_names_cannot_steer_the_screen() -> None:
    """They are the user's, or those of who made the archive."""
    shown = record.some(("\x1b[31m", "b", "c", "d", "e"))
    assert "\x1b" not in shown
    assert "and 2 more" in shown


def test_a_pipe_is_no_note(folder: Path) -> None:
    """Nobody waits for what comes out of it."""
    os.mkfifo(record.marker_of(folder))
    assert record.recorded(folder) is None
