"""Tests for `colabmagic.setup.errors`."""

from __future__ import annotations

import pickle

import pytest

from colabmagic.errors import TRACEBACK_VARIABLE
from colabmagic.setup.errors import SetupRequiredError


def test_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest stands above it; the whole traceback can be had."""
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)
    error = SetupRequiredError("no T4", seen="a P100", report=3)
    assert error._render_traceback_() == ["SetupRequiredError: no T4; see above"]
    assert error.report == 3
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    with pytest.raises(NotImplementedError):
        error._render_traceback_()


def test_it_travels() -> None:
    """Without its report."""
    copied = pickle.loads(pickle.dumps(SetupRequiredError("no T4", report=3)))  # noqa: S301 (our own)
    assert (copied.what, copied.report) == ("no T4", None)


def test_where_nothing_was_shown_it_says_all() -> None:
    """Quietly, there is nothing above."""
    error = SetupRequiredError("no T4", seen="a P100", hint="click")
    assert error._render_traceback_() == [
        "SetupRequiredError: no T4",
        "  seen: a P100",
        "  try:  click",
    ]
