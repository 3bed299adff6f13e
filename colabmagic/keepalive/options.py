"""What ``%keepalive`` can be told, checked."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Final

from colabmagic.keepalive.errors import KeepaliveOptionError
from colabmagic.keepalive.notify import shown_url

WHILE: Final = ("busy", "gpu", "always")
THEN: Final = ("nothing", "notify", "disconnect")

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
FOR_S: Final = 4 * HOUR_S
MOST_FOR_S: Final = 24 * HOUR_S  # no machine of Colab lives longer
EVERY_S: Final = 60.0
LEAST_EVERY_S: Final = 5.0
MOST_EVERY_S: Final = 10 * MINUTE_S
WARN_S: Final = 15 * MINUTE_S
GPU_PERCENT: Final = 5.0
_ABSURD: Final = 1000  # so many times too long, nobody wants it in minutes and seconds

_UNITS: Final = {"": 1.0, "s": 1.0, "m": MINUTE_S, "h": HOUR_S, "d": 24 * HOUR_S}
_ALIASES: Final = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "day": "d", "days": "d",
}  # fmt: skip
_PART: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*")


def is_number(value: object) -> bool:
    """Tell whether it can be compared with a number, and is meant as one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    """Tell whether it is a text."""
    return isinstance(value, str)


def parse_duration(text: str | float) -> float:
    """Return the seconds that a text such as ``4h``, ``1h30m``, ``60s`` or ``90`` means.

    Parameters
    ----------
    text
        A number without a unit counts seconds.

    Raises
    ------
    KeepaliveOptionError
        It is no duration.
    """
    if is_number(text):
        try:
            return _finite(float(text), text)
        except OverflowError:
            raise _no_duration(text) from None
    if not _is_text(text):  # code may give anything
        raise _no_duration(text)
    given = str(text)
    rest, total = given.strip().lower(), 0.0
    smaller = math.inf
    while rest:
        part = _PART.match(rest)
        unit = None if part is None else _UNITS.get(_ALIASES.get(part[2], part[2]))
        bare = part is not None and not part[2] and part[0].strip() != given.strip()
        if part is None or unit is None or bare or unit >= smaller:
            raise _no_duration(text)
        total, smaller = total + float(part[1]) * unit, unit
        rest = rest[part.end() :]
    if smaller is math.inf:
        raise _no_duration(text)
    return _finite(total, text)


def _finite(seconds: float, text: str | float) -> float:
    """Refuse what no clock can count."""
    if not 0 <= seconds < math.inf:
        raise _no_duration(text)
    return seconds


def _no_duration(text: object) -> KeepaliveOptionError:
    """Return the error for a text that is no duration."""
    shown = repr(text if isinstance(text, str | float) else type(text).__name__)
    return KeepaliveOptionError(
        f"{shown[:40]} is no length of time", hint="write 4h, 1h30m, 15m, 60s or 90"
    )


def in_words(seconds: float) -> str:
    """Return a time as it can be typed: ``4h``, ``1h30m``, ``15m``, ``60s``.

    Parameters
    ----------
    seconds
        Rounded to whole ones.
    """
    left = round(seconds)
    if left < 2 * MINUTE_S:
        return f"{left}s"
    hours, left = divmod(left, int(HOUR_S))
    minutes, left = divmod(left, int(MINUTE_S))
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepaliveOptions:
    """How long, how often, and while what.

    Parameters
    ----------
    for_s
        When it ends at the latest, in seconds from its start.
    every_s
        Between two beats, in seconds.
    while_
        ``busy``: a cell, a job, a process or a GPU works; ``gpu``: a GPU does;
        ``always``: in any case.
    then
        When it ends: ``nothing``, ``notify`` (post to `notify_url`), or ``disconnect``
        (give back Colab's machine).
    warn_s
        So long before the end there is a notice, in seconds; 0 for none.
    notify_url
        Where to post the notice and the end; it is a secret.
    gpu_percent
        From which use on a GPU counts as working.

    Raises
    ------
    KeepaliveOptionError
        A value cannot be.
    """

    for_s: float = FOR_S
    every_s: float = EVERY_S
    while_: str = "busy"
    then: str = "nothing"
    warn_s: float = WARN_S
    notify_url: str | None = field(default=None, repr=False)
    gpu_percent: float = GPU_PERCENT

    def __post_init__(self) -> None:
        """Check all of it."""
        _one_of("--while", self.while_, WHILE)
        _one_of("--then", self.then, THEN)
        _between("--for", self.for_s, LEAST_EVERY_S, MOST_FOR_S)
        _between("--every", self.every_s, LEAST_EVERY_S, MOST_EVERY_S)
        _between("--warn", self.warn_s, 0.0, MOST_FOR_S)
        percent = self.gpu_percent
        if not is_number(percent) or not 0 < percent <= 100:  # noqa: PLR2004 (percent)
            raise KeepaliveOptionError(
                f"--gpu-percent cannot be {str(percent)[:40]}",
                hint="write a number from 1 to 100",
            )
        if self.notify_url is not None:
            shown_url(self.notify_url)  # raises where it is none
        elif self.then == "notify":
            raise KeepaliveOptionError(
                "--then notify needs to know whom",
                hint="%keepalive --then notify --notify https://…",
            )

    @property
    def tells_the_end(self) -> bool:
        """Whether the end is posted."""
        return self.notify_url is not None and self.then != "nothing"


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is none of those."""
    if value not in allowed:
        known = ", ".join(allowed)
        raise KeepaliveOptionError(
            f"{option} cannot be {str(value)[:40]!r}", hint=f"write one of {known}"
        )


def _between(option: str, value: float, least: float, most: float) -> None:
    """Refuse a time that is too short or too long."""
    if not is_number(value):
        raise KeepaliveOptionError(
            f"{option} cannot be {str(value)[:40]!r}",
            hint="write seconds, or parse_duration('4h')",
        )
    if not least <= value <= most:  # nan is refused too
        given = in_words(value) if math.isfinite(value) else str(value)
        if math.isfinite(value) and least <= round(value) <= most:
            given = f"{value:.10g}s"  # rounded, it would read as one that can be
        elif math.isfinite(value) and value > _ABSURD * most:
            given = f"{value:.3g}s"
        raise KeepaliveOptionError(
            f"{option} cannot be {given}",
            hint=f"write a time from {in_words(least)} to {in_words(most)}",
        )
