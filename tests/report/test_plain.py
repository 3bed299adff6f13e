"""Dataclasses to plain data and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

import pytest

from colabmagic.report.model import Unknown
from colabmagic.report.plain import from_plain, to_plain


class Colour(Enum):
    """An enumeration."""

    RED = "red"


@dataclass(frozen=True)
class Inner:
    """A part."""

    pair: tuple[int, int] | Unknown


@dataclass(frozen=True)
class Outer:
    """A whole."""

    colour: Colour
    parts: tuple[Inner, ...]
    share: float
    name: str | Unknown | None = None


WHOLE = Outer(
    colour=Colour.RED,
    parts=(Inner(pair=(1, 2)), Inner(pair=Unknown("why"))),
    share=2.0,
)


def test_there_and_back() -> None:
    """JSON brings back the very same value."""
    text = json.dumps(to_plain(WHOLE))
    assert from_plain(Outer, json.loads(text)) == WHOLE


def test_whole_number_for_a_float() -> None:
    """JSON does not tell 2 from 2.0."""
    data = {**to_plain(WHOLE), "share": 2}
    assert from_plain(Outer, data) == WHOLE


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "green"},
        {"share": "2"},
        {"parts": [{"pair": [1]}]},
        {"parts": [{"pair": "x"}]},
        {"extra": 1},
        {"name": 3},
    ],
    ids=lambda change: next(iter(change)) + repr(next(iter(change.values())))[:12],
)
def test_wrong_data_is_refused(change: dict[str, object]) -> None:
    """Data of another form is a ValueError, not a half-filled value."""
    with pytest.raises(ValueError, match=r"."):
        from_plain(Outer, {**to_plain(WHOLE), **change})


def test_missing_field_is_refused() -> None:
    """A field without default must be there."""
    data = to_plain(WHOLE)
    del data["colour"]
    with pytest.raises(ValueError, match="colour"):
        from_plain(Outer, data)


def test_field_with_default_may_lack() -> None:
    """Machines that were captured by an older version can still be read."""
    data = to_plain(WHOLE)
    del data["name"]
    assert from_plain(Outer, data) == WHOLE
