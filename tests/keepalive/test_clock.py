"""The clocks of the machine."""

from __future__ import annotations

import threading
import time

from colabmagic.keepalive.clock import RealClock


def test_it_goes_forward_at_the_pace_of_time() -> None:
    """Whatever its beginning is."""
    clock = RealClock()
    began, began_mono = clock.now(), time.monotonic()
    time.sleep(0.05)
    passed, passed_mono = clock.now() - began, time.monotonic() - began_mono
    assert abs(passed - passed_mono) < 0.05
    assert passed > 0.04
    assert abs(clock.wall() - time.time()) < 5


def test_waiting_ends_by_the_event() -> None:
    """And tells whether it did."""
    wake = threading.Event()
    assert not RealClock().wait(wake, 0.01)
    wake.set()
    assert RealClock().wait(wake, 10)
