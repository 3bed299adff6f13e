"""Errors in a cell that runs under a magic of ours: shown once, where they happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel.support import Kernel

OURS = ("colabmagic/", "colabmagic\\", "colabmagic.magics", "run_cell_magic")


def test_a_failing_cell_stops_run_all(kernel: Kernel) -> None:
    """The reply says error, so that the front end runs no further cell."""
    reply = kernel.run("%%probe\n1/0")
    assert reply.status == "error"
    assert reply.ename == "ZeroDivisionError"
    cells = ("%%probe\n1", "%%probe\n1/0", "%%probe\nran_on = True")
    assert kernel.run_all(*cells) == ["ok", "error", "aborted"]


def test_the_error_is_shown_once_at_the_users_line(kernel: Kernel) -> None:
    """One error output: the user's line with its number in the cell, no frame of ours."""
    reply = kernel.run("%%probe\nvalue = 3\n\nvalue / 0  # the culprit")
    (text,) = reply.errors
    assert "----> 4 value / 0  # the culprit" in text
    assert "ZeroDivisionError" not in reply.stdout + reply.stderr
    assert not [name for name in OURS if name in text]


def test_an_error_inside_the_last_expression(kernel: Kernel) -> None:
    """A call in the last line, whose value goes through us, shows no frame of ours."""
    kernel.run("def divide(value):\n    return value / 0")
    (text,) = kernel.run("%%probe\nx = 1\ndivide(x)").errors
    assert "----> 3 divide(x)" in text
    assert "return value / 0" in text
    assert not [name for name in OURS if name in text]


def test_the_traceback_shows_the_first_line_as_it_was_written(kernel: Kernel) -> None:
    """Lines around the culprit are the user's text, not our call."""
    (text,) = kernel.run("%%probe some words\n1/0").errors
    assert "# %%probe some words" in text
    assert "__import__" not in text


def test_the_session_gets_the_error(kernel: Kernel) -> None:
    """The session is closed once, with what the cell raised."""
    kernel.run("%%probe\n1/0")
    assert kernel.value("probe_magic.EVENTS") == [
        ("begin", ""),
        ("finish", "None", "ZeroDivisionError"),
    ]


def test_tb_shows_the_users_frame_again(kernel: Kernel) -> None:
    """``%tb`` after the failure draws the same frames."""
    kernel.run("%%probe\nvalue = 3\nvalue / 0")
    shown = kernel.run("%tb").shown
    assert "----> 3 value / 0" in shown
    assert not [name for name in OURS if name in shown]


def test_debug_lands_in_the_users_frame(kernel: Kernel) -> None:
    """``%debug`` opens where the user's code failed, with its variables."""
    kernel.run("%%probe\ndef f(secret):\n    return secret / 0\nf(42)")
    shown = kernel.run("%debug", answers=("p secret + 1", "u", "p 'at', __name__", "q"))
    assert "43" in shown.stdout
    assert "f(42)" in shown.stdout
    assert "('at', '__main__')" in shown.stdout
    assert shown.status == "ok"


def test_a_syntax_error_points_into_the_cell(kernel: Kernel) -> None:
    """The line number is that in the cell; nothing was opened."""
    reply = kernel.run("%%probe\ngood = 1\nbad = = 2\n")
    assert reply.status == "error"
    assert reply.ename == "SyntaxError"
    (text,) = reply.errors
    assert "line 3" in text
    assert "bad = = 2" in text
    assert kernel.value("probe_magic.EVENTS") == []


def test_errors_of_ours_take_three_lines(kernel: Kernel) -> None:
    """An opener's own error draws itself, and fails the cell."""
    reply = kernel.run("%%probe bad-device\nran = True")
    assert reply.status == "error"
    assert reply.ename == "BadDeviceError"
    assert reply.errors == [
        "BadDeviceError: no such device: moon\n  seen: cpu\n  try:  %%probe cpu"
    ]
    assert kernel.value("'ran' in globals()") is False
    assert kernel.value("probe_magic.EVENTS") == [("begin", "bad-device")]


def test_verbose_mode_brings_the_traceback_back(kernel: Kernel) -> None:
    """After ``%xmode Verbose`` our errors show all frames."""
    kernel.run("%xmode Verbose")
    reply = kernel.run("%%probe bad-device\n1")
    kernel.run("%xmode Context")
    assert "open_probe" in reply.shown


def test_a_usage_error_takes_one_line(kernel: Kernel) -> None:
    """A bad argument line is one line on stderr and fails the cell."""
    reply = kernel.run("%%probe bad-usage\nran = True")
    assert reply.status == "error"
    assert reply.ename == "UsageError"
    assert reply.stderr.strip() == "UsageError: %%probe: not like this"
    assert reply.errors == []


def test_the_cell_after_a_failed_opening_is_ordinary(kernel: Kernel) -> None:
    """Nothing is left open by an opener that raised."""
    assert kernel.run("%%probe broken-begin\n1").status == "error"
    assert kernel.run("%%probe\n5").results == ["5"]
    assert kernel.value("len(probe_magic.OPEN)") == 0


def test_an_error_while_closing_fails_the_cell(kernel: Kernel) -> None:
    """What ``finish`` raises at the end of a good cell is the cell's error."""
    reply = kernel.run("%%probe broken-finish\nx = 1\nx")
    assert reply.status == "error"
    assert reply.ename == "RuntimeError"
    assert len(reply.errors) == 1
    assert reply.results == []


def test_an_error_while_closing_a_failed_cell_is_shown_beside(kernel: Kernel) -> None:
    """The user's error and that of ``finish`` are shown once each; %tb keeps the first."""
    reply = kernel.run("%%probe broken-finish\n1/0")
    assert reply.status == "error"
    assert reply.ename == "ZeroDivisionError"
    assert reply.shown.count("ZeroDivisionError: division by zero") == 1
    assert reply.shown.count("RuntimeError: finish broke") == 1
    assert "ZeroDivisionError" in reply.traceback
    assert "ZeroDivisionError" in kernel.run("%tb").shown


def test_a_second_one_inside_is_refused(kernel: Kernel) -> None:
    """Three lines, no traceback; the outer session is closed with the error."""
    reply = kernel.run("%%probe a\n%%probe b\n1")
    assert reply.status == "error"
    assert reply.ename == "NestedCellError"
    (text,) = reply.errors
    assert len(text.splitlines()) == 3
    assert "%%probe" in text
    assert kernel.value("probe_magic.EVENTS") == [
        ("begin", "a"),
        ("finish", "None", "NestedCellError"),
    ]


def test_a_second_one_in_a_nested_run_is_refused(kernel: Kernel) -> None:
    """``run_cell`` of another one fails alone; the outer session stays open."""
    reply = kernel.run(
        "%%probe outer\n"
        "inner = get_ipython().run_cell('%%probe inner\\n1')\n"
        "still = len(probe_magic.OPEN)\n"
        "'done'"
    )
    assert reply.results == ["'done'"]
    assert "NestedCellError" in reply.shown
    assert kernel.value("inner.success, still") == (False, 1)
    assert kernel.value("probe_magic.EVENTS[-1]") == ("finish", "'done'", None)


@pytest.mark.parametrize("nested", ["1 + 1", "", "1/0", "x = = 3", "%%time\n1"])
def test_nested_cells_leave_the_session_open(kernel: Kernel, nested: str) -> None:
    """Only the end of its own cell closes a session, whatever runs in between."""
    kernel.run(
        "%%probe\n"
        f"get_ipython().run_cell({nested!r})\n"
        "still = len(probe_magic.OPEN)\n"
        "still;"
    )
    assert kernel.value("still, len(probe_magic.OPEN)") == (1, 0)
    assert kernel.value("len(probe_magic.EVENTS)") == 2


def test_a_nested_run_closes_its_own_session(kernel: Kernel) -> None:
    """A cell started from an ordinary cell closes when it ends, also when it fails."""
    kernel.run("get_ipython().run_cell('%%probe\\n1/0')\nleft = len(probe_magic.OPEN)")
    assert kernel.value("left") == 0
    assert kernel.value("probe_magic.EVENTS[-1]") == (
        "finish",
        "None",
        "ZeroDivisionError",
    )
