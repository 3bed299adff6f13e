"""The watcher, with the real FUSE killed and stopped for real."""

from __future__ import annotations

import contextlib
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.errors import ConsentDeclinedError, MountFailedError
from colabmagic.drive.watching.probe import Health
from colabmagic.drive.watching.watch import Watcher
from colabmagic.host.child import left_behind
from colabmagic.host.vm_clock import VmClock
from tests.fakes.fuse import FuseFolder, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

needs_fuse = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[FuseFolder]:
    """Yield a mounted folder; no child of a probe outlives it."""
    with FuseFolder(tmp_path / "drive") as mounted:
        yield mounted
    wait_until(lambda: left_behind() == 0)


def wait_until(true: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait until something is so; return how long that took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it did not come true"
        time.sleep(0.005)
    return time.monotonic() - began


def watcher(  # noqa: PLR0913 (by keyword)
    folder: FuseFolder,
    said: list[str],
    *,
    remount: Callable[[], object] | None = None,
    pending: Callable[[], Sequence[Path]] = tuple,
    interval_s: float = 60.0,
    timeout_s: float = 5.0,
    wait_for: Callable[[], str | None] = lambda: None,
) -> Watcher:
    """Return a watcher that notes what it says."""
    return Watcher(
        folder.path,
        remount=remount or folder.remount,
        notify=said.append,
        pending=pending,
        interval_s=interval_s,
        timeout_s=timeout_s,
        wait_for=wait_for,
    )


@needs_fuse
def test_each_kill_is_healed_soon(folder: FuseFolder) -> None:
    """A daemon that is killed, again and again, is noticed and replaced by the thread."""
    said: list[str] = []
    watch = watcher(folder, said, interval_s=0.05)
    watch.start()
    for number in range(1, 9):
        folder.kill()
        wait_until(lambda expected=number: watch.status().healed == expected)
        assert (folder.path / "MyDrive/a.txt").read_text() == "alpha"
    watch.stop()
    status = watch.status()
    assert (status.healed, status.failed, status.running) == (8, 0, False)
    # A question that was on its way gets ECONNABORTED, later ones ENOTCONN.
    assert re.match(
        r"Drive at \S+ is dead \((ENOTCONN 107|ECONNABORTED 103): ", said[0]
    )
    assert "is mounted anew, after" in said[1]
    assert len(said) == 16
    assert len(status.events) == 16


@needs_fuse
def test_a_hung_mount_is_found_and_healed(folder: FuseFolder) -> None:
    """A stopped daemon is found within interval and time-out, asked once more, replaced."""
    said: list[str] = []
    watch = watcher(folder, said, interval_s=0.2, timeout_s=0.3)
    watch.start()
    wait_until(lambda: watch.status().probes > 0)
    folder.stop()
    took = wait_until(lambda: any("does not answer" in each for each in said))
    assert took < 0.2 + 2.0
    wait_until(lambda: watch.status().healed == 1)
    watch.stop()
    assert (folder.path / "MyDrive/a.txt").read_text() == "alpha"


@needs_fuse
def test_slow_once_is_not_hung(folder: FuseFolder) -> None:
    """A mount that answers the second question is left as it is."""
    said: list[str] = []
    watch = watcher(folder, said, timeout_s=0.6)
    folder.stop()
    timer = threading.Timer(0.8, folder.go_on)
    timer.start()
    answer = watch.check_now()
    timer.join()
    assert answer.health is Health.ALIVE
    assert watch.status().healed == 0
    assert said[-1] == f"Drive at {folder.path} answers again."


@needs_fuse
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_leaves_the_working_directory_and_comes_back(
    folder: FuseFolder, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """After healing, relative paths lead into the new mount."""
    monkeypatch.chdir(folder.path / "MyDrive/proj")
    getattr(folder, how)()
    watch = watcher(folder, [], timeout_s=0.5)
    assert watch.check_now().health is Health.ALIVE
    assert Path.cwd() == folder.path / "MyDrive/proj"
    assert Path("b.txt").read_text() == "beta"


@needs_fuse
def test_a_working_directory_that_is_gone_is_said(
    folder: FuseFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that the new mount has not is named, with where one is now."""
    monkeypatch.chdir(folder.path / "MyDrive/proj")
    folder.kill()
    said: list[str] = []

    def elsewhere() -> None:
        folder.remount()
        folder.fail_while.touch()
        folder.fail_while.unlink()

    watch = watcher(folder, said, remount=elsewhere)
    watch._place.leave()
    watch._place._left = str(folder.path / "MyDrive/gone")
    watch.check_now()
    assert said[-1] == (
        f"The working directory {folder.path}/MyDrive/gone cannot be entered: "
        f"ENOENT 2: No such file or directory. It is {folder.path.parent} now."
    )
    assert Path.cwd() == folder.path.parent


@needs_fuse
def test_a_user_who_went_elsewhere_stays_there(
    folder: FuseFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory is the user's: it is only given back if he has not moved."""
    monkeypatch.chdir(folder.path / "MyDrive")
    folder.kill()

    def fails() -> None:
        raise MountFailedError("no", hint="wait")

    watch = watcher(folder, [], remount=fails)
    watch.check_now()
    assert Path.cwd() == folder.path.parent
    monkeypatch.chdir("/")
    folder.remount()
    watch.check_now()
    assert Path.cwd() == Path("/")


@needs_fuse
def test_after_a_failed_heal_a_mount_by_hand_brings_the_directory_back(
    folder: FuseFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who mounts it himself finds himself where he was."""
    monkeypatch.chdir(folder.path / "MyDrive")
    folder.kill()

    def fails() -> None:
        raise MountFailedError("no", hint="wait")

    watch = watcher(folder, [], remount=fails)
    watch.check_now()
    folder.remount()
    watch.check_now()
    assert Path.cwd() == folder.path / "MyDrive"


@needs_fuse
def test_writes_that_wait_are_named_before_a_dead_mount_is_replaced(
    folder: FuseFolder,
) -> None:
    """What was seen waiting while the mount lived is named, then it is healed."""
    said: list[str] = []
    waiting = [folder.path / "MyDrive/my model.pt"]
    watch = watcher(folder, said, pending=lambda: waiting)
    watch.check_now()
    waiting = []
    folder.kill()
    watch.check_now()
    assert "'" + str(folder.path) + "/MyDrive/my model.pt' may never reach" in said[1]
    assert "%mount_drive --sync" in said[1]
    assert "is mounted anew" in said[2]


@needs_fuse
def test_a_hung_mount_with_writes_is_left_alone(folder: FuseFolder) -> None:
    """Nothing is killed while writes wait: it is said, once, with what to type."""
    said: list[str] = []
    waiting = [folder.path / "MyDrive/ckpt.pt"]
    watch = watcher(folder, said, pending=lambda: waiting, timeout_s=0.3)
    folder.stop()
    for _ in range(2):
        assert watch.check_now().health is Health.HUNG
    status = watch.status()
    assert (status.healed, status.failed) == (0, 0)
    assert folder.daemon.poll() is None
    assert len(said) == 2
    assert (
        f"{folder.path}/MyDrive/ckpt.pt may not be on Google's servers yet" in said[1]
    )
    assert f"type %mount_drive {folder.path} --force" in said[1]
    folder.go_on()
    assert watch.check_now().health is Health.ALIVE
    assert watch.status().held is None


@needs_fuse
def test_a_hung_mount_of_which_nothing_is_known_is_left_alone(
    folder: FuseFolder,
) -> None:
    """Where the look for writes has never worked, nobody may say that there are none."""
    said: list[str] = []

    def cannot() -> Sequence[Path]:
        raise TimeoutError

    watch = watcher(folder, said, pending=cannot, timeout_s=0.3)
    folder.stop()
    watch.check_now()
    assert "nobody knows whether writes still wait" in said[1]
    assert watch.status().healed == 0


@needs_fuse
def test_open_files_are_named(folder: FuseFolder) -> None:
    """A file that is open in the dead mount stays broken, and is named."""
    said: list[str] = []
    opened = os.open(folder.path / "MyDrive/a.txt", os.O_RDONLY)
    try:
        folder.kill()
        watcher(folder, said).check_now()
        assert f"{folder.path}/MyDrive/a.txt stays broken where it is open" in said[1]
        with pytest.raises(OSError, match=r"\[Errno (107|103|5)\]"):
            os.read(opened, 1)
    finally:
        with contextlib.suppress(OSError):
            os.close(opened)


@needs_fuse
def test_failures_are_said_and_tried_again_later(folder: FuseFolder) -> None:
    """A failed heal is not repeated at each probe; the user is told what to type."""
    said: list[str] = []
    tries = []

    def fails() -> None:
        tries.append(1)
        raise MountFailedError("mounting failed", seen="\x1b[31mred", hint="wait")

    watch = watcher(folder, said, remount=fails)
    folder.kill()
    for _ in range(3):
        watch.check_now()
    assert len(tries) == 1
    assert watch.status().failed == 1
    assert said[1] == (
        f"Drive at {folder.path} could not be mounted anew: mounting failed "
        f"(\\x1b[31mred). It is tried again in 10 s; or type %mount_drive {folder.path}"
    )
    watch._next_heal = 0.0
    watch.check_now()
    assert len(tries) == 2
    assert "in 20 s" in said[-1]


@needs_fuse
def test_a_heal_that_has_taken_the_old_mount_away_is_tried_again(
    folder: FuseFolder,
) -> None:
    """As announced: then nothing is mounted, and that is not what the user wanted."""
    said: list[str] = []
    tries: list[int] = []

    def fails_once() -> None:
        folder.unmount()
        tries.append(1)
        if len(tries) == 1:
            raise MountFailedError("mounting failed", hint="wait")
        folder.mount()

    watch = watcher(folder, said, remount=fails_once)
    folder.kill()
    watch.check_now()
    assert "It is tried again in 10 s" in said[-1]
    heard = len(said)
    assert watch.check_now().health is Health.ABSENT
    assert len(said) == heard  # it is not told as something new
    watch._next_heal = 0.0
    assert watch.check_now().health is Health.ALIVE
    folder.unmount()
    assert watch.check_now().health is Health.ABSENT
    assert "is not mounted any more" in said[-1]
    assert len(tries) == 2


@needs_fuse
def test_who_says_no_is_not_asked_again(folder: FuseFolder) -> None:
    """A consent that was declined is not asked for until the user mounts it himself."""
    said: list[str] = []

    def declined() -> None:
        raise ConsentDeclinedError("you said no", hint="say yes")

    watch = watcher(folder, said, remount=declined)
    folder.kill()
    watch.check_now()
    assert watch._next_heal == float("inf")
    assert said[-1].endswith(f"To try again, type %mount_drive {folder.path}")


@needs_fuse
def test_foreign_errors_are_told_by_their_kind_alone(folder: FuseFolder) -> None:
    """The text of an error that is not ours may hold a token."""
    said: list[str] = []

    def leaks() -> None:
        raise ValueError("ya29.secret")

    watch = watcher(folder, said, remount=leaks)
    folder.kill()
    watch.check_now()
    assert "ValueError" in said[-1]
    assert "secret" not in "".join((*said, *watch.status().events))


@needs_fuse
def test_healing_waits_while_a_cell_must_not_be_disturbed(folder: FuseFolder) -> None:
    """As long as there is a reason to wait nothing is mounted, and it is said once."""
    said: list[str] = []
    reason: str | None = "a cell runs"
    watch = watcher(folder, said, wait_for=lambda: reason)
    folder.kill()
    for _ in range(2):
        watch.check_now()
    assert said[1:] == [f"Drive at {folder.path} is not mounted anew yet: a cell runs."]
    assert watch.status().held == "a cell runs"
    reason = None
    assert watch.check_now().health is Health.ALIVE
    assert watch.status().held is None


@needs_fuse
def test_nothing_is_healed_while_the_user_mounts_by_hand(folder: FuseFolder) -> None:
    """Two mounts at a time would kill each other: meanwhile it is only asked."""
    watch = watcher(folder, [])
    folder.kill()
    with watch.paused():
        assert watch.check_now().health is Health.DEAD
    assert watch.check_now().health is Health.ALIVE


@needs_fuse
def test_other_failures_and_unmounting_are_told_and_not_treated(
    folder: FuseFolder,
) -> None:
    """An I/O error is no dead mount, and who unmounts does so on purpose."""
    said: list[str] = []
    watch = watcher(folder, said)
    folder.fail_while.touch()
    assert watch.check_now().health is Health.FAILING
    folder.fail_while.unlink()
    watch.check_now()
    folder.unmount()
    assert watch.check_now().health is Health.ABSENT
    watch.check_now()
    here = f"Drive at {folder.path}"
    assert said == [
        f"{here} fails (EIO 5: Input/output error): %mount_drive --doctor says why.",
        f"{here} answers again.",
        f"{here} is not mounted any more. To have it again, type %mount_drive {folder.path}.",
    ]
    assert watch.status().healed == 0


@needs_fuse
def test_ends_at_once_though_the_mount_hangs(folder: FuseFolder) -> None:
    """A thread whose probe gets no answer ends within 5 s, and starts anew if asked."""
    watch = watcher(
        folder, [], pending=lambda: [Path("x")], interval_s=0.01, timeout_s=1.0
    )
    watch.start()
    watch.start()  # is one thread all the same
    assert (
        sum(each.name == "colabmagic-drive-watch" for each in threading.enumerate())
        == 1
    )
    folder.stuck_while.touch()
    time.sleep(0.2)
    began = time.monotonic()
    watch.stop()
    assert time.monotonic() - began < 5
    assert not watch.status().running


@needs_fuse
def test_watches_again_though_the_old_thread_has_not_ended(folder: FuseFolder) -> None:
    """Stopped in the midst of healing and started anew: it does not end for good."""
    mounting, may_go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        mounting.set()
        may_go_on.wait(10)
        folder.remount()

    watch = watcher(folder, [], remount=slowly, interval_s=0.05)
    watch.start()
    folder.kill()
    assert mounting.wait(10)
    watch.stop(timeout_s=0.01)
    threading.Timer(0.1, may_go_on.set).start()
    watch.start()
    seen = watch.status().probes
    wait_until(lambda: watch.status().probes > seen + 2)
    watch.stop()
    assert watch.status().healed == 1


def test_keeps_its_times(tmp_path: Path) -> None:
    """A slow probe does not move the next ones: all come at multiples of the interval."""
    watch = Watcher(tmp_path, remount=list, notify=lambda _: None, interval_s=0.1)
    times: list[float] = []
    ask = watch._ask

    def slowly(timeout_s: float) -> object:
        times.append(time.monotonic())
        time.sleep(0.03)
        return ask(timeout_s)

    watch._ask = slowly  # type: ignore[assignment, method-assign]
    watch.start()
    wait_until(lambda: len(times) >= 9)
    watch.stop()
    off = [abs((when - times[0] + 0.05) % 0.1 - 0.05) for when in times]
    assert statistics.median(off) < 0.02


def test_a_listener_that_fails_does_not_end_the_watch(tmp_path: Path) -> None:
    """Whoever shows the messages may raise: watching goes on."""

    def fails(_: str) -> None:
        raise RuntimeError

    watch = Watcher(tmp_path, remount=list, notify=fails, interval_s=0.01)
    watch.start()
    wait_until(lambda: watch.status().probes > 2)
    watch.stop()
    assert "is not mounted any more" in watch.status().events[0]


def test_warns_once_before_the_machine_ends(tmp_path: Path) -> None:
    """A quarter of an hour before the end the user is told what to type, once."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "var/colab").mkdir(parents=True)
    (tmp_path / "var/colab/hostname").touch()
    uptime = tmp_path / "proc/uptime"
    uptime.write_text("42000 0", "ascii")
    said: list[str] = []
    watch = Watcher(
        tmp_path, remount=list, notify=said.append, interval_s=0.01,
        clock=VmClock({"COLAB_RELEASE_TAG": "x"}, tmp_path),
    )  # fmt: skip
    watch.start()
    wait_until(lambda: watch.status().probes > 2)
    assert not any("--sync" in each for each in said)
    uptime.write_text("42301 0", "ascii")
    seen = watch.status().probes
    wait_until(lambda: watch.status().probes > seen + 3)
    watch.stop()
    assert sum("%mount_drive --sync" in each for each in said) == 1


@needs_fuse
def test_ends_with_the_process(folder: FuseFolder) -> None:
    """A process that is done ends, though its watcher waits for a mount that hangs."""
    folder.stuck_while.touch()
    code = (
        "import pathlib, sys, time; from colabmagic.drive.watching.watch import Watcher\n"
        "w = Watcher(pathlib.Path(sys.argv[1]), remount=list, notify=list)\n"
        "w.start(); time.sleep(0.3)"
    )
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", code, str(folder.path)],
        check=False, timeout=20, capture_output=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert time.monotonic() - began < 5
    folder.stuck_while.unlink()
