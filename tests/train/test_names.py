"""Tests for `colabmagic.train.names`."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colabmagic.train.names import mentioned_names


def names_of(cell: str) -> tuple[str, ...]:
    """Return what the cell mentions."""
    return mentioned_names(ast.parse(cell))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("model(x)", {"model", "x"}),
        ("a = b", {"a", "b"}),
        ("del gone", {"gone"}),
        ("x += 1", {"x"}),
        ("for batch in loader:\n    pass", {"batch", "loader"}),
        ("with ctx as c:\n    pass", {"ctx", "c"}),
        ("[w * 2 for w in ws if keep]", {"w", "ws", "keep"}),
        ("f'{loss:{width}}'", {"loss", "width"}),
        ("await job", {"job"}),
        ("(n := total)", {"n", "total"}),
        ("def step(x=default):\n    return net(x)", {"step", "default", "net", "x"}),
        ("class Net(Base):\n    y = z", {"Net", "Base", "y", "z"}),
        ("@wrap\ndef f():\n    pass", {"wrap", "f"}),
        ("def f():\n    global model\n    model = 1", {"f", "model"}),
        ("match value:\n    case Point(x=0):\n        pass", {"value", "Point"}),
        ("", set()),
    ],
)
def test_finds_every_name_of_the_syntax(cell: str, expected: set[str]) -> None:
    """A name counts wherever it stands: read, written, deleted or declared."""
    assert set(names_of(cell)) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("utils.train(model)", {"utils.train", "model"}),
        ("a.b.c.d", {"a.b.c.d"}),
        ("a.b = 1", {"a.b"}),
        ("f(x).weight.data", {"f", "x"}),
        ("rows[i].weight", {"rows", "i"}),
        ("a.b[c.d].e", {"a.b", "c.d"}),
        ("'text'.join(parts)", {"parts"}),
    ],
)
def test_keeps_attribute_chains_as_far_as_they_are_names(
    cell: str, expected: set[str]
) -> None:
    """``a.b.c`` is one dotted name; a chain on a call or an item starts behind it."""
    assert set(names_of(cell)) == expected


def test_each_name_comes_once() -> None:
    """Repetition adds nothing; a chain and its head are two names."""
    assert sorted(names_of("m(x)\nm(x)\nm.eval()\nm.eval()")) == ["m", "m.eval", "x"]


def test_the_same_name_outside_and_inside_a_chain() -> None:
    """The head of a chain is not swallowed where it also stands alone."""
    assert set(names_of("model.train()\nmodel")) == {"model.train", "model"}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("get_ipython().run_line_magic('time', 'fit(model, utils.x)')",
         {"get_ipython", "fit", "model", "utils.x"}),
        ("get_ipython().run_cell_magic('timeit', '-n1', 'loss = net(x)')",
         {"get_ipython", "timeit", "n1", "loss", "net", "x"}),
        ("get_ipython().system('echo {accuracy}')", {"get_ipython", "accuracy"}),
        ("lines = get_ipython().getoutput('ls $folder')", {"lines", "folder"}),
    ],
)  # fmt: skip
def test_reads_the_texts_of_magics_and_of_the_shell(
    cell: str, expected: set[str]
) -> None:
    """What looks like a name in a magic's line or body counts."""
    assert expected <= set(names_of(cell))


def test_texts_of_other_calls_are_only_texts() -> None:
    """A string is no code: ``print('model')`` mentions no model."""
    assert set(names_of("print('model')\nlog.info('net')")) == {"print", "log.info"}


def test_imports_bind_their_names() -> None:
    """An import mentions what it binds, not what it takes it from."""
    cell = "import a.b\nimport c.d as e\nfrom f import g, h as i"
    assert set(names_of(cell)) == {"a", "e", "g", "i"}


def test_accepts_names_of_any_script() -> None:
    """Identifiers need not be ASCII, in code and in the texts of magics."""
    cell = "größe = 模型(x)\nget_ipython().run_line_magic('time', 'μ.step()')"
    assert {"größe", "模型", "x", "μ.step"} <= set(names_of(cell))


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6))
def test_a_chain_of_any_length_is_one_name(parts: list[str]) -> None:
    """However long a chain is, it comes out whole."""
    assert names_of(".".join(parts)) == (".".join(parts),)


def test_a_long_chain_of_calls_needs_no_recursion() -> None:
    """A cell may be built of many hundred links without hurting the walk."""
    tree = ast.parse("x" + ".f()" * 300)
    assert mentioned_names(tree) == ("x.f",)


@pytest.mark.parametrize("module", ["names", "options", ""])
def test_needs_no_torch(module: str) -> None:
    """The package, its names and its options are known before torch is wanted."""
    name = "colabmagic.train" + (module and f".{module}")
    code = f"import sys, {name}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "False"
