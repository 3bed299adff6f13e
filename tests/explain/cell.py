"""Run a text as IPython runs a cell, and keep what it raised."""

from __future__ import annotations

import ast
import itertools
import linecache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS: Iterator[int] = itertools.count(1)


def run_cell(text: str, namespace: dict[str, Any]) -> BaseException | None:
    """Run a cell, statement by statement, in a namespace.

    Parameters
    ----------
    text
        The cell.
    namespace
        The user's names.

    Returns
    -------
    BaseException or None
        What it raised.
    """
    filename = f"<ipython-input-{next(_NUMBERS)}-0123456789ab>"
    lines = [f"{line}\n" for line in text.splitlines()]
    linecache.cache[filename] = (len(text), None, lines, filename)
    namespace.setdefault("__name__", "__main__")
    try:
        for statement in ast.parse(text, filename).body:
            module = ast.Module(body=[statement], type_ignores=[])
            exec(compile(module, filename, "exec"), namespace)  # noqa: S102 (a cell)
    except BaseException as error:  # noqa: BLE001 (whatever a cell raises)
        return error
    return None
