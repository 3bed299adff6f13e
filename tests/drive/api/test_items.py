"""Files by their ids: each made once, whatever becomes of the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.transfer.upload import upload

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive


def test_a_copy_is_made_once(drive: FakeDrive, files: Files) -> None:
    """Also if the answer is lost."""
    drive.store.add_file("big", b"123")
    found, folder = files.stat("MyDrive/big"), files.folder("MyDrive/mine")
    drive.faults.load([{"kind": "lost_reply", "match": "/copy", "times": 2}])
    made = files.copy(found, folder)
    assert (made.name, made.md5) == ("big", found.md5)
    assert [each.id for each in files.children(folder)] == [made.id]


def test_what_was_made_here_is_found_before_the_search_finds_it(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """Google's search is late: a second save must not make a second file."""
    source, folder = tmp_path / "ckpt.pt", files.folder("MyDrive/runs")
    for text in ("one", "two"):
        source.write_text(text)
        drive.faults.load([{"kind": "drop_items", "match": "ckpt.pt"}])
        upload(files, source, folder, "ckpt.pt")
    (entry,) = drive.store.children(folder.id)
    assert entry.meta["size"] == "3"
    drive.faults.clear()
    files.trash(entry.id)
    upload(files, source, folder, "ckpt.pt")
    assert len(drive.store.children(folder.id)) == 2  # what is in the trash stays there


def test_ids_are_asked_for_in_advance(drive: FakeDrive, files: Files) -> None:
    """A hundred at a time, none given twice."""
    ids = {files.new_id() for _ in range(150)}
    assert len(ids) == 150
    assert drive.operations["files.generateIds"] == 2


def test_by_its_id(drive: FakeDrive, files: Files) -> None:
    """Also what is in the trash; what is not there is an error that says so."""
    entry = drive.store.add_file("x", b"123")
    files.trash(entry.id)
    found = files.by_id(entry.id)
    assert (found.name, found.size, found.trashed) == ("x", 3, True)
    with pytest.raises(errors.DriveFileNotFoundError):
        files.by_id("none")


def test_what_was_made_here_and_has_moved_since(drive: FakeDrive, files: Files) -> None:
    """It does not have the name any more, there; where it lies in the root, it has."""
    root, folder = files.stat("MyDrive"), files.folder("MyDrive/a")
    drive.faults.load([{"kind": "drop_items", "match": "name", "times": 99}])
    for place in (root, folder):
        entry = drive.store.add_file("x", b"1", place.id)
        files.note_made(place, "x", entry.id)
        assert [each.id for each in files.named(place, "x")] == [entry.id]
    drive.store.update(entry, {"name": "y"}, [], [])
    assert files.named(folder, "x") == []
    drive.store.update(entry, {"name": "x"}, [drive.store.ROOT], [folder.id])
    assert files.named(folder, "x") == []


def test_a_name_with_quotes(drive: FakeDrive, files: Files) -> None:
    """In the language of the search it is still one text."""
    for name in ("it's", "a\\", "\\' or name contains 'a"):
        entry = drive.store.add_file(name, b"")
        assert [each.id for each in files.named(files.stat("MyDrive"), name)] == [
            entry.id
        ]
