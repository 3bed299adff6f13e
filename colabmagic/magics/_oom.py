"""After a cell ran out of memory: one report, and the memory is free again."""

from __future__ import annotations

import contextlib
import linecache
import sys
from typing import TYPE_CHECKING, Any

from IPython.display import display

from colabmagic.magics import _after_error
from colabmagic.magics._frames import run_frames
from colabmagic.memory.devices import allocated_bytes
from colabmagic.memory.exceptions import has_locals
from colabmagic.memory.oom import (
    OutOfMemoryFacts,
    find_out_of_memory,
    first_line,
    look,
)
from colabmagic.memory.oom_view import OutOfMemoryReport

if TYPE_CHECKING:
    from types import TracebackType

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
    try:
        before = allocated_bytes()
        facts = look(error, shell.user_ns or {}, source)
    except Exception:  # noqa: BLE001 (a report must not become a second error)
        return
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
    if _noted and _noted[0][0] != id(error):
        _noted.clear()
    if not _noted:
        note(shell, error, source)
    if not _noted:
        return
    _, facts, before = _noted.pop()
    # A cell that another one runs: the outer one may want the error.
    frees = frees and len(run_frames()) <= 1
    freed = None
    if _own(error, "_render_traceback_"):
        del error._render_traceback_  # type: ignore[attr-defined]  # the short form
    if frees:
        keep_text(shell, error)
        _after_error.free(shell, keep_place=True)
        after = allocated_bytes()
        if before is not None and after is not None:
            freed = max(before - after, 0)
    display(OutOfMemoryReport(facts=facts, freed_bytes=freed, is_freed=frees))


def shorten(error: Any, traceback: TracebackType | None) -> None:  # noqa: ANN401
    """Have a session's cell show the error in a few lines; the report follows.

    Parameters
    ----------
    error
        What the cell raised; other errors are left alone.
    traceback
        Where.
    """
    cause = find_out_of_memory(error)
    if cause is None or _own(error, "_render_traceback_"):
        return
    lines = [f"{type(error).__name__}: {first_line(cause)}"]
    place = _place(traceback)
    if place:
        lines.append(f"  in {place}  (the whole traceback: %tb)")
    lines += _place_in_function(traceback)
    with contextlib.suppress(Exception):  # a class may forbid new attributes
        error._render_traceback_ = lambda: lines


def _own(error: BaseException, name: str) -> bool:
    """Tell whether an error has an attribute of its own, without asking its class."""
    attributes = BaseException.__getattribute__(error, "__dict__")
    return type(attributes) is dict and name in attributes


def _place(traceback: TracebackType | None) -> str:
    """Return the line of the cell that failed: the first that holds no locals."""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name in {"<module>", "<cell line: 1>"} or (
            frame.f_globals.get("__name__") == "__main__" and not has_locals(frame)
        ):
            text = linecache.getline(frame.f_code.co_filename, traceback.tb_lineno)
            return f"line {traceback.tb_lineno}: {text.strip()}"
        traceback = traceback.tb_next
    return ""


def _place_in_function(traceback: TracebackType | None) -> list[str]:
    """Return the line of the user's innermost function that failed, if there is one."""
    found = []
    while traceback is not None:
        frame, line = traceback.tb_frame, traceback.tb_lineno
        name = frame.f_code.co_name
        is_users = frame.f_globals.get("__name__") == "__main__" and has_locals(frame)
        if is_users and not name.startswith("<"):  # a comprehension: the cell's line
            text = linecache.getline(frame.f_code.co_filename, line).strip()
            if text:
                found = [f"  by {name}(), its cell's line {line}: {text}"]
        traceback = traceback.tb_next
    return found


def keep_text(shell: InteractiveShell, error: Any) -> None:  # noqa: ANN401 (sets an attribute)
    """Have ``%tb`` show the whole traceback again, as text, when its frames are gone."""
    lines = list(
        shell.InteractiveTB.structured_traceback(
            type(error), error, sys.last_traceback, tb_offset=1
        )
    )
    with contextlib.suppress(Exception):  # a class may forbid new attributes
        error._render_traceback_ = lambda: lines
