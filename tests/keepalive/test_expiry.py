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


# --- what looks saved, and is not -----------------------------------------------------


async def save_later() -> None:
    """Save, when somebody awaits it."""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (save_later, "save_later is async"),
        (lambda model: model, "missing a required argument: 'model'"),
    ],
)
def test_what_could_only_fail_at_the_end(call: Any, words: str) -> None:  # noqa: ANN401
    """Is refused when it is registered."""
    with pytest.raises(KeepaliveOptionError, match=words):
        Hooks().add(call)


@pytest.mark.parametrize("timeout_s", ["60", None, True, float("nan"), 0, -1, 1e9])
def test_a_time_that_is_none(timeout_s: Any) -> None:  # noqa: ANN401
    """One clear error."""
    with pytest.raises(KeepaliveOptionError, match="timeout_s cannot be"):
        Hooks().add(print, timeout_s=timeout_s)


@pytest.mark.parametrize("kind", ["coroutine", "generator"])
def test_what_has_not_run_has_not_ended_well(kind: str) -> None:
    """A lambda around it hides it until then."""
    hooks = Hooks()
    made = save_later if kind == "coroutine" else lambda: (n for n in range(3))
    hooks.add(lambda: made())  # noqa: PLW0108 (as people write it)
    run = run_of(hooks)
    assert finish(run) == ["failed"]
    assert kind in run.results[0].text


class UnshownError(Exception):
    """An error that cannot be shown."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no words")


def test_an_error_without_words() -> None:
    """It is told by its name, at once, and not as one that hangs."""
    hooks = Hooks()

    def fail() -> None:
        raise UnshownError

    hooks.add(fail, timeout_s=60)
    run = run_of(hooks)
    assert finish(run) == ["failed"]
    assert run.results[0].text == "UnshownError"


# --- a cell that runs again -----------------------------------------------------------


def test_the_same_function_is_registered_once() -> None:
    """A cell that is run ten times means one save."""
    hooks = Hooks()
    names: dict[str, Any] = {"done": []}
    for _ in range(10):
        exec("def save(): done.append(1)", names)  # noqa: S102 (as a kernel runs a cell)
        hooks.add(names["save"], timeout_s=7)
    assert [hook.name for hook in hooks.all()] == ["save"]
    assert hooks.all()[0].timeout_s == 7


def test_functions_that_differ_are_all_kept() -> None:
    """By their code, what they close over, their defaults, or their names."""
    hooks, ran = Hooks(), []
    for number in range(3):

        def closes() -> None:
            ran.append(number)  # noqa: B023 (that they differ is the point)

        def has_default(n: int = number) -> None:
            ran.append(n)

        hooks.add(closes)
        hooks.add(has_default)
        hooks.add(ran.clear, name=f"clear {number}")
    assert len(hooks.all()) == 9
