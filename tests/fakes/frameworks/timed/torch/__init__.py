"""A PyTorch without arithmetic: operations take the time that they are told to."""

# ruff: noqa: ANN401 (a stub takes whatever torch takes)

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from . import version
from .version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["__version__", "version"]

CONFIG: dict[str, Any] = {
    "devices": [{"name": "Tesla T4", "cc": [7, 5], "bus": 4}],
    "rates": {},
    "faults": {},
    **json.loads(os.environ.get("FAKE_TORCH", "{}")),
}
RATES = {
    "float32": 4e12,
    "tf32": 60e12,
    "float16": 40e12,
    "bfloat16": 2e12,
    "copy": 240e9,
    "pinned": 12e9,
    "pageable": 4e9,
    **CONFIG["rates"],
}
_GIB = 2**30


class _Clock:
    """The time of the device: only work lets it pass."""

    now = 0.0


def _work(what: str, amount: float) -> None:
    """Let the time for some work pass, or fail as told."""
    fault = CONFIG["faults"].get(what)
    if fault == "noise":
        sys.stdout.write("Segfault-ish noise without an end of line")
        os.write(1, b"\xff\xfe{not json\n")
    elif fault == "hang":
        time.sleep(600)
    elif fault == "kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif fault is not None and fault.startswith("exit:"):
        sys.stderr.write("terminate called after throwing\n")
        sys.stderr.flush()
        os._exit(int(fault.removeprefix("exit:")))
    elif fault is not None:
        raise RuntimeError(fault)
    _Clock.now += amount / RATES[what]


class Tensor:
    """A number of bytes somewhere."""

    def __init__(
        self, shape: tuple[int, ...], dtype: SimpleNamespace, **where: Any
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self.device = str(where.get("device") or "cpu")
        self.pinned = bool(where.get("pin_memory"))

    @property
    def nbytes(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count * int(self.dtype.itemsize)

    def copy_(self, source: Tensor, *, non_blocking: bool = False) -> None:
        del non_blocking
        if self.device == source.device:
            _work("copy", 2 * self.nbytes)
        else:
            pinned = self.pinned or source.pinned
            _work("pinned" if pinned else "pageable", self.nbytes)


float32 = SimpleNamespace(name="float32", itemsize=4)
float16 = SimpleNamespace(name="float16", itemsize=2)
bfloat16 = SimpleNamespace(name="bfloat16", itemsize=2)
uint8 = SimpleNamespace(name="uint8", itemsize=1)


def randn(*shape: int, generator: object, device: str, dtype: Any) -> Tensor:
    assert generator is not None, "the user's own random numbers are left alone"
    return Tensor(shape, dtype, device=device)


def empty(*shape: int, dtype: Any = float32, **where: Any) -> Tensor:
    return Tensor(shape, dtype, **where)


ones = empty


def mm(left: Tensor, right: Tensor, *, out: Tensor) -> Tensor:
    assert left.shape == right.shape == out.shape
    name = left.dtype.name
    if name == "float32" and backends.cuda.matmul.fp32_precision == "tf32":
        name = "tf32"
    _work(name, 2 * left.shape[0] ** 3)
    return out


class Generator:
    """Random numbers, if there were any."""

    def __init__(self, device: str) -> None:
        self.device = device

    def manual_seed(self, seed: int) -> Generator:
        del seed
        return self


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    yield


def get_num_threads() -> int:
    return 2


class _Event:
    """A mark on the device's clock."""

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing
        self.at = 0.0

    def record(self) -> None:
        self.at = _Clock.now

    def elapsed_time(self, end: _Event) -> float:
        return (end.at - self.at) * 1000


class _Cuda:
    """The GPUs."""

    Event = _Event

    @staticmethod
    def is_available() -> bool:
        return bool(CONFIG["devices"])

    @staticmethod
    def is_initialized() -> bool:
        return False

    @staticmethod
    def device_count() -> int:
        return len(CONFIG["devices"])

    @staticmethod
    def get_device_properties(name: str) -> SimpleNamespace:
        told = CONFIG["devices"][int(name.partition(":")[2])]
        if "broken" in told:
            raise RuntimeError(told["broken"])
        return SimpleNamespace(
            name=told["name"],
            major=told["cc"][0],
            minor=told["cc"][1],
            total_memory=told.get("total", 15 * _GIB),
            pci_domain_id=0,
            pci_bus_id=told.get("bus"),
            pci_device_id=0,
        )

    @staticmethod
    def mem_get_info(name: str) -> tuple[int, int]:
        told = CONFIG["devices"][int(name.partition(":")[2])]
        return told.get("free", 14 * _GIB), told.get("total", 15 * _GIB)

    @staticmethod
    @contextlib.contextmanager
    def device(name: str) -> Iterator[None]:
        del name
        yield

    @staticmethod
    def synchronize() -> None:
        """Have nothing to wait for."""

    @staticmethod
    def empty_cache() -> None:
        """Hold nothing."""


cuda = _Cuda()
backends = SimpleNamespace(
    cuda=SimpleNamespace(matmul=SimpleNamespace(fp32_precision="none")),
    mps=SimpleNamespace(is_available=lambda: False),
)
