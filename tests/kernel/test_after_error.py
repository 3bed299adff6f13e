"""What a failed cell keeps alive, in real kernels: with the extension and without."""

# ruff: noqa: ISC004 (the parts of a tuple are cells, of several lines each)

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.kernel.support import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.support import Reply

SETUP = """
import gc, sys, weakref
class Big:
    "Stands for a tensor."
REFS = []
def big():
    made = Big()
    REFS.append(weakref.ref(made))
    return made
def alive():
    gc.collect()
    return sum(ref() is not None for ref in REFS)
"""

# A failing cell of each kind, and how many objects its traceback holds.
KINDS: dict[str, tuple[str, int]] = {
    "plain": (
        "def go(depth):\n"
        "    held = big()\n"
        "    return go(depth - 1) if depth else 1 / 0\n"
        "go(4)",
        5,
    ),
    "raise from": (
        "def inner():\n    held = big()\n    raise KeyError('inner')\n"
        "def outer():\n    held = big()\n    try:\n        inner()\n"
        "    except KeyError as error:\n        more = big()\n"
        "        raise ValueError('outer') from error\n"
        "outer()",
        3,
    ),
    "context": (
        "def inner():\n    held = big()\n    raise KeyError('inner')\n"
        "def outer():\n    held = big()\n    try:\n        inner()\n"
        "    except KeyError:\n        more = big()\n        undefined_name\n"
        "outer()",
        3,
    ),
    "group": (
        "def one():\n    held = big()\n    raise ValueError('one')\n"
        "def all_of_them():\n    errors = []\n    for _ in range(3):\n        try:\n"
        "            one()\n        except ValueError as error:\n"
        "            errors.append(error)\n"
        "    raise ExceptionGroup('three', errors)\n"
        "all_of_them()",
        3,
    ),
    "interrupt": (
        "def wait():\n    held = big()\n    raise KeyboardInterrupt\nwait()",
        1,
    ),
    "generator": (
        "def batches():\n    held = big()\n    yield held\n    1 / 0\n"
        "def epoch():\n    for batch in batches():\n        seen = big()\n"
        "epoch()",
        2,
    ),
    "nested function": (
        "def outer():\n    held = big()\n    def inner():\n        return held, 1 / 0\n"
        "    inner()\nouter()",
        1,
    ),
    "in an argument": ("def go():\n    raise ValueError(big())\ngo()", 1),
    "in an attribute": (
        "class Wrapped(Exception): pass\n"
        "def go():\n    held = big()\n    try:\n        1 / 0\n"
        "    except ZeroDivisionError as error:\n"
        "        wrapped = Wrapped('no'); wrapped.original = error\n"
        "    raise wrapped from None\ngo()",
        1,
    ),
    "syntax error": ("def go():\n    held = big()\n    eval('1 +')\ngo()", 1),
    "import error": ("def go():\n    held = big()\n    import no_such_module\ngo()", 1),
    "cell magic": ("%%time\ndef go():\n    held = big()\n    1 / 0\ngo()", 1),
    "session magic": ("%%probe\ndef go():\n    held = big()\n    1 / 0\ngo()", 1),
    "from code": (
        "get_ipython().run_cell_magic('probe', '', "
        "'def go():\\n    held = big()\\n    1 / 0\\ngo()')",
        1,
    ),
    "nested cell": (
        "get_ipython().run_cell('def go():\\n    held = big()\\n    1 / 0\\ngo()')",
        1,
    ),
    "await": (
        "import asyncio\nasync def go():\n    held = big()\n    await asyncio.sleep(0)\n"
        "    1 / 0\nawait go()",
        1,
    ),
    "task group": (
        "import asyncio\nasync def one():\n    held = big()\n    1 / 0\n"
        "async def go():\n    async with asyncio.TaskGroup() as tasks:\n"
        "        tasks.create_task(one()); tasks.create_task(one())\n"
        "await go()",
        2,
    ),
}


@pytest.fixture(scope="module")
def bare_kernel(interpreter_path: str) -> Iterator[Kernel]:
    """Yield a kernel with the probe's magic and without the extension."""
    with Kernel(interpreter_path) as kernel:
        reply = kernel.run("%load_ext probe_magic")
        assert reply.status == "ok", reply.shown
        yield kernel


def fail(kernel: Kernel, cell: str = KINDS["plain"][0]) -> Reply:
    """Run the cell that fails, in a fresh namespace.

    Its status says nothing: `%%time` of IPython 7 and nested cells go on.
    """
    assert kernel.run("%reset -f").status == "ok"
    assert kernel.run(SETUP).status == "ok"
    reply = kernel.run(cell)
    assert reply.errors or reply.stdout or reply.stderr
    return reply


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_alive_in_the_next_cell(kernel: Kernel, kind: str) -> None:
    """What the traceback held is gone before an ordinary cell runs."""
    cell, _ = KINDS[kind]
    fail(kernel, cell)
    # Not yet collected by the count itself: before the first line of the cell.
    assert kernel.run("sum(ref() is not None for ref in REFS)").results == ["0"]
    assert kernel.value("alive()") == 0
    assert kernel.value("len(REFS)") >= KINDS[kind][1]


@pytest.mark.parametrize("kind", KINDS)
def test_without_it_everything_stays(bare_kernel: Kernel, kind: str) -> None:
    """The control: without the extension the same cells leave all of it alive."""
    cell, count = KINDS[kind]
    fail(bare_kernel, cell)
    bare_kernel.run("1")
    assert bare_kernel.value("alive()") == count


def test_the_error_can_be_asked_for_first(kernel: Kernel) -> None:
    """``%tb`` shows all of it, twice; after the cell that follows there is none."""
    fail(kernel)
    for _ in range(2):
        assert "1 / 0" in kernel.run("%tb").shown
    assert "go(4)" in kernel.run("# how was it?\n%xmode Verbose\n%tb").shown
    kernel.run("%xmode Context")
    assert kernel.value("alive()") == 0
    reply = kernel.run("%tb")
    assert reply.status == "ok"
    assert "No traceback available" in reply.stderr
    assert "No traceback has been produced" in kernel.run("%debug").shown


def test_the_debugger_finds_the_frames(kernel: Kernel) -> None:
    """``%debug`` right after the error sees the locals; then all is freed."""
    fail(kernel, "def go():\n    held = big()\n    wanted = 41\n    1 / 0\ngo()")
    session = kernel.run("%debug", answers=("p wanted", "up", "q"))
    assert "41" in session.shown
    assert kernel.run("sum(ref() is not None for ref in REFS)").results == ["0"]


@pytest.mark.parametrize(
    "cell",
    [
        "import sys; kept = alive(); repr(sys.last_value)",
        "tb",
        "  \n%tb",
        "import traceback; traceback.print_last(); kept = alive()",
        "get_ipython().run_line_magic('tb', ''); kept = alive()",
    ],
)
def test_a_cell_that_asks_for_the_error_has_it(kernel: Kernel, cell: str) -> None:
    """However it is written."""
    fail(kernel)
    reply = kernel.run(cell)
    assert "ZeroDivisionError" in reply.shown
    assert kernel.value("globals().get('kept', 5)") == 5
    assert kernel.value("alive()") == 0


@pytest.mark.parametrize("cell", ["tb = 1", "%%debug?", "%time pass", "x = 'tb'"])
def test_other_cells_free_it(kernel: Kernel, cell: str) -> None:
    """A name that only looks like a magic, and other magics."""
    fail(kernel)
    kernel.run(cell)
    assert "No traceback available" in kernel.run("%tb").stderr


def test_what_the_user_keeps_stays_whole(kernel: Kernel) -> None:
    """His own exceptions keep traceback and locals, also when others came from them."""
    fail(
        kernel,
        "errors = []\nclass Log: pass\nlog = Log()\n"
        "def go(number):\n    held = big()\n    return number / 0\n"
        "for number in range(2):\n"
        "    try:\n        go(number)\n"
        "    except ZeroDivisionError as error:\n        errors.append(error)\n"
        "try:\n    go(2)\nexcept ZeroDivisionError as error:\n    log.last = error\n"
        "def outer():\n    also = big()\n    raise ValueError from errors[0]\n"
        "outer()",
    )
    assert kernel.value("alive()") == 3
    names = (
        "[list(__import__('traceback').walk_tb(e.__traceback__))[-1][0].f_code.co_name"
    )
    assert kernel.value(f"{names} for e in (*errors, log.last)]") == ["go"] * 3
    kernel.run("errors.clear(); del log")
    assert kernel.value("alive()") == 0


def test_an_error_that_is_caught_is_none_of_ours(kernel: Kernel) -> None:
    """``except E as e: saved = e`` without a failing cell: nothing is touched."""
    kernel.run(SETUP)
    kernel.run(
        "def go():\n    held = big()\n    1 / 0\n"
        "try:\n    go()\nexcept ZeroDivisionError as e:\n    saved = e"
    )
    kernel.run("1")
    assert kernel.value("alive()") == 1
    assert kernel.value("saved.__traceback__.tb_next.tb_frame.f_code.co_name") == "go"


def test_a_suspended_generator_goes_on(kernel: Kernel) -> None:
    """One that caught the error itself, and waits, is not ended."""
    fail(
        kernel,
        "def batches():\n    try:\n        yield 1\n    except ValueError as error:\n"
        "        yield error\n    yield 'still here'\n"
        "it = batches(); next(it)\n"
        "raise it.throw(ValueError('x'))",
    )
    kernel.run("1")
    assert kernel.value("next(it)") == "still here"


def test_it_can_be_turned_off(kernel: Kernel) -> None:
    """By the setting; on again, the old error goes before the next cell."""
    kernel.run("%config ColabMagic.free_after_error = False")
    fail(kernel)
    assert kernel.value("alive()") == 5
    kernel.run("%config ColabMagic.free_after_error = True")
    assert kernel.value("alive()") == 0


def test_the_debugger_on_every_error_is_left_alone(kernel: Kernel) -> None:
    """With ``%pdb on`` nothing is freed: the user works with the frames."""
    kernel.run("get_ipython().InteractiveTB.debugger = lambda *a, **k: None")
    kernel.run("get_ipython().call_pdb = True")
    fail(kernel)
    assert kernel.value("alive()") == 5
    kernel.run(
        "get_ipython().call_pdb = False; del get_ipython().InteractiveTB.debugger"
    )
    assert kernel.value("alive()") == 0


def test_a_cell_may_look_at_the_error_of_a_cell_that_it_ran(kernel: Kernel) -> None:
    """Between cells that a cell runs itself nothing is freed."""
    kernel.run(SETUP)
    reply = kernel.run(
        "ip = get_ipython()\n"
        "first = ip.run_cell('def go():\\n    held = big()\\n    1 / 0\\ngo()')\n"
        "second = ip.run_cell('x = 1')\n"
        "print('DEPTH', first.error_in_exec.__traceback__ is not None, alive())\n"
        "del first, second"
    )
    assert "DEPTH True 1" in reply.stdout
    assert kernel.value("alive()") == 0


def test_a_front_end_may_ask_between_two_cells(kernel: Kernel) -> None:
    """A list of variables runs code after each cell; ``%tb`` still works."""
    fail(kernel)
    request = kernel._client.execute("dir()", store_history=False)
    kernel._shell_reply(request)
    assert "1 / 0" in kernel.run("%tb").shown
    assert kernel.value("alive()") == 0


def test_the_last_result_still_says_that_it_failed(kernel: Kernel) -> None:
    """Whoever asks the shell learns of the failure, without the error itself."""
    fail(kernel)
    shown = kernel.value(
        "[(r := get_ipython().last_execution_result).success, str(r.error_in_exec)]"
    )
    assert shown == [False, "ZeroDivisionError (freed)"]


def test_unloading_takes_the_hook_back(fresh_kernel: Kernel) -> None:
    """After it errors are kept as ever; loading again has one hook."""
    fresh_kernel.run("%load_ext colabmagic\n%reload_ext colabmagic")
    hooks = "[str(f) for f in get_ipython().events.callbacks['pre_run_cell']]"
    ours = f"sum('ErrorHooks' in each for each in {hooks})"
    assert fresh_kernel.value(ours) == 1
    fresh_kernel.run("%unload_ext colabmagic")
    assert fresh_kernel.value(ours) == 0
    fail(fresh_kernel)
    assert fresh_kernel.value("alive()") == 5
    fresh_kernel.run("%load_ext colabmagic")
    assert fresh_kernel.value("alive()") == 0


WORKERS = """
import time, torch
from torch.utils.data import DataLoader, Dataset

class Rows(Dataset):
    def __len__(self): return 400
    def __getitem__(self, i):
        if i == 30: time.sleep(wait_s)
        if i == 34: raise ValueError("row 34")
        return torch.ones(3) * i
"""
WORKERS_LOOP = """
for batch in DataLoader(Rows(), 4, num_workers=2):
    print("going", flush=True) if batch[-1, 0] == 27 else None
"""


@pytest.mark.parametrize("device", ["cpu", "fake:1"])
@pytest.mark.parametrize("stopped", [False, True])
def test_workers_end_at_once(
    device_kernel: Kernel, device: str, *, stopped: bool
) -> None:
    """After an error or Ctrl-C in a loop with workers the next cell does not wait."""
    device_kernel.run(f"{WORKERS}wait_s = {30 if stopped else 0}")
    reply = device_kernel.run(
        f"%%train_on {device}{WORKERS_LOOP}",
        interrupt_at="going" if stopped else None,
    )
    assert reply.ename == "KeyboardInterrupt" if stopped else "ValueError"
    start = time.monotonic()
    assert device_kernel.run("1").results == ["1"]
    assert time.monotonic() - start < 4
