"""Tests for `colabmagic.interrupts`."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from colabmagic import interrupts
from colabmagic.interrupts import (
    deferred_interrupts,
    handle_as_before,
    handle_interrupts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _python_handles_interrupts() -> Iterator[None]:
    """Give each test Python's own handler, and the outer one back."""
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, outer)
    assert interrupts._deferrals == []


def test_an_interrupt_waits_for_the_end() -> None:
    """The block runs to its end; then KeyboardInterrupt comes, once."""
    steps = []

    def press_twice() -> None:
        with deferred_interrupts():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            steps.append("done")

    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert steps == ["done"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_can_be_dropped() -> None:
    """Where the cell is over already, nothing is raised."""
    with deferred_interrupts(deliver=False):
        signal.raise_signal(signal.SIGINT)


def test_an_error_of_the_block_comes_first() -> None:
    """The block's own error is raised, and the interrupt with it is done."""

    def press_and_fail() -> None:
        with deferred_interrupts():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        press_and_fail()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_outermost_block_decides() -> None:
    """Blocks can be nested; the interrupt waits for the outer one."""
    done = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():  # noqa: PT012
        with deferred_interrupts():
            signal.raise_signal(signal.SIGINT)
        done.append("outer")
    assert done == ["outer"]


def test_without_an_interrupt_nothing_is_raised() -> None:
    """The handler is put back, that is all."""
    with deferred_interrupts():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_in_the_block_puts_the_handler_back() -> None:
    """An error passes through; the handler does not stay."""
    with pytest.raises(ZeroDivisionError), deferred_interrupts():
        _ = 1 / 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_users_own_handler_gets_the_signal() -> None:
    """A handler that somebody installed is called with the signal's number."""
    seen: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    with deferred_interrupts():
        signal.raise_signal(signal.SIGINT)
        assert seen == []
    assert seen == [signal.SIGINT]


def test_an_ignored_signal_stays_ignored() -> None:
    """Where Ctrl-C is switched off, nothing is changed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred_interrupts():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_in_another_thread_nothing_is_done() -> None:
    """Signals belong to the main thread; elsewhere the block just runs."""
    seen = []

    def work() -> None:
        with deferred_interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_a_handler_set_while_interrupts_wait_has_its_turn_afterwards() -> None:
    """What a block installs takes interrupts when the block is over, and gives them back."""
    heard: list[str] = []

    def handler(number: int, frame: object) -> None:
        del number, frame
        heard.append("ours")

    with deferred_interrupts(), deferred_interrupts():
        before = handle_interrupts(handler)
        signal.raise_signal(signal.SIGINT)
        assert heard == []
    assert heard == ["ours"]
    assert before is signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is handler
    with deferred_interrupts():
        handle_as_before(handler, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_somebody_else_is_left_alone() -> None:
    """What was set after ours stays; other threads change nothing."""

    def ours(*_: object) -> None:
        """Do nothing."""

    def later(*_: object) -> None:
        """Do nothing."""

    before = handle_interrupts(ours)
    assert before is not None
    signal.signal(signal.SIGINT, later)
    handle_as_before(ours, before)
    assert signal.getsignal(signal.SIGINT) is later
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(handle_interrupts(ours)))
    thread.start()
    thread.join()
    assert found == [None]
    assert signal.getsignal(signal.SIGINT) is later


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_waits_for_nothing() -> None:
    """A worker that is started meanwhile ends at Ctrl-C, as it would without us."""
    with deferred_interrupts(once=True), deferred_interrupts():
        child = os.fork()
        if child == 0:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                os._exit(7)
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_who_waits_can_be_told() -> None:
    """Once, when the first one begins to wait."""
    told: list[str] = []
    with (  # noqa: PT012
        pytest.raises(KeyboardInterrupt),
        deferred_interrupts(waits=lambda: told.append("waits")),
    ):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert told == ["waits"]


def test_a_second_one_is_counted_by_the_outer_block() -> None:
    """Two presses are two, also in the block inside of another that lets one wait."""
    steps = []

    def press_twice() -> None:
        with deferred_interrupts(once=True), deferred_interrupts(once=True):
            signal.raise_signal(signal.SIGINT)
            steps.append("first")
            signal.raise_signal(signal.SIGINT)
            steps.append("second")

    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert steps == ["first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_at_the_very_end_waits_too() -> None:
    """The handler of before is put back in any case."""

    class Presses(list[interrupts._Deferral]):
        def remove(self, value: interrupts._Deferral) -> None:
            signal.raise_signal(signal.SIGINT)
            super().remove(value)

    deferrals, interrupts._deferrals = interrupts._deferrals, Presses()
    try:
        with pytest.raises(KeyboardInterrupt), deferred_interrupts(once=True):
            signal.raise_signal(signal.SIGINT)
    finally:
        interrupts._deferrals = deferrals
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handled_error_loses_no_interrupt() -> None:
    """Whoever handles the error of a block that may be cut is stopped all the same."""
    handled = []

    def fail() -> None:
        with deferred_interrupts(once=True):
            signal.raise_signal(signal.SIGINT)
            raise ValueError("mine")

    def press_and_handle() -> None:
        try:
            fail()
        except ValueError:
            handled.append(1)

    with pytest.raises(KeyboardInterrupt) as caught:
        press_and_handle()
    assert not handled
    assert caught.value.__suppress_context__
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_can_come_a_moment_later() -> None:
    """What is raised while an object is freed stops nobody: it comes afterwards."""
    steps = []

    class Freed:
        def __del__(self) -> None:
            with deferred_interrupts(once=True, later=True):
                signal.raise_signal(signal.SIGINT)
                steps.append("freed")

    def free_and_go_on() -> None:
        Freed()
        threading.Event().wait(10)
        steps.append("went on")

    with pytest.raises(KeyboardInterrupt):
        free_and_go_on()
    assert steps == ["freed"]
