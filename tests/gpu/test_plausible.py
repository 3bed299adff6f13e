"""What a driver can mean, and what it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.gpu.sources import plausible

if TYPE_CHECKING:
    from collections.abc import Callable

GIB = 2**30
ALL_BITS = 2**32 - 1


@pytest.mark.parametrize(
    ("judge", "good", "bad"),
    [
        (plausible.is_memory, (15 * GIB, GIB, 14 * GIB), (0, 0, 0)),
        (plausible.is_memory, (15 * GIB, 0, 15 * GIB), (GIB, 2 * GIB, 0)),
        (plausible.is_memory, (GIB, GIB, 0), (2**64 - 1, 1, 1)),
        (plausible.is_percent, 100, 101),
        (plausible.is_temperature, 0, ALL_BITS),
        (plausible.is_power, 0, ALL_BITS),
        (plausible.is_power_limit, 70_000, 0),
        (plausible.is_capability, (12, 1), (99, 99)),
        (plausible.is_anything, False, None),
    ],
)
def test_judge(judge: Callable[[Any], bool], good: object, bad: object) -> None:
    """Each judge accepts what can be and refuses what cannot."""
    assert judge(good)
    assert not judge(bad)
