"""Which names a cell mentions; plain syntax, nothing is evaluated."""

from __future__ import annotations

import ast
import re

_IDENTIFIER = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_MAGIC_CALLS = frozenset(
    {"exec", "eval", "run_line_magic", "run_cell_magic", "system", "getoutput"}
)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def mentioned_names(tree: ast.AST) -> tuple[str, ...]:
    """Return the dotted names of a cell, each once, in order of appearance.

    Names count wherever they stand: read, assigned, deleted, declared ``global``, in
    functions defined in the cell, and inside the text that is handed to a magic
    (``%time train(model)``) or to the shell (``!echo {x}``).

    Parameters
    ----------
    tree
        The parsed cell, after IPython's own transformations.

    Returns
    -------
    tuple of str
        ``"model"``, ``"utils.train"``: attribute chains as far as they are plain names.
    """
    found: dict[str, None] = {}
    inner_parts: set[int] = set()
    for node in ast.walk(tree):
        if id(node) not in inner_parts:
            found.update(dict.fromkeys(_names_of(node, inner_parts)))
    return tuple(found)


def _names_of(node: ast.AST, inner_parts: set[int]) -> list[str]:  # noqa: PLR0911 (one line for each kind)
    """Return the names that stand in one node; note the nodes that belong to it."""
    if isinstance(node, ast.Attribute):
        chain = _chain(node, inner_parts)
        return [chain] if chain else []
    if isinstance(node, ast.Name):
        # `for _ in …` does not mean what the last cell has left there.
        is_unused = node.id == "_" and isinstance(node.ctx, ast.Store)
        return [] if is_unused else [node.id]
    if isinstance(node, ast.Global | ast.Nonlocal):
        return node.names
    if isinstance(node, _SCOPES):
        return [node.name]
    if isinstance(node, ast.Call):
        return _names_in_texts(node)
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(each.asname or each.name).partition(".")[0] for each in node.names]
    return []


def _chain(node: ast.Attribute, inner_parts: set[int]) -> str | None:
    """Return ``a.b.c``; None where the chain starts with something else."""
    parts = [node.attr]
    value: ast.expr = node.value
    while isinstance(value, ast.Attribute):
        inner_parts.add(id(value))
        parts.append(value.attr)
        value = value.value
    if not isinstance(value, ast.Name):
        return None
    inner_parts.add(id(value))
    parts.append(value.id)
    return ".".join(reversed(parts))


def _names_in_texts(call: ast.Call) -> list[str]:
    """Return what looks like a name in the texts given to a magic, ``exec`` or ``eval``."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else ""
    if isinstance(function, ast.Name):
        name = function.id
    if name not in _MAGIC_CALLS:
        return []
    texts = [
        argument.value
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    return [name for text in texts for name in _IDENTIFIER.findall(text)]
