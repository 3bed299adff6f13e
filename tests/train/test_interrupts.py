"""Tests for `colabmagic.train.interrupts`."""

from __future__ import annotations

import gc
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from colabmagic.train.interrupts import deferred_interrupts, paused_collector

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _python_handles_interrupts() -> Iterator[None]:
    """Give each test Python's own handler, and the outer one back."""
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, outer)


def test_an_interrupt_waits_for_the_end_of_the_block() -> None:
    """Every line of the block runs; then the interrupt is raised."""
    done = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        done.append("after the signal")
    assert done == ["after the signal"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_outermost_block_decides() -> None:
    """Blocks can be nested; the interrupt waits for the outer one."""
    done = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():  # noqa: PT012
        with deferred_interrupts():
            signal.raise_signal(signal.SIGINT)
        done.append("outer")
    assert done == ["outer"]


def test_several_interrupts_are_one() -> None:
    """Impatience does no harm."""
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():  # noqa: PT012
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)


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


def test_an_interrupt_during_an_error_keeps_the_error() -> None:
    """Both happened: the interrupt is raised, with the error as its context."""
    with pytest.raises(KeyboardInterrupt) as caught, deferred_interrupts():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError
    assert isinstance(caught.value.__context__, ZeroDivisionError)


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
    """Only the main thread may install handlers; elsewhere the block just runs."""
    done: list[object] = []

    def work() -> None:
        with deferred_interrupts():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.default_int_handler]


def test_the_collector_rests_and_wakes() -> None:
    """It is off in the block, and on again after it, also after an error."""
    with paused_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), paused_collector():
        _ = 1 / 0
    assert gc.isenabled()


def test_a_collector_that_the_user_switched_off_stays_off() -> None:
    """Who trains without the collector does not get it back from us."""
    gc.disable()
    try:
        with paused_collector(), paused_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_nested_pauses_end_with_the_outer_one() -> None:
    """The inner block does not wake the collector."""
    with paused_collector():
        with paused_collector():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
