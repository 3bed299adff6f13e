"""Paths, shared drives, exports, copies: what they lead to, and each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.api.files import Files
from colabmagic.drive.client import Drive
from colabmagic.drive.transfer.upload import upload

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.drive import FakeDrive


def test_a_shared_drive_as_the_root(drive: FakeDrive, files: Files) -> None:
    """Paths without a root begin there; others as ever."""
    team = drive.store.add_drive("team")
    folder = drive.store.add_folder("data", team)
    shared = drive.store.add_file("x", b"1", folder.id)
    own = drive.store.add_file("x", b"2")
    there = Files(files.transport, drive_id=team)
    assert there.stat("data/x").id == shared.id
    assert there.stat("MyDrive/x").id == own.id
    assert [each.name for each in there.ls("")] == ["data"]
    assert [each.name for each in there.ls("data")] == ["x"]
    made = there.folder("data/new/deep")
    assert drive.store.get(made.id).meta["driveId"] == team
    assert (
        sum(f"corpora=drive&driveId={team}" in each.line for each in drive.requests) > 3
    )
    with pytest.raises(errors.DrivePathError, match="where it begins"):
        files.stat("data/x")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("data.tar.gz", '"MyDrive/data.tar.gz", if it is in My Drive'),
        ("data/sub/", '"MyDrive/data/sub/", if it is in My Drive'),
        ("mydrive/a/b", '"MyDrive/a/b"'),
        ("MY DRIVE/a", '"MyDrive/a"'),
        ("~/drive/MyDrive/x", '"MyDrive/x"'),
        ("/home/me/drive/MyDrive/x y", '"MyDrive/x y"'),
        ("/content/gdrive/My Drive/x", '"MyDrive/x"'),
        ("/mnt/shareddrives/team/x", '"Shareddrives/team/x"'),
        ("", '"MyDrive/…"'),
        ("/content/drive", '"MyDrive/…"'),
    ],
)
def test_a_path_without_a_root(files: Files, path: str, meant: str) -> None:
    """The one that was meant is written out; nothing is asked for that."""
    for work in (files.stat, files.folder, files.refuse):
        with pytest.raises(errors.DrivePathError) as caught:
            work(path)
        assert caught.value.hint == meant
    files.refuse("MyDrive/x")
    files.refuse("Shareddrives/team/x")


def test_what_is_not_there_is_named_as_it_was_written(
    drive: FakeDrive, files: Files
) -> None:
    """From the root that the user wrote, or left out, on."""
    team = drive.store.add_drive("team")
    there = Files(files.transport, drive_id=team)
    for finder, path in (
        (there, "data/sub"),
        (files, "MyDrive/x/y"),
        (files, "Shareddrives/team/x"),
    ):
        with pytest.raises(errors.DriveFileNotFoundError) as caught:
            finder.stat(path)
        missing = path.removesuffix("/sub").removesuffix("/y")
        assert caught.value.what == f"{missing} is not there"


def test_shared_drives_are_listed(drive: FakeDrive, files: Files) -> None:
    """With their ids, which tell two of one name apart."""
    ids = [drive.store.add_drive("team"), drive.store.add_drive("team")]
    assert [each.id for each in files.ls("Shareddrives")] == ids
    with pytest.raises(errors.AmbiguousPathError, match="2 shared drives") as caught:
        files.stat("Shareddrives/team/x")
    assert "--drive ID" in caught.value.hint


def test_export(drive: FakeDrive, files: Files) -> None:
    """A Google document in the format that is named; anything else is an error."""
    drive.store.add_document("notes", {"application/pdf": b"%PDF", "text/plain": b"x"})
    drive.store.add_file("plain.bin", b"1")
    assert files.export("MyDrive/notes", "pdf") == b"%PDF"
    assert files.export("MyDrive/notes", ".TXT") == b"x"
    assert files.export("MyDrive/notes", "text/plain") == b"x"
    with pytest.raises(errors.NotDownloadableError, match="does not make 'xlsx'"):
        files.export("MyDrive/notes", "xlsx")
    with pytest.raises(errors.NotDownloadableError, match="no Google document"):
        files.export("MyDrive/plain.bin", "pdf")


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


def test_a_name_that_is_taken_by_what_has_no_bytes(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """A Google document is not overwritten; a shortcut is followed."""
    drive.store.add_document("notes", {})
    target = drive.store.add_file("target", b"old")
    drive.store.add_shortcut("link", target.id)
    (tmp_path / "x").write_text("new")
    root = files.stat("MyDrive")
    with pytest.raises(errors.DrivePathError, match="no file that can be replaced"):
        upload(files, tmp_path / "x", root, "notes")
    upload(files, tmp_path / "x", root, "link")
    assert drive.store.get(target.id).meta["size"] == "3"
    assert drive.store.get(target.id).meta["name"] == "target"
    drive.store.add_file("target", b"twin")
    with pytest.raises(errors.AmbiguousPathError):
        upload(files, tmp_path / "x", root, "target")


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


def test_a_file_and_a_folder_of_one_name(drive: FakeDrive, files: Files) -> None:
    """Which is which is said; a slash at the end means the folder."""
    drive.store.add_file("data", b"1")
    folder = drive.store.add_folder("data")
    inner = drive.store.add_file("x", b"", folder.id)
    with pytest.raises(errors.AmbiguousPathError, match="2 files") as caught:
        list(files.ls("MyDrive/data"))
    assert "a folder, " in str(caught.value.seen)
    assert "--ls MyDrive/data/" in caught.value.hint
    assert "newest" not in caught.value.hint
    assert [each.id for each in files.ls("MyDrive/data/")] == [inner.id]
    with pytest.raises(errors.AmbiguousPathError) as caught:
        files.stat("MyDrive/data")
    assert "--newest" in caught.value.hint
    drive.store.add_folder("data")
    with pytest.raises(
        errors.AmbiguousPathError, match="2 files are called MyDrive/data "
    ) as caught:
        list(files.ls("MyDrive/data/"))
    assert "--ls" not in caught.value.hint


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


def test_a_folder_that_was_exchanged_is_found_again(
    drive: FakeDrive, files: Files
) -> None:
    """What was remembered of a path is not believed where it leads nowhere."""
    old = drive.store.add_folder("proj")
    drive.store.add_file("a.txt", b"a", old.id)
    assert files.stat("MyDrive/proj/a.txt").size == 1
    files.trash(old.id)
    new = drive.store.add_folder("proj")
    drive.store.add_file("b.txt", b"bb", new.id)
    assert files.stat("MyDrive/proj/b.txt").size == 2
    with pytest.raises(errors.DriveFileNotFoundError):
        files.stat("MyDrive/proj/a.txt")


def test_a_folder_is_remembered_for_a_while_only(
    drive: FakeDrive, files: Files
) -> None:
    """Else a folder that was renamed would be served under its old name for ever."""
    old = drive.store.add_folder("proj")
    drive.store.add_file("a.txt", b"a", old.id)
    files.stat("MyDrive/proj/a.txt")
    files.stat("MyDrive/proj/a.txt")
    assert drive.operations["files.list"] == 3
    drive.store.update(old, {"name": "old"}, [], [])
    files.remembered_s = 0.0
    with pytest.raises(errors.DriveFileNotFoundError):
        files.stat("MyDrive/proj/a.txt")
