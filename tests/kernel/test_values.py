"""What a cell under a magic of ours shows and leaves behind: as an ordinary cell does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel.support import Kernel


def test_the_last_expression_is_shown_once_and_kept(kernel: Kernel) -> None:
    """It is displayed as Out[n], and lands in ``Out`` and ``_``."""
    reply = kernel.run("%%probe\nx = 20\nx + 22")
    assert reply.results == ["42"]
    assert reply.shown.split() == ["42"]
    assert kernel.value(f"(_, Out[{reply.execution_count}])") == (42, 42)


def test_the_session_decides_what_is_shown(kernel: Kernel) -> None:
    """``finish`` gets the value before it is shown, and returns the one to show."""
    assert kernel.run("%%probe wrap\n'x'").results == ["'home: x'"]


def test_a_semicolon_suppresses_the_value(kernel: Kernel) -> None:
    """As everywhere in IPython; the session is closed all the same."""
    reply = kernel.run("%%probe\nx = 1\nx + 1;")
    assert reply.shown.strip() == ""
    assert kernel.value("probe_magic.EVENTS[-1]") == ("finish", "2", None)


def test_a_last_statement_shows_nothing(kernel: Kernel) -> None:
    """An assignment or a loop at the end shows nothing and closes the session."""
    reply = kernel.run("%%probe\nfor i in range(3):\n    i")
    assert reply.status == "ok"
    assert reply.shown.strip() == ""
    assert kernel.value("probe_magic.EVENTS[-1]") == ("finish", "None", None)


@pytest.mark.parametrize(
    ("mode", "body", "results"),
    [
        ("all", "1\nx = 2\n3", ["1", "3"]),
        ("last_expr_or_assign", "x = 5", ["5"]),
        ("last_expr_or_assign", "x: int = 6", ["6"]),
        ("last_expr_or_assign", "x = [1]\nx[0] = 2", []),
        ("last_expr", "1\nx = 2", []),
        ("none", "1", []),
    ],
)
def test_ast_node_interactivity(
    kernel: Kernel, mode: str, body: str, results: list[str]
) -> None:
    """The user's setting of what is shown holds, and the session is closed first."""
    setting = "get_ipython().ast_node_interactivity"
    kernel.run(f"{setting} = {mode!r}")
    reply = kernel.run(f"%%probe\n{body}")
    kernel.run(f"{setting} = 'last_expr'")
    assert reply.results == results
    assert kernel.value("[event[0] for event in probe_magic.EVENTS]") == [
        "begin",
        "finish",
    ]


def test_mode_last_shows_the_values_inside_a_loop(kernel: Kernel) -> None:
    """``ast_node_interactivity = 'last'`` shows what the last statement shows."""
    kernel.run("get_ipython().ast_node_interactivity = 'last'")
    reply = kernel.run("%%probe\nfor i in range(2):\n    i")
    kernel.run("get_ipython().ast_node_interactivity = 'last_expr'")
    assert reply.results == ["0", "1"]
    assert kernel.value("len(probe_magic.OPEN)") == 0


def test_await_at_top_level(kernel: Kernel) -> None:
    """``await`` works in statements and in the last expression."""
    reply = kernel.run(
        "%%probe\n"
        "import asyncio\n"
        "await asyncio.sleep(0.01)\n"
        "async def answer():\n    return 42\n"
        "await answer()"
    )
    assert reply.status == "ok", reply.shown
    assert reply.results == ["42"]
    assert kernel.value("probe_magic.EVENTS[-1]") == ("finish", "42", None)


def test_an_error_after_await(kernel: Kernel) -> None:
    """A cell that fails in a coroutine closes its session with the error."""
    reply = kernel.run("%%probe\nimport asyncio\nawait asyncio.sleep(0)\n1/0")
    assert reply.status == "error"
    assert len(reply.errors) == 1
    assert "----> 4 1/0" in reply.errors[0]
    assert kernel.value("probe_magic.EVENTS[-1]")[2] == "ZeroDivisionError"


def test_commands_and_line_magics_in_the_body(kernel: Kernel) -> None:
    """``!command``, ``%magic`` and ``{var}`` work as always."""
    reply = kernel.run(
        "%%probe\n"
        "word = 'inside'\n"
        "!echo shell {word}\n"
        "%env COLABMAGIC_PROBE={word}\n"
        "place = %pwd\n"
        "bool(place)"
    )
    assert reply.status == "ok", reply.shown
    assert "shell inside" in reply.stdout
    assert "COLABMAGIC_PROBE=inside" in reply.stdout
    assert reply.results == ["True"]


def test_the_output_of_a_command_as_a_value(kernel: Kernel) -> None:
    """``x = !command`` works where it works in an ordinary cell."""
    body = "word = 'inside'\nlines = !echo kept $word\nlist(lines)"
    plain = kernel.run(body)  # IPython 7 cannot do it on Python 3.12 and later
    reply = kernel.run(f"%%probe\n{body}")
    assert (reply.status, reply.results) == (plain.status, plain.results)
    assert plain.results in ([], ["['kept inside']"])


def test_variables_in_the_first_line(kernel: Kernel) -> None:
    """``{var}`` and ``$var`` in the arguments are expanded, at both doors."""
    kernel.run("where, number = 'cuda', 1")
    kernel.run("%%probe {where}:{number + 0} $where\n1")
    kernel.run("get_ipython().run_cell_magic('probe', '{where}', '1')")
    assert kernel.value("[e[1] for e in probe_magic.EVENTS if e[0] == 'begin']") == [
        "cuda:1 cuda",
        "cuda",
    ]


def test_names_that_the_body_mentions(kernel: Kernel) -> None:
    """The opener learns them before the body runs, also those in nested magics."""
    kernel.run("model = utils = loader = 0\ndef train(*args): pass\n")
    kernel.run("%%probe\nfor batch in [loader]:\n    train(model)\n%time train(utils)")
    (names,) = kernel.value("probe_magic.NAMES")
    assert {"batch", "loader", "train", "model", "utils"} <= set(names)


def test_names_functions_and_classes_land_with_the_user(kernel: Kernel) -> None:
    """What the cell defines is there in the next cell, as if it were typed there."""
    kernel.run(
        "%%probe\n"
        "import math as m\n"
        "total = 3\n"
        "def double(x):\n    return x * 2\n"
        "class Box:\n    size = 7\n"
    )
    assert kernel.value(
        "(total, double(4), Box().size, m.floor(2.5), Box.__module__, double.__module__)"
    ) == (3, 8, 7, 2, "__main__", "__main__")


def test_the_source_of_what_the_cell_defines(kernel: Kernel) -> None:
    """``inspect.getsource`` finds it, as torch.compile and others need it."""
    kernel.run("%%probe\nimport inspect\ndef double(x):\n    return x * 2\n\n5")
    source = "def double(x):\n    return x * 2\n"
    assert kernel.value("inspect.getsource(double)") == source


def test_future_imports_are_kept(kernel: Kernel) -> None:
    """A body may begin with ``from __future__``, as a cell may."""
    reply = kernel.run(
        "%%probe\nfrom __future__ import annotations\nx: Nonsense = 1\nx"
    )
    assert reply.results == ["1"], reply.shown


@pytest.mark.parametrize(
    "body", ["", "\n", " ", "\n \n", "# only a remark", "\n# a\n\n"]
)
def test_an_empty_body_is_harmless(kernel: Kernel, body: str) -> None:
    """Nothing happens but opening and closing; Colab sends one blank."""
    reply = kernel.run(f"%%probe{body if body.strip() == '' else chr(10) + body}")
    assert reply.status == "ok", reply.shown
    assert reply.shown.strip() == ""
    assert kernel.value("[e[0] for e in probe_magic.EVENTS]") == ["begin", "finish"]


def test_a_silent_run(kernel: Kernel) -> None:
    """A front end's silent request runs the body, shows nothing, closes the session."""
    reply = kernel.run("%%probe\nquiet = 11\nquiet", silent=True)
    assert reply.results == []
    assert kernel.value("quiet") == 11
    assert kernel.value("probe_magic.EVENTS[-1]")[0] == "finish"


def test_an_indented_or_prompted_cell(kernel: Kernel) -> None:
    """Pasted code is cleaned up as in an ordinary cell."""
    assert kernel.run("%%probe\n    x = 1\n    x + 1").results == ["2"]
    assert kernel.run("\n\n%%probe\nx = 1\nx").results == ["1"]
    assert kernel.run("    %%probe\n    x = 3\n    x").results == ["3"]


def test_history_keeps_what_was_typed(kernel: Kernel) -> None:
    """``In`` and ``%rerun`` see the cell as a cell, and can run it again."""
    kernel.run("%%probe again\nx = 1\nx + 1")
    assert kernel.value("get_ipython().history_manager.input_hist_raw[-2]") == (
        "%%probe again\nx = 1\nx + 1"
    )
