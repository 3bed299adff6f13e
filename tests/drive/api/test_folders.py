"""Folders that a save needs: found, also by a shortcut, or made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.client import Drive

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive


def test_a_file_where_a_folder_was_meant(drive: FakeDrive, files: Files) -> None:
    """No folder is made beside a file of its name; a shortcut to a folder is one."""
    drive.store.add_file("table.csv", b"1")
    for path in ("MyDrive/table.csv/", "MyDrive/table.csv/deep"):
        with pytest.raises(errors.DrivePathError, match=r"table\.csv is a file"):
            files.folder(path)
    folder = drive.store.add_folder("real")
    drive.store.add_shortcut("short", folder.id)
    assert files.folder("MyDrive/short/").id == folder.id
    assert len(list(files.ls("MyDrive"))) == 3


def test_a_save_follows_a_shortcut_to_a_folder(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """As a look does: else a second folder of that name is made."""
    team = drive.store.add_folder("elsewhere")
    drive.store.add_shortcut("team", team.id)
    (tmp_path / "c.pt").write_text("1")
    Drive(files.transport).save(tmp_path / "c.pt", "MyDrive/team/c.pt")
    Drive(files.transport).save(tmp_path / "c.pt", "MyDrive/team/new/")
    assert {e.meta["name"] for e in drive.store.children(team.id)} == {"c.pt", "new"}
    assert files.stat("MyDrive/team/new/c.pt").size == 1
    assert len(drive.store.children(drive.store.ROOT)) == 2


@pytest.mark.parametrize(
    "path", ["model.pt/", "model.pt/c", "to-file/", "gone/", "doc/a"]
)
def test_no_folder_gets_the_name_of_a_file(
    drive: FakeDrive, files: Files, tmp_path: Path, path: str
) -> None:
    """It is said, and nothing is made."""
    model = drive.store.add_file("model.pt", b"1")
    lost = drive.store.add_folder("lost")
    drive.store.add_shortcut("to-file", model.id)
    drive.store.add_shortcut("gone", lost.id)
    drive.store.add_document("doc", {})
    files.trash(lost.id)
    (tmp_path / "c").write_text("1")
    before = set(drive.store.files)
    with pytest.raises(errors.DrivePathError):
        Drive(files.transport).save(tmp_path / "c", f"MyDrive/{path}")
    assert set(drive.store.files) == before


def test_a_folder_whose_answer_is_lost(drive: FakeDrive, files: Files) -> None:
    """It is there once, with those above it; asked for again, it is the same."""
    drive.faults.load([{"kind": "lost_reply", "match": "POST .*files", "times": 3}])
    made = files.folder("MyDrive/a/b")
    assert files.folder("MyDrive/a/b").id == made.id
    assert [each.name for each in files.ls("MyDrive")] == ["a"]
    assert [each.id for each in files.ls("MyDrive/a")] == [made.id]


def test_what_a_shortcut_leads_to(drive: FakeDrive, files: Files) -> None:
    """Its target; one in the trash, or gone, is named as what the shortcut lacks."""
    target = drive.store.add_file("target", b"1")
    drive.store.add_shortcut("link", target.id)
    gone = drive.store.add_file("gone", b"")
    drive.store.add_shortcut("lost", gone.id)
    drive.store.delete(gone)
    assert files.stat("MyDrive/link").id == target.id
    files.trash(target.id)
    for name, seen in (("link", "in the trash"), ("lost", "HTTP 404")):
        with pytest.raises(
            errors.DriveFileNotFoundError, match=f"shortcut MyDrive/{name} leads"
        ) as caught:
            files.stat(f"MyDrive/{name}")
        assert seen in str(caught.value.seen)
