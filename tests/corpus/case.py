"""Training cells as users write them, read from files.

A case is a Python file in the percent format that notebook editors know: ``# %%``
begins a cell, ``# %% under test`` one that is sent to the device. Its docstring says
what it shows. Comments above the first cell name what the harness looks at::

    # results: model, losses        expressions that have to come out equal
    # rng: shared                   the device draws from the CPU's stream (dropout …)
    # atol: 0.02                    how far numbers may be apart, with the reason below
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CELLS = Path(__file__).parent / "cells"

_MARK = re.compile(r"^# %%(.*)$", re.MULTILINE)
_FIELD = re.compile(r"^# (results|rng|atol): (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a case.

    Attributes
    ----------
    source
        Its text.
    under_test
        Whether it goes to the device.
    """

    source: str
    under_test: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One small notebook.

    Attributes
    ----------
    name
        The file's name.
    summary
        What the case shows.
    cells
        In order.
    results
        Expressions whose values have to be those of the CPU.
    shared_rng
        Whether the device draws from the CPU's stream. Dropout and sampling layers
        draw inside a kernel, so that on a device of their own stream they never give
        the CPU's numbers.
    atol
        How far numbers may be apart, where rounding is amplified; else None.
    """

    name: str
    summary: str
    cells: tuple[Cell, ...]
    results: tuple[str, ...]
    shared_rng: bool
    atol: float | None


def read_case(path: Path) -> Case:
    """Read a case from its file."""
    text = path.read_text(encoding="utf-8")
    head, *rest = _MARK.split(text)
    fields = dict(_FIELD.findall(head))
    return Case(
        name=path.stem,
        summary=ast.get_docstring(ast.parse(head)) or "",
        cells=tuple(
            Cell(source=source.strip() + "\n", under_test=title.strip() == "under test")
            for title, source in zip(rest[::2], rest[1::2], strict=True)
        ),
        results=_expressions(fields["results"]),
        shared_rng=fields.get("rng") == "shared",
        atol=float(fields["atol"]) if "atol" in fields else None,
    )


def _expressions(text: str) -> tuple[str, ...]:
    """Split expressions at the commas between them."""
    parsed = ast.parse(f"({text},)", mode="eval").body
    assert isinstance(parsed, ast.Tuple)
    return tuple(ast.unparse(element) for element in parsed.elts)


@cache
def all_cases() -> tuple[Case, ...]:
    """Return all cases, by name."""
    return tuple(read_case(path) for path in sorted(CELLS.glob("*.py")))
