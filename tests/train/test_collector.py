"""Tests for `colabmagic.train.collector`."""

from __future__ import annotations

import gc

import pytest

from colabmagic.train.collector import paused_collector


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
