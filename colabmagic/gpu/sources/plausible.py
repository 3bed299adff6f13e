"""Tell values that a driver can mean from those that it cannot.

Drivers answer with all bits set, with zero or with nonsense where they have no value.
Such a value must not reach a report, and must not be called a zero either.
"""

from __future__ import annotations

_MOST_MEMORY_BYTES = 2**50  # one PiB
_MOST_TEMPERATURE_C = 150
_MOST_POWER_MW = 10_000_000
_MOST_MAJOR = 40  # compute capability
_MOST_COUNT = 2**31
_MOST_FAN_PERCENT = 200


def is_memory(value: tuple[int, int, int]) -> bool:
    """Judge total, used and free memory in bytes."""
    total, used, free = value
    return 0 < total < _MOST_MEMORY_BYTES and 0 <= used <= total and 0 <= free <= total


def is_percent(value: int) -> bool:
    """Judge a utilisation."""
    return 0 <= value <= 100  # noqa: PLR2004 (a percentage)


def is_temperature(value: int) -> bool:
    """Judge degrees Celsius."""
    return 0 <= value <= _MOST_TEMPERATURE_C


def is_power(value: int) -> bool:
    """Judge milliwatts drawn."""
    return 0 <= value <= _MOST_POWER_MW


def is_power_limit(value: int) -> bool:
    """Judge a power limit in milliwatts; a limit of nothing is no limit."""
    return 0 < value <= _MOST_POWER_MW


def is_capability(value: tuple[int, int]) -> bool:
    """Judge a compute capability."""
    major, minor = value
    return 0 < major <= _MOST_MAJOR and 0 <= minor <= 9  # noqa: PLR2004 (one digit)


def is_anything(value: object) -> bool:
    """Judge a text or a flag: there is nothing to compare it with."""
    return value is not None


def is_count(value: int) -> bool:
    """Judge a count, a clock or a link: small numbers, and never all bits set."""
    return 0 <= value < _MOST_COUNT


def is_size(value: int) -> bool:
    """Judge a number of bytes."""
    return 0 <= value < _MOST_MEMORY_BYTES


def is_fan(value: int) -> bool:
    """Judge the speed of a fan in percent; some go above what was intended."""
    return 0 <= value <= _MOST_FAN_PERCENT
