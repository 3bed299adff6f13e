"""Tests for `colabmagic.keepalive.telling`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from colabmagic.keepalive.notify import Notifier
from colabmagic.keepalive.telling import Teller
from colabmagic.keepalive.world import World

if TYPE_CHECKING:
    import pytest


def teller(**given: Any) -> Teller:  # noqa: ANN401 (of a world)
    """Return one in a world of its own."""
    return Teller(World(send=lambda: None, **given))


def test_who_shows_it_may_fail() -> None:
    """The sentence is kept all the same, once."""

    def fail(_: str) -> None:
        raise OSError("no front end")

    one = teller(tell=fail)
    one.say("hello")
    one.say("hello")
    assert one.notes == ("hello",)


def test_notes_have_an_end() -> None:
    """A day of problems is not kept as a whole."""
    one = teller()
    for number in range(100):
        one.note(f"problem {number}")
    assert len(one.notes) == 20
    assert one.notes[0] == "problem 0"


def test_what_cannot_be_asked_is_noted_by_its_kind() -> None:
    """Its text may hold anything; and what could not be looked at stands beside it."""

    def fail() -> None:
        raise ValueError("s3cret")

    one = teller(problems=lambda: ("no NVML",))
    assert one.guarded(fail, "work is not known") is None
    assert one.guarded(fail, "") is None
    assert one.guarded(lambda: 3, "never") == 3
    assert one.notes == ("work is not known: ValueError", "no NVML")
    assert teller(problems=fail).notes == ()


def test_a_post_that_cannot_be_begun_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there are no more threads to be had, that is noted, and the beats go on."""

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    one = teller(notifier=Notifier("https://host.example/s3cret"))
    monkeypatch.setattr(threading.Thread, "start", none)
    one.say("hello", post=True)
    assert one.notes == ("hello", "a post could not be begun: RuntimeError")
