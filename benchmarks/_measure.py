"""Measure side by side: interleaved rounds, CPU time of the thread, ratios."""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROUNDS = 21


@dataclass(frozen=True)
class Row:
    """Figures of one contestant.

    Attributes
    ----------
    name
        Who.
    milliseconds
        Minimum of all rounds.
    ratio_min, ratio_median
        To the first contestant: of the minima, and median of the ratios round by round.
    """

    name: str
    milliseconds: float
    ratio_min: float
    ratio_median: float


def interleaved(
    contestants: Mapping[str, Callable[[], float]], rounds: int = ROUNDS
) -> list[Row]:
    """Let everybody run once in each round, in turn; the first one is the measure.

    Parameters
    ----------
    contestants
        Each runs its work once and returns the seconds of CPU that count.
    rounds
        How often; one more, before, is not counted. The order turns from round to round,
        so that nobody always follows the same neighbour.
    """
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            taken = contestants[name]()
            if number:
                seconds[name].append(taken)
    base = seconds[names[0]]
    return [
        Row(
            name,
            min(seconds[name]) * 1e3,
            min(seconds[name]) / min(base),
            statistics.median(a / b for a, b in zip(seconds[name], base, strict=True)),
        )
        for name in names
    ]


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time that the calling thread needs for some work."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table as Markdown, ready for the README."""
    lines = [
        f"\n{title}\n",
        "| " + " | ".join(heads) + " |",
        "|---" * len(heads) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def ratio_table(title: str, rows: list[Row]) -> None:
    """Print contestants with their ratios to the first."""
    table(
        title,
        ("", "CPU ms (min)", "ratio (min)", "ratio (median)"),
        [
            (
                row.name,
                f"{row.milliseconds:.1f}",
                f"{row.ratio_min:.3f}",
                f"{row.ratio_median:.3f}",
            )
            for row in rows
        ],
    )
