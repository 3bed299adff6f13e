"""Other programs, run within a time limit."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from colabmagic.host import command, process

PYTHON = sys.executable


def test_output_and_status() -> None:
    """Output, error output and status come back apart."""
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    outcome = command.run([PYTHON, "-c", code], timeout_s=20)
    assert (outcome.returncode, outcome.ok) == (3, False)
    assert (outcome.stdout.strip(), outcome.stderr.strip()) == ("out", "err")
    assert not outcome.timed_out


def test_time_limit_keeps_what_was_written() -> None:
    """A program that does not end is killed; its words until then are kept."""
    code = "import time; print('begun', flush=True); time.sleep(60)"
    started = time.monotonic()
    outcome = command.run([PYTHON, "-c", code], timeout_s=1)
    assert time.monotonic() - started < 5
    assert outcome.timed_out
    assert outcome.returncode is None
    assert outcome.stdout.strip() == "begun"


def test_children_die_too(tmp_path: Path) -> None:
    """What the program has started ends with it."""
    mark = tmp_path / "mark"
    child = f"import time, pathlib; time.sleep(2); pathlib.Path({str(mark)!r}).touch()"
    code = (
        "import subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    command.run([PYTHON, "-c", code], timeout_s=1)
    time.sleep(2.5)
    assert not mark.exists()


def test_missing_program_is_an_outcome() -> None:
    """A program that does not exist is told, not raised."""
    outcome = command.run(["/nonexistent/program"], timeout_s=5)
    assert outcome.error
    assert not outcome.ok
    assert outcome.returncode is None


def test_environment_is_exactly_what_was_given() -> None:
    """A given environment replaces ours."""
    code = "import os; print(os.environ.get('MARK'), os.environ.get('HOME'))"
    outcome = command.run([PYTHON, "-I", "-c", code], timeout_s=20, env={"MARK": "1"})
    assert outcome.stdout.split() == ["1", "None"]


def test_interrupt_leaves_no_orphan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while waiting kills the program and goes on to the user."""
    started = []
    real = process.start

    def noted(*args: Any) -> Any:  # noqa: ANN401 (as the real one)
        started.append(real(*args))
        timer.start()
        return started[0]

    main = threading.main_thread().ident
    timer = threading.Timer(0.1, signal.pthread_kill, [main, signal.SIGINT])
    monkeypatch.setattr(command, "start", noted)
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            command.run(["sleep", "60"], timeout_s=30)
    finally:
        signal.signal(signal.SIGINT, outer)
        timer.join()
    assert started[0].poll() == -signal.SIGKILL


@pytest.mark.parametrize("where", ["", ">&2"])
def test_a_program_that_prints_without_end_is_ended(where: str) -> None:
    """Neither its time limit is waited for, nor our memory filled; its child dies too."""
    began = time.monotonic()
    outcome = command.run(
        ["sh", "-c", f"yes nvcc {where}; sleep 60"], timeout_s=60, most_bytes=2**18
    )
    assert time.monotonic() - began < 20
    assert outcome.flooded
    assert (outcome.ok, outcome.timed_out, outcome.returncode) == (False, False, None)
    written = outcome.stderr if where else outcome.stdout
    assert written.startswith("nvcc\nnvcc\n")
    assert 2**18 < len(written) < 2**18 + 2**17


def test_the_bound_counts_both_outputs_and_what_is_below_it_passes() -> None:
    """A megabyte in all is the most where nothing is said."""
    half = command.MOST_BYTES // 2
    code = "import sys; sys.stdout.write('a' * {0}); sys.stderr.write('b' * {1})"
    argv = [PYTHON, "-I", "-S", "-c"]
    whole = command.run([*argv, code.format(half, half)], timeout_s=60)
    assert whole.ok
    assert (len(whole.stdout), len(whole.stderr)) == (half, half)
    more = command.run([*argv, code.format(half, half + 1)], timeout_s=60)
    assert more.flooded


def test_bytes_that_are_no_text_and_foreign_line_ends_are_read() -> None:
    """As a text file is read: a broken letter is marked, each line ends alike."""
    outcome = command.run(["printf", r"a\r\nb\rc\377\303\244\n"], timeout_s=20)
    assert outcome.stdout == "a\nb\nc\ufffdä\n"


def test_is_the_only_place() -> None:
    """No other modules of the package know `subprocess` than these of `host`."""
    package = Path(command.__file__).parents[1]
    starters = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "import subprocess" in path.read_text(encoding="utf-8")
    }
    assert starters == {
        "host/child.py",
        "host/command.py",
        "host/process.py",
        "host/stream.py",
    }
