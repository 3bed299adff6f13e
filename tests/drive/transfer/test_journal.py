"""The journal of a download: what has come, in order, for one process at a time."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.api.files import RemoteFile
from colabmagic.drive.transfer.beside import PART, hidden
from colabmagic.drive.transfer.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

REMOTE = RemoteFile(id="1", name="x", mime_type="", size=25, md5="m")


def test_bytes_are_readable_in_order(tmp_path: Path) -> None:
    """What came without a gap at once, the rest when it comes."""
    journal = Journal.open(tmp_path / "x", REMOTE, 10)
    stream = journal.stream()
    got: list[bytes] = []
    journal.write(b"b" * 10, 10)
    journal.write(b"a" * 4, 0)
    assert journal.arrived() == 4
    assert stream.read(100) == b"a" * 4

    def read_on() -> None:
        while data := stream.read(100):
            got.append(data)

    thread = threading.Thread(target=read_on)
    thread.start()
    journal.write(b"a" * 6, 4)
    assert journal.arrived() == 20
    journal.write(b"c" * 5, 20)
    journal.publish(tmp_path / "x")
    journal.close()
    thread.join(5)
    stream.close()
    assert b"".join(got) == b"a" * 6 + b"b" * 10 + b"c" * 5
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_a_download_that_ends_early_wakes_its_reader(tmp_path: Path) -> None:
    """With an error: what came so far is not the end of the file."""
    journal = Journal.open(tmp_path / "x", REMOTE, 10)
    opened = journal.stream()
    seen: list[BaseException] = []

    def read() -> None:
        with opened as stream:
            try:
                stream.read(1)
            except EOFError as error:
                seen.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    journal.close()
    thread.join(5)
    assert len(seen) == 1


def test_a_later_run_goes_on(tmp_path: Path) -> None:
    """With the same ranges; a line that was cut, or another content, is not believed."""
    journal = Journal.open(tmp_path / "x", REMOTE, 10)
    journal.write(b"a" * 10, 0)
    journal.close()
    with (tmp_path / ".x.colabmagic-part.json").open("a") as log:
        log.write("1x")
    again = Journal.open(tmp_path / "x", REMOTE, 7)
    assert again.missing() == [(1, 10, 20), (2, 20, 25)]
    assert again.arrived() == 10
    again.close()
    other = RemoteFile(id="1", name="x", mime_type="", size=25, md5="other")
    fresh = Journal.open(tmp_path / "x", other, 10)
    assert len(fresh.missing()) == 3
    fresh.close()
    os.truncate(tmp_path / ".x.colabmagic-part", 3)
    shorter = Journal.open(tmp_path / "x", other, 10)
    assert len(shorter.missing()) == 3
    shorter.close()


def test_one_at_a_time(tmp_path: Path) -> None:
    """A second download to the same place is refused while the first one runs."""
    journal = Journal.open(tmp_path / "x", REMOTE, 10)
    with pytest.raises(errors.TargetFullError, match="another process"):
        Journal.open(tmp_path / "x", REMOTE, 10)
    journal.close()
    Journal.open(tmp_path / "x", REMOTE, 10).close()


def test_a_link_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    """Somebody else's file stays as it is."""
    (tmp_path / "mine").write_text("mine")
    hidden(tmp_path / "x", PART).symlink_to(tmp_path / "mine")
    with pytest.raises(errors.TargetFullError):
        Journal.open(tmp_path / "x", REMOTE, 10)
    assert (tmp_path / "mine").read_text() == "mine"


def finished(target: Path) -> None:
    """Download 25 bytes to a place."""
    journal = Journal.open(target, REMOTE, 10)
    journal.write(b"n" * 25, 0)
    journal.publish(target)
    journal.close()


def test_the_users_files_beside_it_stay(tmp_path: Path) -> None:
    """Whatever they are called: ours have names that nobody takes by chance."""
    others = ("x.part", "x.part.json", "x.part.json.new", "x.json", ".x.part")
    for name in others:
        (tmp_path / name).write_text("mine")
    finished(tmp_path / "x")
    assert {each.name for each in tmp_path.iterdir()} == {*others, "x"}
    assert all((tmp_path / name).read_text() == "mine" for name in others)


@pytest.mark.parametrize("ending", ["", ".json", ".json.new"])
@pytest.mark.parametrize("how", ["link", "hard link", "file", "pipe", "folder"])
def test_what_is_in_the_way_of_our_own_names(
    tmp_path: Path, ending: str, how: str
) -> None:
    """Nothing is written through it, and a file that is not ours is not taken for ours."""
    mine = tmp_path / "mine"
    mine.write_text("mine")
    way = hidden(tmp_path / "x", PART)
    way = way.with_name(way.name + ending)
    {
        "link": lambda: way.symlink_to(mine),
        "hard link": lambda: way.hardlink_to(mine),
        "file": lambda: way.write_text("mine"),
        "pipe": lambda: os.mkfifo(way),
        "folder": way.mkdir,
    }[how]()
    with contextlib.suppress(errors.TargetFullError):
        finished(tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == b"n" * 25
        assert ending
    assert mine.read_text() == "mine"
    if how == "file" and not ending:
        assert way.read_text() == "mine"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """A pipe, a device, a folder, a circle of links: said before anything is fetched."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "folder", "circle", "null"):
        with pytest.raises(errors.TargetFullError, match="no file"):
            Journal.open(tmp_path / name, REMOTE, 10)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_link_is_followed(tmp_path: Path) -> None:
    """To a file, or to where one may be."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "old").write_text("old")
    for name, there in (("a", "old"), ("b", "new")):
        (tmp_path / name).symlink_to(tmp_path / "disk" / there)
        finished(tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "disk" / there).read_bytes() == b"n" * 25
    assert len(list((tmp_path / "disk").iterdir())) == 2


def test_who_may_read_it_stays(tmp_path: Path) -> None:
    """A file that is replaced keeps its mode, also while the new one comes."""
    target = tmp_path / "x"
    target.write_text("secret")
    target.chmod(0o600)
    journal = Journal.open(target, REMOTE, 10)
    assert journal.part.stat().st_mode & 0o777 == 0o600
    journal.close()
    finished(target)
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["n" * 255, "\u5b57" * 82, "\u5b57" * 85])
def test_the_longest_names(tmp_path: Path, name: str) -> None:
    """What a disk can have can be downloaded; what it cannot is told before."""
    finished(tmp_path / name)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    with pytest.raises(errors.TargetFullError) as caught:
        Journal.open(tmp_path / (name + "n" * 20), REMOTE, 10)
    assert "shorter name" in caught.value.hint
    assert hidden(tmp_path / name, PART) != hidden(tmp_path / (name[:-1] + "m"), PART)


def test_no_room_leaves_nothing(tmp_path: Path, small_disk: Path) -> None:
    """Neither the file nor its journal, where nothing has come."""
    del tmp_path
    (small_disk / "filler").write_bytes(bytes(4 * 2**20 - 4096 * 2))
    with contextlib.suppress(OSError), (small_disk / "more").open("wb", 0) as more:
        more.write(bytes(2**20))
    empty = RemoteFile(id="1", name="x", mime_type="", size=0, md5="m")
    for remote in (empty, REMOTE):
        with pytest.raises(errors.TargetFullError):
            Journal.open(small_disk / "x", remote, 10)
    assert {each.name for each in small_disk.iterdir()} == {"filler", "more"}


@pytest.mark.parametrize("part_bytes", ["Infinity", "1e999", "-1", "null", "[]"])
def test_a_journal_that_makes_no_sense(tmp_path: Path, part_bytes: str) -> None:
    """The download begins anew."""
    part = hidden(tmp_path / "x", PART)
    part.write_bytes(bytes(25))
    log = part.with_name(part.name + ".json")
    log.write_text(f'{{"id":"1","md5":"m","size":25,"part_bytes":{part_bytes}}}\n0\n')
    journal = Journal.open(tmp_path / "x", REMOTE, 10)
    assert [number for number, _, _ in journal.missing()] == [0, 1, 2]
    journal.close()
