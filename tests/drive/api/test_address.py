"""Addresses that are keys."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import pytest

from colabmagic.drive.api.address import Address

KEY = "https://x.example/upload?upload_id=KEY"


def test_it_is_never_shown() -> None:
    """Neither alone nor within something else; who needs it asks for its text."""
    one = Address(KEY)
    shown = f"{one} {one!r} {one!s} {[one]} { {'where': one} } {one:}"
    assert "KEY" not in shown
    assert "x.example" not in shown
    assert one.text == KEY


def test_it_is_a_value() -> None:
    """Equal to another of the same text, and not to be changed."""
    one = Address(KEY)
    assert one == Address(KEY) == pickle.loads(pickle.dumps(one))  # noqa: S301 (our own)
    assert one != Address(KEY + "2")
    with pytest.raises(FrozenInstanceError):
        one.text = ""  # type: ignore[misc]
