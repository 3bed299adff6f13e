"""Tests for `colabmagic.cuda.keeping.write`."""

from __future__ import annotations

import errno
import json
import os
import signal
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.keeping import write
from colabmagic.cuda.keeping.label import FOLDER
from colabmagic.cuda.keeping.write import (
    system_folder,
    write_archive,
)
from colabmagic.host.command import run
from tests.cuda.keeping.trees import WHAT, finished, kept
from tests.drive.fault_cases import mount

if TYPE_CHECKING:
    from collections.abc import Callable


def names(tmp_path: Path) -> list[str]:
    """Return what lies in the folder of archives."""
    return sorted(path.name for path in (tmp_path / "cache" / FOLDER).glob("*"))


def test_one_archive_and_its_label(tmp_path: Path) -> None:
    """Equal toolkits give equal archives; nobody's name and time are in them."""
    made = kept(tmp_path)
    assert names(tmp_path) == [Path(made.path).name, "12.4.1-" + WHAT.arch + ".json"]
    assert made.size == Path(made.path).stat().st_size
    with tarfile.open(made.path) as archive:
        members = archive.getmembers()
    assert {(each.uid, each.gid, each.mtime, each.uname) for each in members} == {
        (0, 0, 0, "")
    }
    found = {each.name for each in members}
    assert {"bin/nvcc", "lib", "lib64/libcudart.so", "files.json"} < found
    assert "toolkit.json" not in found
    assert made.files == len(members)
    os.utime(tmp_path / "finished/bin/nvcc", (5, 5))
    assert kept(tmp_path) == made


def test_a_newer_one_takes_the_place_of_the_older(tmp_path: Path) -> None:
    """The older goes when the new label is there; other toolkits stay."""
    other = kept(tmp_path, replace(WHAT, parts=("cudnn",)))
    first = kept(tmp_path)
    (tmp_path / "finished/bin/more").write_text("x")
    second = kept(tmp_path)
    assert first.path != second.path
    assert not Path(first.path).exists()
    assert Path(other.path).exists()
    assert len(names(tmp_path)) == 4


@pytest.mark.parametrize(
    ("path", "target", "is_kept"),
    [
        ("lib64/libcublas.so", "/site-packages/nvidia/cu13/lib/libcublas.so", False),
        ("lib64/libm.so", f"{system_folder(WHAT.arch)}/libm.so.6", False),
        ("host/lib/libm.so", f"{system_folder(WHAT.arch)}/libm.so.6", True),
        ("host/lib/libm.so", f"{system_folder(WHAT.arch)}/../libm.so.6", False),
        ("host/lib/up", "../../../elsewhere", False),
        ("host/lib/in", "../../bin/nvcc", True),
    ],
)
def test_links(tmp_path: Path, path: str, target: str, *, is_kept: bool) -> None:
    """What would lead nowhere elsewhere is not kept; a g++ has its system's libraries."""
    link = finished(tmp_path / "finished") / path
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    if is_kept:
        assert kept(tmp_path).files
        return
    with pytest.raises(ValueError, match=f"{path} is a link to"):
        kept(tmp_path)
    assert names(tmp_path) == []


def test_half_a_toolkit_is_not_kept(tmp_path: Path) -> None:
    """Without the list of its files nobody could tell later what is missing."""
    (finished(tmp_path / "finished") / "files.json").unlink()
    with pytest.raises(ValueError, match="no list of its files"):
        kept(tmp_path)


def stops_at(count: int, act: Callable[[], object]) -> Callable[[int], None]:
    """Return a progress that does something in its middle."""
    left = [count]

    def advance(_: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            act()

    return advance


def stop() -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("has_older", [False, True])
def test_ctrl_c_leaves_what_was_there(tmp_path: Path, *, has_older: bool) -> None:
    """No half a file, under whatever name; the older archive is still whole."""
    root = finished(tmp_path / "finished")
    if has_older:
        kept(tmp_path)
        (root / "bin/more").write_text("x")
    before = names(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        write_archive(
            root, tmp_path / "cache" / FOLDER, WHAT, advance=stops_at(5, stop)
        )
    assert names(tmp_path) == before


@pytest.mark.parametrize("count", [1, 9])
def test_a_kill_leaves_nothing_under_a_final_name(tmp_path: Path, count: int) -> None:
    """What was begun is hidden, and goes when it is old and the next one is written."""
    root, folder = finished(tmp_path / "finished"), tmp_path / "cache" / FOLDER
    child = os.fork()
    if child == 0:
        try:
            kill = stops_at(count, lambda: os.kill(os.getpid(), signal.SIGKILL))
            write_archive(root, folder, WHAT, advance=kill)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    (left,) = names(tmp_path)
    assert left.startswith(".")
    assert left.endswith(".part")
    kept(tmp_path)
    assert left in names(tmp_path)  # it may be another machine's, at work just now
    os.utime(folder / left, (1, 1))
    kept(tmp_path)
    assert left not in names(tmp_path)


def test_a_full_disk(tmp_path: Path) -> None:
    """It is the system's error, and nothing is left on the disk."""
    folder = tmp_path / "cache"
    folder.mkdir()
    if not mount(folder, "size=64k"):
        pytest.skip("no file system can be mounted here")
    try:
        root = finished(tmp_path / "finished")
        (root / "bin/random").write_bytes(os.urandom(200_000))
        with pytest.raises(OSError, match="No space left"):
            write_archive(root, folder / FOLDER, WHAT)
        assert names(tmp_path) == []
    finally:
        run(["umount", "-l", str(folder)], timeout_s=10)


def test_the_label_comes_last(tmp_path: Path) -> None:
    """A label that is there names an archive that is there, whole."""
    made = kept(tmp_path)
    (label,) = (tmp_path / "cache" / FOLDER).glob("*.json")
    told = json.loads(label.read_text())
    assert (label.parent / told["file"]).stat().st_size == told["size"] == made.size
    assert label.stat().st_mode & 0o022 == 0


def test_a_disk_without_owners(tmp_path: Path) -> None:
    """Where every file is everybody's (exFAT, Windows' own) none is written in vain."""
    with (tmp_path / "file").open("wb") as file:
        write._check_owner(file)
        (tmp_path / "file").chmod(
            0o666
        )  # as such a disk shows it, whatever was asked for
        with pytest.raises(ValueError, match="everybody on this machine"):
            write._check_owner(file)


@pytest.mark.parametrize("has_older", [False, True])
def test_a_label_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_older: bool
) -> None:
    """The archive took the last room: without a label it would lie there for nothing."""
    if has_older:
        kept(tmp_path)
    before = names(tmp_path)
    opened = write._opened

    def full(path: Path) -> object:
        if any(not name.startswith(".") for name in set(names(tmp_path)) - set(before)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path)

    monkeypatch.setattr(write, "_opened", full)
    root = tmp_path / "finished"
    (root if has_older else finished(root)).joinpath("bin/more").write_text("x")
    with pytest.raises(OSError, match="No space left"):
        kept(tmp_path)
    assert names(tmp_path) == before


def test_what_is_no_file(tmp_path: Path) -> None:
    """No archive is written that nobody would unpack."""
    os.mkfifo(finished(tmp_path / "finished") / "pipe")
    with pytest.raises(ValueError, match="pipe is no file and no link"):
        kept(tmp_path)
    assert names(tmp_path) == []


def test_a_kernel_that_writes_at_the_same_time(tmp_path: Path) -> None:
    """Its archive is not taken away before its label is there."""
    first = kept(tmp_path)
    root, folder = tmp_path / "finished", tmp_path / "cache" / FOLDER
    (root / "bin/more").write_text("x")
    other = folder / f"12.4.1-{WHAT.arch}-{'5' * 16}.tar.gz"

    def arrives() -> None:
        if not other.exists():
            os.link(first.path, other)

    made = write_archive(root, folder, WHAT, advance=stops_at(3, arrives))
    assert {other.name, Path(made.path).name} < set(names(tmp_path))
    assert Path(first.path).name not in names(tmp_path)
    kept(tmp_path)
    assert other.name not in names(tmp_path)  # nobody's label names it


def test_a_folder_in_the_toolkit_itself(tmp_path: Path) -> None:
    """It would be replaced with the toolkit, and be in its own archive."""
    root = finished(tmp_path / "finished")
    (tmp_path / "cache").symlink_to(root / "bin")
    with pytest.raises(ValueError, match="lies in the toolkit"):
        write_archive(root, tmp_path / "cache" / FOLDER, WHAT)
    assert names(tmp_path) == []
