"""After a cell ran out of memory: one report, and the memory is free again."""

from __future__ import annotations

import contextlib
import linecache
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from IPython.display import display

from colabmagic.magics import _after_error
from colabmagic.magics._frames import run_frames
from colabmagic.memory.devices import allocated_bytes
from colabmagic.memory.exceptions import has_locals
from colabmagic.memory.oom import find_out_of_memory, first_line, note, noted
from colabmagic.memory.oom_view import OutOfMemoryReport

_CELLS: Final = frozenset({"<module>", "<cell line: 1>"})

if TYPE_CHECKING:
    from types import TracebackType

    from IPython.core.interactiveshell import InteractiveShell


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
    seen = noted(error)
    if seen is None:
        note(error, shell.user_ns or {}, source)
        seen = noted(error)
    if seen is None:
        return
    facts, before = seen
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


def shorten(error: Any, traceback: TracebackType | None) -> list[str] | None:  # noqa: ANN401
    """Have a session's cell show the error in a few lines; the report follows.

    Parameters
    ----------
    error
        What the cell raised; other errors are left alone.
    traceback
        Where.

    Returns
    -------
    list of str or None
        The lines; None where the error is left alone.
    """
    cause = find_out_of_memory(error)
    if cause is None or _own(error, "_render_traceback_"):
        return None
    lines = [f"{type(error).__name__}: {first_line(cause)}", *_places(traceback)]
    with contextlib.suppress(Exception):  # a class may forbid new attributes
        error._render_traceback_ = lambda: lines
        return lines
    return None


def _own(error: BaseException, name: str) -> bool:
    """Tell whether an error has an attribute of its own, without asking its class."""
    attributes = BaseException.__getattribute__(error, "__dict__")
    return type(attributes) is dict and name in attributes


def _places(traceback: TracebackType | None) -> list[str]:
    """Return the line of the cell or script that failed, and that of his function."""
    place, function = "", ""
    while traceback is not None:
        frame, line = traceback.tb_frame, traceback.tb_lineno
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        text = linecache.getline(file, line).strip()
        is_users = frame.f_globals.get("__name__") == "__main__"
        in_script = frame.f_globals.get("__file__") == file  # else in a cell
        if is_users and has_locals(frame):
            if text and not name.startswith("<"):  # a comprehension: the cell's line
                whose = "line" if in_script else "its cell's line"
                function = f"  by {name}(), {whose} {line}: {text}"
        elif is_users or name in _CELLS:
            where = f"{Path(file).name}, " if in_script else ""
            if in_script or not place or file.startswith("<%%"):  # what it runs
                place = f"  in {where}line {line}: {text}  (the whole traceback: %tb)"
        traceback = traceback.tb_next
    return [each for each in (place, function) if each]


def keep_text(shell: InteractiveShell, error: Any) -> None:  # noqa: ANN401 (sets an attribute)
    """Have ``%tb`` show the whole traceback again, as text, when its frames are gone."""
    lines = list(
        shell.InteractiveTB.structured_traceback(
            type(error), error, sys.last_traceback, tb_offset=1
        )
    )
    with contextlib.suppress(Exception):  # a class may forbid new attributes
        error._render_traceback_ = lambda: lines
