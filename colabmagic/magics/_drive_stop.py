"""Ctrl-C in a line of ``%mount_drive``: one line that says how far it came, and what now."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from colabmagic.errors import interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.report.progress import Progress

# What the same line does when it is run again.
_AGAIN: Final = {
    "path": "%mount_drive --status tells what is there",
    "stage": "run the line again, it goes on where it stopped",
    "save": "on Drive is what was there before; run the line again",
    "pack": "on Drive is what was there before; run the line again",
    "sync": "not all is proven; run the line again",
    "unmount": "%mount_drive --status tells what is there",
}
_ELSE: Final = "run the line again"


class Followed:
    """Progress that also knows how far the work was when it stopped.

    Parameters
    ----------
    progress
        Shows it.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._what, self._total, self._done = "", 0.0, 0.0

    def start(self, what: str, total: float | None = None) -> None:
        """Begin a step."""
        self._what, self._total, self._done = what, total or 0.0, 0.0
        self._progress.start(what, total)

    def advance(self, amount: float = 1) -> None:
        """Note that so much more is done."""
        self._done += amount
        self._progress.advance(amount)

    def finish(self, summary: str = "") -> None:
        """End the step."""
        self._progress.finish(summary)

    @property
    def reached(self) -> str:
        """Return how far it is, in words; nothing where no step has begun."""
        if not self._what:
            return ""
        share = min(1.0, max(0.0, self._done / self._total)) if self._total else None
        return f" at {share:.0%} ({self._what})" if share is not None else ""


@contextlib.contextmanager
def stopping(verb: str, progress: Followed) -> Iterator[None]:
    """Let an interrupt end the cell by one line, without the frames that are ours.

    Parameters
    ----------
    verb
        What is done; ``path`` is mounting.
    progress
        How far it is.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        text = f"stopped{progress.reached}; {_AGAIN.get(verb, _ELSE)}"
        interrupted(error, text)
        raise
