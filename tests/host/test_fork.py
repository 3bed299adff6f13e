"""Tests for `colabmagic.host.fork`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from colabmagic.host.fork import can_fork

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="for Linux only")

# In a process of its own: a test runner has threads.
RUN = """
import json, sys
from colabmagic.host.fork import Forked
outcome = Forked(sys.argv[1]).finish(float(sys.argv[2]))
print(json.dumps([outcome.returncode, outcome.stdout, outcome.timed_out]))
"""


def forked(source: str, timeout_s: float = 30) -> tuple[int | None, str, bool]:
    """Return how a fork ended: status, output, whether time was up."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, source, str(timeout_s)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.stderr == ""
    status, stdout, timed_out = json.loads(done.stdout)
    return status, stdout, timed_out


@pytest.mark.parametrize(
    ("source", "status", "stdout"),
    [
        ("import sys; sys.stdout.write('it ran')", 0, "it ran"),
        ("import os; os.write(1, b'x' * 200_000)", 0, "x" * 200_000),
        ("raise SystemExit", 0, ""),
        ("import os; os.write(2, b'noise'); 1 / 0", 1, ""),
        ("import os; os.abort()", -6, ""),
        ("import sys; sys.stdin.read(); sys.stdout.write('empty')", 0, "empty"),
    ],
)
def test_how_it_ends(source: str, status: int, stdout: str) -> None:
    """Output and status come back; what it says besides is not ours."""
    assert forked(source) == (status, stdout, False)


def test_a_hanging_fork_is_killed() -> None:
    """What it wrote until then is kept."""
    source = "import os, time; os.write(1, b'begun'); time.sleep(600)"
    assert forked(source, 0.3) == (-9, "begun", True)


def test_not_beside_threads() -> None:
    """A fork could wait for ever for a lock that a thread holds."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert not can_fork()
    finally:
        stop.set()
        thread.join()
