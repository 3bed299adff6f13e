"""Fault scripts: what goes wrong, on which request, how often.

The format is described in README.md. A rule that cannot be understood is
refused at once, so that a typing error never looks like a robust client.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COMMON = {"kind", "match", "times", "skip", "probability"}

KINDS: dict[str, dict[str, Any]] = {
    # Instead of an answer
    "status": {
        "code": 503,
        "reason": "backendError",
        "message": None,
        "retry_after": None,
    },
    "reset": {},
    "oauth_error": {"code": 400, "error": "invalid_grant", "description": ""},
    # Before the request is handled
    "revoke_tokens": {},
    "drop_session": {"code": 404},
    "change_file": {},
    "shrink_file": {"fraction": 0.5},
    "expire_page_token": {},
    # The request is handled, the client does not hear of it
    "lost_reply": {},
    "cut_headers": {},
    # In the body of a download
    "truncate": {"fraction": 0.5},
    "body_reset": {"fraction": 0.5},
    "corrupt": {"fraction": 0.5},
    "shift_range": {"bytes": 1},
    "ignore_range": {},
    "wrong_content_range": {},
    "stall": {"fraction": 0.5, "seconds": 5.0},
    "drip": {"bytes": 1024, "seconds": 0.1},
    # In a list
    "duplicate_items": {},
    "drop_items": {},
    "incomplete_search": {},
    # In a resumable upload
    "short_commit": {},
    "no_range_header": {},
    "corrupt_upload": {},
}
"""Kind to its options with their defaults."""


@dataclass
class FaultRule:
    """One line of a fault script."""

    kind: str
    match: re.Pattern[str]
    times: int
    skip: int
    probability: float
    options: dict[str, Any] = field(default_factory=dict)
    injected: int = 0

    @classmethod
    def from_dict(cls, line: Mapping[str, Any]) -> FaultRule:
        """Read a rule, refusing what it does not know."""
        kind = line.get("kind")
        if kind not in KINDS:
            message = f"unknown fault kind {kind!r}; known: {', '.join(KINDS)}"
            raise ValueError(message)
        unknown = set(line) - COMMON - set(KINDS[kind])
        if unknown:
            message = f"fault {kind!r} has no option {', '.join(sorted(unknown))}"
            raise ValueError(message)
        options = {name: line.get(name, KINDS[kind][name]) for name in KINDS[kind]}
        return cls(
            kind=kind,
            match=re.compile(line.get("match", "")),
            times=line.get("times", 1),
            skip=line.get("skip", 0),
            probability=line.get("probability", 1.0),
            options=options,
        )


@dataclass(frozen=True)
class Fault:
    """A rule that strikes one request."""

    kind: str
    options: Mapping[str, Any]


class FaultScript:
    """The rules in force, and a count of what was injected.

    Parameters
    ----------
    seed
        For rules with a probability; the same seed gives the same decisions
        for the same sequence of requests.
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._rules: list[FaultRule] = []
        self.injected: Counter[str] = Counter()

    def load(self, lines: Iterable[Mapping[str, Any]], seed: int | None = None) -> None:
        """Replace the rules."""
        rules = [FaultRule.from_dict(line) for line in lines]
        with self._lock:
            self._rules = rules
            self.injected.clear()
            if seed is not None:
                self._random.seed(seed)

    def clear(self) -> None:
        """Let everything go well again; the counts stay."""
        with self._lock:
            self._rules = []

    def take(self, request_line: str) -> Fault | None:
        """Return the fault for a request, using up one of its ``times``."""
        with self._lock:
            for rule in self._rules:
                if rule.injected >= rule.times or not rule.match.search(request_line):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                if self._random.random() >= rule.probability:
                    continue
                rule.injected += 1
                self.injected[rule.kind] += 1
                return Fault(rule.kind, rule.options)
        return None

    @property
    def left(self) -> int:
        """How many faults are still to come (0: the script was used up)."""
        with self._lock:
            return sum(rule.times - rule.injected for rule in self._rules)
