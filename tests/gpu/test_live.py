"""A watch and its run, without any driver: frames, sums, and how it ends."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from colabmagic.gpu.live import LiveRun, Plan, Watch
from colabmagic.gpu.live.sources import Reading
from colabmagic.report.chart import BARS, GAP

if TYPE_CHECKING:
    from colabmagic.gpu.live.sources import Source

LIMIT_S = 60


class Card:
    """A source whose readings a test writes."""

    def __init__(self, *uses: float | None, **fields: Any) -> None:  # noqa: ANN401
        self._uses = list(uses)
        self._fields = fields
        self.closed = 0

    def read(self) -> tuple[list[Reading], str | None]:
        """Return the next reading; the last one for ever."""
        use = self._uses.pop(0) if len(self._uses) > 1 else self._uses[0]
        return [
            Reading(device="GPU 0", name="x", use_percent=use, **self._fields)
        ], None

    def close(self) -> None:
        """Count."""
        self.closed += 1


class Clock:
    """A time that passes when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def watch_of(*sources: Source, for_s: float = 60) -> tuple[Watch, Clock]:
    """Return a watch and its clock."""
    clock = Clock()
    return Watch(sources, Plan(every_s=2, for_s=for_s), clock=clock), clock


def take(watch: Watch, clock: Clock, count: int, step_s: float = 2) -> None:
    """Take readings at equal times."""
    for _ in range(count):
        watch.take()
        clock.now += step_s


def test_the_end_sums_up() -> None:
    """Mean use and the highest temperature, of the readings that there were."""
    watch, clock = watch_of(Card(0, 50, None, 100, temperature_c=60))
    take(watch, clock, 4)
    assert "100%" in watch.text
    watch.end()
    assert "50%" in watch.text
    assert "60 °C" in watch.text
    assert "ENDED  8 s, 4 readings" in watch.text


def test_a_long_run_keeps_its_width() -> None:
    """500 readings make a chart of 30 letters, and the peak is in it."""
    watch, clock = watch_of(
        Card(*[0] * 499, 100, memory_used_bytes=1, memory_total_bytes=8), for_s=5000
    )
    take(watch, clock, 500)
    assert max(map(len, watch.text.splitlines())) <= 80
    chart = watch.text.splitlines()[-2].split()[2]
    assert len(chart) == 30
    assert chart[0] == BARS[0]


def test_columns_keep_their_place_while_the_chart_grows() -> None:
    """What is still to come is padded, in the end it is not."""
    watch, clock = watch_of(Card(100))
    take(watch, clock, 3)
    assert BARS[-1] * 3 + GAP * 12 in watch.html
    assert BARS[-1] * 3 + GAP * 27 in watch.text
    watch.end()
    assert BARS[-1] * 3 + GAP not in watch.html


def test_samples_are_plain_and_in_order() -> None:
    """They can become a table or JSON as they are."""
    watch, clock = watch_of(Card(1, 2, 3))
    take(watch, clock, 3)
    samples = json.loads(json.dumps(watch.samples))
    assert [(one["elapsed_s"], one["use_percent"]) for one in samples] == [
        (0, 1),
        (2, 2),
        (4, 3),
    ]


def test_nothing_is_added_after_the_end() -> None:
    """A driver that answers late changes the last frame no more."""
    watch, clock = watch_of(Card(1, 99))
    take(watch, clock, 1)
    watch.end("stopped")
    before = watch.text
    clock.now += 50
    watch.take()
    assert watch.text == before
    assert "2 s, 1 reading, stopped" in before


def run_of(card: Card, *, every_s: float, for_s: float) -> tuple[LiveRun, list[str]]:
    """Return a run in real time, and the frames that it shows."""
    frames: list[str] = []
    watch = Watch([card], Plan(every_s=every_s, for_s=for_s))
    run = LiveRun(watch, lambda watch: frames.append(watch.text))
    return run, frames


def test_a_run_ends_by_itself() -> None:
    """The last frame, and no other, says that it ended; the sources are let go."""
    card = Card(50)
    run, frames = run_of(card, every_s=0.02, for_s=0.2)
    assert run.running
    run.start()
    run.join(LIMIT_S)
    assert not run.running
    assert ["ENDED" in frame for frame in frames] == [False] * (len(frames) - 1) + [
        True
    ]
    assert len(frames) > 2
    assert card.closed == 1


def test_stop_does_not_wait_for_a_driver() -> None:
    """While a reading hangs the last frame comes at once, and no frame follows it."""
    asked, release = threading.Event(), threading.Event()

    class Hanging(Card):
        """A card whose driver keeps the call."""

        def read(self) -> tuple[list[Reading], str | None]:
            """Wait until the test is through."""
            asked.set()
            release.wait(LIMIT_S)
            return super().read()

    run, frames = run_of(Hanging(1), every_s=0.01, for_s=LIMIT_S)
    run.start()
    assert asked.wait(LIMIT_S)
    run.stop("stopped")
    run.stop("again")
    assert ["stopped" in frame for frame in frames] == [True]
    release.set()
    run.join(LIMIT_S)
    assert len(frames) == 1


def test_what_breaks_ends_the_run_with_words() -> None:
    """A bug in a source must not leave a frame that pretends to run."""

    class Broken(Card):
        """A card that raises."""

        def read(self) -> tuple[list[Reading], str | None]:
            """Break."""
            raise ValueError("odd file")

    run, frames = run_of(Broken(1), every_s=0.01, for_s=LIMIT_S)
    run.start()
    run.join(LIMIT_S)
    (frame,) = frames
    assert "broke: ValueError: odd file" in frame


def test_ctrl_c_ends_a_run_in_a_terminal() -> None:
    """There the loop is in the main thread: the last frame comes, and no traceback."""

    class Pressed(Card):
        """A card whose reading is interrupted."""

        def read(self) -> tuple[list[Reading], str | None]:
            """Be interrupted."""
            raise KeyboardInterrupt

    run, frames = run_of(Pressed(1), every_s=0.01, for_s=LIMIT_S)
    run.loop()
    assert "stopped" in frames[-1]
