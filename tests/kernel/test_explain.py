"""Explanations below the tracebacks of failed cells, in real kernels, old and new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.explain.cases import CASES, HEAD, Case
from tests.kernel.support import ours

if TYPE_CHECKING:
    from tests.kernel.support import Kernel, Reply

MIXED = "a, b = torch.ones(2, 2), torch.ones(2, 2).double()\na @ b"
SETTINGS = "%config ColabMagic.explain = True\n%config ColabMagic.language = 'auto'"
# A sixth of those that one kernel can stand one after the other; the rest run in-process.
SOME = [
    case
    for case in CASES
    if not case.train_on and "worker" not in case.name and "mock" not in case.before
][::6]


def said(reply: Reply) -> list[str]:
    """Return what was shown as display data, as plain text."""
    return [
        output["data"]["text/plain"]
        for output in reply.outputs
        if output["type"] == "display_data"
    ]


@pytest.fixture
def kernel(device_kernel: Kernel) -> Kernel:
    """Return that kernel with nothing of the test before."""
    for cell in ("%reset -f", SETTINGS, HEAD):
        reply = device_kernel.run(cell)
        assert reply.status == "ok", reply.shown
    return device_kernel


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_a_case_in_a_kernel(kernel: Kernel, case: Case) -> None:
    """The traceback first, then the lines, with the command in both forms."""
    assert kernel.run(case.before).status == "ok"
    reply = kernel.run(case.cell)
    assert reply.status == "error"
    kinds = [output["type"] for output in reply.outputs]
    assert kinds.index("error") < kinds.index("display_data")
    (text,) = said(reply)
    assert f"[{case.key}]" in text
    for command in case.commands:
        assert f"\n      {command}\n" in text + "\n"
    (data,) = (out["data"] for out in reply.outputs if out["type"] == "display_data")
    assert set(data) == {"text/plain", "text/html"}


def test_reply_and_traceback_are_untouched(kernel: Kernel) -> None:
    """``%tb``, the reply and ``sys.last_value`` speak of the user's error alone."""
    reply = kernel.run(MIXED)
    assert reply.ename == "RuntimeError"
    assert reply.evalue.startswith("expected m1 and m2 to have the same dtype")
    assert not ours(reply.traceback)
    assert not ours(reply.errors[0])
    again = kernel.run("%tb")
    assert "----> 2 a @ b" in again.shown
    assert said(again) == []
    value = kernel.value(
        "[type(sys.last_value).__name__, len(sys.last_value.args), "
        "[k for k in vars(sys.last_value)]]",
        before="import sys",
    )
    assert value == ["RuntimeError", 1, []]


def test_other_errors_print_nothing(kernel: Kernel) -> None:
    """An ordinary mistake looks as it did before."""
    for cell in ("1/0", "undefined_name", "x = (", "raise KeyError('a')", "%nope"):
        reply = kernel.run(cell)
        assert said(reply) == [], cell
    assert said(kernel.run("raise KeyboardInterrupt")) == []
    assert said(kernel.run("%%train_on nowhere\n1")) == []


def test_a_healthy_cell_prints_nothing_after_an_error(kernel: Kernel) -> None:
    """An error is explained once; empty and silent cells repeat nothing."""
    assert len(said(kernel.run(MIXED))) == 1
    for cell in ("1", "", "get_ipython().run_cell('')"):
        assert said(kernel.run(cell)) == []
    assert said(kernel.run(MIXED, silent=True)) == []
    assert said(kernel.run("pass", silent=True)) == []


def test_under_train_on(kernel: Kernel) -> None:
    """Devices are told as they were in the cell, not after the way home."""
    kernel.run("x = torch.ones(4, 3)\nclosed = torch.ones(3)")
    cell = (
        "%%train_on fake:1\ny = x + 0\nrow = torch.ones(3, device='cpu')\nz = y * row"
    )
    reply = kernel.run(cell)
    (text,) = said(reply)
    assert "`row` (cell line 4) is on cpu, `y` is on fake:1" in " ".join(text.split())
    assert "z = y * row.to(y.device)" in text
    assert kernel.value("str(x.device)") == "cpu"
    mended = cell.replace("z = y * row", "z = y * row.to(y.device)")
    assert kernel.run(mended).status == "ok"


def test_under_train_on_from_code(kernel: Kernel) -> None:
    """``run_cell_magic`` brings things home before the error leaves it: seen before."""
    kernel.run("x = torch.ones(4, 3)")
    body = "y = x + 0\\nrow = torch.ones(3, device='cpu')\\nz = y * row"
    call = f'get_ipython().run_cell_magic("train_on", "fake:1", "{body}")'
    (text,) = said(kernel.run(call))
    assert "`row`" in text
    assert "`y` is on fake:1" in " ".join(text.split())
    assert "z = y * row.to(y.device)" in text


def test_a_nested_cell(kernel: Kernel) -> None:
    """An error that ``run_cell`` shows is explained there, below its traceback."""
    reply = kernel.run(
        "result = get_ipython().run_cell('a = torch.ones(2, 2); b = a.double(); a @ b')\n"
        "print('outer goes on')"
    )
    assert len(said(reply)) == 1
    assert "outer goes on" in reply.stdout


def test_await_in_the_cell(kernel: Kernel) -> None:
    """A cell with ``await`` at its top is read as well."""
    reply = kernel.run("import asyncio\nawait asyncio.sleep(0)\n" + MIXED)
    (text,) = said(reply)
    assert "a @ b.float()" in text
    assert "cell line 4" in text


def test_settings(kernel: Kernel) -> None:
    """Off, in Chinese, and a language that has no file."""
    kernel.run("%config ColabMagic.explain = False")
    assert said(kernel.run(MIXED)) == []
    kernel.run("%config ColabMagic.explain = True")
    kernel.run("%config ColabMagic.language = 'zh'")
    (text,) = said(kernel.run(MIXED))
    assert "\n中文 `b`" in text
    refused = kernel.run("%config ColabMagic.language = 'xx'")
    assert "one of auto, en, zh, not 'xx'" in refused.shown
    kernel.run("%config ColabMagic.language = 'en'")
    (text,) = said(kernel.run(MIXED))
    assert "中文" not in text


def test_unloading_ends_it(kernel: Kernel) -> None:
    """Nothing is explained after ``%unload_ext``, and once after ``%reload_ext``."""
    count = "len(get_ipython().events.callbacks['post_execute'])"
    before = kernel.value(count)
    kernel.run("%unload_ext colabmagic")
    assert kernel.value(count) == before - 1
    assert said(kernel.run(MIXED)) == []
    kernel.run("%load_ext colabmagic")
    kernel.run("%reload_ext colabmagic")
    assert kernel.value(count) == before
    assert len(said(kernel.run(MIXED))) == 1


def test_nothing_is_loaded_for_it(fresh_kernel: Kernel) -> None:
    """A user without torch pays nothing: no module comes with loading."""
    fresh_kernel.run("%load_ext colabmagic")
    fresh_kernel.run("1")
    loaded = fresh_kernel.value(
        "[n for n in sys.modules if n == 'torch' or 'colabmagic.explain' in n]",
        before="import sys",
    )
    assert loaded == []
    assert said(fresh_kernel.run("1/0")) == []
    text = "Found no NVIDIA driver on your system."
    (line,) = said(fresh_kernel.run(f"raise RuntimeError({text!r})"))
    assert "%gpu_check" in line
    assert fresh_kernel.value("'torch' in sys.modules") is False
