"""The journal of a download: what has come, in order, for one process at a time."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.api.files import RemoteFile
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
    with (tmp_path / "x.part.json").open("a") as log:
        log.write("1x")
    again = Journal.open(tmp_path / "x", REMOTE, 7)
    assert again.missing() == [(1, 10, 20), (2, 20, 25)]
    assert again.arrived() == 10
    again.close()
    other = RemoteFile(id="1", name="x", mime_type="", size=25, md5="other")
    fresh = Journal.open(tmp_path / "x", other, 10)
    assert len(fresh.missing()) == 3
    fresh.close()
    os.truncate(tmp_path / "x.part", 3)
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
    (tmp_path / "x.part").symlink_to(tmp_path / "mine")
    with pytest.raises(errors.TargetFullError):
        Journal.open(tmp_path / "x", REMOTE, 10)
    assert (tmp_path / "mine").read_text() == "mine"
