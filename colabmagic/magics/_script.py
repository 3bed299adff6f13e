"""Run a script in a session, the way ``%run`` runs one."""

from __future__ import annotations

import ast
import sys
import tokenize
import types
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from colabmagic.magics._frames import hide_frames
from colabmagic.magics._sessions import close_cell, open_cell
from colabmagic.train.names import mentioned_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.magics._sessions import BodySession

    Start = Callable[[tuple[str, ...], dict[str, Any]], BodySession]

_MANY_FILES = 5


def run_script(
    shell: InteractiveShell, name: str, words: list[str], start: Start
) -> None:
    """Run a script as ``__main__`` in a session; its names are the user's afterwards.

    Parameters
    ----------
    shell
        The shell.
    name
        The magic that runs it.
    words
        The script's path and its arguments.
    start
        ``start(names, namespace)`` opens the session.

    Raises
    ------
    UsageError
        There is no such file, it is no Python, or it ended with an exit status.
    """
    path = _find(name, words[0])
    try:
        with tokenize.open(path) as file:
            source = file.read()
        tree = ast.parse(source, str(path))
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        hide_frames(shell, error, all_below=run_script.__code__)
        raise
    except OSError as error:
        raise UsageError(f"%{name}: {words[0]}: {error.strerror}") from None
    module = types.ModuleType("__main__")
    namespace = vars(module)
    namespace["__file__"] = str(path)
    opened = open_cell(
        shell,
        name,
        "",
        mentioned_names(tree),
        opener=lambda _shell, _line, names: start(names, namespace),
    )
    opened.own_names, opened.source = namespace, source
    try:
        with _as_main(module, [str(path), *words[1:]]):
            _execute(tree, namespace)
    except SystemExit as end:
        close_cell(opened, None, None)
        if end.code:
            raise UsageError(f"%{name}: {path.name} ended with {end.code!r}") from None
    except BaseException as error:
        hide_frames(shell, error, last=_execute.__code__, all_below=run_script.__code__)
        close_cell(opened, None, error, deliver=False)
        raise
    else:
        close_cell(opened, None, None)
    finally:
        shell.user_ns.update(
            (key, value) for key, value in namespace.items() if key[:2] != "__"
        )


def _find(name: str, given: str) -> Path:
    """Return the path of a script; ``.py`` may be left out."""
    path = Path(given).expanduser()
    for candidate in (path, path.with_name(path.name + ".py")):
        if candidate.is_file():
            return candidate.resolve()
    folder = path.parent
    near = sorted(each.name for each in folder.glob("*.py")) if folder.is_dir() else []
    shown = ", ".join(near[:_MANY_FILES]) + (", …" if near[_MANY_FILES:] else "")
    raise UsageError(
        f"%{name}: there is no script {given!r}"
        + (f"; in that folder: {shown}" if near else ", nor any other in its folder")
    )


@contextmanager
def _as_main(module: types.ModuleType, arguments: list[str]) -> Iterator[None]:
    """Let a module be ``__main__``, with a command line and its folder on the path."""
    outer = (sys.modules["__main__"], sys.argv, list(sys.path))
    sys.modules["__main__"], sys.argv = module, arguments
    sys.path.insert(0, str(Path(arguments[0]).parent))
    try:
        yield
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = outer


def _execute(tree: ast.Module, namespace: dict[str, Any]) -> None:
    """Run the script."""
    code = compile(tree, namespace["__file__"], "exec")
    exec(code, namespace)  # noqa: S102 (the user's script)
