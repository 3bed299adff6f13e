"""How long to wait for a server, and how often to ask it again."""

from __future__ import annotations

import email.utils
import random
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Time-outs and tries of a download.

    Attributes
    ----------
    attempts
        Tries in a row that bring nothing; one that brings bytes begins the count anew.
    first_wait_s, longest_wait_s
        Between the tries; it doubles.
    longest_asked_s
        The most that a server may ask for by ``Retry-After``.
    connect_s, read_s
        For a connection, and for the next bytes.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 15.0
    longest_asked_s: float = 60.0
    connect_s: float = 10.0
    read_s: float = 30.0

    def wait_s(self, failures: int, asked: str | None = None) -> float:
        """Return how long to wait before the next try.

        Parameters
        ----------
        failures
            In a row, from 1.
        asked
            ``Retry-After`` of the answer: seconds, or a date.
        """
        usual = min(self.longest_wait_s, self.first_wait_s * 2 ** (failures - 1))
        usual *= random.uniform(0.75, 1.25)  # noqa: S311 (to part clients, not to hide)
        wanted = _seconds(asked)
        return usual if wanted is None else min(self.longest_asked_s, wanted)


def _seconds(asked: str | None) -> float | None:
    """Return what a server asks for; None where it asks for nothing that is known."""
    if not asked:
        return None
    if asked.strip().isdigit():
        return float(asked)
    try:
        moment = email.utils.parsedate_to_datetime(asked)
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - time.time())
