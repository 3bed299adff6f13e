"""Twelve hours in a moment: beats, looks, ends, by a clock that the test moves."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.keepalive.beater import GRACE_S, LEAVE_GRACE_S, THREAD, Beater
from colabmagic.keepalive.expiry import Hooks
from colabmagic.keepalive.world import World
from tests.keepalive.worlds import HOUR_S, Play, options

if TYPE_CHECKING:
    from collections.abc import Callable


def until(true: Callable[[], Any], most_s: float = 10.0) -> None:
    """Wait for real."""
    end = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


# --- beats ----------------------------------------------------------------------------


def test_twelve_hours_without_drift() -> None:
    """720 beats, each on its minute, and not one after the bound."""
    play = Play(options(for_s=12 * HOUR_S))
    assert play.to_the_end() == pytest.approx(12 * HOUR_S, abs=1)
    assert play.beats == pytest.approx([60.0 * n for n in range(720)], abs=0.1)
    assert play.beater.status().cause == "bound"


def test_slow_steps_do_not_move_the_grid() -> None:
    """A thread that is late beats late once; the next beat is on the grid again."""
    play = Play(options(every_s=60))
    play.until(61)
    play.clock.advance(25)  # nobody let the thread run
    play.until(241)
    assert play.beats == pytest.approx([0, 60, 120, 180, 240], abs=0.1)
    late = Play(options(every_s=60))
    late.until(59)
    late.clock.advance(30)
    late.until(181)
    assert late.beats == pytest.approx([0, 89, 120, 180], abs=0.1)


def test_a_suspended_laptop_beats_once() -> None:
    """Three hours asleep are one beat, not 180; how many were missed is told."""
    play = Play(options(for_s=6 * HOUR_S))
    play.until(600)
    before = len(play.beats)
    play.clock.advance(3 * HOUR_S + 17)
    play.until(3 * HOUR_S + 670)
    assert len(play.beats) == before + 2  # at once, and on the grid
    assert play.beater.status().missed_beats == pytest.approx(179, abs=1)


def test_a_sleep_beyond_the_bound_ends_it() -> None:
    """It beats no more, but what is to run before the end still runs."""
    play = Play(options(for_s=1 * HOUR_S))
    ran: list[int] = []
    play.hooks.add(lambda: ran.append(1))
    play.until(600)
    before = len(play.beats)
    play.clock.advance(9 * HOUR_S)
    play.to_the_end()
    assert len(play.beats) == before
    assert ran == [1]
    assert play.beater.status().cause == "bound"


@pytest.mark.parametrize("jump", [-5 * HOUR_S, 5 * HOUR_S])
def test_a_clock_that_is_set(jump: float) -> None:
    """Neither beats nor the bound move; only what people read does."""
    play = Play(options(for_s=2 * HOUR_S))
    play.until(600)
    play.clock.wall_at += jump
    assert play.beater.status().expires == pytest.approx(
        play.clock.wall_at + 2 * HOUR_S - 600, abs=1
    )
    assert play.to_the_end() == pytest.approx(2 * HOUR_S, abs=1)
    assert play.beats == pytest.approx([60.0 * n for n in range(120)], abs=0.1)


def test_beats_that_fail_are_counted_and_told_once() -> None:
    """The next ones are tried all the same."""
    play = Play(options())
    play.send_fails = True
    play.until(300)
    status = play.beater.status()
    assert (status.beats, status.failed_beats, status.ok) == (0, 5, False)
    assert sum("could not be sent" in note for note in status.notes) == 1
    assert "beats-failed" in status.text
    play.send_fails = False
    play.until(400)
    assert play.beater.status().ok


# --- work -----------------------------------------------------------------------------


def test_no_work_no_beats() -> None:
    """It waits, until its time is over."""
    play = Play(options(while_="busy"))
    play.to_the_end()
    assert play.beats == []
    assert play.beater.status().cause == "bound"


@pytest.mark.parametrize("every_s", [5, 60, 600])
@pytest.mark.parametrize("ends", [600.0, 3599.0, 7007.0])
def test_the_end_of_work_ends_it_within_a_minute(every_s: float, ends: float) -> None:
    """Once, in words; there are no beats after it."""
    play = Play(
        options(while_="busy", every_s=every_s),
        work=lambda age: "a cell runs" if 20 < age < ends else None,
    )
    age = play.to_the_end()
    assert ends < age <= ends + 60
    assert play.beats
    assert max(play.beats) <= age
    assert len(play.told) == 1
    assert "the work has ended" in play.told[0]
    status = play.beater.status()
    assert (status.running, status.rests, status.cause) == (False, True, "work-ended")


def test_it_beats_as_soon_as_work_is_seen() -> None:
    """Not only on the grid: the kernel may have been idle for long."""
    play = Play(
        options(while_="busy", every_s=600),
        work=lambda age: "job" if age > 100 else None,
    )
    play.until(1300)
    assert play.beats == pytest.approx([105, 600, 1200], abs=1)


def test_a_short_pause_of_the_work_is_none() -> None:
    """Less than the grace."""
    gap = GRACE_S - 16
    play = Play(
        options(while_="busy"),
        work=lambda age: None if 600 < age < 600 + gap else "job x",
    )
    play.until(1200)
    assert not play.over
    assert play.beater.status().reason == "job x"


def test_work_that_cannot_be_looked_at() -> None:
    """Is no work; it is noted, and nothing breaks."""
    play = Play(options(while_="busy"), work=lambda _: RuntimeError("x"))
    play.until(100)
    assert play.beats == []
    assert "what is at work is not known: RuntimeError" in play.beater.status().notes


# --- the end --------------------------------------------------------------------------


def test_never_beyond_the_machine() -> None:
    """Of 4 hours 40 minutes are left; the notice comes with 15 minutes left."""
    play = Play(options(), life_s=2400)
    play.until(1499)
    assert play.told == []
    play.until(1502)
    assert len(play.told) == 1
    assert "this machine ends in about 15m" in play.told[0]
    assert play.to_the_end() == pytest.approx(2400, abs=1)
    assert play.beater.status().cause == "machine"


def test_the_notice_of_a_bound() -> None:
    """In time, once, with what to type; 0 is none; of a short run it is a quarter."""
    play = Play(options(for_s=HOUR_S))
    play.until(HOUR_S - 10)
    assert [text for text in play.told if "type %keepalive" in text] == play.told
    assert len(play.told) == 1
    silent = Play(options(for_s=HOUR_S, warn_s=0))
    silent.until(HOUR_S - 10)
    assert silent.told == []
    short = Play(options(for_s=600))
    short.until(440)
    assert short.told == []
    short.until(460)
    assert len(short.told) == 1


def test_hooks_run_before_the_bound_and_beats_go_on() -> None:
    """Late enough to save the newest state, early enough to be through."""
    play = Play(options(for_s=2 * HOUR_S))
    ran: list[float] = []
    play.hooks.add(lambda: ran.append(play.age_s), timeout_s=120)
    play.hooks.add(lambda: ran.append(play.age_s), timeout_s=60)
    play.to_the_end()
    assert len(ran) == 2
    assert ran[0] == pytest.approx(2 * HOUR_S - 240, abs=15)
    assert max(play.beats) > max(ran)
    assert len(play.beater.status().hooks) == 2


def test_before_the_machine_ends_hooks_run_with_the_notice() -> None:
    """Its end is a guess, and may come sooner."""
    play = Play(options(), life_s=2 * HOUR_S)
    ran: list[float] = []
    play.hooks.add(lambda: ran.append(play.age_s), timeout_s=60)
    play.to_the_end()
    assert ran == pytest.approx([2 * HOUR_S - 900], abs=15)


def test_hooks_that_hang_raise_and_are_slow() -> None:
    """Each is told; the end comes all the same, by the clock of the beats."""
    play = Play(options(for_s=HOUR_S))
    release = threading.Event()
    ran: list[int] = []

    def fail() -> None:
        raise OSError("disk full")

    play.hooks.add(release.wait, timeout_s=100, name="hangs")
    play.hooks.add(fail)
    play.hooks.add(lambda: ran.append(1), name="last")
    try:
        play.to_the_end()
    finally:
        release.set()
    assert ran == [1]
    states = [text.split()[1].strip(",") for text in play.beater.status().hooks]
    assert states == ["late", "failed", "ok"]
    told = " ".join(play.told)
    assert "hangs late" in told
    assert "disk full" in told
    assert "last" not in told


def test_a_hook_that_comes_late_in_the_day_runs_too() -> None:
    """It is asked for at the end, not at the start."""
    play = Play(options(for_s=HOUR_S))
    play.until(3000)
    ran: list[int] = []
    play.hooks.add(lambda: ran.append(1), timeout_s=60)
    play.to_the_end()
    assert ran == [1]


def test_hooks_that_cannot_be_asked_for() -> None:
    """Are noted; the beats go on, and end."""
    play = Play(options(for_s=HOUR_S))

    class Broken(Hooks):
        """What is not quite imported yet."""

        def all(self) -> tuple[Any, ...]:
            """Fail."""
            raise AttributeError

    play.hooks = Broken()
    play.__post_init__()
    play.to_the_end()
    assert len(play.beats) == 60
    assert "what is to run is not known: AttributeError" in play.beater.status().notes


# --- giving the machine back -----------------------------------------------------------


def leaving(**given: Any) -> tuple[Play, list[float]]:  # noqa: ANN401
    """Return a play whose machine is given back, and when."""
    left: list[float] = []
    play = Play(**{"options": options(then="disconnect", for_s=2 * HOUR_S), **given})
    play.leave = lambda: left.append(play.age_s)
    play.__post_init__()
    return play, left


def test_given_back_after_the_hooks() -> None:
    """At the bound, once, and only after all ended well."""
    play, left = leaving()
    order: list[str] = []
    play.hooks.add(lambda: order.append("saved"), timeout_s=30)
    play.to_the_end()
    assert order == ["saved"]
    assert left == pytest.approx([2 * HOUR_S], abs=5)
    assert play.beater.status().cause == "left"


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_not_given_back_where_a_hook_did_not_end_well(how: str) -> None:
    """What it could not save is worth more; it is told."""
    play, left = leaving()
    release = threading.Event()

    def fail() -> None:
        raise OSError("disk full")

    play.hooks.add(fail if how == "fails" else release.wait, timeout_s=30)
    try:
        play.to_the_end()
    finally:
        release.set()
    assert left == []
    assert "the machine is not given back: not all" in " ".join(play.told)
    assert play.beater.status().cause == "bound"


def test_not_given_back_under_work_that_nothing_saves() -> None:
    """At the bound with a running cell and no hook, it stays."""
    play, left = leaving(work="a cell runs")
    play.to_the_end()
    assert left == []
    assert "nothing was registered that saves it" in " ".join(play.told)


def test_given_back_some_minutes_after_the_work() -> None:
    """Said before, so that who sits there can keep it."""
    play, left = leaving(
        options=options(then="disconnect", while_="busy"),
        work=lambda age: "a cell runs" if 20 < age < 1000 else None,
    )
    age = play.to_the_end()
    assert len(left) == 1
    assert 1000 + LEAVE_GRACE_S < age < 1000 + LEAVE_GRACE_S + 70
    assert "given back in 5 min" in play.told[0]
    assert max(play.beats) < 1060


def test_work_that_begins_again_keeps_it() -> None:
    """Until that has ended, too."""
    play, left = leaving(
        options=options(then="disconnect", while_="busy"),
        work=lambda age: (
            "a cell runs" if 20 < age < 1000 or 1200 < age < 3000 else None
        ),
    )
    ran: list[float] = []
    play.hooks.add(lambda: ran.append(play.age_s), timeout_s=30)
    play.until(2900)
    assert left == []
    assert "there is work again" in " ".join(play.told)
    play.to_the_end()
    assert len(left) == 1
    assert left[0] > 3000 + LEAVE_GRACE_S
    assert len(ran) == 1


def test_giving_back_that_fails_is_told() -> None:
    """With what to click instead."""

    def fail() -> None:
        raise OSError("no service")

    play = Play(options(then="disconnect", for_s=HOUR_S), leave=fail)
    play.to_the_end()
    assert "Disconnect and delete runtime" in " ".join(play.told)
    assert play.beater.status().cause == "bound"


# --- the thread itself ------------------------------------------------------------------


def real(send: Callable[[], object], **given: Any) -> Beater:  # noqa: ANN401
    """Return one that goes by the machine's clock."""
    return Beater(options(**given), World(send=send))


def names() -> list[str]:
    """Return the names of our threads."""
    return [t.name for t in threading.enumerate() if t.name.startswith("colabmagic")]


def test_one_thread_that_ends() -> None:
    """A second start adds none; stopping takes no two seconds."""
    beats: list[float] = []
    one = real(lambda: beats.append(time.monotonic()))
    one.start()
    one.start()
    until(lambda: beats)
    assert names() == [THREAD]
    began = time.monotonic()
    assert one.stop()
    assert time.monotonic() - began < 1
    assert names() == []
    assert one.status().cause == "stopped"
    assert one.stop()


def test_it_beats_beside_a_busy_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pure Python that never waits does not hold it up."""
    monkeypatch.setattr("colabmagic.keepalive.options.LEAST_EVERY_S", 2.0)
    beats: list[float] = []
    one = Beater(options(every_s=2), World(send=lambda: beats.append(time.monotonic())))
    one.start()
    try:
        end = time.monotonic() + 2.8
        while time.monotonic() < end:
            sum(range(1000))
        assert len(beats) == 2
        assert beats[1] - beats[0] == pytest.approx(2, abs=0.5)
    finally:
        one.stop()


def test_a_beat_that_hangs_holds_nobody_up() -> None:
    """`stop` says that the thread is not gone yet."""
    release = threading.Event()
    one = real(release.wait)
    one.start()
    until(lambda: names() == [THREAD])
    began = time.monotonic()
    assert not one.stop(timeout_s=0.2)
    assert time.monotonic() - began < 1
    assert not one.status().running
    release.set()
    until(lambda: not one.running)


def test_a_thread_that_breaks_says_so() -> None:
    """Whatever happens, it is not silently dead."""
    told: list[str] = []

    class Broken:
        """A clock that stops to answer."""

        times = 0

        def now(self) -> float:
            """Return the time, a few times."""
            self.times += 1
            if self.times == 4:
                raise OSError("no clock")
            return 0.0

        def wall(self) -> float:
            """Return the time of people."""
            return 0.0

        def wait(self, wake: threading.Event, timeout_s: float) -> bool:
            """Do not wait."""
            del wake, timeout_s
            return False

    one = Beater(options(), World(send=lambda: None, tell=told.append, clock=Broken()))
    one.start()
    until(lambda: told)
    assert one.status().cause == "failed"
    assert "its thread failed (OSError: no clock)" in told[0]


def test_work_that_begins_at_the_last_look_is_not_missed() -> None:
    """Whoever begins just then finds no rest yet, so it looks once more."""
    looked: list[float] = []

    def work(age: float) -> str | None:
        again = looked[-1:] == [age]
        looked.append(age)
        return "job" if age < 20 or age > 300 or again else None

    play = Play(options(while_="busy"), work=work)
    play.until(200)
    assert not play.over
    assert play.told == []
    play.until(400)
    assert play.beats[-1] > 340


def test_a_stop_at_the_last_look_counts() -> None:
    """The user's word goes before work that begins just then."""
    play = Play(options(while_="busy"))
    looked: list[float] = []

    def work(age: float) -> str | None:
        again = looked[-1:] == [age]
        looked.append(age)
        if again:
            play.beater.stop()
        return "job" if age < 20 or again else None

    play.work = work
    play.until(300)
    assert play.beater.status().cause == "stopped"


def test_a_rest_goes_on_with_its_old_bound() -> None:
    """Started again it waits for work, and the end stays where it was."""
    play = Play(
        options(while_="busy", for_s=2 * HOUR_S),
        work=lambda age: "job" if 20 < age < 500 or 4000 < age < 4600 else None,
    )
    play.until(3900)
    assert play.over
    assert play.beater.rests
    play.clock.advance(3900 - play.age_s)
    play.beater.wait_for_work_again()
    play.to_the_end()
    late = [beat for beat in play.beats if beat > 3900]
    assert late
    assert all(4000 < beat < 4660 for beat in late)


def test_a_forked_child_has_none() -> None:
    """It does not beat for its parent, and ends as ever."""
    beats: list[int] = []
    one = real(lambda: beats.append(os.getpid()), every_s=5)
    one.start()
    until(lambda: beats)
    try:
        pid = os.fork()
        if pid == 0:
            os._exit(17 if names() == [] else 18)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 17
        assert one.running
    finally:
        one.stop()
