"""Drive as a tree of names that Linux can have; with a mount: `test_fuse.py`."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.api.files import RemoteFile
from colabmagic.drive.errors import DriveFileNotFoundError
from colabmagic.drive.mounting.fuse_tree import Tree, local_name, names

if TYPE_CHECKING:
    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive


def test_local_names_are_short_and_differ() -> None:
    """No name is longer than Linux allows, none is a dot, no two are the same."""
    files = [
        RemoteFile(id=f"id{number}", name=name, mime_type="text/plain")
        for number, name in enumerate(
            ["é" * 200 + ".txt", "", ".", "..", "a", "a", "a\0"]
        )
    ]
    found = names(files)
    assert len(found) == len(files)
    assert all(0 < len(name.encode()) <= 255 for name in found)
    assert not {".", "..", ""} & set(found)
    assert local_name(files[0]).endswith(" (id id0).txt")


def test_a_name_with_half_a_letter() -> None:
    """It hides no other file of the folder, and is one that Linux can have."""
    files = [
        RemoteFile(id=f"id{number}", name=name, mime_type="text/plain")
        for number, name in enumerate(["a\ud800", "a\udfff", "b"])
    ]
    found = names(files)
    assert len(found) == 3
    assert all(name.encode() for name in found)


def test_what_is_there_by_its_path(drive: FakeDrive, files: Files) -> None:
    """Two of one name both have one; ``/`` in a name is no folder; drives by name."""
    folder = drive.store.add_folder("a")
    for data in (b"1", b"22"):
        drive.store.add_file("twice", data, folder.id)
    drive.store.add_file("1/2", b"333", folder.id)
    drive.store.add_drive("team")
    tree = Tree(files)
    found = tree.ls("/MyDrive/a")
    assert sorted(file.size or 0 for file in found.values()) == [1, 2, 3]
    for name, file in found.items():
        assert "/" not in name
        assert tree.stat(f"/MyDrive/a/{name}").id == file.id
    assert list(tree.ls("/Shareddrives")) == ["team"]
    assert sorted(tree.ls("/")) == ["MyDrive", "Shareddrives"]


def test_what_leads_nowhere(drive: FakeDrive, files: Files) -> None:
    """Each has the system's own number, and a shortcut in a circle ends."""
    folder = drive.store.add_folder("a")
    drive.store.add_file("file", b"1", folder.id)
    drive.store.add_shortcut("up", folder.id, folder.id)
    tree = Tree(files)
    with pytest.raises(DriveFileNotFoundError):
        tree.stat("/MyDrive/a/none")
    for path, number in (
        ("/MyDrive/a/file/x", errno.ENOTDIR),
        ("/MyDrive/a/up", errno.ELOOP),
    ):
        with pytest.raises(OSError, match=path) as caught:
            tree.stat(path)
        assert caught.value.errno == number
    with pytest.raises(NotADirectoryError):
        tree.ls("/MyDrive/a/file")


def test_answers_are_good_for_a_while(drive: FakeDrive, files: Files) -> None:
    """Then what is new is seen; asked for many names a folder is listed once."""
    folder = drive.store.add_folder("a")
    now = [0.0]
    tree = Tree(files, 60.0, clock=lambda: now[0])
    assert tree.ls("/MyDrive/a") == {}
    drive.store.add_many(20, folder.id)
    assert tree.ls("/MyDrive/a") == {}
    now[0] = 61.0
    drive.reset_counters()
    there = [each.meta["name"] for each in drive.store.children(folder.id)]
    for name in there:
        assert tree.stat(f"/MyDrive/a/{name}").name == name
    assert drive.operations["files.list"] <= 6  # the path, three by name, the whole
    tree.forget()
    drive.store.add_file("new", b"1", folder.id)
    assert "new" in tree.ls("/MyDrive/a")
