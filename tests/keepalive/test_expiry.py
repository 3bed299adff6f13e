"""Functions before the end: in order, each in time, and what became of each."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from colabmagic import keepalive
from colabmagic.keepalive.errors import KeepaliveOptionError
from colabmagic.keepalive.expiry import HOOKS, HookRun, Hooks


def finish(run: HookRun, most_s: float = 10.0) -> list[str]:
    """Lead a run to its end; return the states."""
    end = time.monotonic() + most_s
    while not run.poll():
        assert time.monotonic() < end
        time.sleep(0.005)
    return [result.state for result in run.results]


def run_of(hooks: Hooks) -> HookRun:
    """Return a run that goes by real time."""
    return HookRun(hooks.all(), time.monotonic)


def test_in_order_and_never_together() -> None:
    """The second begins when the first is through."""
    order: list[str] = []
    hooks = Hooks()

    def slow() -> str:
        time.sleep(0.1)
        order.append("slow")
        return "3 files"

    hooks.add(slow)
    hooks.add(lambda: order.append("quick"), name="quick")
    run = run_of(hooks)
    assert finish(run) == ["ok", "ok"]
    assert order == ["slow", "quick"]
    assert [result.name for result in run.results] == ["slow", "quick"]
    assert run.results[0].text == "3 files"
    assert run.ok


def test_one_that_raises_is_told_and_the_others_run() -> None:
    """Also SystemExit and KeyboardInterrupt, which would end a program."""
    hooks = Hooks()
    for error in (ValueError("disk full"), SystemExit(3), KeyboardInterrupt()):

        def fail(error: BaseException = error) -> None:
            raise error

        hooks.add(fail)
    ran: list[int] = []
    hooks.add(lambda: ran.append(1))
    run = run_of(hooks)
    assert finish(run) == ["failed", "failed", "failed", "ok"]
    assert run.results[0].text == "ValueError: disk full"
    assert ran == [1]
    assert not run.ok


def test_one_that_hangs_is_given_up() -> None:
    """After its own time; the next one runs all the same."""
    release = threading.Event()
    hooks = Hooks()
    hooks.add(release.wait, timeout_s=0.1, name="hangs")
    hooks.add(lambda: None, name="next")
    run = run_of(hooks)
    try:
        assert finish(run) == ["late", "ok"]
        assert "given up after 0.1 s" in str(run.results[0])
        assert not run.ok
    finally:
        release.set()


def test_polling_never_waits() -> None:
    """So that beats go on."""
    release = threading.Event()
    hooks = Hooks()
    hooks.add(release.wait, timeout_s=5)
    run = run_of(hooks)
    began = time.monotonic()
    assert not any(run.poll() for _ in range(100))
    assert time.monotonic() - began < 1
    assert 0 < run.due_s <= 5
    release.set()
    finish(run)


def test_what_it_prints_cannot_break_a_line() -> None:
    """Texts of others are cleaned and cut."""
    hooks = Hooks()
    hooks.add(lambda: "a\x1b[31m\nb" + "x" * 1000)
    run = run_of(hooks)
    finish(run)
    text = run.results[0].text
    assert "\n" not in text
    assert "\x1b" not in text
    assert len(text) <= 200


def test_a_handle_takes_it_back() -> None:
    """Twice is as good as once."""
    handle = keepalive.on_expiry(lambda: None, name="mine")
    assert HOOKS.all() == (handle,)
    handle.remove()
    handle.remove()
    assert HOOKS.all() == ()


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), 3601])
def test_times_that_cannot_be(timeout_s: float) -> None:
    """They are refused at once, not at the end."""
    with pytest.raises(KeepaliveOptionError, match="timeout_s"):
        keepalive.on_expiry(lambda: None, timeout_s=timeout_s)


def test_no_function() -> None:
    """`on_expiry(save())` is the usual slip."""
    nothing: Any = None
    with pytest.raises(KeepaliveOptionError, match="without parentheses"):
        keepalive.on_expiry(nothing)
