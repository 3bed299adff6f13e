"""What can be typed, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from colabmagic.keepalive.errors import KeepaliveOptionError
from colabmagic.keepalive.options import KeepaliveOptions, in_words, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("60s", 60),
        ("15m", 900),
        ("15 min", 900),
        ("4h", 14400),
        ("4h30m", 16200),
        ("1h 30m 5s", 5405),
        ("1.5h", 5400),
        (" 4H ", 14400),
        ("1d", 86400),
        ("2 hours", 7200),
        ("0", 0),
        (45, 45),
    ],
)
def test_durations(text: Any, seconds: float) -> None:  # noqa: ANN401
    """What people write."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "4x",
        "-1h",
        "h",
        "4h30",
        "30m4h",
        "1h1h",
        "4:30",
        "1e3",
        "inf",
        "nan",
        "4h!",
    ],
)
def test_no_durations(text: str) -> None:
    """Each is refused with what would be right, and nothing is guessed."""
    with pytest.raises(KeepaliveOptionError, match="1h30m"):
        parse_duration(text)


def test_no_number_either() -> None:
    """Neither can a clock count these."""
    for value in (math.inf, math.nan, -1.0):
        with pytest.raises(KeepaliveOptionError):
            parse_duration(value)


@pytest.mark.parametrize("text", ["4h", "1h30m", "15m", "60s", "5s", "24h", "1h0m5s"])
def test_words_mean_the_same(text: str) -> None:
    """What is shown can be typed."""
    assert parse_duration(in_words(parse_duration(text))) == parse_duration(text)


def test_defaults() -> None:
    """Four hours, each minute, only while something works."""
    one = KeepaliveOptions()
    assert (one.for_s, one.every_s, one.while_) == (14400, 60, "busy")
    assert (one.then, one.warn_s, one.notify_url) == ("nothing", 900, None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"every_s": 4.9}, "--every"),
        ({"every_s": 601}, "--every"),
        ({"every_s": math.nan}, "--every"),
        ({"for_s": 0}, "--for"),
        ({"for_s": 86401}, "--for cannot be 24h1s"),
        ({"for_s": math.inf}, "--for"),
        ({"warn_s": -1}, "--warn"),
        ({"while_": "ever"}, "busy, gpu, always"),
        ({"then": "die"}, "nothing, notify, disconnect"),
        ({"then": "notify"}, "--notify"),
        ({"gpu_percent": 0}, "--gpu-percent"),
        ({"gpu_percent": 101}, "--gpu-percent"),
        ({"notify_url": "nonsense"}, "--notify"),
    ],
)
def test_refusals(given: dict[str, Any], words: str) -> None:
    """The option is named."""
    with pytest.raises(KeepaliveOptionError) as caught:
        KeepaliveOptions(**given)
    assert words in str(caught.value)


def test_the_address_is_not_in_the_repr() -> None:
    """It is a password."""
    one = KeepaliveOptions(notify_url="https://hooks.example/s3cret")
    assert "s3cret" not in repr(one)


@pytest.mark.parametrize("given", [10**400, True, None, [4], b"4h"])
def test_what_is_neither_text_nor_number(given: Any) -> None:  # noqa: ANN401
    """One clear error, in code too."""
    with pytest.raises(KeepaliveOptionError, match="is no length of time"):
        parse_duration(given)


@pytest.mark.parametrize(
    "given",
    [{"for_s": "4h"}, {"every_s": None}, {"warn_s": True}, {"gpu_percent": "5"}],
)
def test_options_of_another_kind(given: dict[str, Any]) -> None:
    """In code a text is easily given instead of seconds."""
    with pytest.raises(KeepaliveOptionError, match="cannot be"):
        KeepaliveOptions(**given)


@pytest.mark.parametrize(
    ("given", "shown"), [({"every_s": 4.6}, "4.6s"), ({"for_s": 86400.3}, "86400.3s")]
)
def test_a_time_is_not_rounded_into_what_can_be(
    given: dict[str, Any], shown: str
) -> None:
    """Else the error says that 5s cannot be, and that 5s can."""
    with pytest.raises(KeepaliveOptionError, match=shown):
        KeepaliveOptions(**given)
