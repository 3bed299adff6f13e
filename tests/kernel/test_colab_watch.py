"""The watcher over Colab's mount: its question goes through the page, from its own thread."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes.colab import PROFILES, Machine
from tests.fakes.colab.frontend import FrontEnd
from tests.fakes.fuse import DAEMON, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.support import Kernel

SETUP = """
from colabmagic.drive.watching.watch import Watcher
Watcher.__init__.__kwdefaults__["interval_s"] = 0.2
"""
UNDO = """
from colabmagic.drive.watching import watch
Watcher.__init__.__kwdefaults__["interval_s"] = watch.INTERVAL_S
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Yield a machine whose Drive program shows a folder by the real FUSE."""
    if why_not() is not None:
        pytest.skip(f"no real mount: {why_not()}")
    if os.geteuid() != 0:
        pytest.skip("only root may umount, as on Colab")
    machine = Machine(tmp_path / "vm")
    machine.behave(pad_s=0, daemon=[sys.executable, "-I", str(DAEMON)])
    (machine.root / "proc/uptime").write_text("7200.0 1.0\n")
    yield machine
    if str(machine.mountpoint) in Path("/proc/self/mounts").read_text("utf-8"):
        subprocess.run(["umount", "-l", machine.mountpoint], check=True)  # noqa: S607


@pytest.fixture
def page(kernel: Kernel, machine: Machine) -> Iterator[FrontEnd]:
    """Yield Colab's page before a kernel of that machine, with Drive mounted and watched."""
    page = FrontEnd(kernel)
    set_up = page.execute(machine.kernel_code() + SETUP)
    assert set_up.status == "ok", set_up.shown
    try:
        line = f"m = %mount_drive {machine.mountpoint} --cd MyDrive/proj --timeout 1"
        mounted = page.execute(line).shown
        assert "Drive: MOUNTED" in mounted
        assert page.execute("m.watched, open('b.txt').read()").value == "(True, 'beta')"
        assert [one.kind for one in page.requests] == ["request_auth"]
        page.requests.clear()
        yield page
    finally:
        page.page = PROFILES["web"]()
        gone = page.execute("m = %mount_drive --unmount -q")
        page.execute(UNDO + machine.kernel_undo_code())
        assert gone.status == "ok", gone.shown


def kill(machine: Machine) -> None:
    """Kill the program behind the mount: whoever touches it gets ENOTCONN."""
    os.kill(int((machine.root / "drive.pid").read_text()), signal.SIGKILL)


def pump_until(page: FrontEnd, true: Callable[[], bool]) -> None:
    """Serve an idle kernel until something is so."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it did not come true"
        page.pump(0.05)


def told(page: FrontEnd, words: str) -> str:
    """Run cells until one of them tells something; return all that they told."""
    lines: list[str] = []

    def is_told() -> bool:
        lines.append(page.execute("pass").stdout)
        return words in lines[-1]

    pump_until(page, is_told)
    return "".join(lines)


def test_a_killed_mount_is_healed_through_the_page(
    page: FrontEnd, machine: Machine
) -> None:
    """No cell runs: it asks the page once, mounts, and one is where one was."""
    kill(machine)
    pump_until(page, lambda: bool(page.requests))
    text = told(page, "is mounted anew")
    # A question that was on its way gets ECONNABORTED, later ones ENOTCONN.
    assert re.search(r"is dead \((ENOTCONN 107|ECONNABORTED 103): ", text)
    assert [one.kind for one in page.requests] == ["request_auth"]
    assert page.execute("open('b.txt').read()").value == "'beta'"
    assert machine.mounted() == [str(machine.mountpoint)]
    status = " ".join(page.execute("%mount_drive --status").shown.split())
    assert "Drive: MOUNTED, ALIVE" in status
    assert "mounted it anew 1 time" in status


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ("silent", "nobody answered Google's question for permission"),
        ("refusing", "Google was not allowed to give this notebook your Drive"),
    ],
)
def test_a_page_that_does_not_say_yes(
    page: FrontEnd, machine: Machine, profile: str, reason: str
) -> None:
    """It is asked once, the user reads why and what to type; typed, that works."""
    page.page = PROFILES[profile]()
    kill(machine)
    text = told(page, "could not be mounted anew")
    assert f"could not be mounted anew: {reason}" in text
    command = f"%mount_drive {machine.mountpoint}"
    assert text.endswith(f"To try again, type {command}\n")
    page.pump(1.0)  # the watcher looks five times
    assert [one.kind for one in page.requests] == ["request_auth"]
    page.page = PROFILES["web"]()
    again = page.execute(f"n = {command}")
    assert "Drive: MOUNTED" in again.shown
    assert len(page.requests) == 2
    assert page.execute("open('b.txt').read()").value == "'beta'"  # where one was
