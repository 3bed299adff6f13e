"""What a person and a program read of it."""

from __future__ import annotations

import json
import time

import pytest

from colabmagic.keepalive.state import Cause, KeepaliveStatus, clock_time

ON = KeepaliveStatus(
    running=True,
    phase="beating",
    beats=41,
    every_s=60,
    started=time.time() - 2460,
    last=time.time(),
    next=time.time() + 60,
    expires=time.time() + 3600,
    reason="job <b>train</b>",
    notes=("a note",),
    hooks=("save ok, 1.0 s",),
    place="Jupyter",
    advice=("What keeps it: x.",),
    notify="https://hooks.example/…",
)


def test_nothing_was_started() -> None:
    """It says what to type."""
    assert KeepaliveStatus().text == "keepalive: off  type %keepalive to start it"
    assert not KeepaliveStatus().ok


def test_the_whole_text() -> None:
    """All of it, in 80 columns."""
    assert ON.expires is not None
    until = clock_time(ON.expires)
    lines = ON.text.splitlines()
    assert lines[0] == (
        f"keepalive: on until {until}  a beat each 60s, only while something runs"
    )
    assert [line.strip() for line in lines[1:5]] == [
        "Note    job <b>train</b>",
        "Note    a note",
        "Note    before the end: save ok, 1.0 s",
        "Note    What keeps it: x.",
    ]
    assert "beats 41" in lines[5]
    assert "posts to https://hooks.example/…" in ON.text
    assert all(len(line) <= 80 for line in lines)


def test_html_is_escaped() -> None:
    """A job's name is the user's."""
    assert "<b>" not in ON.html
    assert "&lt;b&gt;train" in ON.html


def test_plain_data() -> None:
    """One JSON document with every field."""
    data = json.loads(ON.to_json())
    assert data["beats"] == 41
    assert data["phase"] == "beating"
    assert set(data) >= {"expires", "last", "next", "reason", "place", "advice"}


@pytest.mark.parametrize("cause", list(Cause))
def test_each_cause_has_words(cause: Cause) -> None:
    """One sentence, without a full stop that a count follows."""
    for rests in (True, False):
        words = cause.told(rests)
        assert words
        assert not words.endswith(".")


def test_a_rest_says_that_it_goes_on() -> None:
    """And an end that it does not."""
    rest = KeepaliveStatus(
        phase="ended", rests=True, beats=1, reason="the work has ended"
    )
    assert rest.headline == "keepalive: resting  the work has ended; 1 beat"
    done = KeepaliveStatus(phase="ended", beats=3, reason="you stopped it")
    assert done.headline == "keepalive: ended  you stopped it; 3 beats"


def test_times_have_a_zone() -> None:
    """Few kernels have the clock of their user; a day is named if it is another one."""
    zone = time.strftime("%Z")
    assert clock_time(time.time()).endswith(zone)
    assert len(clock_time(time.time() + 48 * 3600).split()) == 4


def test_what_failed_is_told_once() -> None:
    """It is a note of its time, and one of the functions that ran."""
    failed = "save failed, 0.1 s: OSError: disk full"
    status = KeepaliveStatus(
        phase="ended", hooks=(failed,), notes=(f"before the end: {failed}",)
    )
    assert str(status).count("save failed") == 1


def test_one_beat_is_one() -> None:
    """Also where it could not be sent."""
    status = KeepaliveStatus(running=True, phase="beating", failed_beats=1)
    assert "1 beat could not be sent" in str(status)
