"""The mount table, as the kernel writes it, and mounts that have to go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from colabmagic.drive.watching.mounts import (
    detach,
    device_at,
    drive_mounts,
    inside,
    mount_at,
)
from colabmagic.drive.words import named, quoted, shown
from tests.fakes.fuse import FuseFolder, why_not

needs_fuse = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

TABLE = rb"""proc /proc proc rw,relatime 0 0
drive /content/drive fuse.drive rw,nosuid,nodev,relatime,user_id=0,group_id=0 0 0
colabmagic /mnt/my\040own\134x\303\251 fuse.colabmagic ro,nosuid 0 0
drive /mnt/else fuse rw 0 0
remote: /mnt/rclone fuse.rclone rw 0 0
tmpfs /content/drive tmpfs rw 0 0
cut
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Return a table with Colab's Drive, ours, and others."""
    path = tmp_path / "mounts"
    path.write_bytes(TABLE)
    return path


def test_names_drives_and_no_other_mounts(table: Path) -> None:
    """Colab's Drive and ours are found; names are decoded, other FUSE mounts left out."""
    found = drive_mounts(table)
    assert [str(each.path) for each in found] == [
        "/content/drive", "/mnt/my own\\xé", "/mnt/else",
    ]  # fmt: skip
    assert [each.readonly for each in found] == [False, True, False]


def test_finds_exactly_the_mountpoint(table: Path) -> None:
    """A folder below or above a mountpoint is none; of two mounts the upper one is seen."""
    found = mount_at(Path("/content/drive"), table)
    assert found is not None
    assert found.kind == "tmpfs"
    assert mount_at(Path("/content/drive/MyDrive"), table) is None
    assert mount_at(Path("/content"), table) is None


def test_finds_a_mountpoint_behind_a_link(tmp_path: Path) -> None:
    """The table has real paths: a link above the mountpoint does not hide it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    table = tmp_path / "mounts"
    table.write_text(f"drive {tmp_path}/real/drive fuse.drive rw 0 0\n", "ascii")
    found = mount_at(tmp_path / "link/drive", table)
    assert found is not None
    assert found.path == tmp_path / "real/drive"


def test_no_table_is_no_mount(tmp_path: Path) -> None:
    """Where the system has no such table, nothing is known to be mounted."""
    assert drive_mounts(tmp_path / "none") == []
    assert mount_at(tmp_path, tmp_path / "none") is None


def test_inside_is_told_by_text_alone() -> None:
    """A neighbour whose name begins alike is not inside."""
    here = Path("/content/drive")
    told = [
        inside(each, here)
        for each in ("/content/drive", "/content/drive/a", "/content/drives")
    ]
    assert told == [True, True, False]


def test_names_from_outside_are_harmless() -> None:
    """Control characters are shown as text, spaces are quoted, long lists are cut."""
    assert shown("a\x1b[31m\n\u202eé") == "a\\x1b[31m\\n\\u202eé"
    assert quoted("my file") == "'my file'"
    assert named(["a", "b", "c", "d d", "e"]) == "a, b, c and 2 more"


@needs_fuse
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_detaches_what_does_not_answer(tmp_path: Path, how: str) -> None:
    """A dead and a hung mount are taken away, with this process inside; the folder is empty."""
    with FuseFolder(tmp_path / "my drive") as folder:
        before = device_at(folder.path)
        assert before is not None
        getattr(folder, how)()
        detach(folder.path)
        assert mount_at(folder.path) is None
        assert device_at(folder.path) is None
        assert os.listdir(folder.path) == []  # noqa: PTH208
        detach(folder.path)  # nothing is there any more: nothing happens
