"""How long is waited before a request is sent again."""

from __future__ import annotations

import threading
import time

from colabmagic.drive.api.waits import Waits


def test_waits_have_full_jitter_below_a_bound_that_doubles() -> None:
    """Never longer than the longest; what the server asks is waited for in full."""
    slept: list[float] = []
    waits = Waits(1, 4, sleep=slept.append)
    for _ in range(200):
        for attempt in range(5):
            waits.wait(attempt)
    for attempt, bound in enumerate((1, 2, 4, 4, 4)):
        some = slept[attempt::5]
        assert 0 <= min(some) < bound / 4
        assert bound * 3 / 4 < max(some) <= bound
    waits.wait(0, 20)
    assert 20 <= slept[-1] <= 20.1


def test_who_is_stopped_waits_no_longer() -> None:
    """Also where the server has asked for a minute."""
    stop = threading.Event()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    began = time.monotonic()
    Waits().wait(0, 60, stop)
    assert 0.05 < time.monotonic() - began < 10
    timer.join()
