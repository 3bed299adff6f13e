"""Giving back never by mistake, and functions that come and go before the end."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import pytest

from colabmagic.keepalive.beater import LEAVE_GRACE_S
from tests.keepalive.test_beater import leaving
from tests.keepalive.worlds import HOUR_S, Play, options

# --- the machine is never given back by mistake ---------------------------------------


def test_a_cell_that_takes_no_time_keeps_the_machine() -> None:
    """Who has come back and runs one is no less there than who runs a long one."""
    play, left = leaving(
        options=options(then="disconnect", while_="busy"),
        work=lambda age: "a cell runs" if 20 < age < 1000 else None,
    )
    play.until(1200)
    assert play.beater.status().phase == "leaving"
    play.beater.keep()
    play.until(1000 + LEAVE_GRACE_S + 100)
    assert left == []
    assert "there is work again" in " ".join(play.told)
    play.to_the_end()
    assert left[0] > 1200 + LEAVE_GRACE_S


def test_a_job_that_begins_just_before_keeps_the_machine() -> None:
    """It is looked for once more, however short ago that was done."""
    play, left = leaving(
        options=options(then="disconnect", while_="busy", every_s=7),
        work=lambda age: "job" if age < 1000 or since < age < 9000 else None,
    )
    since = math.inf
    play.until(1100)
    leaves = play.beater._leave_at
    assert leaves is not None
    since = leaves - play.began - 1
    play.until(9000)
    assert left == []
    assert "there is work again" in " ".join(play.told)
    play.to_the_end()
    assert left[0] > 9000


def test_the_notice_of_the_bound_comes_when_giving_back_is_called_off() -> None:
    """It fell due meanwhile; the bound is as near as it was."""
    play, left = leaving(
        options=options(then="disconnect", while_="busy", for_s=HOUR_S),
        work=lambda age: None if 2520 < age < 2760 else "a cell runs",
    )
    play.until(2740)
    assert play.beater.status().phase == "leaving"
    assert "the time that was set ends" not in " ".join(play.told)
    play.until(2800)
    told = [text for text in play.told if "the time that was set ends" in text]
    assert len(told) == 1
    assert left == []


def with_cell(**given: Any) -> tuple[Play, list[float]]:  # noqa: ANN401
    """Return a play that goes by the GPU, with a cell that works longer on the CPU."""
    play, left = leaving(
        options=options(then="disconnect", while_="gpu", for_s=2 * HOUR_S),
        work=lambda age: "GPU use 90 %" if 20 < age < 1000 else None,
    )
    given.setdefault("at_work", lambda: "a cell runs" if play.age_s < 4000 else None)
    play.beater._world = replace(play.beater._world, **given)
    return play, left


def test_a_cell_without_the_gpu_keeps_the_machine() -> None:
    """Data is read, a model is judged on the CPU: the cell still runs."""
    play, left = with_cell()
    play.until(3900)
    assert left == []
    assert play.told == []
    play.to_the_end()
    assert 4000 + LEAVE_GRACE_S <= left[0] < 4000 + LEAVE_GRACE_S + 70


def test_nor_at_the_bound_under_such_a_cell() -> None:
    """Nothing was registered that saves it."""
    play, left = with_cell(at_work=lambda: "a cell runs")
    play.to_the_end()
    assert left == []


@pytest.mark.parametrize("part", ["at_work", "hooks"])
def test_not_given_back_where_something_is_not_known(part: str) -> None:
    """In doubt it stays."""

    def broken() -> None:
        raise OSError("not known")

    play, left = leaving()
    play.beater._world = replace(play.beater._world, **{part: broken})
    play.to_the_end()
    assert left == []
    assert "the machine is not given back" in " ".join(play.told)


def test_why_it_was_not_given_back_is_posted() -> None:
    """Nobody looks at the page; the machine costs, and its work is not saved."""
    posts = Posts()
    play, left = leaving(notifier=posts)

    def save() -> None:
        raise OSError("disk full: T0KEN")

    play.hooks.add(save, timeout_s=30)
    play.to_the_end()
    assert left == []
    posted = "\n".join(posts.texts)
    assert "before the end: save failed" in posted
    assert "the machine is not given back: not all" in posted
    assert "T0KEN" not in posted  # an error's own words stay here


class Posts:
    """Takes what is posted."""

    shown = "https://h.example/…"
    deliveries: tuple[Any, ...] = ()

    def __init__(self) -> None:
        self.texts: list[str] = []

    def post(self, text: str) -> None:
        """Take it."""
        self.texts.append(text)


# --- functions that come and go while they run ----------------------------------------


def test_a_failure_before_the_machine_ends_is_told_at_once() -> None:
    """There are minutes left to save by hand."""
    play = Play(options(for_s=24 * HOUR_S), life_s=HOUR_S)

    def save() -> None:
        raise OSError("disk full")

    play.hooks.add(save, timeout_s=30)
    play.until(HOUR_S - 800)
    assert "before the end: save failed" in " ".join(play.told)
    play.to_the_end()
    assert " ".join(play.told).count("save failed") == 1


def test_what_the_notice_has_registered_runs_too() -> None:
    """The notice says to save; who then registers a function is not too late."""
    play = Play(options(for_s=24 * HOUR_S), life_s=HOUR_S)
    ran: list[str] = []
    play.hooks.add(lambda: ran.append("first"), name="first")
    play.until(HOUR_S - 600)
    assert ran == ["first"]
    play.hooks.add(lambda: ran.append("second"), name="second")
    play.until(HOUR_S - 500)
    assert ran == ["first", "second"]
    play.to_the_end()
    assert ran == ["first", "second"]


def test_what_is_taken_back_meanwhile_does_not_run() -> None:
    """As `remove` says."""
    play = Play(options(for_s=24 * HOUR_S), life_s=HOUR_S)
    ran: list[str] = []
    release = threading.Event()
    play.hooks.add(lambda: release.wait(20) and None, name="slow", timeout_s=600)
    second = play.hooks.add(lambda: ran.append("second"), name="second")
    play.until(HOUR_S - 800)
    second.remove()
    play.until(HOUR_S - 700)
    release.set()
    play.to_the_end()
    assert ran == []
    assert len(play.beater.status().hooks) == 1
