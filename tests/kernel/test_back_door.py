"""``get_ipython().run_cell_magic(...)`` from code: the rules of a cell hold there too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.support import ours

if TYPE_CHECKING:
    from tests.kernel.support import Kernel


def call(body: str, line: str = "") -> str:
    """Return the code that hands a body to the magic."""
    return f"get_ipython().run_cell_magic('probe', {line!r}, {body!r})"


def test_the_value_is_returned(kernel: Kernel) -> None:
    """The last expression is the call's value, as ``finish`` gave it."""
    assert kernel.run(f"r = {call('x = 2; x * 4', 'wrap')}\nr").results == ["'home: 8'"]
    assert kernel.value("x") == 2
    assert kernel.value("probe_magic.EVENTS") == [
        ("begin", "wrap"),
        ("finish", "8", None),
    ]


def test_it_is_shown_once(kernel: Kernel) -> None:
    """As a cell's last line it is displayed once, and a semicolon suppresses it."""
    assert kernel.run(call("5 + 5")).shown.split() == ["10"]
    assert kernel.run(call("5 + 5;")).shown.strip() == ""


def test_the_opener_gets_the_names(kernel: Kernel) -> None:
    """The names of the body, not those of the calling cell."""
    kernel.run(call("model_a = 1\nother(model_a) if False else None"))
    assert set(kernel.value("probe_magic.NAMES[-1]")) == {"model_a", "other"}


def test_an_error_shows_the_call_and_the_body(kernel: Kernel) -> None:
    """Once, the body's line, none of our frames and none of IPython's between."""
    reply = kernel.run("y = 1\n" + call("a = 1\na / 0  # culprit\n"))
    assert reply.status == "error"
    assert reply.ename == "ZeroDivisionError"
    (text,) = reply.errors
    assert "2 a / 0  # culprit" in text
    assert text.count("ZeroDivisionError") <= 2
    assert not ours(text)
    assert "interactiveshell" not in text
    assert kernel.value("probe_magic.EVENTS[-1]")[2] == "ZeroDivisionError"


def test_tb_and_debug_after_it(kernel: Kernel) -> None:
    """Both see the user's frames only."""
    kernel.run(call("def f(secret):\n    return secret / 0\nf(42)\n"))
    shown = kernel.run("%tb").shown
    assert "return secret / 0" in shown
    assert not ours(shown)
    shown = kernel.run("%debug", answers=("p secret + 1", "w", "q")).stdout
    assert "43" in shown
    assert not ours(shown)


def test_an_error_can_be_caught(kernel: Kernel) -> None:
    """It is the user's own exception; raised again elsewhere, it draws as any other."""
    reply = kernel.run(
        f"try:\n    {call('1/0')}\nexcept ZeroDivisionError as error:\n    kept = error\n"
        "print('caught', len(probe_magic.OPEN))"
    )
    assert reply.stdout.strip() == "caught 0"
    reply = kernel.run("raise kept")
    assert "raise kept" in reply.errors[0]
    assert not ours(reply.errors[0])


@pytest.mark.parametrize("body", ["good = 1\nbad = = 2\n", "good = 1\nreturn 5\n"])
def test_a_syntax_error_points_into_the_body(kernel: Kernel, body: str) -> None:
    """Its line is shown with its number; nothing was opened, nothing of ours is shown."""
    reply = kernel.run(call(body))
    assert reply.status == "error"
    assert reply.ename == "SyntaxError"
    (text,) = reply.errors
    assert body.splitlines()[1] in text
    assert ":2" in text or "line 2" in text
    assert not ours(text)
    assert "interactiveshell" not in text
    assert kernel.value("probe_magic.EVENTS") == []


def test_a_later_syntax_error_is_ordinary(kernel: Kernel) -> None:
    """What we changed to draw the first one is gone."""
    kernel.run(f"try:\n    {call('x = = 1')}\nexcept SyntaxError:\n    pass")
    reply = kernel.run("y = = 2")
    assert len(reply.errors) == 1
    assert "y = = 2" in reply.errors[0]
    assert kernel.value("'showsyntaxerror' in vars(get_ipython())") is False


def test_await_is_refused_in_one_line(kernel: Kernel) -> None:
    """It needs the cell's own loop: say to put the magic on the first line."""
    reply = kernel.run(call("import asyncio\nawait asyncio.sleep(0)"))
    assert reply.ename == "UsageError"
    assert len(reply.stderr.strip().splitlines()) == 1
    assert "first line" in reply.stderr
    assert kernel.value("probe_magic.EVENTS") == []


def test_inside_a_front_door_it_is_refused(kernel: Kernel) -> None:
    """Three lines, and the outer session is closed with the error."""
    reply = kernel.run("%%probe outer\n" + call("1", "inner"))
    assert reply.ename == "NestedCellError"
    assert len(reply.errors[0].splitlines()) == 3
    assert kernel.value("[e[:2] for e in probe_magic.EVENTS]") == [
        ("begin", "outer"),
        ("finish", "None"),
    ]


@pytest.mark.parametrize("body", [" ", "\n", "# remark\n"])
def test_an_empty_body_is_harmless(kernel: Kernel, body: str) -> None:
    """Nothing happens but opening and closing; Colab sends one blank."""
    reply = kernel.run(call(body))
    assert reply.status == "ok", reply.shown
    assert reply.shown.strip() == ""


def test_magics_in_the_body(kernel: Kernel) -> None:
    """IPython's syntax works there too, and so does a cell magic in the first line."""
    reply = kernel.run(call("%%time\nv = 3\nv"))
    assert "Wall time" in reply.stdout
    assert reply.results == ["3"]
    reply = kernel.run(call("w = 'x'\n!echo {w}y"))
    assert "xy" in reply.stdout


def test_an_error_while_closing_fails_the_cell(kernel: Kernel) -> None:
    """What ``finish`` raises leaves the call."""
    reply = kernel.run(call("1", "broken-finish"))
    assert reply.ename == "RuntimeError"
    assert len(reply.errors) == 1
    assert kernel.value("len(probe_magic.OPEN)") == 0


def test_a_caught_error_leaves_memory_at_once(kernel: Kernel) -> None:
    """What its frames hold is freed without the garbage collector."""
    body = "def f():\n    big = Big()\n    1 / 0\nf()"
    kernel.run(
        "import gc, weakref\nclass Big:\n    pass\nalive = weakref.WeakSet()\n"
        "Big.__init__ = lambda self: alive.add(self)\ngc.disable()\n"
        f"try:\n    {call(body)}\nexcept ZeroDivisionError:\n    pass\n"
        "left = len(alive)\ngc.enable()"
    )
    assert kernel.value("left") == 0
