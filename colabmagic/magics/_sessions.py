"""The sessions that are open: one stack for all cells, so that none is lost."""

from __future__ import annotations

import dataclasses
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol

from colabmagic.errors import NestedCellError
from colabmagic.interrupts import deferred_interrupts
from colabmagic.magics import _front
from colabmagic.magics._frames import run_frames, watch_shown_errors
from colabmagic.magics._lazy import import_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from IPython.core.interactiveshell import InteractiveShell

    Opener = Callable[[InteractiveShell, str, tuple[str, ...]], "BodySession"]


class BodySession(Protocol):
    """What is open while the user's cell runs."""

    def finish(self, result: object, error: BaseException | None) -> object:
        """Close it; called exactly once.

        Parameters
        ----------
        result
            The value of the last expression, or None.
        error
            What the cell raised, or None.

        Returns
        -------
        object
            The value to show.
        """


@dataclasses.dataclass(eq=False, slots=True)
class OpenCell:
    """A session that is open, and the cell that it belongs to.

    Attributes
    ----------
    name
        The cell magic.
    shell
        The shell that runs the cell.
    session
        What the opener returned.
    run
        The frame of IPython's ``run_cell_async`` that runs the cell: the one thing that
        tells a cell from another which it starts itself by ``run_cell``.
    thread
        The thread that runs the cell.
    outcome
        IPython's own result object of the cell.
    last_value
        The last error that was shown before the cell.
    stop_watching
        Lets IPython show errors as ever.
    is_standing
        Whether the magic is on for all cells, and not written in this one.
    own_names
        The names of the script that runs; None for a cell, which has the user's.
    source
        The text of that script.
    """

    name: str
    shell: InteractiveShell
    session: BodySession
    run: FrameType | None
    thread: int
    outcome: Any
    last_value: BaseException | None
    stop_watching: Callable[[], None]
    is_standing: bool
    own_names: Mapping[str, Any] | None = None
    source: str = ""


_OPEN: list[OpenCell] = []


def open_cell(  # noqa: PLR0913 (two by keyword)
    shell: InteractiveShell,
    name: str,
    line: str,
    names: tuple[str, ...],
    *,
    opener: Opener | str | None = None,
    is_standing: bool = False,
) -> OpenCell:
    """Call the opener and keep its session; refuse a cell inside its own kind.

    Parameters
    ----------
    shell
        The shell.
    name
        The cell magic.
    line
        The rest of its first line, expanded.
    names
        The names that the body mentions.
    opener
        Left out: the one that was registered for `name`.
    is_standing
        Whether the magic is on for all cells; a cell with the magic in its own first
        line ends such a session and opens its own.
    """
    run = _run_frame()
    close_left_over()
    for cell in [cell for cell in _OPEN if cell.name == name and cell.is_standing]:
        close_cell(cell, None, None)
    if any(cell.name == name for cell in _OPEN):
        raise NestedCellError(
            f"%%{name} inside a cell that runs under %%{name} already",
            seen=f"%%{name} {line}".rstrip(),
            hint=f"remove the inner %%{name}: the outer one covers the whole cell",
        )
    found: Any = opener or _front.OPENERS[name]
    if isinstance(found, str):
        found = import_object(found)
    # An interrupt waits: a cell is opened, and known here to be open, or it is not.
    with deferred_interrupts():
        opened = OpenCell(
            name=name,
            shell=shell,
            session=found(shell, line, names),
            run=run,
            thread=threading.get_ident(),
            outcome=shell.displayhook.exec_result,
            last_value=getattr(sys, "last_value", None),
            stop_watching=watch_shown_errors(shell),
            is_standing=is_standing,
        )
        _OPEN.append(opened)
        if _close_after_cell not in shell.events.callbacks["post_execute"]:
            shell.events.register("post_execute", _close_after_cell)
    return opened


def close_cell(
    opened: OpenCell,
    result: object,
    error: BaseException | None,
    *,
    deliver: bool = True,
) -> object:
    """Close a session once; an interrupt waits until that is done.

    Parameters
    ----------
    opened
        The session.
    result
        The value of the last expression.
    error
        What the cell raised.
    deliver
        Whether an interrupt that waited is then passed on.
    """
    with deferred_interrupts(deliver=deliver):
        if error is not None:
            _note_out_of_memory(opened, error)
        _OPEN.remove(opened)
        opened.stop_watching()
        if not any(cell.shell is opened.shell for cell in _OPEN):
            _forget_hook(opened.shell)
        return opened.session.finish(result, error)


def _note_out_of_memory(opened: OpenCell, error: BaseException) -> None:
    """See who holds the device's memory before the session brings everything home."""
    if "torch" not in sys.modules:
        return
    from colabmagic.memory import oom  # noqa: PLC0415 (only after an error)

    names: Mapping[str, Any] = opened.shell.user_ns or {}
    if opened.own_names is not None:
        names = {**names, **opened.own_names}
    info = getattr(opened.outcome, "info", None)
    oom.note(error, names, opened.source or getattr(info, "raw_cell", None) or "")


def session_of_cell() -> OpenCell | None:
    """Return the newest session of the cell that runs just now."""
    run = _run_frame()
    thread = threading.get_ident()
    mine = (
        cell for cell in reversed(_OPEN) if cell.run is run and cell.thread == thread
    )
    return next(mine, None)


def is_open(shell: InteractiveShell, name: str) -> bool:
    """Tell whether a session of a kind is open in a shell.

    Parameters
    ----------
    shell
        The shell.
    name
        The cell magic.
    """
    return any(cell.shell is shell and cell.name == name for cell in _OPEN)


def _close_after_cell() -> None:
    """Close what a cell left open: after an error, an interrupt, a silent stop."""
    while True:
        try:
            _close_all_left_over()
        except KeyboardInterrupt:
            # It came before a closing could hold it back. The cell has stopped anyway,
            # and what it moved has to come home all the same.
            continue
        return


def _close_all_left_over() -> None:
    """Close each session whose cell does not run any more."""
    for opened in _left_over():
        error = _error_of(opened)
        try:
            close_cell(opened, None, error, deliver=False)
        except BaseException as failure:  # noqa: BLE001 (nothing above would show it well)
            _show_beside(opened.shell, failure)
            error = error or failure
        outcome = opened.outcome
        if error is not None and getattr(outcome, "success", False):
            # A magic in the cell showed the error and went on (`%%time` of IPython 7).
            # The cell failed all the same: "Run all" has to stop here.
            outcome.error_in_exec = error


def close_left_over() -> None:
    """Close sessions whose cell ended without IPython telling."""
    if _left_over():
        _close_after_cell()


def _left_over() -> list[OpenCell]:
    """Return this thread's sessions, newest first, whose cell does not run any more."""
    running = {id(frame) for frame in run_frames()}
    return [
        cell
        for cell in reversed(_OPEN)
        if cell.thread == threading.get_ident() and id(cell.run) not in running
    ]


def _error_of(opened: OpenCell) -> BaseException | None:
    """Return what the cell raised, as IPython noted it or as it was shown."""
    outcome = opened.outcome
    if outcome is not None:
        noted: BaseException | None = outcome.error_before_exec or outcome.error_in_exec
        if noted is not None:
            return noted
    shown: BaseException | None = getattr(sys, "last_value", None)
    return None if shown is opened.last_value else shown


def _show_beside(shell: InteractiveShell, failure: BaseException) -> None:
    """Show an error once, and leave ``%tb`` and ``%debug`` with the cell's own one."""
    names = ("last_type", "last_value", "last_traceback", "last_exc")
    before = {name: getattr(sys, name) for name in names if hasattr(sys, name)}
    in_reply = getattr(shell, "_last_traceback", None)  # what a kernel replies with
    shell.showtraceback((type(failure), failure, failure.__traceback__))
    for name, value in before.items():
        setattr(sys, name, value)
    if in_reply is not None:
        vars(shell)["_last_traceback"] = in_reply


def _forget_hook(shell: InteractiveShell) -> None:
    """Take the event hook back; it is there while a session is open only."""
    callbacks = shell.events.callbacks["post_execute"]
    if _close_after_cell in callbacks:
        callbacks.remove(_close_after_cell)


def _run_frame() -> FrameType | None:
    """Return the innermost of them."""
    frames = run_frames()
    return frames[0] if frames else None
