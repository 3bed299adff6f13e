"""A loop over a loader in a cell's output: a bar while it runs, then the card.

The bar is tqdm's text, put into an output that is updated: its last state stays in the
saved notebook, and no widget library is needed. The card comes last, below what the loop
has printed.
"""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING, Any, Final

from IPython import get_ipython
from IPython.display import display

from colabmagic.report.html import render_html
from colabmagic.report.size import in_words
from colabmagic.report.text import clean, render_text
from colabmagic.train.card import card

if TYPE_CHECKING:
    from collections.abc import Container

    from colabmagic.train.meter import LoopState
    from colabmagic.train.outcome import TrainOutcome

_WIDTH: Final = 79


class LoopDisplay:
    """Shows loops in the cell that runs them, or on the terminal's line."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._cell: object = None
        self._is_on_line = False

    def show(self, state: LoopState) -> None:
        """Show how far a loop is."""
        line = bar(state)
        if is_notebook():
            self._put(line, f"<div><code>{escape(line)}</code></div>")
        elif sys.stdout.isatty():
            self._is_on_line = True
            sys.stdout.write("\r" + line[:_WIDTH].ljust(_WIDTH))
            sys.stdout.flush()

    def close(self, outcome: TrainOutcome, told: Container[str]) -> None:
        """Show what came of it, below what the loop has printed meanwhile."""
        report = card(outcome, told)
        if is_notebook():
            if self._handle is not None and self._cell == current_cell():
                line = ended(outcome)
                self._put(line, f"<div><code>{escape(line)}</code></div>")
            self._handle = None  # another cell gets another one
            bundle = {
                "text/plain": render_text(report),
                "text/html": render_html(report),
            }
            display(bundle, raw=True)
            return
        if self._is_on_line:
            sys.stdout.write("\r" + " " * _WIDTH + "\r")
            self._is_on_line = False
        print(render_text(report), flush=True)  # noqa: T201 (magics show)

    def _put(self, text: str, html: str) -> None:
        """Put text and HTML into the output of this cell, in place of the last ones."""
        bundle = {"text/plain": text, "text/html": html}
        cell = current_cell()
        if self._handle is None or self._cell != cell:
            self._cell = cell
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def bar(state: LoopState) -> str:
    """Return tqdm's bar of a loop on one line.

    Parameters
    ----------
    state
        How far it is.
    """
    from tqdm import tqdm

    memory = state.memory_bytes
    name = state.loader or "loader"
    text: str = tqdm.format_meter(
        state.position,
        state.total,
        state.pass_s,
        ncols=_WIDTH,
        prefix=name if state.passes == 1 else f"{name}, pass {state.passes}",
        unit=" batches",
        rate=state.rate,
        postfix=None if memory is None else in_words(memory),
    )
    return clean(text)


def ended(outcome: TrainOutcome) -> str:
    """Return what stays where the bar was.

    Parameters
    ----------
    outcome
        What happened.
    """
    passes = "1 pass" if outcome.passes == 1 else f"{outcome.passes} passes"
    return f"{outcome.batches:,} batches in {passes}, {outcome.loop_s:.1f} s"


def is_notebook() -> bool:
    """Tell whether outputs can be updated."""
    return getattr(get_ipython(), "kernel", None) is not None


def current_cell() -> object:
    """Return what tells the running cell from others."""
    shell = get_ipython()
    return None if shell is None else shell.execution_count
