"""Keep our frames out of the tracebacks that IPython draws."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError

if TYPE_CHECKING:
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
        del error._render_traceback_  # type: ignore[attr-defined]
        error.__traceback__ = _cut(error.__traceback__, last, all_below)
        sys.last_traceback = error.__traceback__
        drawn: list[str] = shell.InteractiveTB.structured_traceback(
            type(error), error, error.__traceback__
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
    while start > 1 and _module(entries[start - 1]).startswith(_NOT_THE_USERS):
        start -= 1
    del entries[max(start, 1) : stop]


def _module(entry: types.TracebackType) -> str:
    """Return the module of a frame."""
    return str(entry.tb_frame.f_globals.get("__name__", ""))
