"""``bench()``: what the GPU really reaches, beside what its datasheet states."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.gpu.facts import SourceState, TorchState, Unknown
from colabmagic.gpu.probe import probe_all
from colabmagic.gpu.rules.advice import seen_torch
from colabmagic.gpu.rules.signs import gpu_is_seen
from colabmagic.gpu.trials import bench_view
from colabmagic.gpu.trials.bench_results import Collector, DeviceBench
from colabmagic.gpu.trials.child import Child, describe, run_child, teller
from colabmagic.gpu.trials.sampler import Conditions, Sampler
from colabmagic.report.document import Document
from colabmagic.report.plain import to_plain
from colabmagic.report.progress import SILENT

if TYPE_CHECKING:
    from colabmagic.gpu.facts import GpuFacts
    from colabmagic.report.model import Finding, Report
    from colabmagic.report.progress import Progress

SCHEMA = 1
MIME_TYPE = "application/vnd.colabmagic.bench+json"
TIMEOUT_S = 120.0  # a cold import of PyTorch alone can take 20

# They change what an fp32 product is, without a word to be seen in the code.
_NEUTRAL = {"NVIDIA_TF32_OVERRIDE": None, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport(Document):
    """The answer of `bench`.

    Parameters
    ----------
    devices
        The figures, device by device.
    torch_version
        Of the PyTorch that measured; None where none did.
    in_process
        Whether this process was measured, and not a fresh one.
    is_complete
        Whether the measuring came to its end.
    """

    mime_type: ClassVar[str] = MIME_TYPE

    devices: tuple[DeviceBench, ...]
    findings: tuple[Finding, ...]
    torch_version: str | None
    quick: bool
    in_process: bool
    is_complete: bool
    elapsed_s: float

    @property
    def ok(self) -> bool:
        """Tell whether there is any figure."""
        return any(
            not isinstance(one.value, Unknown)
            for device in self.devices
            for one in device.measurements
        )

    def view(self) -> Report:
        """Return what a person sees."""
        return bench_view.view(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        devices = to_plain(self.devices)
        for device, plain in zip(self.devices, devices, strict=True):
            rows = zip(device.measurements, plain["measurements"], strict=True)
            for one, row in rows:
                row["share"] = one.share
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "headline": self.headline,
            "quick": self.quick,
            "in_process": self.in_process,
            "complete": self.is_complete,
            "torch": self.torch_version,
            "elapsed_ms": round(self.elapsed_s * 1000),
            "findings": to_plain(self.findings),
            "devices": devices,
        }

    def __repr__(self) -> str:
        """Return the answer, short enough for a debugger."""
        return f"<BenchReport: {bench_view.summary(self) or 'no figures'}>"


def bench(
    facts: GpuFacts | None = None,
    *,
    quick: bool = False,
    timeout_s: float = TIMEOUT_S,
    progress: Progress | None = None,
) -> BenchReport:
    """Measure matrix products, memory and transfers on each device.

    PyTorch runs in a process of its own, unless CUDA is live in this one already.
    Never raises for what fails; an interrupt ends the measuring and is passed on.

    Parameters
    ----------
    facts
        What `check` found out; asked anew where left out.
    quick
        Take about a second for each GPU instead of three.
    timeout_s
        After so many seconds the measuring is ended; what there is by then counts.
    """
    started = time.monotonic()
    facts = probe_all() if facts is None else facts
    if facts.torch.state is TorchState.MISSING:
        return BenchReport(
            devices=(),
            findings=(bench_view.torch_missing(),),
            torch_version=None,
            quick=quick,
            in_process=False,
            is_complete=False,
            elapsed_s=time.monotonic() - started,
        )
    return _Run(facts, progress or SILENT, quick=quick).measure(started, timeout_s)


class _Run:
    """One benchmark."""

    def __init__(self, facts: GpuFacts, progress: Progress, *, quick: bool) -> None:
        self._facts = facts
        self._progress = progress
        self._quick = quick
        self._sampler = Sampler()
        self._collector = Collector(progress)
        self._torch = sys.modules.get("torch") if facts.torch.cuda_initialized else None

    def measure(self, started: float, timeout_s: float) -> BenchReport:
        """Measure, watch, and sum up."""
        if self._facts.nvml.state is SourceState.OK:
            self._sampler.start()
        self._progress.start("Starting PyTorch")
        try:
            reason = self._measure(timeout_s)
        finally:
            self._sampler.stop()
            self._progress.finish()
        devices = self._collector.devices(self._conditions)
        return BenchReport(
            devices=devices,
            findings=self._findings(devices, reason),
            torch_version=self._collector.version,
            quick=self._quick,
            in_process=self._torch is not None,
            is_complete=reason is None and self._collector.import_error is None,
            elapsed_s=time.monotonic() - started,
        )

    def _measure(self, timeout_s: float) -> str | None:
        """Measure; return why it ended early, or None."""
        free = self._facts.host.system.memory_available_bytes
        options = {
            "quick": self._quick,
            "host_free": None if isinstance(free, Unknown) else free,
        }
        if self._torch is not None:
            return self._measure_here(self._torch, options)
        child = Child(
            script="bench_torch", package="torch", options=options, env=_NEUTRAL
        )
        end = run_child(child, timeout_s=timeout_s, on_event=self._collector.take)
        return end.reason

    def _measure_here(self, torch: object, options: dict[str, Any]) -> str | None:
        """Measure in this process, with its PyTorch."""
        from colabmagic.gpu.trials.children import bench_torch  # noqa: PLC0415 (seldom used)

        try:
            bench_torch.run(torch, teller(self._collector.take), options)
        except Exception as error:  # noqa: BLE001 (the border to PyTorch)
            return describe(error)
        return None

    def _conditions(
        self, device: str, bus: str | None, begin: float, end: float
    ) -> Conditions | Unknown:
        """Return how a GPU fared, found by its PCI address."""
        nvml = self._facts.nvml
        if nvml.state is not SourceState.OK:
            return Unknown(nvml.reason or "NVML was not asked")
        index = int(device.partition(":")[2] or 0)
        listed = self._facts.driver.devices[index : index + 1]
        if bus is None and listed and not isinstance(listed[0].pci_bus_id, Unknown):
            bus = listed[0].pci_bus_id
        return self._sampler.conditions(bus, begin, end)

    def _findings(
        self, devices: tuple[DeviceBench, ...], reason: str | None
    ) -> tuple[Finding, ...]:
        """Return what went wrong, then what the figures show."""
        found = []
        collector = self._collector
        if collector.import_error is not None:
            found.append(bench_view.import_failed(collector.import_error))
        if reason is not None:
            partial = any(one.measurements for one in devices)
            found.append(
                bench_view.stopped(reason, collector.last_step, is_partial=partial)
            )
        if [one.device for one in devices] == ["cpu"] and gpu_is_seen(self._facts):
            found.append(bench_view.no_gpu(seen_torch(self._facts)))
        found += bench_view.judge(devices)
        if self._torch is not None:
            found.append(bench_view.in_process())
        return tuple(found)
