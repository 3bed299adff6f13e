"""Keep our frames out of the tracebacks that IPython draws."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError

from colabmagic.tracebacks import drop_wrappers, module_of_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

_NOT_THE_USERS: Final = ("colabmagic.", "IPython.", "decorator")


def hide_frames(
    shell: InteractiveShell,
    error: BaseException,
    *,
    last: types.CodeType | None = None,
    all_below: types.CodeType | None = None,
) -> None:
    """Have IPython draw an error, the first time, without the frames that are ours.

    They can be cut only then: until an error is drawn, Python adds one frame more for
    each call that it leaves.

    Parameters
    ----------
    shell
        The shell that will draw the error.
    error
        The error; changed.
    last
        Our function that called the user's code: its frame goes, and those above it up
        to the user's own.
    all_below
        Our function below which nothing is the user's: all below it goes too.
    """
    if isinstance(error, SyntaxError):
        _hide_in_syntax_error(shell, error, last, all_below)
        return
    if isinstance(error, UsageError) or hasattr(error, "_render_traceback_"):
        return  # drawn without frames

    def draw() -> list[str]:
        # Not the name from above: an error that refers to itself would stay in memory,
        # with all that its frames hold, until the garbage collector comes.
        drawn_error: Any = sys.last_value  # IPython sets it before it asks
        del drawn_error._render_traceback_
        traceback = _cut(drawn_error.__traceback__, last, all_below)
        drawn_error.__traceback__ = sys.last_traceback = traceback
        drop_wrappers(drawn_error)
        short = _in_short(drawn_error, traceback)
        if short is not None:
            return short
        drawn: list[str] = shell.InteractiveTB.structured_traceback(
            type(drawn_error), drawn_error, traceback
        )
        return drawn

    # A class may forbid new attributes; IPython then draws all frames.
    if hasattr(error, "__dict__"):
        error._render_traceback_ = draw  # type: ignore[attr-defined]


def _hide_in_syntax_error(
    shell: InteractiveShell,
    error: SyntaxError,
    last: types.CodeType | None,
    all_below: types.CodeType | None,
) -> None:
    """Do it for the one kind of error that IPython draws without asking it."""
    if "showsyntaxerror" in vars(shell):
        return

    def show(*args: Any, **options: Any) -> None:  # noqa: ANN401 (IPython's, passed on)
        del shell.showsyntaxerror  # the instance's: from now on the class's again
        if sys.exc_info()[1] is error:
            traceback = _cut(error.__traceback__, last, all_below)
            # IPython lists its own first frame here: without it, only the user's.
            error.__traceback__ = traceback and traceback.tb_next
        shell.showsyntaxerror(*args, **options)

    shell.showsyntaxerror = show  # type: ignore[method-assign]


def _in_short(
    error: BaseException, traceback: types.TracebackType | None
) -> list[str] | None:
    """Have an error that a report follows shown in a few lines; return these."""
    if "torch" not in sys.modules:
        return None
    from colabmagic.magics import _oom  # noqa: PLC0415 (only at an error)

    return _oom.shorten(error, traceback)


def watch_shown_errors(shell: InteractiveShell) -> Callable[[], None]:
    """Have IPython show errors of the cell without the frames of our wrappers.

    A cell may call what a feature has wrapped for its length (a model, a loader), so
    that a frame of ours stands in the middle of the traceback.

    Parameters
    ----------
    shell
        The shell that runs the cell.

    Returns
    -------
    callable
        Call it when the cell has ended.
    """
    original = shell._get_exc_info  # noqa: SLF001 (where all errors pass, old and new)

    def _get_exc_info(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        kind, value, traceback = original(*args, **options)
        if isinstance(value, BaseException):
            drop_wrappers(value)
            _in_short(value, traceback)
        return kind, value, traceback

    shell._get_exc_info = _get_exc_info  # type: ignore[method-assign]  # noqa: SLF001

    def stop() -> None:
        if vars(shell).get("_get_exc_info") is _get_exc_info:
            del shell._get_exc_info  # noqa: SLF001 (the instance's: the class's again)

    return stop


def run_frames() -> list[types.FrameType]:
    """Return the frames, innermost first, in which IPython runs a cell just now."""
    found = []
    frame: types.FrameType | None = sys._getframe(1)  # noqa: SLF001 (the only way to the stack)
    while frame is not None:
        if frame.f_code.co_name == "run_cell_async":
            found.append(frame)
        frame = frame.f_back
    return found


def _cut(
    traceback: types.TracebackType | None,
    last: types.CodeType | None,
    all_below: types.CodeType | None,
) -> types.TracebackType | None:
    """Return a traceback without our frames; the whole one if they are not in it."""
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    codes = [entry.tb_frame.f_code for entry in entries]
    if last in codes:
        stop = len(codes) - codes[::-1].index(last)
        _drop(entries, stop - 1, stop)
    elif all_below in codes:
        _drop(entries, codes.index(all_below), len(entries))
    chain = None
    for entry in reversed(entries):
        chain = types.TracebackType(
            chain, entry.tb_frame, entry.tb_lasti, entry.tb_lineno
        )
    return chain


def _drop(entries: list[types.TracebackType], start: int, stop: int) -> None:
    """Drop entries, and those of IPython and ours that lead there."""
    # The very first one stays: it is IPython's, which leaves it out itself.
    while start > 1 and module_of_frame(entries[start - 1]).startswith(_NOT_THE_USERS):
        start -= 1
    del entries[max(start, 1) : stop]
