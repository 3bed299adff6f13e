"""After a cell ran out of memory: one report, and the memory is free again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from IPython.display import display

from colabmagic.magics import _after_error
from colabmagic.magics._frames import run_frames
from colabmagic.memory.devices import allocated_bytes
from colabmagic.memory.oom import OutOfMemoryFacts, find_out_of_memory, look
from colabmagic.memory.oom_view import OutOfMemoryReport

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

# What was seen before a session brought everything home, and of which error. Plain
# data: nothing of the cell is kept alive by it.
_noted: list[tuple[int, OutOfMemoryFacts, int | None]] = []


def note(shell: InteractiveShell, error: BaseException, source: str) -> None:
    """Look around now, for a report later; nothing happens for other errors.

    Parameters
    ----------
    shell
        The shell.
    error
        What the cell raised.
    source
        The cell.
    """
    before = allocated_bytes()
    facts = look(error, shell.user_ns or {}, source)
    if facts is not None:
        _noted[:] = [(id(error), facts, before)]


def explain(
    shell: InteractiveShell, error: BaseException, source: str, *, frees: bool
) -> None:
    """Show the report, and let go of what the failed call held.

    Parameters
    ----------
    shell
        The shell.
    error
        What the cell raised.
    source
        The cell.
    frees
        Whether to let go.
    """
    cause = find_out_of_memory(error)
    if cause is None:
        return
    if not _noted or _noted[0][0] != id(error):
        note(shell, error, source)
    _, facts, before = _noted.pop()
    # A cell that another one runs: the outer one may want the error.
    frees = frees and len(run_frames()) <= 1
    freed = None
    if frees:
        keep_text(shell, error)
        _after_error.free(shell, keep_place=True)
        after = allocated_bytes()
        if before is not None and after is not None:
            freed = max(before - after, 0)
    display(OutOfMemoryReport(facts=facts, freed_bytes=freed, is_freed=frees))


def keep_text(shell: InteractiveShell, error: Any) -> None:  # noqa: ANN401 (sets an attribute)
    """Have ``%tb`` show the whole traceback again, as text, when its frames are gone."""
    lines = list(
        shell.InteractiveTB.structured_traceback(
            type(error), error, sys.last_traceback, tb_offset=1
        )
    )
    if hasattr(error, "__dict__"):  # a class may forbid new attributes
        error._render_traceback_ = lambda: lines
