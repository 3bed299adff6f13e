"""Kill and stop the daemon of a real FUSE mount; measure when the watcher finds and heals it.

``python benchmarks/drive_heal.py [--kills 50] [--stops 10] [--interval 1] [--timeout 1.8]``

*found*: from the signal to the watcher's first word. *healed*: from there until the mount
is there again and a file in it has been read. A stopped daemon is asked a second time before it is
replaced, so its healing takes one time-out more.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from _measure import table

sys.path.insert(0, str(Path(__file__).parents[1]))

from colabmagic.drive.watching.watch import WATCH_TIMEOUT_S, Watcher
from colabmagic.host.child import left_behind
from tests.fakes.fuse import FuseFolder, why_not

GIVE_UP_S = 60.0


@dataclass
class Times:
    """Seconds of each round."""

    found: list[float] = field(default_factory=list)
    healed: list[float] = field(default_factory=list)


@dataclass
class Said:
    """When the watcher first spoke of a fault, in this round."""

    first: float | None = None

    def __call__(self, text: str) -> None:
        """Note the time of its first word of a fault."""
        if self.first is None and ("is dead" in text or "does not answer" in text):
            self.first = time.monotonic()


def rounds(how: str, count: int, interval_s: float, timeout_s: float) -> Times:
    """Let the daemon fail again and again, at random times; return how long all took.

    Parameters
    ----------
    how
        ``kill`` or ``stop``.
    count
        How often.
    interval_s, timeout_s
        Of the watcher.
    """
    times, said, chance = Times(), Said(), random.Random(5)  # noqa: S311 (a schedule)
    with (
        tempfile.TemporaryDirectory() as folder,
        FuseFolder(Path(folder) / "drive") as mount,
    ):
        watcher = Watcher(
            mount.path, remount=mount.remount, notify=said,
            interval_s=interval_s, timeout_s=timeout_s,
        )  # fmt: skip
        watcher.start()
        for number in range(1, count + 1):
            time.sleep(chance.uniform(0, interval_s))
            said.first, began = None, time.monotonic()
            getattr(mount, how)()
            while watcher.status().healed < number:
                if time.monotonic() - began > GIVE_UP_S:
                    watcher.stop()
                    return times
                time.sleep(0.002)
            if (mount.path / "MyDrive/a.txt").read_text("ascii") != "alpha":
                break
            ended = time.monotonic()
            assert said.first is not None
            times.found.append(said.first - began)
            times.healed.append(ended - said.first)
        watcher.stop()
    return times


def main() -> int:
    """Run both kinds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--timeout", type=float, default=WATCH_TIMEOUT_S)
    options = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"drive_heal: left out, {reason}")
        return 0
    good, rows = True, []
    for name, how, count in (
        ("SIGKILL: dead", "kill", options.kills),
        ("SIGSTOP: hung", "stop", options.stops),
    ):
        times = rounds(how, count, options.interval, options.timeout)
        done = len(times.healed)
        good = good and done == count and max(times.found) <= options.interval + 2.0
        seconds = [
            f"{of(each):.3f}" if each else "-"
            for each in (times.found, times.healed)
            for of in (statistics.median, max)
        ]
        rows.append((name, f"{done} of {count}", *seconds))
    table(
        f"Seconds to find and heal a mount; asked every {options.interval:g} s, "
        f"time-out {options.timeout:g} s",
        ("fault", "healed", "found, median", "max", "healed, median", "max"),
        rows,
    )
    print(f"children left behind: {left_behind()}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
