"""How long is waited between tries."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from colabmagic.cuda.fetching.patience import Patience

PATIENCE = Patience(first_wait_s=1.0, longest_wait_s=10.0, longest_asked_s=60.0)


@pytest.mark.parametrize(
    ("failures", "usual"),
    [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (9, 10.0)],
)
def test_waits_double_up_to_a_limit(failures: int, usual: float) -> None:
    """And differ by a quarter, so that many clients do not come at once."""
    assert 0.75 * usual <= PATIENCE.wait_s(failures) <= 1.25 * usual


def test_the_server_may_ask_for_a_wait() -> None:
    """In seconds or by a date; not for ever, and nonsense is ignored."""
    assert PATIENCE.wait_s(1, "7") == 7.0
    assert PATIENCE.wait_s(1, "99999") == 60.0
    assert 25 < PATIENCE.wait_s(1, formatdate(time.time() + 30, usegmt=True)) <= 30
    assert PATIENCE.wait_s(1, "Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert 0.75 <= PATIENCE.wait_s(1, "soon") <= 1.25
