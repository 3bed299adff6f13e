"""Progress in a cell's output: one line that changes, and goes when the work is done."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import Any, Final

from IPython import get_ipython
from IPython.display import display

from colabmagic.report.size import in_words

_QUIET_S: Final = 1.0  # what is done by then shows nothing at all
_EVERY_S: Final = 0.2
_WIDTH: Final = 79
_LEAST_BYTES: Final = 100_000  # below it, a step shows its share alone


class CellProgress:
    """Shows how far work is, in the cell that started it, or on the terminal's line.

    Parameters
    ----------
    quiet_s
        What is done within so many seconds shows nothing at all.
    """

    def __init__(self, quiet_s: float = _QUIET_S) -> None:
        self._quiet_s = quiet_s
        shell = get_ipython()
        self._is_notebook = getattr(shell, "kernel", None) is not None
        self._is_terminal = not self._is_notebook and sys.stdout.isatty()
        self._handle: Any = None
        self._began = time.monotonic()
        self._shown_at = 0.0
        self._what = ""
        self._total: float | None = None
        self._done = 0.0

    def start(self, what: str, total: float | None = None) -> None:
        """Begin a step."""
        self._what, self._total, self._done = what, total, 0.0
        self._show()

    def advance(self, amount: float = 1) -> None:
        """Note that so much more is done."""
        self._done += amount
        self._show()

    def finish(self, summary: str = "") -> None:
        """End the step; the report that follows says what came of it."""
        del summary
        if self._handle is not None:
            self._update("")
        elif self._is_terminal and self._shown_at:
            sys.stdout.write("\r" + " " * _WIDTH + "\r")

    def _show(self) -> None:
        """Change the line, if that is due."""
        now = time.monotonic()
        if now - self._began < self._quiet_s or now - self._shown_at < _EVERY_S:
            return
        self._shown_at = now
        line = self._line(now)
        if self._is_notebook:
            self._update(line)
        elif self._is_terminal:
            sys.stdout.write("\r" + line[:_WIDTH].ljust(_WIDTH))
            sys.stdout.flush()

    def _line(self, now: float) -> str:
        """Return what is shown."""
        del now
        share = f" {min(self._done / self._total, 1):.0%}" if self._total else ""
        return f"{self._what} …{share}"

    def _update(self, line: str) -> None:
        """Write the line where the last one was."""
        bundle = {"text/plain": line, "text/html": f"<span>{escape(line)}</span>"}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


class ByteProgress(CellProgress):
    """Shows bytes, and how many come a second; small totals are counts of things."""

    def start(self, what: str, total: float | None = None) -> None:
        """Begin a step."""
        self._step_began = time.monotonic()
        super().start(what, total)

    def _line(self, now: float) -> str:
        """Return what is shown."""
        line = super()._line(now)
        if self._total is None:  # things are counted, such as the files of a list
            return f"{line} {self._done:,.0f}" if self._done else line
        if self._total < _LEAST_BYTES:
            return line
        rate = self._done / max(now - self._step_began, _EVERY_S)
        return f"{line} of {in_words(self._total)}, {in_words(rate)}/s"


class DownloadProgress(ByteProgress):
    """Shows bytes also where nobody knows how many will come."""

    def _line(self, now: float) -> str:
        """Return what is shown."""
        if self._total is not None or self._done < _LEAST_BYTES:
            return super()._line(now)
        rate = self._done / max(now - self._step_began, _EVERY_S)
        return f"{self._what} … {in_words(self._done)}, {in_words(rate)}/s"
