"""Measure what PyTorch reaches on each device, and tell it figure by figure."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Torch: TypeAlias = Any  # PyTorch or a part of it, given by the caller
Tell: TypeAlias = Callable[..., None]
Work: TypeAlias = Callable[[], object]

_MIB = 2**20
_TRANSFER_BYTES = 256 * _MIB
_HOST_COPY_BYTES = 256 * _MIB  # a CPU's caches hold less
_UNKNOWN_FREE_BYTES = 2**30
_SIZES = (8192, 4096, 2048, 1024)
_CPU_SIZES = (4096, 2048, 1024, 512)
_MOST_SAMPLES = 100
_SAMPLES = 10  # a median of fewer says little …
_TRANSFER_SAMPLES = 5  # … of what hardly varies, enough
_FEWEST_SAMPLES = 3  # a slow device must not take minutes
_LONGEST_S = 2.0  # of one figure
_WARM_UP_S = 0.3  # until the clocks are up
_SHORT_WARM_UP_S = 0.05  # when they are
_FIRST_TENSOR_CORES_FOR_TF32 = 8  # compute capability, major
_TFLOP = 1e12
_GIGA = 1e9
_MATMULS = {"fp32": "float32", "tf32": "float32", "fp16": "float16", "bf16": "bfloat16"}
_TRANSFERS = ("h2d_pinned", "d2h_pinned", "h2d_pageable", "d2h_pageable")


def run(torch: Torch, tell: Tell, options: dict[str, Any]) -> None:
    """Measure all devices.

    Parameters
    ----------
    tell
        Takes what was found, as keywords; `error` becomes its message.
    options
        ``quick``: about a second for each device instead of three;
        ``host_free``: bytes of main memory that may be used, or None.
    """
    tell(event="ready", version=str(torch.__version__), threads=torch.get_num_threads())
    for name in find_devices(torch):
        bench = _Bench(torch, name, options)
        try:
            described = bench.describe()
        except Exception as error:  # noqa: BLE001 (the border to a device)
            tell(event="device", device=name, kind=bench.kind, steps=[])
            tell(event="failed", device=name, key="", error=error)
            continue
        tell(event="device", device=name, kind=bench.kind, **described)
        for key in described["steps"]:
            tell(event="begin", device=name, key=key)
            try:
                result = bench.measure(key)
            except Exception as error:  # noqa: BLE001 (the border to a device)
                tell(event="failed", device=name, key=key, error=error)
            else:
                tell(event="result", device=name, key=key, **result)
            bench.clean_up()


def find_devices(torch: Torch) -> list[str]:
    """Return the accelerators that PyTorch can use now; the CPU where it has none."""
    found = []
    for kind in ("cuda", "xpu"):
        module = getattr(torch, kind, None)
        if module is not None and module.is_available():
            found += [f"{kind}:{index}" for index in range(module.device_count())]
    mps = getattr(torch.backends, "mps", None)
    if mps is not None and mps.is_available():
        found.append("mps")
    return found or ["cpu"]


class _Bench:
    """The figures of one device."""

    def __init__(self, torch: Torch, name: str, options: dict[str, Any]) -> None:
        self.torch = torch
        self.name = name
        self.kind = name.partition(":")[0]
        self.module: Torch = None if self.kind == "cpu" else getattr(torch, self.kind)
        self.quick = bool(options.get("quick"))
        self.host_free = options.get("host_free") or _UNKNOWN_FREE_BYTES
        self.is_warm = False

    def describe(self) -> dict[str, Any]:
        """Return what the device is, and what can be measured on it."""
        if self.kind == "cpu":
            return {"steps": ["fp32", "bf16", "memory"], "free": self.host_free}
        if self.kind == "mps":
            steps = ["fp32", "fp16", "bf16", "memory", *_TRANSFERS[2:]]
            return {"steps": steps, "free": self.free()}
        properties = self.module.get_device_properties(self.name)
        major = getattr(properties, "major", None)
        hip = bool(getattr(self.torch.version, "hip", None))
        steps = ["fp32", "tf32", "fp16", "bf16", "memory", *_TRANSFERS]
        if hip or major is None or major < _FIRST_TENSOR_CORES_FOR_TF32:
            steps.remove("tf32")
        return {
            "steps": steps,
            "name": str(properties.name),
            "cc": None if major is None or hip else [major, properties.minor],
            "total": properties.total_memory,
            "free": self.free(),
            "bus": _bus(properties),
        }

    def free(self) -> int:
        """Return the bytes that can be had on the device."""
        if self.kind == "cpu":
            return int(self.host_free)
        if self.kind == "mps":
            most = self.module.recommended_max_memory()
            return int(most - self.module.driver_allocated_memory())
        if hasattr(self.module, "mem_get_info"):
            return int(self.module.mem_get_info(self.name)[0])
        return int(self.module.get_device_properties(self.name).total_memory // 2)

    def measure(self, key: str) -> dict[str, Any]:
        """Return one figure: value, unit, size, number of samples."""
        with self.current():
            if key in _MATMULS:
                return self.matmul(key)
            if key == "memory":
                return self.copy()
            return self.transfer(key)

    def matmul(self, key: str) -> dict[str, Any]:
        """Multiply square matrices."""
        dtype = getattr(self.torch, _MATMULS[key])
        with self.precision(key):
            size = self.choose_size(dtype)
            work = self.product(size, dtype)
            seconds, samples = self.median(work)
        rate = 2 * size**3 / seconds
        unit, scale = ("GFLOP/s", _GIGA) if self.kind == "cpu" else ("TFLOP/s", _TFLOP)
        return _result(rate / scale, unit, size, samples)

    def choose_size(self, dtype: Torch) -> int:
        """Return the largest size that memory and time allow."""
        sizes = _CPU_SIZES if self.kind == "cpu" else _SIZES
        smallest = sizes[-1]
        work = self.product(smallest, dtype)
        self.timed(work, 2)  # the first calls load libraries
        once = min(self.timed(work, 3))
        free = self.free()
        for size in sizes:
            fits = 3 * size**2 * dtype.itemsize <= free // 2
            if fits and _SAMPLES * once * (size / smallest) ** 3 <= self.patience_s():
                return size
        return smallest

    def product(self, size: int, dtype: Torch) -> Work:
        """Return a call that multiplies two random matrices.

        Random, for a GPU draws less power and is faster on equal numbers; with a
        generator of our own, so that the user's stream of numbers stays as it is.
        """
        torch = self.torch
        generator = torch.Generator(device=self.name).manual_seed(0)
        left, right = (
            torch.randn(size, size, generator=generator, device=self.name, dtype=dtype)
            for _ in range(2)
        )
        out = torch.empty(size, size, device=self.name, dtype=dtype)
        return lambda: torch.mm(left, right, out=out)

    def copy(self) -> dict[str, Any]:
        """Copy within the memory of the device: each byte is read and written."""
        size = self.free() // 8 // 4 * 4
        if self.kind == "cpu":
            size = min(size, _HOST_COPY_BYTES)
        source, target = (
            self.torch.ones(size // 4, device=self.name, dtype=self.torch.float32)
            for _ in range(2)
        )
        seconds, samples = self.median(lambda: target.copy_(source))
        return _result(2 * size / seconds / _GIGA, "GB/s", size, samples)

    def transfer(self, key: str) -> dict[str, Any]:
        """Copy between main memory and the device."""
        direction, _, memory = key.partition("_")
        size = min(_TRANSFER_BYTES, self.free() // 8, self.host_free // 4)
        uint8 = self.torch.uint8
        pinned = {"pin_memory": True} if memory == "pinned" else {}
        host = self.torch.ones(size, dtype=uint8, device="cpu", **pinned)
        device = self.torch.ones(size, dtype=uint8, device=self.name)
        source, target = (host, device) if direction == "h2d" else (device, host)
        wait = memory != "pinned"
        seconds, samples = self.median(
            lambda: target.copy_(source, non_blocking=not wait), _TRANSFER_SAMPLES
        )
        return _result(size / seconds / _GIGA, "GB/s", size, samples)

    def patience_s(self) -> float:
        """Return the seconds that the samples of one figure may take."""
        if self.kind == "cpu":
            return 0.15 if self.quick else 0.6
        return 0.15 if self.quick else 0.5

    def median(self, work: Work, fewest: int = _SAMPLES) -> tuple[float, int]:
        """Return the seconds of one call: a median, and of how many."""
        is_short = fewest < _SAMPLES or (self.quick and self.is_warm)
        once = self.warm_up(work, _SHORT_WARM_UP_S if is_short else _WARM_UP_S)
        count = min(_MOST_SAMPLES, max(fewest, int(self.patience_s() / 4 / once)))
        count = min(count, max(_FEWEST_SAMPLES, int(_LONGEST_S / once)))
        return statistics.median(self.timed(work, count)), count

    def warm_up(self, work: Work, seconds: float) -> float:
        """Work until the clocks are up; return the seconds of one call."""
        until = time.perf_counter() + seconds
        self.is_warm = True
        count = 1
        while True:
            once = max(min(self.timed(work, count)), 1e-7)  # no clock is finer
            left = until - time.perf_counter()
            if left <= 0:
                return once
            count = max(1, min(_MOST_SAMPLES, int(left / once)))

    def timed(self, work: Work, count: int) -> list[float]:
        """Return the seconds of each of some calls, by the clock of the device."""
        if self.kind in {"cuda", "xpu"}:
            event = self.module.Event
            pairs = [
                (event(enable_timing=True), event(enable_timing=True))
                for _ in range(count)
            ]
            for start, end in pairs:
                start.record()
                work()
                end.record()
            self.module.synchronize()
            return [start.elapsed_time(end) / 1000 for start, end in pairs]
        seconds = []
        for _ in range(count):
            started = time.perf_counter()
            work()
            if self.module is not None:
                self.module.synchronize()
            seconds.append(time.perf_counter() - started)
        return seconds

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Make this the current device, without a graph for gradients."""
        with contextlib.ExitStack() as stack:
            if self.kind in {"cuda", "xpu"}:
                stack.enter_context(self.module.device(self.name))
            stack.enter_context(self.torch.no_grad())
            yield

    @contextlib.contextmanager
    def precision(self, key: str) -> Iterator[None]:
        """Have 32-bit products computed as `key` says, then as before."""
        if self.kind != "cuda" or _MATMULS[key] != "float32":
            yield
            return
        matmul = self.torch.backends.cuda.matmul
        is_new = hasattr(
            matmul, "fp32_precision"
        )  # PyTorch 2.9; the old name may raise
        name = "fp32_precision" if is_new else "allow_tf32"
        values: dict[str, Torch] = {"fp32": False, "tf32": True}
        if is_new:
            values = {"fp32": "ieee", "tf32": "tf32"}
        before = getattr(matmul, name)
        setattr(matmul, name, values[key])
        try:
            yield
        finally:
            setattr(matmul, name, before)

    def clean_up(self) -> None:
        """Give memory back, for the next figure and for other programs."""
        if self.module is None:
            return
        with contextlib.suppress(Exception):
            self.module.empty_cache()
        with contextlib.suppress(Exception):  # the pinned part; not public, not old
            self.torch._C._host_emptyCache()  # noqa: SLF001


def _result(value: float, unit: str, size: int, samples: int) -> dict[str, Any]:
    """Return a figure as it is told."""
    return {"value": value, "unit": unit, "size": size, "samples": samples}


def _bus(properties: Torch) -> str | None:
    """Return the PCI address as NVML writes it; older versions do not tell it."""
    names = ("pci_domain_id", "pci_bus_id", "pci_device_id")
    numbers = [getattr(properties, name, None) for name in names]
    if not all(isinstance(number, int) for number in numbers):
        return None
    domain, bus, device = numbers
    return f"{domain:08X}:{bus:02X}:{device:02X}.0"
