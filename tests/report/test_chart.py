"""Charts made of letters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colabmagic.report.chart import BARS, GAP, sparkline, squeeze

VALUES = st.lists(st.none() | st.floats(0, 100), max_size=200)


def test_each_value_is_a_letter() -> None:
    """Nothing is the lowest letter, the top the tallest, a missing value a dot."""
    assert sparkline([0, 50, 100, None], 100) == f"{BARS[0]}{BARS[4]}{BARS[-1]}{GAP}"


@pytest.mark.parametrize(("value", "bar"), [(-5, BARS[0]), (500, BARS[-1])])
def test_values_outside_get_the_nearest_letter(value: float, bar: str) -> None:
    """A driver that exaggerates does not break the chart."""
    assert sparkline([value], 100) == bar


def test_a_scale_of_nothing_is_flat() -> None:
    """Memory whose size is unknown divides nothing by zero."""
    assert sparkline([3, 7], 0) == BARS[0] * 2


@given(VALUES)
def test_taller_means_more(values: list[float | None]) -> None:
    """The letters are in the order of the values."""
    chart = sparkline(values, 100)
    assert len(chart) == len(values)
    known = [
        (value, BARS.index(letter))
        for value, letter in zip(values, chart, strict=True)
        if value is not None
    ]
    assert [bar for _, bar in sorted(known)] == sorted(bar for _, bar in known)


def test_few_values_stay_as_they_are() -> None:
    """Nothing is squeezed that fits."""
    assert squeeze([1, None, 3], 3) == [1, None, 3]


def test_a_peak_survives_squeezing() -> None:
    """With `max` the one high value among many is seen, whatever is missing."""
    values: list[float | None] = [None, *[1.0] * 98, 9.0]
    squeezed = squeeze(values, 10)
    assert len(squeezed) == 10
    assert squeezed[-1] == 9.0
    assert squeeze(values, 10, min)[-1] == 1.0


def test_a_share_without_values_stays_empty() -> None:
    """Where nothing was read nothing is shown."""
    assert squeeze([1, 1, None, None], 2) == [1, None]


@given(VALUES, st.integers(1, 40))
def test_squeezing_keeps_ends_and_size(values: list[float | None], width: int) -> None:
    """No value is lost between two shares, and no more than `width` come out."""
    squeezed = squeeze(values, width)
    assert len(squeezed) == min(len(values), width)
    highest = max((one for one in values if one is not None), default=None)
    assert max((one for one in squeezed if one is not None), default=None) == highest
