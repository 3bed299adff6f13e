"""When the end begins, by its kind and by what is to be run."""

from __future__ import annotations

import pytest

from colabmagic.keepalive.ending import Ending


def ending(
    *, total_s: float = 7200, is_machine: bool = False, warn_s: float = 900
) -> Ending:
    """Return one that began at 0."""
    return Ending(began=0, total_s=total_s, is_machine=is_machine, warn_s=warn_s)


@pytest.mark.parametrize(
    ("given", "longest_s", "begins"),
    [
        ({}, 0, 7200),  # nothing to run
        ({}, 120, 7200 - 180),  # as late as is safe
        ({}, 3600, 7200 - 1800),  # a quarter at most
        ({"is_machine": True}, 120, 7200 - 900),  # its end is a guess
        ({"is_machine": True}, 3600, 7200 - 3660),
        ({"is_machine": True, "warn_s": 0}, 120, 7200 - 180),
        ({"is_machine": True, "total_s": 100}, 3600, 0),  # there is no more time
    ],
)
def test_when_functions_begin(
    given: dict[str, float], longest_s: float, begins: float
) -> None:
    """In time for all of them together."""
    one = ending(**given)  # type: ignore[arg-type]
    assert not one.wants(begins - 1, longest_s)
    assert one.wants(begins, longest_s)
    assert begins in one.due(longest_s)


def test_the_notice_comes_once() -> None:
    """And not after the end."""
    one = ending()
    assert not one.warns(6299)
    assert one.warns(6300)
    assert not one.warns(6301)
    assert not ending().warns(7200)
    assert not ending(warn_s=0).warns(7000)


def test_a_notice_is_held_while_the_machine_is_given_back() -> None:
    """Nobody waits for it meanwhile; it comes when that is called off."""
    one = ending()
    assert 6300 in one.due(0)
    assert not one.warns(6300, is_leaving=True)
    assert 6300 not in one.due(0)
    assert one.warns(6400)
    assert not one.warns(6500)


def test_the_words_name_the_kind_of_end() -> None:
    """With what can be done about each."""
    assert "%keepalive" in ending().notice(6300, 0)
    assert "15m" in ending().notice(6300, 0)
    assert "Drive" in ending(is_machine=True).notice(6300, 0)
