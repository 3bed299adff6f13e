"""What the last cell ended with is known by its words alone."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.trouble import last_error

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _nothing() -> Iterator[None]:
    """Leave nothing to other tests."""
    yield
    last_error.forget()


class _Own(errors.IntegrityError):
    """As somebody makes one who brings more along."""

    big: object


def test_only_words_are_kept() -> None:
    """The error, what is behind it, and what it holds can go."""

    class Big:
        """Stands for a tensor."""

    held = Big()
    gone = weakref.ref(held)
    error = _Own("what", seen="seen", hint="one\ntwo")
    error.big, error.__cause__ = held, ValueError(held)
    last_error.remember(error)
    del held, error
    gc.collect()
    assert gone() is None
    known = last_error.known()
    assert type(known) is errors.IntegrityError
    assert (known.what, known.seen, known.hint) == ("what", "seen", "one\ntwo")


def test_the_last_one_counts() -> None:
    """And none, once Drive has answered."""
    for what in ("first", "second"):
        last_error.remember(errors.DriveError(what, hint="x"))
    known = last_error.known()
    assert known is not None
    assert known.what == "second"
    last_error.forget()
    assert last_error.known() is None


def test_what_python_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts where no shell of ours has told, until Drive has answered."""
    error = errors.DriveError("kept", hint="x")
    monkeypatch.setattr(sys, "last_value", error, raising=False)
    assert last_error.known() is error
    last_error.forget()
    assert last_error.known() is None
    last_error.remember(error)
    assert last_error.known() is not None
    monkeypatch.setattr(sys, "last_value", ValueError("other"))
    last_error.forget()
    assert last_error.known() is None
