"""Which names a cell mentions; plain syntax, nothing is evaluated."""

from __future__ import annotations

import ast
import re

_IDENTIFIER = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_MAGIC_CALLS = frozenset({"run_line_magic", "run_cell_magic", "system", "getoutput"})
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
        if isinstance(node, ast.Attribute):
            if id(node) in inner_parts:
                continue
            chain = _chain(node, inner_parts)
            if chain:
                found[chain] = None
        elif isinstance(node, ast.Name):
            if id(node) not in inner_parts:
                found[node.id] = None
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            found.update(dict.fromkeys(node.names))
        elif isinstance(node, _SCOPES):
            found[node.name] = None
        elif isinstance(node, ast.Call):
            found.update(dict.fromkeys(_names_in_texts(node)))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                found[(alias.asname or alias.name).partition(".")[0]] = None
    return tuple(found)


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
    """Return what looks like a name in the texts given to a magic or the shell."""
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _MAGIC_CALLS:
        return []
    texts = [
        argument.value
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    return [name for text in texts for name in _IDENTIFIER.findall(text)]
