"""The source of a cell: which expression failed, and where a name was made."""

from __future__ import annotations

import ast
import itertools
import linecache
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType

LONGEST_SOURCE = 100_000  # characters; what is longer is no cell
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_WALLS = (*_SCOPES, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a file or cell, and its syntax.

    Attributes
    ----------
    lines
        The lines, without their ends.
    tree
        The syntax tree.
    """

    lines: tuple[str, ...]
    tree: ast.Module

    def line(self, number: int) -> str:
        """Return a line by its number, from 1; empty where there is none."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def text(self, node: ast.AST) -> str:
        """Return how a node is written, on one line."""
        return " ".join(self.segment(node).split())

    def segment(self, node: ast.AST) -> str:
        """Return how a node is written."""
        first, last = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
        if first is None or last is None:
            return ""
        # By ourselves: the standard function splits the whole source for each node.
        rows = [line.encode() for line in self.lines[first - 1 : last]]
        rows[-1] = rows[-1][: node.end_col_offset]  # type: ignore[attr-defined]
        rows[0] = rows[0][node.col_offset :]  # type: ignore[attr-defined]
        return b"\n".join(rows).decode(errors="replace")

    def parents(self, line: int) -> dict[ast.AST, ast.AST]:
        """Return, for each node of the statements around a line, the one that holds it."""
        around: list[ast.stmt] = self.around(line, line)
        found: dict[ast.AST, ast.AST] = dict.fromkeys(around, self.tree)
        for statement in around:
            for node in ast.walk(statement):
                found.update((child, node) for child in ast.iter_child_nodes(node))
        return found

    def around(self, first: int, last: int) -> list[ast.stmt]:
        """Return the statements of the module that hold some lines."""
        return [
            statement
            for statement in self.tree.body
            if _first_line(statement) <= first and last <= (statement.end_lineno or 0)
        ]


@dataclass(frozen=True, slots=True)
class Making:
    """Where a name got its value.

    Attributes
    ----------
    line
        The line.
    value
        The expression that made it; None for a loop's variable.
    loop
        What a ``for`` runs over, if that gave it its value.
    node
        The statement.
    """

    line: int
    value: ast.expr | None
    loop: ast.expr | None
    node: ast.AST


def _first_line(statement: ast.stmt) -> int:
    """Return where a statement begins; its decorators stand above its own line."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


def read_source(filename: str) -> Source | None:
    """Return the source that Python's tracebacks would show; None if there is none."""
    lines = tuple(line.rstrip("\r\n") for line in linecache.getlines(filename))
    if not lines or sum(map(len, lines)) > LONGEST_SOURCE:
        return None
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        tree = compile(
            "\n".join(lines) + "\n", filename, "exec", flags, dont_inherit=True
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Source(lines, tree)


def failing_node(source: Source, code: CodeType, instruction: int) -> ast.AST | None:
    """Return the expression, or the statement, that was being executed.

    Parameters
    ----------
    source
        The source of the code.
    code
        The code of the frame.
    instruction
        ``tb_lasti`` of the traceback's entry.
    """
    positions = itertools.islice(code.co_positions(), instruction // 2, None)
    wanted = next(positions, None)
    if wanted is None or None in wanted:
        return None
    first, last, start, end = wanted
    assert first is not None
    assert last is not None
    found: ast.AST | None = None
    around = source.around(first, last)
    for node in (node for statement in around for node in ast.walk(statement)):
        if not isinstance(node, ast.expr | ast.stmt):
            continue
        place = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
        # The outer one comes first; `model(x)` as a statement has one place with its call.
        if place == (first, last, start, end) and not isinstance(node, ast.Expr):
            found = found or node
    return found


def enclosing(
    source: Source, node: ast.AST, kinds: tuple[type[ast.AST], ...]
) -> list[ast.AST]:
    """Return the nodes of some kinds around a node in its scope, innermost first."""
    above = source.parents(getattr(node, "lineno", 0))
    found = []
    current = above.get(node)
    while current is not None and not isinstance(current, _SCOPES):
        if isinstance(current, kinds):
            found.append(current)
        current = above.get(current)
    return found


def scope_of(source: Source, node: ast.AST) -> ast.AST:
    """Return the function, or the module, that a node belongs to."""
    above = source.parents(getattr(node, "lineno", 0))
    current: ast.AST | None = node
    while current is not None:
        current = above.get(current)
        if isinstance(current, _FUNCTIONS):
            return current
    return source.tree


def makings(source: Source, scope: ast.AST, name: str) -> list[Making]:
    """Return all places in one scope where a name gets a value."""
    found: list[Making] = []
    waiting = [
        node for node in ast.iter_child_nodes(scope) if _mentions(source, node, name)
    ]
    while waiting:
        node = waiting.pop()
        making = _making(node, name)
        if making is not None:
            found.append(making)
        if not isinstance(node, _WALLS):
            waiting += ast.iter_child_nodes(node)
    return sorted(found, key=lambda making: making.line)


def _mentions(source: Source, node: ast.AST, name: str) -> bool:
    """Tell whether a name stands in the lines of a node; that spares most of a walk."""
    first, last = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
    if first is None or not name.isascii():  # Python reads some letters as others
        return True
    return any(name in line for line in source.lines[first - 1 : last])


def last_making(source: Source, node: ast.AST, name: str) -> Making | None:
    """Return where a name got its value before a node; None where that is not certain."""
    scope = scope_of(source, node)
    found = makings(source, scope, name)
    line = getattr(node, "lineno", 0)
    before = [making for making in found if making.line < line]
    loops = enclosing(source, node, _LOOPS)
    if not before or (loops and len(before) < len(found)):
        return None  # which of them ran last depends on the run
    last = before[-1]
    above = source.parents(last.line)
    block = last.node if last.loop is not None else above.get(last.node)
    while isinstance(block, ast.With | ast.AsyncWith | ast.withitem):
        block = above.get(block)  # its body runs in any case
    around = [scope, *enclosing(source, node, (ast.AST,))]
    return last if any(block is each for each in around) else None


def _making(node: ast.AST, name: str) -> Making | None:
    """Return what a node gives to a name."""
    if isinstance(node, ast.Assign):
        targets: list[ast.expr] = node.targets
        made = Making(node.lineno, node.value, None, node)
    elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
        targets, made = [node.target], Making(node.lineno, node.value, None, node)
    elif isinstance(node, ast.For | ast.AsyncFor):
        targets, made = [node.target], Making(node.lineno, None, node.iter, node)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        targets = [node.optional_vars]
        made = Making(node.context_expr.lineno, None, None, node)
    else:
        return None
    return made if any(_binds(target, name) for target in targets) else None


def _binds(target: ast.AST, name: str) -> bool:
    """Tell whether a target gives a value to a name."""
    if isinstance(target, ast.Name):
        return target.id == name
    if isinstance(target, ast.Tuple | ast.List):
        return any(_binds(part, name) for part in target.elts)
    return isinstance(target, ast.Starred) and _binds(target.value, name)
