"""Tests for `colabmagic.magics._devices`."""

from __future__ import annotations

from colabmagic.magics._devices import device_names
from colabmagic.train.options import WELL_KNOWN_DEVICES


def test_what_tab_offers() -> None:
    """All well-known ones, and at least one with a number."""
    names = device_names()
    assert set(WELL_KNOWN_DEVICES) <= set(names)
    assert any(name.endswith(":0") for name in names)
    assert len(names) == len(set(names))
