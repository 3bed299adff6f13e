"""What a benchmark measured, and how it is put together from what a child tells."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colabmagic.gpu.trials.datasheet import Datasheet, find_datasheet
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.trials.child import Event
    from colabmagic.gpu.trials.sampler import Conditions
    from colabmagic.report.progress import Progress

MATMULS = ("fp32", "tf32", "fp16", "bf16")
MEMORY = "memory"
LABELS = {
    **{key: f"{key} matmul" for key in MATMULS},
    MEMORY: "memory copy",
    "h2d_pinned": "to the device, pinned",
    "d2h_pinned": "from the device, pinned",
    "h2d_pageable": "to the device, pageable",
    "d2h_pageable": "from the device, pageable",
}
LOW_SHARE = 0.5  # of the datasheet: below it something is wrong
_BF16_SINCE = (8, 0)  # compute capability
_EMULATED = "emulated: no bf16 units"
_CPU = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure.

    Parameters
    ----------
    key
        ``fp32`` … ``bf16`` for matrix products, ``memory`` for a copy within the
        device, ``h2d_pinned`` … for copies between main memory and the device.
    value
        In `unit`: TFLOP/s, GFLOP/s (CPU) or GB/s; `Unknown` with the error.
    size
        Rows of the square matrices, or bytes.
    samples
        How many the median is of.
    peak
        What the datasheet states, in `unit`; None where it states nothing.
    """

    key: str
    value: float | Unknown
    unit: str = ""
    size: int = 0
    samples: int = 0
    peak: float | None = None
    note: str = ""

    @property
    def label(self) -> str:
        """Return what was measured, in words."""
        return LABELS.get(self.key, self.key)

    @property
    def share(self) -> float | None:
        """Return which part of the datasheet's rate was reached."""
        if isinstance(self.value, Unknown) or not self.peak:
            return None
        return self.value / self.peak

    @property
    def is_low(self) -> bool:
        """Tell whether less than half of the datasheet's rate was reached."""
        return self.share is not None and self.share < LOW_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBench:
    """The figures of one device.

    Parameters
    ----------
    device
        What PyTorch calls it: ``cuda:0``, ``mps``, ``cpu``.
    conditions
        Clocks, heat and power during the run; `Unknown` with the reason.
    """

    device: str
    name: str | Unknown
    measurements: tuple[Measurement, ...]
    memory_total_bytes: int | Unknown
    conditions: Conditions | Unknown
    datasheet: Datasheet | None = None
    threads: int | None = None  # of a CPU

    @property
    def title(self) -> str:
        """Return the device with its name."""
        if self.device == _CPU:
            plural = "" if self.threads == 1 else "s"
            return f"cpu, {self.threads} thread{plural}"
        return self.device if isinstance(self.name, Unknown) else self.label

    @property
    def label(self) -> str:
        """Return device and name as they stand in sentences."""
        name = "" if isinstance(self.name, Unknown) else f" ({self.name})"
        return f"{self.device}{name}"

    def value(self, key: str) -> float | None:
        """Return a figure, or None if it was not measured."""
        for one in self.measurements:
            if one.key == key and not isinstance(one.value, Unknown):
                return one.value
        return None


@dataclass(slots=True)
class _Device:
    """A device that is being measured."""

    told: Event
    begin: float
    compute_begin: float | None = None
    compute_end: float | None = None
    figures: dict[str, Event] = field(default_factory=dict)


class Collector:
    """Takes what the child tells, shows how far it is, and sums it up."""

    def __init__(
        self, progress: Progress, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.version: str | None = None
        self.import_error: str | None = None
        self.last_step = ""
        self._threads: int | None = None
        self._progress = progress
        self._clock = clock
        self._devices: dict[str, _Device] = {}

    def take(self, event: Event) -> None:
        """Take one thing; what does not look like ours is passed over."""
        handlers = {
            "ready": self._ready,
            "import-failed": self._import_failed,
            "device": self._device,
            "begin": self._begin,
            "result": self._figure,
            "failed": self._figure,
        }
        handler = handlers.get(str(event.get("event")))
        if handler is not None:
            handler(event)

    def _ready(self, event: Event) -> None:
        self.version = str(event.get("version"))
        self._threads = event.get("threads")

    def _import_failed(self, event: Event) -> None:
        self.import_error = str(event.get("message"))

    def _device(self, event: Event) -> None:
        name = str(event.get("device"))
        self._devices[name] = _Device(told=event, begin=self._clock())
        self._progress.finish()
        shown = event.get("name") or ""
        steps = event.get("steps") or ()
        self._progress.start(f"Measuring {name} {shown}".rstrip(), len(steps))

    def _begin(self, event: Event) -> None:
        key = str(event.get("key"))
        device = self._devices.get(str(event.get("device")))
        self.last_step = f"{LABELS.get(key, key)} on {event.get('device')}"
        if device is not None and device.compute_begin is None:
            device.compute_begin = self._clock()

    def _figure(self, event: Event) -> None:
        device = self._devices.get(str(event.get("device")))
        if device is None:
            return
        key = str(event.get("key"))
        device.figures[key] = event
        if key in {*MATMULS, MEMORY}:
            device.compute_end = self._clock()
        self._progress.advance()

    def devices(
        self,
        conditions: Callable[[str, str | None, float, float], Conditions | Unknown],
    ) -> tuple[DeviceBench, ...]:
        """Return the figures of all devices.

        Parameters
        ----------
        conditions
            Gets device, PCI address, begin and end; says how it fared.
        """
        return tuple(
            self._sum_up(name, device, conditions)
            for name, device in self._devices.items()
        )

    def _sum_up(
        self,
        name: str,
        device: _Device,
        conditions: Callable[[str, str | None, float, float], Conditions | Unknown],
    ) -> DeviceBench:
        """Return the figures of one device."""
        told = device.told
        shown = told.get("name")
        sheet = find_datasheet(shown) if isinstance(shown, str) else None
        fared: Conditions | Unknown = Unknown("NVML watches NVIDIA's GPUs only")
        if name.startswith("cuda"):
            begin = device.compute_begin or device.begin
            end = device.compute_end or self._clock()
            fared = conditions(name, told.get("bus"), begin, end)
        total = told.get("total")
        return DeviceBench(
            device=name,
            name=shown if isinstance(shown, str) else Unknown("not told"),
            measurements=tuple(
                _measurement(key, event, told, sheet)
                for key, event in device.figures.items()
            ),
            memory_total_bytes=total if isinstance(total, int) else Unknown("not told"),
            conditions=fared,
            datasheet=sheet,
            threads=self._threads if name == _CPU else None,
        )


def _measurement(
    key: str, event: Event, device: Event, sheet: Datasheet | None
) -> Measurement:
    """Return one figure with its datasheet's."""
    value: Any = event.get("value")
    if event["event"] == "failed" or not isinstance(value, int | float):
        return Measurement(key=key, value=Unknown(str(event.get("message"))))
    cc = device.get("cc")
    is_emulated = key == "bf16" and cc is not None and tuple(cc) < _BF16_SINCE
    return Measurement(
        key=key,
        value=float(value),
        unit=str(event.get("unit")),
        size=int(event.get("size") or 0),
        samples=int(event.get("samples") or 0),
        peak=None if sheet is None else sheet.peak(key),
        note=_EMULATED if is_emulated else "",
    )
