"""Small charts made of letters: they survive where pictures do not.

Untrusted notebooks lose inline SVG, and sanitised exports show ``<img>`` as text, data
and all. Letters stay, also in a terminal and where all style is stripped.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BARS = "▁▂▃▄▅▆▇█"
GAP = "·"  # there was no value


def sparkline(values: Sequence[float | None], top: float) -> str:
    """Return one letter a value, the higher the value the taller.

    Parameters
    ----------
    values
        From the oldest to the newest; None where there was none.
    top
        The value of the tallest letter; the lowest stands for nothing.
    """
    return "".join(GAP if value is None else _bar(value, top) for value in values)


def squeeze(
    values: Sequence[float | None],
    width: int,
    pick: Callable[[list[float]], float] = max,
) -> list[float | None]:
    """Return at most `width` values, each for an equal share of those given.

    Parameters
    ----------
    values
        From the oldest to the newest; None where there was none.
    pick
        Makes one value of a share, without those that were None.
    """
    count = len(values)
    if count <= width:
        return list(values)
    edges = [place * count // width for place in range(width + 1)]
    shares = (values[low:high] for low, high in pairwise(edges))
    known = ([value for value in share if value is not None] for share in shares)
    return [pick(share) if share else None for share in known]


def _bar(value: float, top: float) -> str:
    """Return the letter of a value; what lies outside gets the nearest."""
    if top <= 0:
        return BARS[0]
    place = int(value / top * len(BARS))
    return BARS[min(max(place, 0), len(BARS) - 1)]
