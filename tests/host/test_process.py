"""A program is started with open pipes and killed with its children."""

from __future__ import annotations

import os
import sys

import pytest

from colabmagic.host.process import ProcessOutcome, kill, start

LIMIT_S = 30.0


def test_start_gives_pipes_and_no_input() -> None:
    """Nothing is read from our input; bytes that are no text do not raise."""
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read() + b'\\xff')"
    process = start([sys.executable, "-I", "-S", "-c", code])
    assert process.communicate(timeout=LIMIT_S) == ("\ufffd", "")


def test_kill_twice_is_no_error() -> None:
    """The second time, nothing is left to kill."""
    process = start([sys.executable, "-I", "-S", "-c", "import time; time.sleep(99)"])
    kill(process)
    process.communicate(timeout=LIMIT_S)
    kill(process)
    assert process.returncode != 0


@pytest.mark.skipif(os.name != "posix", reason="sessions are POSIX")
def test_the_program_leads_a_session_of_its_own() -> None:
    """So a Ctrl-C in the terminal is ours alone, and `kill` reaches its children."""
    code = "import os; print(os.getsid(0) == os.getpid())"
    process = start([sys.executable, "-I", "-S", "-c", code])
    assert process.communicate(timeout=LIMIT_S)[0].strip() == "True"


@pytest.mark.parametrize(("status", "ok"), [(0, True), (1, False), (None, False)])
def test_ok_is_an_end_with_status_0(*, status: int | None, ok: bool) -> None:
    """A program that did not end by itself did not end well."""
    outcome = ProcessOutcome(
        returncode=status, stderr="", timed_out=status is None, elapsed_s=0.0
    )
    assert outcome.ok is ok
