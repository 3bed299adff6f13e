"""Watch clocks, heat and power of the GPUs through NVML while they work."""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colabmagic.gpu.sources.nvml import load_pynvml
from colabmagic.gpu.sources.nvml_fields import ask, text
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_S = 0.1
_LAST_WAIT_S = 0.5  # a thread that a driver keeps is left behind
_TEMPERATURE_OF_GPU = 0  # NVML_TEMPERATURE_GPU
_CLOCK_OF_SM = 1  # NVML_CLOCK_SM
_MILLI = 1000
_MOST_TEMPERATURE_C = 150
_MOST_CLOCK_MHZ = 10_000
_MOST_POWER_W = 10_000
_OFTEN = 0.95  # share of the samples that counts as all the time

# NVML's bits of what holds the clocks back. Left out: idle, and limits that were set.
POWER_LIMIT = "the power limit"
_REASONS = (
    (0x40 | 0x20, "heat"),
    (0x80, "the power supply (power brake)"),
    (0x4, POWER_LIMIT),
    (0x8, "the hardware's slowdown"),
)
_HEAT = 0x40 | 0x20 | 0x8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at a GPU; None for what the driver did not tell."""

    at: float  # as in time.monotonic()
    temperature_c: float | None
    clock_mhz: float | None
    power_w: float | None
    reasons: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a GPU fared while it worked.

    Parameters
    ----------
    held_back
        What kept the clocks down, with the share of the samples that showed it.
    """

    samples: int
    temperature_c: float | None  # the highest
    clock_mhz: float | None  # the median
    clock_max_mhz: float | None
    power_w: float | None  # the highest
    power_limit_w: float | None
    held_back: tuple[tuple[str, float], ...] | Unknown
    is_hot: bool

    @property
    def words(self) -> str:
        """Say it in one line."""
        parts = [
            _of("clock", self.clock_mhz, self.clock_max_mhz, "MHz"),
            "" if self.temperature_c is None else f"up to {self.temperature_c:.0f} °C",
            _of("up to", self.power_w, self.power_limit_w, "W"),
            self.throttle,
        ]
        return ", ".join(part for part in parts if part)

    @property
    def throttle(self) -> str:
        """Say what held the clocks back."""
        if isinstance(self.held_back, Unknown):
            return f"throttling {self.held_back}"
        if not self.held_back:
            return "not held back"
        return "held back by " + ", ".join(
            f"{what} ({_share(share)})" for what, share in self.held_back
        )


def _of(label: str, value: float | None, most: float | None, unit: str) -> str:
    """Return a value with the most that it could be."""
    if value is None:
        return ""
    limit = "" if most is None else f" of {most:.0f}"
    return f"{label} {value:.0f}{limit} {unit}"


def _share(share: float) -> str:
    """Return how often something was seen."""
    return "all the time" if share >= _OFTEN else f"{share:.0%} of the time"


class Sampler:
    """Looks at all GPUs ten times a second, in a thread of its own."""

    def __init__(self, load: Callable[[], Any] = load_pynvml) -> None:
        self._load = load
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure = "NVML was not asked"
        self._cards: dict[str, _Card] = {}

    def start(self) -> None:
        """Begin to look."""
        self._failure = "the driver did not answer in time"
        self._thread = threading.Thread(
            target=self._run, name="colabmagic-sampler", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_LAST_WAIT_S)

    def conditions(
        self, bus: str | None, begin: float, end: float
    ) -> Conditions | Unknown:
        """Return how the GPU at a PCI address fared between two times."""
        cards = list(self._cards.items())
        wanted = [card for name, card in cards if bus and same_bus(name, bus)]
        if not wanted and len(cards) == 1 and bus is None:
            wanted = [cards[0][1]]
        if not wanted:
            reason = "NVML does not list this GPU" if cards else self._failure
            return Unknown(reason)
        return wanted[0].conditions(begin, end)

    def _run(self) -> None:
        """Look until told to stop; a failure is the reason of what is missing."""
        try:
            nvml = self._load()
            nvml.nvmlInit()
        except Exception as error:  # noqa: BLE001 (no package, no driver)
            self._failure = f"NVML: {error}"
            return
        try:
            for index in range(nvml.nvmlDeviceGetCount()):
                handle = ask(nvml.nvmlDeviceGetHandleByIndex, index)
                pci = ask(nvml.nvmlDeviceGetPciInfo, handle)
                if not isinstance(pci, Unknown):
                    self._cards[text(pci.busId)] = _Card(nvml, handle)
            while not self._stop.is_set():
                for card in self._cards.values():
                    card.look()
                self._stop.wait(_EVERY_S)
        except Exception as error:  # noqa: BLE001 (the border to a foreign library)
            self._failure = f"NVML: {error}"
        finally:
            ask(nvml.nvmlShutdown)


class _Card:
    """What was seen of one GPU."""

    def __init__(self, nvml: Any, handle: Any) -> None:  # noqa: ANN401 (untyped)
        self._nvml = nvml
        self._handle = handle
        self._samples: list[Sample] = []
        clock = ask(nvml.nvmlDeviceGetMaxClockInfo, handle, _CLOCK_OF_SM)
        limit = ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        self._clock_max_mhz = _plausible(clock, _MOST_CLOCK_MHZ)
        self._power_limit_w = _plausible(limit, _MOST_POWER_W, _MILLI)

    def look(self) -> None:
        """Take one sample."""
        nvml, handle = self._nvml, self._handle
        heat = ask(nvml.nvmlDeviceGetTemperature, handle, _TEMPERATURE_OF_GPU)
        clock = ask(nvml.nvmlDeviceGetClockInfo, handle, _CLOCK_OF_SM)
        power = ask(nvml.nvmlDeviceGetPowerUsage, handle)
        # Its newer name, ClocksEventReasons, is not in every pynvml or driver.
        reasons = ask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        sample = Sample(
            at=time.monotonic(),
            temperature_c=_plausible(heat, _MOST_TEMPERATURE_C),
            clock_mhz=_plausible(clock, _MOST_CLOCK_MHZ),
            power_w=_plausible(power, _MOST_POWER_W, _MILLI),
            reasons=reasons if isinstance(reasons, int) else None,
        )
        self._samples.append(sample)

    def conditions(self, begin: float, end: float) -> Conditions | Unknown:
        """Sum up the samples between two times."""
        seen = [one for one in list(self._samples) if begin <= one.at <= end]
        if not seen:
            return Unknown("no sample was taken in time")
        masks = [one.reasons for one in seen if one.reasons is not None]
        return Conditions(
            samples=len(seen),
            temperature_c=_most([one.temperature_c for one in seen]),
            clock_mhz=_median([one.clock_mhz for one in seen]),
            clock_max_mhz=self._clock_max_mhz,
            power_w=_most([one.power_w for one in seen]),
            power_limit_w=self._power_limit_w,
            held_back=_held_back(masks),
            is_hot=any(mask & _HEAT for mask in masks),
        )


def _held_back(masks: list[int]) -> tuple[tuple[str, float], ...] | Unknown:
    """Return what kept the clocks down, and how often."""
    if not masks:
        return Unknown("the driver does not tell")
    shares = [
        (words, sum(bool(mask & bits) for mask in masks) / len(masks))
        for bits, words in _REASONS
    ]
    return tuple((words, share) for words, share in shares if share)


def same_bus(left: str, right: str) -> bool:
    """Compare PCI addresses: NVML writes the domain with eight digits, CUDA four."""
    return left.lower().lstrip("0") == right.lower().lstrip("0")


def _plausible(value: object, most: float, divisor: int = 1) -> float | None:
    """Return a number that the driver can mean."""
    if not isinstance(value, int | float):
        return None
    number = value / divisor
    return number if 0 < number <= most else None


def _most(values: list[float | None]) -> float | None:
    """Return the highest known value."""
    return max((one for one in values if one is not None), default=None)


def _median(values: list[float | None]) -> float | None:
    """Return the median of the known values."""
    known = [one for one in values if one is not None]
    return statistics.median(known) if known else None
