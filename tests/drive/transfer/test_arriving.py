"""The bytes of a download in their order, for who reads them meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.api.remote import RemoteFile
from colabmagic.drive.transfer.arriving import Stream
from colabmagic.drive.transfer.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REMOTE = RemoteFile(id="1", name="x", mime_type="", size=25, md5="m")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Yield a download of 25 bytes in ranges of ten."""
    opened = Journal.open(tmp_path / "x", REMOTE, 10)
    yield opened
    opened.close()


def test_no_byte_behind_a_gap_is_read(journal: Journal) -> None:
    """What is there is returned at once, be it less than was asked for."""
    with journal.stream() as stream:
        journal.write(b"a" * 10, 0)
        journal.write(b"c" * 5, 20)
        assert stream.readable()
        assert stream.read(100) == b"a" * 10
        assert stream.tell() == 10
        journal.write(b"b" * 10, 10)
        assert stream.read(7) + stream.read(100) == b"b" * 10 + b"c" * 5
        assert stream.read(1) == b""
        assert stream.tell() == 25


def test_it_outlives_its_journal(journal: Journal) -> None:
    """What has arrived can be read to its end; then it is known that more was to come."""
    stream = journal.stream()
    journal.write(b"a" * 4, 0)
    journal.close()
    assert stream.read(100) == b"a" * 4
    with pytest.raises(EOFError, match="before the file was whole"):
        stream.read(1)
    stream.close()


def test_closing_it_twice_closes_one_file(tmp_path: Path, journal: Journal) -> None:
    """The number may be another file's by then."""
    (tmp_path / "y").write_text("")
    descriptor = os.open(tmp_path / "y", os.O_RDONLY)
    stream = Stream(journal, descriptor)
    stream.close()
    again = os.open(tmp_path / "y", os.O_RDONLY)
    assert again == descriptor
    stream.close()
    os.fstat(again)
    os.close(again)
