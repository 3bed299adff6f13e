"""Interrupts that wait."""

from __future__ import annotations

import signal
import threading

import pytest

from colabmagic.magics._signals import interrupts_held


def test_an_interrupt_waits_for_the_end() -> None:
    """The block runs to its end; then KeyboardInterrupt comes, once."""
    steps = []

    def press_twice() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            steps.append("done")

    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert steps == ["done"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_can_be_dropped() -> None:
    """Where the cell is over already, nothing is raised."""
    with interrupts_held(deliver=False):
        signal.raise_signal(signal.SIGINT)


def test_an_error_of_the_block_comes_first() -> None:
    """The block's own error is raised, and the interrupt with it is done."""

    def press_and_fail() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        press_and_fail()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_nothing_is_done() -> None:
    """Signals belong to the main thread; elsewhere the block just runs."""
    seen = []

    def work() -> None:
        with interrupts_held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
