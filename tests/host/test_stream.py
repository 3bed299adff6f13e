"""Programs whose lines are heard as they come."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from colabmagic.host.stream import stream

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 30.0


def python(code: str) -> list[str]:
    """Return the command that runs this code."""
    return [sys.executable, "-I", "-S", "-c", code]


def test_lines_come_in_order_and_errors_apart() -> None:
    """Output comes line by line, the last without its end as well."""
    code = (
        "import sys; sys.stderr.write('no\\n'); print('a'); sys.stdout.write('b\\nc')"
    )
    lines: list[str] = []
    outcome = stream(python(code), timeout_s=LIMIT_S, on_line=lines.append)
    assert lines == ["a\n", "b\n", "c"]
    assert outcome.ok
    assert (outcome.stderr, outcome.error) == ("no\n", None)
    assert not outcome.timed_out


def test_lines_come_while_the_program_runs(tmp_path: Path) -> None:
    """The program waits for what the first line makes us do."""
    sign = tmp_path / "heard"
    code = (
        "import os, sys, time; print('first', flush=True)\n"
        f"while not os.path.exists({str(sign)!r}): time.sleep(0.01)\n"
        "print('second')"
    )
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line)
        sign.touch()

    assert stream(python(code), timeout_s=LIMIT_S, on_line=hear).ok
    assert lines == ["first\n", "second\n"]


def test_limit() -> None:
    """A program that hangs is ended; what it had written counts."""
    code = "import time; print('here', flush=True); time.sleep(600)"
    lines: list[str] = []
    outcome = stream(python(code), timeout_s=1, on_line=lines.append)
    assert outcome.timed_out
    assert outcome.returncode is None
    assert lines == ["here\n"]


def test_lines_may_give_time() -> None:
    """A program that says something goes on beyond its limit; silence still ends it."""
    code = (
        "import time\n"
        "for n in range(8): print(n, flush=True); time.sleep(0.25)\n"
        "print('sleeps', flush=True); time.sleep(600)"
    )
    lines: list[str] = []
    outcome = stream(
        python(code), timeout_s=1.5, on_line=lines.append, lines_give_time=True
    )
    assert outcome.timed_out
    assert lines[-1] == "sleeps\n"


def test_a_flood_is_cut() -> None:
    """A program that never stops writing is ended as well, long lines in parts."""
    code = "import sys\nwhile True: sys.stdout.write('x' * 100_000)"
    longest = 0

    def hear(line: str) -> None:
        nonlocal longest
        longest = max(longest, len(line))

    outcome = stream(python(code), timeout_s=0.5, on_line=hear)
    assert outcome.timed_out
    assert 0 < longest <= 65_536


def test_only_the_end_of_many_errors_is_kept() -> None:
    """Errors neither fill the pipe nor our memory."""
    code = "import sys\nfor n in range(20_000): sys.stderr.write(f'line {n}\\n')"
    outcome = stream(python(code), timeout_s=LIMIT_S, on_line=lambda _: None)
    kept = outcome.stderr.splitlines()
    assert len(kept) <= 200
    assert kept[-1] == "line 19999"


def test_status_and_missing_program() -> None:
    """How it ended, or why it never began."""
    outcome = stream(
        python("raise SystemExit(3)"), timeout_s=LIMIT_S, on_line=lambda _: None
    )
    assert outcome.returncode == 3
    assert not outcome.ok
    outcome = stream(["/nowhere/program"], timeout_s=LIMIT_S, on_line=lambda _: None)
    assert "/nowhere/program" in str(outcome.error)
    assert outcome.returncode is None


@pytest.mark.skipif(os.name != "posix", reason="no process groups")
def test_an_error_of_the_listener_ends_the_program() -> None:
    """An interrupt leaves no process and no thread behind."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    pids: list[int] = []

    def hear(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream(python(code), timeout_s=LIMIT_S, on_line=hear)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert not [one for one in threading.enumerate() if "colabmagic" in one.name]


@pytest.mark.skipif(os.name != "posix", reason="no fork")
def test_a_child_that_holds_the_pipe() -> None:
    """A program has ended when it has, although its own child keeps its output."""
    code = (
        "import os, time\n"
        "if os.fork() == 0: time.sleep(3)\n"
        "else: print('done', flush=True); os._exit(0)"
    )
    lines: list[str] = []
    started = time.monotonic()
    outcome = stream(python(code), timeout_s=LIMIT_S, on_line=lines.append)
    assert outcome.ok
    assert lines == ["done\n"]
    assert outcome.elapsed_s <= time.monotonic() - started
    while [one for one in threading.enumerate() if "colabmagic" in one.name]:
        time.sleep(0.05)  # the grandchild ends by itself


def test_environment() -> None:
    """The environment is the one that was given."""
    lines: list[str] = []
    code = "import os; print(os.environ.get('SEEN'))"
    stream(python(code), timeout_s=LIMIT_S, on_line=lines.append, env={"SEEN": "yes"})
    assert lines == ["yes\n"]
