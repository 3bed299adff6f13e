"""What counts as work."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from colabmagic import keepalive
from colabmagic.keepalive import activity as module
from colabmagic.keepalive.activity import Activity, WatchedProcess
from colabmagic.keepalive.errors import NoProcessError

PYTHON = [sys.executable, "-c"]


def at_work(one: Activity, while_: str = "busy") -> str | None:
    """Ask it."""
    return one.reason(while_, 5)


def gpu(percent: float | None, problem: str | None = None) -> Any:  # noqa: ANN401
    """Return what tells a use."""
    return SimpleNamespace(percent=lambda: percent, problem=problem)


def test_a_cell() -> None:
    """From its beginning to its end."""
    one = Activity()
    assert at_work(one) is None
    one.cell_begins()
    assert at_work(one) == "a cell runs"
    one.cell_ends()
    assert at_work(one) is None


def test_a_job_in_any_thread() -> None:
    """Two of one name are two; an error ends one too."""
    one = Activity()
    inside, release = threading.Event(), threading.Event()

    def work() -> None:
        with one.job("train\n\x1b"):
            inside.set()
            release.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    assert at_work(one) == "job train  "
    with pytest.raises(ValueError, match="x"), one.job("other"):
        raise ValueError("x")
    assert at_work(one) == "job train  "
    release.set()
    thread.join()
    assert at_work(one) is None


def test_a_process_until_it_ends() -> None:
    """A zombie, whom nobody has waited for yet, is not at work."""
    one = Activity()
    with subprocess.Popen([*PYTHON, "input()"], stdin=subprocess.PIPE) as process:
        forget = one.watch_pid(process.pid)
        assert at_work(one) == f"process {process.pid}"
        forget()
        assert at_work(one) is None
        one.watch_pid(process.pid)
        assert process.stdin is not None
        process.stdin.close()
        end = time.monotonic() + 10
        while at_work(one) is not None:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert process.poll() is not None or Path(f"/proc/{process.pid}").exists()
        assert at_work(one) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the start")
def test_a_number_that_another_process_has_now() -> None:
    """It is told apart by its start."""
    with subprocess.Popen([*PYTHON, "input()"], stdin=subprocess.PIPE) as process:
        state = module._state_of(process.pid)
        assert state is not None
        assert WatchedProcess(process.pid, state[1]).alive
        assert not WatchedProcess(process.pid, str(int(state[1]) - 1)).alive
        process.kill()


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 10**30])
def test_no_such_process(pid: int) -> None:
    """It is refused at once."""
    with pytest.raises(NoProcessError):
        Activity().watch_pid(pid)


def test_gpus() -> None:
    """From the given use on; what is not known is no work, and is told."""
    assert at_work(Activity(gpu=gpu(37.4))) == "GPU use 37 %"
    assert at_work(Activity(gpu=gpu(4.9))) is None
    assert at_work(Activity(gpu=gpu(5.0))) == "GPU use 5 %"
    unknown = Activity(gpu=gpu(None, "the driver hangs"))
    assert at_work(unknown) is None
    assert unknown.notes() == ("the driver hangs",)


def test_while_gpu_counts_nothing_else() -> None:
    """Neither a cell nor a job."""
    one = Activity(gpu=gpu(0.0))
    one.cell_begins()
    with one.job():
        assert at_work(one, "gpu") is None


def test_the_cheap_ones_are_asked_first() -> None:
    """While a cell runs no driver is asked."""

    def never() -> float:
        raise AssertionError

    one = Activity(gpu=SimpleNamespace(percent=never, problem=None))  # type: ignore[arg-type]
    one.cell_begins()
    assert at_work(one) == "a cell runs"


def test_the_names_of_the_package() -> None:
    """`keepalive.job` and `watch_pid` are about this process."""
    with keepalive.job("x"):
        assert at_work(module.activity()) == "job x"
    with pytest.raises(NoProcessError):
        keepalive.watch_pid(0)


@pytest.mark.parametrize("pid", ["12", "self", None, 1.0, True, "process"])
def test_what_is_no_number(pid: Any) -> None:  # noqa: ANN401
    """A process itself is given instead of its number: one clear error."""
    with pytest.raises(NoProcessError, match="takes the number of a process"):
        Activity().watch_pid(pid)


def test_the_notebook_itself() -> None:
    """It would count as work for ever."""
    with pytest.raises(NoProcessError, match="always runs"):
        Activity().watch_pid(os.getpid())
