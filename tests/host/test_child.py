"""Small programs that touch what may hang; with real mounts: `tests/drive/watching`."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from colabmagic.host.child import ask, left_behind, program

if TYPE_CHECKING:
    from pathlib import Path


def test_a_child_gets_nothing_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables, also those that find libraries, and the working directory stay here."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    env, pwd = program("env"), program("pwd")
    assert env is not None
    assert pwd is not None
    assert str(tmp_path) not in ask([env], 5).stdout
    assert ask([pwd], 5).stdout == "/\n"


def test_a_late_child_is_ended() -> None:
    """A program that takes too long is killed, and reaped."""
    sleep = program("sleep")
    assert sleep is not None
    answer = ask([sleep, "60"], 0.1)
    assert answer.returncode is None
    assert answer.seconds < 1
    assert left_behind() == 0


def test_what_a_late_child_has_written_counts() -> None:
    """Up to its end, with what is no text as text."""
    shell = program("sh")
    assert shell is not None
    answer = ask([shell, "-c", r"printf 'a\377'; exec sleep 60"], 1)
    assert (answer.returncode, answer.stdout) == (None, "a\N{REPLACEMENT CHARACTER}")


def test_an_interrupt_leaves_no_child(tmp_path: Path) -> None:
    """Ctrl-C ends the wait, and the child with it."""
    mark = tmp_path / "mark"
    code = f"import time; time.sleep(1); open({str(mark)!r}, 'w')"
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        ask([sys.executable, "-I", "-S", "-c", code], 20)
    timer.join()
    assert left_behind() == 0
    time.sleep(1.2)
    assert not mark.exists()


def test_a_program_that_is_not_here() -> None:
    """It has no place, and cannot be started."""
    assert program("no-such-program") is None
    with pytest.raises(FileNotFoundError):
        ask(["/nowhere/program"], 1)
