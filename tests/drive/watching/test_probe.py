"""Whether a mount answers, asked of the real FUSE."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.watching.mounts import detach
from colabmagic.drive.watching.probe import Health, probe
from colabmagic.host.child import left_behind
from tests.fakes.fuse import FuseFolder, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_fuse = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[FuseFolder]:
    """Yield a mounted folder; no child of a probe outlives it."""
    with FuseFolder(tmp_path / "drive") as mounted:
        yield mounted
    end = time.monotonic() + 2
    while left_behind() and time.monotonic() < end:
        time.sleep(0.01)
    assert left_behind() == 0


@needs_fuse
def test_tells_alive_and_dead(folder: FuseFolder) -> None:
    """A mount whose daemon was killed is dead at once, with the system's number."""
    assert probe(folder.path).health is Health.ALIVE
    folder.kill()
    answer = probe(folder.path)
    assert (answer.health, answer.errno) == (Health.DEAD, errno.ENOTCONN)
    assert answer.seen == "ENOTCONN 107: Transport endpoint is not connected"
    assert answer.seconds < 2


@needs_fuse
def test_a_stopped_daemon_is_hung_whatever_the_kernel_remembers(
    folder: FuseFolder,
) -> None:
    """No answer in time is hung; afterwards it is alive again, and no child is left."""
    assert probe(folder.path).health is Health.ALIVE  # now its attributes are cached
    folder.stop()
    answer = probe(folder.path, 0.3)
    assert answer.health is Health.HUNG
    assert 0.3 <= answer.seconds < 2
    folder.go_on()
    assert probe(folder.path).health is Health.ALIVE
    assert left_behind() == 0


@needs_fuse
def test_who_cannot_be_killed_is_left_and_not_followed(folder: FuseFolder) -> None:
    """A child that SIGKILL does not free is not waited for, and no second one is sent."""
    folder.stuck_while.touch()
    answers = [probe(folder.path, 0.2) for _ in range(4)]
    assert {answer.health for answer in answers} == {Health.HUNG}
    assert all(0.2 <= answer.seconds < 2 for answer in answers)
    assert left_behind() == 1
    folder.stuck_while.unlink()
    assert probe(folder.path).health is Health.ALIVE


@needs_fuse
def test_a_new_mount_is_asked_though_the_old_one_still_holds_a_child(
    folder: FuseFolder,
) -> None:
    """A child that hangs in the mount before does not speak for the new one."""
    folder.stop()
    assert probe(folder.path, 0.2).health is Health.HUNG
    folder.remount()
    assert probe(folder.path).health is Health.ALIVE


@needs_fuse
def test_another_error_is_failing(folder: FuseFolder) -> None:
    """A daemon that answers with an error is not dead: its number is told."""
    folder.fail_while.touch()
    answer = probe(folder.path)
    assert (answer.health, answer.errno) == (Health.FAILING, errno.EIO)
    assert answer.seen == "EIO 5: Input/output error"


@needs_fuse
def test_after_unmounting_it_is_absent(folder: FuseFolder) -> None:
    """Where nothing is mounted any more no child is asked."""
    detach(folder.path)
    assert probe(folder.path).health is Health.ABSENT


def test_a_folder_that_is_no_mount_is_absent(tmp_path: Path) -> None:
    """An ordinary folder is not taken for a mount that answers."""
    answer = probe(tmp_path)
    assert (answer.health, answer.errno) == (Health.ABSENT, None)
