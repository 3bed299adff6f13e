"""Run code of the user's without any effect on this process: in a fork of it."""

from __future__ import annotations

import io
import os
import pickle
import select
import signal
import sys
import time
import warnings
from typing import TYPE_CHECKING, Final, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")
_BLOCK: Final = 65_536


def in_a_fork(work: Callable[[], _Result], *, deadline_s: float) -> _Result:
    """Return what a function returns in a copy of this process.

    Whatever it changes (objects, streams of random numbers, hooks, counters) changes in
    the copy alone; what it prints is dropped. A device cannot be used there.

    Parameters
    ----------
    work
        What to run. Its result must be picklable.
    deadline_s
        Seconds until it is given up.

    Raises
    ------
    LookupError
        There is no result: with the reason.
    """
    if sys.platform != "linux":  # elsewhere a process with threads forks unsafely
        raise LookupError("it can be tried out on Linux only")
    receiver, sender = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # threads: the copy begins no parallel work
        child = os.fork()
    if child == 0:
        try:
            os.close(receiver)
            _work_and_send(work, sender)
        finally:
            os._exit(0)
    os.close(sender)
    try:
        answer = _receive(receiver, deadline_s)
    finally:
        os.close(receiver)
        os.kill(child, signal.SIGKILL)  # it has answered, or is given up
        os.waitpid(child, 0)
    if not answer:
        raise LookupError("the try ended without an answer")
    result: _Result | LookupError = pickle.loads(answer)  # noqa: S301 (our own fork wrote it)
    if isinstance(result, LookupError):
        raise result
    return result


def _work_and_send(work: Callable[[], object], sender: int) -> None:
    """Run it, silently and in one thread, and write the pickled result."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    sys.stdout = sys.stderr = io.StringIO()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the parent, which kills
    torch.set_num_threads(1)  # the other threads of this process are not here
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 (of the user's code: whatever it raises)
        reason = (
            f"{error}"
            if type(error) is LookupError
            else f"{type(error).__name__}: {error}"
        )
        result = LookupError(reason.partition("\n")[0])
    data = pickle.dumps(result)
    while data:
        data = data[os.write(sender, data) :]


def _receive(receiver: int, deadline_s: float) -> bytes:
    """Return all that comes until the other end is closed."""
    end = time.monotonic() + deadline_s
    parts: list[bytes] = []
    while True:
        ready, _, _ = select.select(
            [receiver], [], [], max(0.0, end - time.monotonic())
        )
        if not ready:
            raise LookupError(f"it took longer than {deadline_s:.0f} s")
        part = os.read(receiver, _BLOCK)
        if not part:
            return b"".join(parts)
        parts.append(part)
