"""Files that are not uploaded yet, by an attribute, looked for in a child."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.mounting.pending import look_for_pending, pending_writes
from colabmagic.host.child import left_behind
from tests.fakes.fuse import FuseFolder, why_not

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, drive_id: bytes | None = b"local-7") -> Path:
    """Write a file as Colab's Drive program shows it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    if drive_id is not None:
        os.setxattr(path, "user.drive.id", drive_id)
    return path


def test_files_with_a_local_id_are_pending(tmp_path: Path) -> None:
    """One that has Drive's id, or none that can be read, is not."""
    waiting = write(tmp_path / "a/b/новый 1.pt")
    write(tmp_path / "a/there.pt", b"1AbCdEf")
    write(tmp_path / "a/other.pt", None)
    (tmp_path / "a/loop").symlink_to(tmp_path)
    found = look_for_pending(tmp_path)
    assert found.paths == (waiting,)
    assert (found.seen, found.complete, found.trouble) == (3, True, None)


def test_a_name_that_is_no_text_comes_back_as_it_is(tmp_path: Path) -> None:
    """Names are bytes, and lines of them are escaped."""
    name = os.fsdecode(b"odd\xff\nname")
    waiting = write(tmp_path / name)
    assert pending_writes(tmp_path) == [waiting]


def test_older_files_are_not_asked(tmp_path: Path) -> None:
    """With a time, only what was written since."""
    old, new = write(tmp_path / "old"), write(tmp_path / "new")
    os.utime(old, (1, 1))
    assert pending_writes(tmp_path, time.time() - 60) == [new]


def test_it_stops_at_the_limit_and_says_so(tmp_path: Path) -> None:
    """What is left out is not passed over in silence."""
    for number in range(5):
        write(tmp_path / str(number))
    found = look_for_pending(tmp_path, limit=3)
    assert (len(found.paths), found.complete) == (3, False)


def test_a_mountpoint_is_looked_at_once(tmp_path: Path) -> None:
    """Drive's own files have two names there; shared drives count too."""
    own = write(tmp_path / "MyDrive/a")
    write(tmp_path / "My Drive/a")
    shared = write(tmp_path / "Shareddrives/team/b")
    assert sorted(pending_writes(tmp_path)) == [own, shared]


def test_what_was_written_last_is_found_first(tmp_path: Path) -> None:
    """When there is not enough time, it is not spent on old folders."""
    for number, name in enumerate("badc"):
        write(tmp_path / name / "file")
        os.utime(tmp_path / name, (number, number))
    found = [path.parent.name for path in pending_writes(tmp_path)]
    assert found == list("cdab")


def test_no_such_folder(tmp_path: Path) -> None:
    """Nothing is found, and why is told."""
    found = look_for_pending(tmp_path / "none")
    assert (found.paths, found.complete) == ((), False)
    assert found.trouble == "No such file or directory"


def test_it_ends_in_time_with_what_it_found(tmp_path: Path) -> None:
    """A mount that hangs holds up the child alone; its lines so far count."""
    waiting = write(tmp_path / "a.pt")
    began = time.monotonic()
    found = look_for_pending(tmp_path, timeout_s=0.001)
    assert time.monotonic() - began < 5
    assert set(found.paths) <= {waiting}
    assert found.trouble == "it does not answer" or found.complete


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_a_mount_that_hangs_holds_one_child(tmp_path: Path) -> None:
    """However often it is asked: nobody can end such a child, so they would pile up."""
    with FuseFolder(tmp_path / "drive") as folder:
        folder.stuck_while.touch()
        for _ in range(3):
            found = look_for_pending(folder.path, timeout_s=1.5)
            assert found.trouble == "it does not answer"
        assert left_behind() == 1
    end = time.monotonic() + 5
    while left_behind() and time.monotonic() < end:
        time.sleep(0.01)
    assert left_behind() == 0


def test_a_child_that_fails_is_not_taken_for_nothing_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks goes by it, and would end a mount with writes in it."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    found = look_for_pending(tmp_path)
    assert (found.paths, found.complete) == ((), False)
    assert found.trouble == "its child ended with 1"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    assert look_for_pending(tmp_path).trouble == "No such file or directory"


def test_what_was_found_counts_though_the_rest_hangs(tmp_path: Path) -> None:
    """A part that does not answer keeps nothing of the others from being told."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    waiting = write(tmp_path / "new/a.pt")
    (tmp_path / "old").mkdir()
    with FuseFolder(tmp_path / "old/drive") as folder:
        os.utime(tmp_path / "old", (1, 1))
        folder.stop()
        found = look_for_pending(tmp_path, timeout_s=3.0)
        folder.go_on()
    assert found.trouble == "it does not answer"
    assert found.paths == (waiting,)
