"""A block ends in time, in any thread, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from colabmagic.drive.mounting.deadline import DeadlinePassed, deadline


def wait(seconds: float) -> None:
    """Wait as Google's code does, which takes any error for an empty message."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(Exception):
            time.sleep(0.01)


def handlers() -> list[object]:
    """Return who listens to the signals that may be used."""
    return [
        signal.getsignal(number)
        for number in (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGUSR2)
    ]


def test_a_block_that_ends_in_time_is_left_alone() -> None:
    """Nothing comes later either."""
    before = handlers()
    with deadline(0.05):
        pass
    time.sleep(0.1)
    assert handlers() == before


def test_a_block_is_ended() -> None:
    """What holds up errors does not hold up this."""
    before, began = handlers(), time.monotonic()
    with pytest.raises(DeadlinePassed), deadline(0.05):
        wait(30)
    assert time.monotonic() - began < 10
    assert handlers() == before


def test_a_system_call_is_cut_short() -> None:
    """In the main thread also where no Python code runs."""
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as p,
        pytest.raises(DeadlinePassed),
        deadline(0.1),
    ):
        p.wait()


def test_blocks_within_one_another() -> None:
    """The outer one may end first."""
    with pytest.raises(DeadlinePassed), deadline(0.05), deadline(30):
        wait(30)


def test_in_another_thread() -> None:
    """No signal reaches it; it ends all the same."""
    ended = []

    def work() -> None:
        try:
            with deadline(0.05):
                wait(30)
        except DeadlinePassed:
            ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert ended == [True]


def test_many_that_are_close() -> None:
    """However close the end of the block is to its limit, nothing comes after it."""
    for number in range(60):
        with contextlib.suppress(DeadlinePassed), deadline(0.002):
            time.sleep(0.0015 + number * 1e-5)
    time.sleep(0.02)
