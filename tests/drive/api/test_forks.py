"""Forked processes: each gets its own answers, ids and locks."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.transfer.reader import open_ranges

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
    # of Python 3.12 and newer: the server of this test is a thread
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


def forked(work: Callable[[], bool]) -> int:
    """Return the id of a child in which some work is done; it ends with 0 if that is right."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = 0 if work() else 2
    finally:
        os._exit(code)


def ended(child: int, seconds: float = 20.0) -> int:
    """Return how a child ended; one that hangs is killed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_each_process_gets_the_file_that_it_reads(
    drive: FakeDrive, files: Files
) -> None:
    """Files of one size, read by four children and their parent at the same time."""
    names = [f"f{number}" for number in range(8)]
    for name in names:
        drive.store.add_file(name, name.encode() * 1000)
    assert len(list(files.ls("MyDrive"))) == 8  # a connection is open from now on

    def read() -> bool:
        return all(
            open_ranges(files, files.stat(f"MyDrive/{name}")).read()
            == name.encode() * 1000
            for _ in range(4)
            for name in names
        )

    children = [forked(read) for _ in range(4)]
    right = read()
    assert [ended(child) for child in children] == [0, 0, 0, 0]
    assert right


def test_locks_that_a_thread_held_are_free_in_the_child(files: Files) -> None:
    """That thread is not there to let them go."""
    transport = files.transport
    locks = [transport._lock, transport._renewal, transport.budget._lock]
    locks += [files._lock, files._making]
    for lock in locks:
        lock.acquire()
    child = forked(lambda: files.folder("MyDrive/made").name == "made")
    for lock in locks:
        lock.release()
    assert ended(child, 10) == 0


def test_ids_are_given_to_one_process(files: Files) -> None:
    """Else two processes would make one file, and one of them lose its content."""
    files.new_id()
    mine = set(files._ids)
    assert mine
    assert ended(forked(lambda: files.new_id() not in mine)) == 0
    assert set(files._ids) == mine


def test_a_child_cuts_its_own_connections_alone(files: Files) -> None:
    """A connection that both have is the parent's: nothing ends it."""
    assert list(files.ls("MyDrive")) == []  # it is open from now on
    sockets = list(files.transport._lines._sockets)
    assert sockets

    def cut() -> bool:
        files.transport.cut()
        return True

    assert ended(forked(cut)) == 0
    assert select.select(sockets, [], [], 0.1)[0] == []  # an end could be read
