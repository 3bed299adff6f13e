"""Paths, shared drives, exports, copies: what they lead to, and each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.api.files import Files
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


@pytest.mark.parametrize(
    "path", ["x\x1b[31m", "link\x1b[31m", "twice\x1b[31m", "f\x1b[31m/x"]
)
def test_a_name_cannot_steer_the_screen(
    drive: FakeDrive, files: Files, path: str
) -> None:
    """It may have come from a list of somebody else's, and is one line wherever it is told."""
    drive.store.add_file("f\x1b[31m", b"")
    for _ in range(2):
        drive.store.add_file("twice\x1b[31m", b"")
    lost = drive.store.add_file("lost", b"")
    drive.store.add_shortcut("link\x1b[31m", lost.id)
    drive.store.delete(lost)
    with pytest.raises(errors.DrivePathError) as caught:
        files.stat(f"MyDrive/{path}")
    assert path[:1] in str(caught.value)
    assert str(caught.value).isprintable()
