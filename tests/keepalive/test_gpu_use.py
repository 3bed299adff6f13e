"""The use of GPUs, by a pynvml that answers, lacks, fails and hangs."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from colabmagic.keepalive.gpu_use import AGAIN_S, GpuUse


class Refusal(Exception):  # noqa: N818 (stands for pynvml's NVMLError)
    """What pynvml raises: an exception with a code."""

    def __init__(self, value: int) -> None:
        super().__init__("refused")
        self.value = value


class Library(SimpleNamespace):
    """A pynvml with some GPUs, which counts what it is asked."""

    def __init__(self, uses: list[Any]) -> None:
        self.uses, self.opened, self.asked = uses, 0, 0
        super().__init__()

    def nvmlInit(self) -> None:  # noqa: N802
        """Open it."""
        self.opened += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        """Close it."""
        self.opened -= 1

    def nvmlSystemGetDriverVersion(self) -> bytes:  # noqa: N802
        """Return the driver's."""
        return b"580.82.07"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:  # noqa: N802
        """Return CUDA's."""
        return 13000

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        """Return how many there are."""
        self.asked += 1
        return len(self.uses)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        """Return a handle."""
        return index

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: ANN401, N802
        """Return the use, or fail."""
        use = self.uses[handle]
        if isinstance(use, Exception):
            raise use
        return SimpleNamespace(gpu=use, memory=0)


def test_the_busiest_one_counts() -> None:
    """One that does not tell is left out; NVML stays open in between, until `close`."""
    library = Library([3, 41, Refusal(3)])
    one = GpuUse(lambda: library)
    assert [one.percent(), one.percent()] == [41, 41]
    assert one.problem is None
    assert library.opened == 1
    one.close()
    assert library.opened == 0


def test_no_gpu_is_asked_for_rarely() -> None:
    """Each ten minutes, and it is no problem."""
    library, clock = Library([]), [0.0]
    one = GpuUse(lambda: library, now=lambda: clock[0])
    for at in (0.0, 15.0, AGAIN_S - 1):
        clock[0] = at
        assert one.percent() is None
    assert library.asked == 1
    clock[0] = AGAIN_S + 1
    library.uses.append(50)
    assert one.percent() == 50
    assert one.problem is None


def test_no_package_is_no_problem() -> None:
    """A machine without NVIDIA's package has no GPU that we could ask."""

    def absent() -> None:
        raise ImportError

    one = GpuUse(absent)
    assert one.percent() is None
    assert one.problem is None


def test_a_driver_that_refuses() -> None:
    """Is told, and counts as not busy."""
    library = Library([Refusal(3)])
    one = GpuUse(lambda: library)
    assert one.percent() is None
    assert "tells none" in (one.problem or "")

    def broken() -> None:
        raise Refusal(9)

    library.nvmlInit = broken  # type: ignore[method-assign]
    one = GpuUse(lambda: library)
    assert one.percent() is None
    assert "not known" in (one.problem or "")


def test_a_driver_that_hangs() -> None:
    """Holds nobody up, and is asked by one thread alone."""
    release = threading.Event()
    library = Library([1])
    library.nvmlInit = lambda: release.wait(10) and None  # type: ignore[method-assign]
    one = GpuUse(lambda: library, deadline_s=0.2)
    try:
        assert [one.percent() for _ in range(3)] == [None, None, None]
        assert "not known" in (one.problem or "")
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("colabmagic-nvml") == 1
    finally:
        release.set()
