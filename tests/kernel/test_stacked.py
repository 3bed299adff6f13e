"""Other cell magics above and below one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.support import ours

if TYPE_CHECKING:
    from tests.kernel.support import Kernel


def test_time_above(kernel: Kernel) -> None:
    """``%%time`` above it times the body and shows its value."""
    reply = kernel.run("%%time\n%%probe timed\nx = 2\nx * 3")
    assert reply.status == "ok", reply.shown
    assert "Wall time" in reply.stdout
    assert reply.results == ["6"]
    assert kernel.value("probe_magic.EVENTS") == [
        ("begin", "timed"),
        ("finish", "6", None),
    ]


def test_an_error_under_time(kernel: Kernel) -> None:
    """The cell fails and shows the error once, though IPython 7's %%time swallows it."""
    reply = kernel.run("%%time\n%%probe\nx = 1\nx / 0")
    assert reply.status == "error"
    assert reply.ename == "ZeroDivisionError"
    assert reply.shown.count("ZeroDivisionError: division by zero") == 1
    assert not ours(reply.shown.replace("probe_magic", ""))
    assert kernel.value("probe_magic.EVENTS[-1]")[2] == "ZeroDivisionError"


def test_capture_above(kernel: Kernel) -> None:
    """``%%capture`` keeps what the body prints and shows."""
    reply = kernel.run("%%capture kept\n%%probe\nprint('into the drawer')\n7")
    assert reply.status == "ok", reply.shown
    assert reply.shown.strip() == ""
    assert "into the drawer" in kernel.value("kept.stdout")
    assert kernel.value("probe_magic.EVENTS[-1]") == ("finish", "7", None)


def test_time_below(kernel: Kernel) -> None:
    """``%%time`` as the body's first line works, and its value comes through us."""
    reply = kernel.run("%%probe wrap\n%%time\ny = 5\ny * 2")
    assert reply.status == "ok", reply.shown
    assert "Wall time" in reply.stdout
    assert reply.results == ["'home: 10'"]
    assert kernel.value("y") == 5
    assert "y" in kernel.value("probe_magic.NAMES[-1]")


def test_a_blank_line_before_the_inner_magic(kernel: Kernel) -> None:
    """Blank lines between the two are allowed."""
    reply = kernel.run("%%probe\n\n%%time\n8")
    assert reply.results == ["8"], reply.shown


def test_bash_below(kernel: Kernel) -> None:
    """A body that is not Python goes to its own magic."""
    reply = kernel.run("%%probe\n%%bash\nif true; then echo from bash; fi")
    assert "from bash" in reply.stdout
    assert kernel.value("probe_magic.EVENTS[-1]")[0] == "finish"


def test_timeit_above(kernel: Kernel) -> None:
    """A magic that runs the body many times opens and closes a session each time."""
    reply = kernel.run("%%timeit -n2 -r1\n%%probe\nx = 1\nx")
    assert reply.status == "ok", reply.shown
    assert "per loop" in reply.stdout
    assert kernel.value("[e[0] for e in probe_magic.EVENTS]") == ["begin", "finish"] * 2


def test_a_magic_that_skips_ast_transformers(kernel: Kernel) -> None:
    """Where the cell would not be closed it is refused, with what to do."""
    kernel.run(
        "from IPython.core.magic import register_cell_magic\n"
        "@register_cell_magic\n"
        "def raw(line, cell):\n"
        "    exec(get_ipython().transform_cell(cell), get_ipython().user_ns)\n"
    )
    reply = kernel.run("%%raw\n%%probe\nx = 1")
    assert reply.ename == "NotSupportedError"
    assert "put %%probe on the first line" in reply.errors[0]
    assert kernel.value("probe_magic.EVENTS") == []


def test_remarks_above(kernel: Kernel) -> None:
    """A title of Colab, or any remark, may stand above it; lines keep their numbers."""
    reply = kernel.run("#@title Train it\n\n# now\n%%probe cuda\nx = 1\nx / 0")
    assert "----> 6 x / 0" in reply.errors[0]
    assert "# %%probe cuda" in reply.errors[0]
    assert kernel.value("probe_magic.EVENTS[0]") == ("begin", "cuda")


@pytest.mark.parametrize("line", ["%%probe?", "%probe?"])
def test_help_is_left_to_ipython(kernel: Kernel, line: str) -> None:
    """A question mark asks for help and opens nothing."""
    reply = kernel.run(line)
    assert reply.status == "ok", reply.shown
    assert kernel.value("probe_magic.EVENTS") == []
