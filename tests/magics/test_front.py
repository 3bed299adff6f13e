"""The two transformers of the front door, which are pure."""

from __future__ import annotations

import ast
import types
from typing import TYPE_CHECKING

import pytest

from colabmagic.magics import _front, cells

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _probe() -> Iterator[None]:
    cells.register_cell("probe", "nowhere:opener")
    yield
    cells.unregister_cell("probe")


def first_door(text: str) -> str:
    """Return what the input transformer makes of a cell."""
    return "".join(_front.open_front_door(text.splitlines(keepends=True)))


def tree_of(text: str, interactivity: str = "last_expr") -> ast.Module:
    """Return what both transformers make of a cell."""
    shell = types.SimpleNamespace(ast_node_interactivity=interactivity)
    tree = _front.CellTransformer(shell).visit(ast.parse(first_door(text)))
    assert isinstance(tree, ast.Module)
    return ast.fix_missing_locations(tree)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1\n",
        "%probe\n",
        "%%other\nx\n",
        "%%probe?\n",
        "%%probes\nx\n",
        "# %%probe\n",
    ],
)
def test_other_cells_are_left_alone(text: str) -> None:
    """Only ``%%probe`` as the first line is ours."""
    assert first_door(text) == text


def test_the_body_keeps_its_lines() -> None:
    """The first line becomes a call, and all others stay as and where they are."""
    done = first_door("%%probe a 'b' \nx = 1\n\n!ls\n").splitlines()
    assert done[0].endswith(""".begin('probe', "a 'b'")""")
    assert done[1:] == ["x = 1", "", "!ls"]


def test_it_is_pure() -> None:
    """The same lines give the same, and the given list is not changed."""
    lines = ["%%probe\n", "x\n"]
    assert _front.open_front_door(lines) == _front.open_front_door(lines)
    assert lines == ["%%probe\n", "x\n"]


def test_an_inner_cell_magic_goes_to_ipython() -> None:
    """``%%time`` on the next line takes the rest, at its place."""
    done = first_door("%%probe\n\n%%time\nx\n").splitlines()
    assert done[1:] == ["", "get_ipython().run_cell_magic('time', '', 'x\\n')"]


def test_names_are_added_to_the_call() -> None:
    """The call of begin gets the names that the body mentions."""
    call = tree_of("%%probe\nfor x in data:\n    model.fit(x)\n").body[0]
    names = ast.literal_eval(call.value.args[2])  # type: ignore[attr-defined]
    assert {"data", "x", "model.fit"} <= set(names)


@pytest.mark.parametrize(
    ("interactivity", "body", "last"),
    [
        ("last_expr", "x\n", "end(x)"),
        ("last_expr", "x = 1\n", "end()"),
        ("last_expr", "", "end()"),
        ("all", "x\ny\n", "end(y)"),
        ("last_expr_or_assign", "x = 1\n", "end(x)"),
        ("last_expr_or_assign", "x += 1\n", "end(x)"),
        ("last_expr_or_assign", "x, y = 1, 2\n", "end()"),
        ("last", "x = 1\n", "x = 1"),
    ],
)
def test_the_last_value_goes_through_end(
    interactivity: str, body: str, last: str
) -> None:
    """What IPython will show comes home before it is shown."""
    tree = tree_of(f"%%probe\n{body}", interactivity)
    assert ast.unparse(tree.body[-1]).endswith(last)


def test_a_second_visit_changes_nothing() -> None:
    """IPython may hand a tree over twice."""
    tree = tree_of("%%probe\nx\n")
    once = ast.dump(tree)
    shell = types.SimpleNamespace(ast_node_interactivity="last_expr")
    assert ast.dump(_front.CellTransformer(shell).visit(tree)) == once


@pytest.mark.parametrize(
    "text", ["begin()\n", "x.begin('a', 'b')\n", "f().begin(1, 2)\n"]
)
def test_calls_of_the_user_are_left_alone(text: str) -> None:
    """A function of the user that is called begin is no door of ours."""
    assert ast.unparse(tree_of(text)) + "\n" == text


def test_places_of_the_users_code_are_kept() -> None:
    """Line and column of the last expression are where the user wrote it."""
    last = tree_of("%%probe\nx = 1\nfoo(x)\n").body[-1]
    assert isinstance(last, ast.Expr)
    assert isinstance(last.value, ast.Call)
    assert (last.value.args[0].lineno, last.value.args[0].col_offset) == (3, 0)
    assert last.value.lineno == 3
