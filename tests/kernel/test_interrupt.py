"""The stop button."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.kernel.support import ours

if TYPE_CHECKING:
    from tests.kernel.support import Kernel

LOOP = """%%probe
import time
print("going", flush=True)
for step in range(400):
    time.sleep(0.05)
"""


def test_it_stops_a_loop_within_a_step(kernel: Kernel) -> None:
    """KeyboardInterrupt at the user's line; the session is closed with it, once."""
    start = time.monotonic()
    reply = kernel.run(LOOP, interrupt_at="going")
    assert time.monotonic() - start < 10
    assert reply.status == "error"
    assert reply.ename == "KeyboardInterrupt"
    (text,) = reply.errors
    assert "----> 5     time.sleep(0.05)" in text
    assert not ours(text)
    assert kernel.value("step < 300")
    assert kernel.value("probe_magic.EVENTS") == [
        ("begin", ""),
        ("finish", "None", "KeyboardInterrupt"),
    ]


def test_it_waits_until_a_session_is_closed(kernel: Kernel) -> None:
    """An interrupt while things go home lets them arrive, then stops the cell."""
    reply = kernel.run("%%probe slow\nx = 1\nx", interrupt_at="finishing")
    assert reply.status == "error"
    assert reply.ename == "KeyboardInterrupt"
    assert len(reply.errors) == 1
    assert not ours(reply.errors[0])
    assert kernel.value("probe_magic.EVENTS[1:]") == [
        ("finished slowly",),
        ("finish", "1", None),
    ]


def test_it_waits_until_a_failed_cell_is_closed(kernel: Kernel) -> None:
    """The same after an error: the error stays the only one that is shown."""
    reply = kernel.run("%%probe slow\n1/0", interrupt_at="finishing")
    assert reply.ename == "ZeroDivisionError"
    assert "KeyboardInterrupt" not in reply.shown
    assert kernel.value("probe_magic.EVENTS[1:]") == [
        ("finished slowly",),
        ("finish", "None", "ZeroDivisionError"),
    ]


def test_it_waits_until_a_session_is_open(kernel: Kernel) -> None:
    """An interrupt while a session opens: it opens, the body does not run, it closes."""
    reply = kernel.run("%%probe slow-begin\nran = True", interrupt_at="beginning")
    assert reply.ename == "KeyboardInterrupt"
    assert len(reply.errors) == 1
    assert not ours(reply.errors[0])
    assert kernel.value("'ran' in globals()") is False
    assert kernel.value("probe_magic.EVENTS[-1]")[2] == "KeyboardInterrupt"
    assert kernel.value("len(probe_magic.OPEN)") == 0


def test_the_next_cell_can_be_interrupted_again(kernel: Kernel) -> None:
    """Our handler is gone when the cell is over."""
    kernel.run("%%probe slow\n1", interrupt_at="finishing")
    reply = kernel.run(LOOP.removeprefix("%%probe\n"), interrupt_at="going")
    assert reply.ename == "KeyboardInterrupt"
    assert kernel.value(
        "__import__('signal').getsignal(2).__name__ == 'default_int_handler'"
    )


def test_it_stops_the_back_door(kernel: Kernel) -> None:
    """The same for a body that comes from code."""
    body = LOOP.removeprefix("%%probe\n")
    reply = kernel.run(
        f"get_ipython().run_cell_magic('probe', '', {body!r})", interrupt_at="going"
    )
    assert reply.ename == "KeyboardInterrupt"
    (text,) = reply.errors
    assert "time.sleep(0.05)" in text
    assert not ours(text)
    assert kernel.value("probe_magic.EVENTS[-1]")[2] == "KeyboardInterrupt"


STEP = """
import torch

class Slow(torch.optim.SGD):
    @torch.no_grad()
    def step(self):
        for parameter in self.param_groups[0]["params"]:
            parameter += 1
            if not done:
                print("stepping", flush=True)
            for _ in range(20):
                time.sleep(0.05)
        done.append(1)

import time
done = []
parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
optimizer = Slow(parameters, 0.1)
"""


def test_it_waits_for_the_end_of_a_step(device_kernel: Kernel) -> None:
    """Stopped in the middle of an update: both parameters have it, nobody a second."""
    device_kernel.run(STEP)
    for magic in ("%%train_on cpu\n", "%%train_on fake:1\n"):
        device_kernel.run("done.clear()\nfor each in parameters: each.data.zero_()")
        reply = device_kernel.run(
            f"{magic}while True:\n    optimizer.step()", interrupt_at="stepping"
        )
        assert reply.ename == "KeyboardInterrupt"
        (text,) = reply.errors
        assert "optimizer.step()" in text
        assert not ours(text)
        assert device_kernel.value("len(done)") == 1
        values = device_kernel.value("[each.tolist() for each in parameters]")
        assert values == [[1.0, 1.0]] * 2
        assert device_kernel.value("all(each.is_cpu for each in parameters)")
    assert device_kernel.value(
        "__import__('signal').getsignal(2).__name__ == 'default_int_handler'"
    )


def test_a_standing_device_waits_too(device_kernel: Kernel) -> None:
    """The same with the line that is on for all later cells."""
    device_kernel.run(STEP)
    assert device_kernel.run("%train_on fake:1").status == "ok"
    reply = device_kernel.run(
        "while True:\n    optimizer.step()", interrupt_at="stepping"
    )
    assert reply.ename == "KeyboardInterrupt"
    assert not ours(reply.errors[0])
    assert (
        device_kernel.value("[each.tolist() for each in parameters]")
        == [[1.0, 1.0]] * 2
    )
    device_kernel.run("%train_on off")
    assert device_kernel.value("all(each.is_cpu for each in parameters)")
