"""The back door: a body that comes as a text, from ``run_cell_magic(...)`` in code."""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import linecache
import tokenize
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from colabmagic.magics import _front
from colabmagic.magics._frames import hide_frames
from colabmagic.magics._lazy import import_object
from colabmagic.magics._sessions import BodySession, close_cell, open_cell

if TYPE_CHECKING:
    from types import CodeType

    from IPython.core.interactiveshell import InteractiveShell

_LAYOUT = frozenset(
    {tokenize.ENDMARKER, tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT}
)


def run(shell: InteractiveShell, name: str, line: str, cell: str) -> object:
    """Run a body in a session of its cell magic; see `cells.run`."""
    try:
        text = shell.transform_cell(cell)
    except SyntaxError as error:
        hide_frames(shell, error, all_below=run.__code__)
        raise
    return _run(shell, name, line, text, _remember(name, text), outer=run.__code__)


def repeat(
    shell: InteractiveShell, name: str, line: str, text: str, filename: str
) -> object:
    """Run the body of a cell that came by the front door; see `cells.repeat`."""
    return _run(shell, name, line, text, filename, outer=repeat.__code__)


def _run(  # noqa: PLR0913 (one by keyword)
    shell: InteractiveShell,
    name: str,
    line: str,
    text: str,
    filename: str,
    *,
    outer: CodeType,
) -> object:
    """Run a text that IPython has transformed."""
    try:
        tree = shell.transform_ast(ast.parse(text, filename))
        names = _front.names(tree.body)
        steps = _compile(shell, name, tree, filename)
    except SyntaxError as error:
        hide_frames(shell, error, all_below=outer)
        raise
    preview = _front.preview_of(name, line)
    if preview is not None:
        return import_object(preview)(shell, line, names)
    opened = open_cell(shell, name, line, names)
    try:
        result = _execute_in(opened.session, shell, steps)
    except BaseException as error:
        _explain(shell, name, error)
        hide_frames(shell, error, last=_execute.__code__, all_below=outer)
        close_cell(opened, None, error, deliver=False)
        raise
    return close_cell(opened, None if _is_silenced(text) else result, None)


def _explain(shell: InteractiveShell, name: str, error: BaseException) -> None:
    """Have an error explained while its tensors are where they were."""
    from colabmagic.magics import extension_of  # noqa: PLC0415 (rare)

    extension = extension_of(shell)
    if extension is not None and name == "train_on":
        extension.explainer.see(error)


def _remember(name: str, text: str) -> str:
    """Keep the text where tracebacks and ``inspect`` look for it; return its name."""
    digest = hashlib.blake2s(text.encode(), digest_size=4).hexdigest()
    filename = f"<%%{name} {digest}>"
    lines = [f"{line}\n" for line in text.splitlines()]
    linecache.cache[filename] = (len(text), None, lines, filename)
    return filename


def _compile(
    shell: InteractiveShell, name: str, tree: ast.Module, filename: str
) -> list[CodeType]:
    """Compile each statement, as IPython does; a last expression gives its value."""
    steps = []
    for number, statement in enumerate(tree.body):
        module: ast.mod = ast.Module(body=[statement], type_ignores=[])
        mode = "exec"
        if isinstance(statement, ast.Expr) and number == len(tree.body) - 1:
            module, mode = ast.Expression(body=statement.value), "eval"
        with shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT):
            # Its annotation says text; IPython itself gives it syntax trees.
            step = shell.compile(module, filename, mode)  # type: ignore[arg-type]
        if step.co_flags & inspect.CO_COROUTINE:
            raise UsageError(
                f"%%{name}: `await` works only where %%{name} is the first line of the "
                "cell, and its code runs once (no --compare, no --auto-batch)"
            )
        steps.append(step)
    return steps


def _execute_in(
    session: BodySession, shell: InteractiveShell, steps: list[CodeType]
) -> object:
    """Run compiled statements; once, or as often as the session likes."""
    run_body = getattr(session, "run", None)
    if run_body is None:
        return _execute(shell, steps)
    return run_body(lambda: _execute(shell, steps))


def _execute(shell: InteractiveShell, steps: list[CodeType]) -> object:
    """Run compiled statements in the user's namespace; return the last one's value."""
    result: object = None
    for step in steps:
        result = eval(step, shell.user_global_ns, shell.user_ns)  # noqa: S307 (their code)
    return result


def _is_silenced(text: str) -> bool:
    """Tell whether the last token is a semicolon, as IPython asks it."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    last = next(
        (token for token in reversed(tokens) if token.type not in _LAYOUT), None
    )
    return last is not None and last.string == ";"
