"""The front door: a cell magic's own cell runs as an ordinary cell.

Two transformers, both pure. The first makes the first line a call of ``begin`` and
leaves the body alone, so that ``await``, magics, line numbers, ``Out`` and tracebacks
are IPython's own work. The second tells that call which names the body mentions, and
sends the last value through ``end``.
"""

from __future__ import annotations

import ast
import re
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from IPython.core.inputtransformer2 import cell_magic, leading_indent

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

CELLS: Final = "colabmagic.magics.cells"

# Names of cell magics that run code; each with its opener, or with the opener's path.
OPENERS: Final[dict[str, Any]] = {}
# Names of cell magics whose body is text for the magic itself.
BODIES: Final[set[str]] = set()
# The shells in which every cell opens a session without asking for it, each with the
# name of the magic that was turned on there, and with its opener.
STANDING: Final[weakref.WeakKeyDictionary[InteractiveShell, tuple[str, Any]]] = (
    weakref.WeakKeyDictionary()
)

# Options with which a cell does not run; what is shown in its place.
PREVIEWS: Final[dict[str, dict[str, str]]] = {
    "train_on": {"--dry-run": "colabmagic.magics.train:dry_run"}
}

_COMMENT: Final = re.compile(r"(?:^|\s)#")
_SINGLE_TARGET = (ast.AnnAssign, ast.AugAssign)


def open_front_door(lines: list[str]) -> list[str]:
    """Turn ``%%name arguments`` in the first line into a call, if the name is ours.

    Remarks may stand above it (``#@title`` in Colab).

    Parameters
    ----------
    lines
        The lines of a cell, each with its end.

    Returns
    -------
    list of str
        As many lines, unless the body begins with a cell magic itself.
    """
    first = next((n for n, line in enumerate(lines) if not _is_remark(line)), None)
    if first is None or not lines[first].startswith("%%"):
        return lines
    name, _, arguments = lines[first][2:].strip().partition(" ")
    if name in BODIES:
        # IPython refuses a body that is empty, and a magic below a remark.
        body = "".join(lines[first + 1 :]) or "\n"
        call = (
            f"get_ipython().run_cell_magic({name!r}, {arguments.strip()!r}, {body!r})\n"
        )
        return [*lines[:first], call]
    if name not in OPENERS:  # also `%%name?`, which asks for help
        return lines
    cells = f"__import__({CELLS!r}, fromlist=['*'])"
    call = f"{cells}.begin({name!r}, {arguments.strip()!r})\n"
    return [*lines[:first], call, *_body(lines[first + 1 :])]


def preview_of(name: str, line: str) -> str | None:
    """Return the path of what is shown in the place of a cell; None if it runs.

    Parameters
    ----------
    name
        The cell magic.
    line
        The rest of its first line.
    """
    words = _COMMENT.split(line, maxsplit=1)[0].split()
    found = (path for word, path in PREVIEWS.get(name, {}).items() if word in words)
    return next(found, None)


def _is_remark(line: str) -> bool:
    """Tell whether a line is blank or holds nothing but a comment."""
    return not line.strip() or line.lstrip().startswith("#")


def _body(lines: list[str]) -> list[str]:
    """Return the body; its first line is treated as IPython treats that of a cell."""
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return lines
    blank, rest = lines[:first], lines[first:]
    if rest[0][0] in " \t":
        rest = leading_indent(rest)
    return [*blank, *cell_magic(rest)]


class CellTransformer(ast.NodeTransformer):
    """AST transformer: names for ``begin``, and ``end`` around the last value.

    Parameters
    ----------
    shell
        Tells which statements of a cell are shown.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def visit(self, module: ast.AST) -> ast.AST:
        """Complete a cell that begins with a call of ``begin``; leave others alone."""
        body = getattr(module, "body", None)
        call = _begin_call(body[0]) if isinstance(body, list) and body else None
        if body and call is None and self._is_standing():
            body.insert(0, _begin_standing(body))
        if body is None or call is None or len(call.args) != 2:  # noqa: PLR2004 (name, line)
            return module
        call.args.append(_constant_tuple(names(body[1:])))
        name, line = (ast.literal_eval(each) for each in call.args[:2])
        if preview_of(name, line) is not None:
            assert isinstance(call.func, ast.Attribute)
            call.func.attr = "preview"
            del body[1:]
            return module
        if _is_repeated(call):
            _repeat(body, call)
            return module
        _close(body, self._shell.ast_node_interactivity)
        return module

    def _is_standing(self) -> bool:
        """Tell whether this is a whole cell, in a shell where one magic is always on.

        ``%%time`` and ``%%timeit`` transform their body too, inside a cell that is open
        already.
        """
        return (
            self._shell in STANDING
            and sys._getframe(3).f_code.co_name == "run_cell_async"  # noqa: SLF001 (it tells no other way)
        )


def _is_repeated(call: ast.Call) -> bool:
    """Tell whether the first line asks for a cell whose code runs more than once."""
    from colabmagic.train.options import REPEATING  # noqa: PLC0415 (lazy)

    line = call.args[1]
    words = str(line.value).split() if isinstance(line, ast.Constant) else ()
    return any(word.partition("=")[0] in REPEATING for word in words)


def _repeat(body: list[ast.stmt], call: ast.Call) -> None:
    """Leave the whole body to the magic, whose value is that of the cell."""
    assert isinstance(call.func, ast.Attribute)
    call.func.attr = "repeat"
    del body[1:]


def _begin_standing(body: list[ast.stmt]) -> ast.Expr:
    """Return the call that lets the cell in, at the place of its first statement."""
    source = f"__import__({CELLS!r}, fromlist=['*']).begin_standing()"
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    call.args.append(_constant_tuple(names(body)))
    statement = ast.Expr(value=call)
    for node in ast.walk(statement):
        ast.copy_location(node, body[0])
    return statement


def _begin_call(statement: ast.stmt) -> ast.Call | None:
    """Return the call of ``begin`` if the statement is the one that we wrote."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return None
    function = statement.value.func
    if not isinstance(function, ast.Attribute) or function.attr != "begin":
        return None
    source = function.value
    if not isinstance(source, ast.Call) or not source.args:
        return None
    module = source.args[0]
    ours = isinstance(module, ast.Constant) and module.value == CELLS
    return statement.value if ours else None


def names(body: list[ast.stmt]) -> tuple[str, ...]:
    """Return the names that the body mentions."""
    from colabmagic.train.names import mentioned_names  # noqa: PLC0415 (lazy)

    return tuple(mentioned_names(ast.Module(body=body, type_ignores=[])))


def _constant_tuple(names: tuple[str, ...]) -> ast.Tuple:
    """Return the names as syntax."""
    return ast.Tuple(elts=[ast.Constant(value=name) for name in names], ctx=ast.Load())


def _close(body: list[ast.stmt], interactivity: str) -> None:
    """Send the value that IPython will show through ``end``, or call it at the end."""
    last = body[-1]
    if len(body) > 1 and isinstance(last, ast.Expr):
        call = _end_call(None)
        for node in ast.walk(call):
            ast.copy_location(node, last.value)
        call.args.append(last.value)
        last.value = call
        return
    if interactivity == "last" and len(body) > 1:
        return  # IPython shows what this statement shows only while it is the last one
    target = _shown_target(last) if interactivity == "last_expr_or_assign" else None
    value = None if target is None else ast.Name(id=target, ctx=ast.Load())
    end = ast.Expr(value=_end_call(value))
    for node in ast.walk(end):
        _place_at_end(node, last)
    body.append(end)


def _shown_target(statement: ast.stmt) -> str | None:
    """Return the name whose value IPython shows after an assignment."""
    target: ast.expr | None = None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, _SINGLE_TARGET):
        target = statement.target
    return target.id if isinstance(target, ast.Name) else None


def _end_call(value: ast.expr | None) -> ast.Call:
    """Return the syntax of ``end(value)``."""
    source = f"__import__({CELLS!r}, fromlist=['*']).end()"
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    if value is not None:
        call.args.append(value)
    return call


def _place_at_end(node: ast.AST, statement: ast.stmt) -> None:
    """Give a node the place where a statement ends, so that an error points there."""
    if isinstance(node, ast.expr | ast.stmt):
        node.lineno = node.end_lineno = statement.end_lineno or statement.lineno
        node.col_offset = node.end_col_offset = 0
