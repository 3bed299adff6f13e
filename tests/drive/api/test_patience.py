"""Whoever waits is told why, once, and not before it takes long."""

from __future__ import annotations

import time

from colabmagic.drive import errors
from colabmagic.drive.api import patience
from colabmagic.drive.api.http import Waits

REFUSED = errors.ConnectionFailedError(
    "cannot reach a.example", seen="connection refused", hint="x"
)
LINE = "cannot reach a.example (connection refused), trying again"


def ago(seconds: float) -> float:
    """Return a moment that has passed."""
    return time.monotonic() - seconds


def test_what_passes_quickly_is_not_told() -> None:
    """Two seconds count from the first request that failed."""
    said: list[str] = []
    with patience.telling(said.append):
        patience.failed(REFUSED, ago(0))
        patience.waiting(0.5)
        patience.answered()
        patience.failed(REFUSED, ago(0))
        patience.waiting(1)
    assert said == []


def test_a_long_trouble_is_told_once() -> None:
    """Before a wait by whose end it has lasted; and anew after an answer."""
    said: list[str] = []
    with patience.telling(said.append):
        patience.failed(REFUSED, ago(2.5))
        assert said == []  # it may have been the last attempt
        patience.waiting(0)
        patience.failed(REFUSED, ago(0))
        patience.waiting(30)
        assert said == [LINE]
        patience.answered()
        patience.waiting(30)  # nothing is wrong: a wait of another kind
        patience.failed(REFUSED, ago(0))
        assert said == [LINE]
        Waits(sleep=lambda _: None).wait(0, 30)
        assert said == [LINE] * 2
        patience.answered()
        slower = errors.RateLimitedError("go slower", seen="x", hint="y")
        patience.failed(slower, ago(3))
        patience.waiting(0)
    assert said == [LINE, LINE, "go slower, trying again"]


def test_nobody_listens() -> None:
    """Then nothing is told, and nothing is kept; the listener inside ends with its block."""
    said: list[str] = []
    with patience.telling(said.append):
        pass
    patience.failed(REFUSED, ago(99))
    patience.waiting(99)
    patience.answered()
    assert said == []
