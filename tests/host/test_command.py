"""Other programs, run within a time limit."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from colabmagic.host import command

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
    import subprocess

    started: list[subprocess.Popen[str]] = []
    real = subprocess.Popen.communicate

    def interrupted(
        self: subprocess.Popen[str], *args: object, **kwargs: object
    ) -> object:
        if self not in started:
            started.append(self)
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command.run([PYTHON, "-c", "import time; time.sleep(60)"], timeout_s=30)
    assert started[0].poll() is not None


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
