"""How long work tells how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What an acting step calls; the front end decides what is shown."""

    def start(self, what: str, total: float | None = None) -> None:
        """Begin a step; `total` is in the unit of `advance`, None if not known."""

    def advance(self, amount: float = 1) -> None:
        """Note that so much more is done."""

    def finish(self, summary: str = "") -> None:
        """End the step."""


class SilentProgress:
    """Shows nothing: for code that is called without a front end."""

    def start(self, what: str, total: float | None = None) -> None:
        """Show nothing."""

    def advance(self, amount: float = 1) -> None:
        """Show nothing."""

    def finish(self, summary: str = "") -> None:
        """Show nothing."""


SILENT: Progress = SilentProgress()
