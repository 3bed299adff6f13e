"""Tests for `colabmagic.train.fork`: code runs aside, and nothing changes here."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
import torch

from colabmagic.train.fork import in_a_fork

pytestmark = [
    pytest.mark.usefixtures("registered_fake"),
    pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only"),
]


def children() -> set[str]:
    """Return the processes that this one has started."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:  # noqa: PTH123 (of the kernel)
        return set(file.read().split())


def test_it_returns_what_the_function_returns() -> None:
    """Also what is larger than a pipe; changes stay in the copy."""
    seen: list[int] = []
    before = children()
    assert (
        in_a_fork(lambda: seen.append(1) or "x" * 300_000, deadline_s=30)
        == "x" * 300_000
    )
    assert seen == []
    assert children() == before


def test_torch_works_in_it_after_parallel_work_here() -> None:
    """A pool of threads that the copy does not have is not waited for."""
    large = torch.randn(400, 400)
    expected = float((large @ large).sum())
    assert in_a_fork(
        lambda: float((large @ large).sum()), deadline_s=30
    ) == pytest.approx(expected, rel=1e-3)


def fail(error: BaseException) -> None:
    """Raise an error."""
    raise error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("bad\nmore"), "ValueError: bad"),
        (KeyError("k"), "KeyError: 'k'"),
        (LookupError("as it is"), "as it is"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_an_error_is_the_reason(error: BaseException, reason: str) -> None:
    """In one line; a reason of ours as it is."""
    with pytest.raises(LookupError) as caught:
        in_a_fork(lambda: fail(error), deadline_s=30)
    assert caught.value.args == (reason,)


def test_it_is_given_up() -> None:
    """After the deadline, and when it dies; no process is left."""
    before = children()
    began = time.monotonic()
    with pytest.raises(LookupError, match="longer than 0 s"):
        in_a_fork(lambda: time.sleep(60), deadline_s=0.3)
    with pytest.raises(LookupError, match="without an answer"):
        in_a_fork(lambda: os.kill(os.getpid(), signal.SIGKILL), deadline_s=30)
    assert time.monotonic() - began < 20
    assert children() == before
