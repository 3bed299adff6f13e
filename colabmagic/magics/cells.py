"""Run the user's cell between the opening and the closing of a session.

Two doors lead here. The front door (`_front`) makes the cell an ordinary one that calls
`begin` and `end`. The back door (`_back`) is the registered magic, for
``run_cell_magic(...)`` from code and for a magic that stands below another one.
Both keep their sessions in one stack (`_sessions`).
"""

from __future__ import annotations

import linecache
import sys
from typing import TYPE_CHECKING

from IPython import get_ipython
from IPython.display import display

from colabmagic.errors import NotSupportedError
from colabmagic.magics import _front
from colabmagic.magics._frames import hide_frames
from colabmagic.magics._lazy import import_object
from colabmagic.magics._sessions import (
    BodySession,
    close_cell,
    close_left_over,
    is_open,
    open_cell,
    session_of_cell,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.magics._sessions import Opener

__all__ = [
    "BodySession",
    "back_door",
    "begin",
    "begin_standing",
    "end",
    "preview",
    "register_cell",
    "repeat",
    "run",
    "turn_off",
    "turn_on",
    "unregister_cell",
]


def register_cell(name: str, opener: Opener | str) -> None:
    """Make ``%%name`` in the first line of a cell run the cell in a session.

    Parameters
    ----------
    name
        The cell magic; also register ``back_door(name)``, or a magic that calls `run`,
        as ``line_cell`` magic, for calls from code.
    opener
        ``opener(shell, line, names)`` returns the session; or its path
        (``"package.module:function"``), imported when a cell first needs it.
    """
    _front.OPENERS[name] = opener


def unregister_cell(name: str) -> None:
    """Forget a cell magic; unknown names are no error.

    Parameters
    ----------
    name
        The cell magic.
    """
    _front.OPENERS.pop(name, None)


def back_door(name: str) -> Callable[[str, str | None], object]:
    """Return a function to register as the ``line_cell`` magic of a registered cell.

    Parameters
    ----------
    name
        The cell magic.
    """

    def magic(line: str, cell: str | None = None) -> object:
        return run(_shell(), name, line, cell or "")

    magic.__name__ = name
    return magic


def run(shell: InteractiveShell, name: str, line: str, cell: str) -> object:
    """Run a body in the user's namespace, the way ``run_cell_magic`` asks for.

    Parameters
    ----------
    shell
        The shell.
    name
        The cell magic.
    line
        The rest of its first line.
    cell
        The body.

    Returns
    -------
    object
        The value of the last expression, as the session returned it.
    """
    from colabmagic.magics import _back  # noqa: PLC0415 (rare)

    return _back.run(shell, name, line, cell)


def begin(name: str, line: str, names: tuple[str, ...] | None = None) -> None:
    """Open the session of a cell; the front door's first line calls this.

    Parameters
    ----------
    name
        The cell magic.
    line
        The rest of its first line.
    names
        The names that the body mentions; None if the AST transformer did not see the
        cell, which then would not be closed.
    """
    shell = _shell()
    _show_first_line_as_written(f"%%{name} {line}".rstrip())
    if names is None:
        raise NotSupportedError(
            f"%%{name} cannot run inside the magic above it",
            hint=f"put %%{name} on the first line, and the other magic below it",
        )
    expanded = shell.var_expand(line, depth=1)
    try:
        open_cell(shell, name, expanded, names)
    except KeyboardInterrupt as error:
        hide_frames(shell, error, all_below=begin.__code__)
        raise


def preview(name: str, line: str, names: tuple[str, ...]) -> object:
    """Return what is shown in the place of a cell that does not run.

    Parameters
    ----------
    name
        The cell magic.
    line
        The rest of its first line.
    names
        The names that the body mentions.
    """
    shell = _shell()
    _show_first_line_as_written(f"%%{name} {line}".rstrip())
    path = _front.preview_of(name, line)
    assert path is not None
    shown = import_object(path)(shell, shell.var_expand(line, depth=1), names)
    if not shell.displayhook.quiet():
        return shown
    display(shown)  # the body ends with a semicolon, which was not meant for this
    return None


def repeat(name: str, line: str, _names: tuple[str, ...]) -> object:
    """Run the body of a cell as often as its session asks for.

    The front door's first line calls this in the place of `begin`, where that line says
    so; nothing stands below it then.

    Parameters
    ----------
    name
        The cell magic.
    line
        The rest of its first line.

    Returns
    -------
    object
        The value of the last expression, as the session returned it.
    """
    from colabmagic.magics import _back  # noqa: PLC0415 (rare)

    shell = _shell()
    filename = sys._getframe(1).f_code.co_filename  # noqa: SLF001 (the cell that calls)
    _show_first_line_as_written(f"%%{name} {line}".rstrip())
    text = "".join(linecache.getlines(filename))
    if f"%%{name} " not in text or _front.CELLS in text:
        raise NotSupportedError(
            f"%%{name} {line} inside the magic above it",
            hint=f"put %%{name} on the first line, and the other magic below it",
        )
    return _back.repeat(shell, name, shell.var_expand(line, depth=1), text, filename)


def begin_standing(names: tuple[str, ...]) -> None:
    """Open the session of a cell in a shell where a magic is on for all cells.

    Parameters
    ----------
    names
        The names that the cell mentions.
    """
    shell = _shell()
    name, opener = _front.STANDING.get(shell, (None, None))
    close_left_over()
    if name is None or is_open(shell, name):  # a cell that a cell runs belongs to that
        return
    try:
        open_cell(shell, name, "", names, opener=opener, is_standing=True)
    except KeyboardInterrupt as error:
        hide_frames(shell, error, all_below=begin_standing.__code__)
        raise


def turn_on(shell: InteractiveShell, name: str, opener: Opener) -> None:
    """Let every later cell of a shell open a session by itself.

    Parameters
    ----------
    shell
        The shell.
    name
        The cell magic that is on.
    opener
        As in `register_cell`; the line is empty.
    """
    _front.STANDING[shell] = (name, opener)


def turn_off(shell: InteractiveShell) -> None:
    """Let cells be as ever; nothing happens where nothing is on.

    Parameters
    ----------
    shell
        The shell.
    """
    _front.STANDING.pop(shell, None)


def end(result: object = None) -> object:
    """Close the session of the cell; returns the value to show.

    Parameters
    ----------
    result
        The value of the cell's last expression.
    """
    opened = session_of_cell()
    if opened is None:  # closed already, or never opened
        return result
    try:
        return close_cell(opened, result, None)
    except KeyboardInterrupt as error:
        hide_frames(opened.shell, error, all_below=end.__code__)
        raise


def _shell() -> InteractiveShell:
    """Return the shell that runs this code."""
    shell: InteractiveShell | None = get_ipython()
    assert shell is not None, "cell magics run in IPython"
    return shell


def _show_first_line_as_written(text: str) -> None:
    """Make tracebacks and ``inspect.getsource`` show the magic, not our call of it.

    As a comment: the text of a cell has to stay valid Python for those who parse it.
    """
    filename = sys._getframe(2).f_code.co_filename  # noqa: SLF001 (the cell that calls)
    entry = linecache.cache.get(filename)
    lines = entry[2] if entry is not None and len(entry) == 4 else []  # noqa: PLR2004
    for number, line in enumerate(lines):
        if _front.CELLS in line:
            lines[number] = f"# {text}\n"
            return
