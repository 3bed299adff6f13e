"""Mounts that stand now, on the real FUSE: dead, hung, in use."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.errors import (
    MountFailedError,
    MountHungError,
    MountpointError,
)
from colabmagic.drive.mounting import colab, standing
from colabmagic.drive.mounting.standing import find_standing, outside, prepare_end
from colabmagic.drive.watching.probe import look
from tests.fakes.colab import Machine, Page, importable
from tests.fakes.fuse import FuseFolder, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine without a mount."""
    return Machine(tmp_path / "vm")


@contextlib.contextmanager
def mounted(machine: Machine) -> Iterator[FuseFolder]:
    """Yield a folder that the kernel and the machine take for Colab's Drive."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    if os.geteuid() != 0:
        pytest.skip("only root may umount, as on Colab")
    with FuseFolder(machine.mountpoint) as folder:
        machine.add_mount(folder.path)
        yield folder


@pytest.fixture
def fuse(machine: Machine) -> Iterator[FuseFolder]:
    """Yield such a folder."""
    with mounted(machine) as folder:
        yield folder


def state(machine: Machine) -> str:
    """Say how the only mount of the machine is."""
    found = find_standing(machine.mountpoint, machine.root)
    groups = {"alive": found.alive, "dead": found.dead, "doubtful": found.doubtful}
    return next((name for name, points in groups.items() if points), "gone")


def test_a_mount_lives_dies_and_is_taken_away(
    machine: Machine, fuse: FuseFolder
) -> None:
    """Also while a file in it is open; what is left is an empty folder."""
    assert state(machine) == "alive"
    opened = os.open(fuse.path / "MyDrive/a.txt", os.O_RDONLY)
    fuse.kill()
    assert state(machine) == "dead"
    standing.detach(fuse.path, machine.root)
    with contextlib.suppress(OSError):  # a dead mount answers so even to that
        os.close(opened)
    assert state(machine) == "gone"
    assert list(fuse.path.iterdir()) == []


def test_a_dead_mount_is_mounted_anew(
    machine: Machine, fuse: FuseFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --force, from a working directory in it, which is found again."""
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    (machine.root / "google/drive/MyDrive/proj").mkdir()
    monkeypatch.chdir(fuse.path / "MyDrive/proj")
    fuse.kill()
    with importable(Page()):
        found = colab.mount(fuse.path, sysroot=machine.root)
    assert not found.reused
    assert Path.cwd() == fuse.path / "MyDrive/proj"
    assert Path("..").stat().st_ino == found.root.stat().st_ino


def test_a_hung_mount_is_not_touched_without_force(
    machine: Machine, fuse: FuseFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may come back with what it has not uploaded; with --force it is replaced.

    Google's code looks into the folder before anything else, and would hang with it.
    """
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(standing, "look", functools.partial(look, timeout_s=0.5))
    told: list[str] = []
    fuse.stop()
    with importable(Page()) as message:
        began = time.monotonic()
        with pytest.raises(MountHungError, match="does not answer") as caught:
            colab.mount(fuse.path, sysroot=machine.root)
        assert time.monotonic() - began < 10
        assert "--force" in caught.value.hint
        assert message.asked == []
        found = colab.mount(
            fuse.path, sysroot=machine.root, force=True, notify=told.append
        )
    assert not found.reused
    assert found.root.is_dir()
    assert "is lost" in told[0]


def test_files_that_a_dead_mount_has_hidden_are_seen(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written before it was mounted; they too are told before anybody is asked."""
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    machine.mountpoint.mkdir()
    (machine.mountpoint / "lost.csv").touch()
    with mounted(machine) as folder:
        folder.kill()
        with importable(Page()) as message:
            with pytest.raises(MountpointError, match="has files in it") as caught:
                colab.mount(folder.path, sysroot=machine.root)
            assert "lost.csv" in str(caught.value)
            assert message.asked == []
            found = colab.mount(folder.path, sysroot=machine.root, move_aside=True)
    assert (found.moved_aside[0] / "lost.csv").exists()


def test_a_mount_that_cannot_be_taken_away(machine: Machine) -> None:
    """It is said, and nobody looks into it."""
    machine.add_mount(machine.mountpoint)
    (machine.root / "bin/umount").write_text("#!/bin/sh\necho busy >&2; exit 32\n")
    with pytest.raises(MountFailedError, match="cannot be taken away") as caught:
        standing.detach(machine.mountpoint, machine.root)
    assert caught.value.seen == "busy"


def test_a_mount_that_fails_is_not_ended_without_force(
    machine: Machine, fuse: FuseFolder
) -> None:
    """An error of the disk may pass."""
    fuse.fail_while.touch()
    found = find_standing(fuse.path, machine.root)
    with pytest.raises(MountFailedError, match="and fails") as caught:
        prepare_end(found, force=False, tell=print, grace_s=0, again="X")
    assert "EIO" in str(caught.value)


def test_a_mount_of_something_else_is_left_alone(machine: Machine) -> None:
    """Whatever it is: its name is shown without its controls."""
    machine.add_mount(machine.mountpoint, "ext4", r"a\033[2J")
    with pytest.raises(MountpointError, match="something else") as caught:
        find_standing(machine.mountpoint, machine.root)
    assert "\x1b" not in str(caught.value)


def test_our_own_mount_is_not_colabs(machine: Machine) -> None:
    """It is ours to unmount."""
    machine.add_mount(machine.mountpoint, "fuse.colabmagic", "colabmagic")
    with pytest.raises(MountpointError) as caught:
        find_standing(machine.mountpoint, machine.root)
    assert "--unmount" in caught.value.hint
    assert find_standing(None, machine.root).paths == ()


def test_a_working_directory_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is somewhere that exists, and the user knows."""
    inner = tmp_path / "drive/inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    told: list[str] = []
    with outside([tmp_path / "drive"], told.append):
        inner.rmdir()
    assert Path.cwd() == tmp_path
    assert f"%cd {inner}" in told[0]
