"""What a live view reads, again and again: GPUs, and the machine around them.

Reading may be slow and a driver may hang, but no call here takes longer than the
deadline: NVML is asked in a thread of its own, which is not started twice.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from colabmagic.gpu.facts import SourceState, Unknown
from colabmagic.gpu.sources.cards import probe_cards
from colabmagic.gpu.sources.nvml import SOURCE, NvmlSource, load_pynvml
from colabmagic.host.system import detect_system, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from colabmagic.gpu.facts import CardFacts, DeviceFacts, GpuFacts, NvmlFacts

CPU: Final = "CPU"
DEADLINE_S: Final = 3.0

# A reading is repeated every few seconds beside a training: only what is shown is asked.
_SHOWN: Final = frozenset(
    {
        "nvmlDeviceGetCount",
        "nvmlDeviceGetEnforcedPowerLimit",
        "nvmlDeviceGetHandleByIndex",
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetName",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetTemperature",
        "nvmlDeviceGetUtilizationRates",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One device at one time; None is what could not be read.

    Parameters
    ----------
    device
        ``GPU 0``, ``CPU`` …
    problem
        Why there are no values, in words.
    """

    device: str
    name: str
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    use_percent: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    problem: str | None = None


class Source(Protocol):
    """Something that can be read again and again."""

    def read(self) -> tuple[list[Reading], str | None]:
        """Return a reading a device, and what is wrong with all of them."""

    def close(self) -> None:
        """Let go of what is kept between two readings."""


def sources_for(facts: GpuFacts) -> list[Source]:
    """Return what is worth reading on a machine, the GPUs first.

    Parameters
    ----------
    facts
        What a check has found: a driver that hung there is not asked by another thread.
    """
    found: list[Source] = []
    if facts.nvml.state is SourceState.HUNG or facts.nvml.devices:
        found.append(NvidiaGpus(facts.nvml))
    elif any(_is_readable(card) for card in facts.platform.cards):
        found.append(OtherGpus())
    return [*found, Machine()]


class NarrowNvml:
    """pynvml that asks the driver for nothing but what a live view shows.

    Between two readings NVML stays open: without a daemon that keeps the driver alive,
    opening it anew takes seconds on some machines.
    """

    def __init__(self, load: Callable[[], Any] = load_pynvml) -> None:
        self._load = load
        self._module: Any = None
        self._is_kept = False

    def load(self) -> NarrowNvml:
        """Import pynvml, and stand for it."""
        self._module = self._load()
        return self

    def nvmlInit(self) -> None:  # noqa: N802 (NVML's name)
        """Open NVML; the first time once more, so that it stays open."""
        self._module.nvmlInit()
        if not self._is_kept:
            self._module.nvmlInit()
            self._is_kept = True

    def release(self) -> None:
        """Close what was kept open."""
        if self._is_kept:
            self._is_kept = False
            with contextlib.suppress(Exception):  # a driver that has gone is closed
                self._module.nvmlShutdown()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (an untyped module)
        """Return a name of pynvml; what is not shown refuses to be called."""
        if name.startswith("nvmlDevice") and name not in _SHOWN:
            return _refuse
        return getattr(self._module, name)


def _refuse(*_: object) -> None:
    """Stand for a question that is left out."""
    raise NotImplementedError("not asked for a live view")


# One a process, so that a driver that hangs is asked once. Not that of `%gpu_check`:
# while one of us reads, the other would take the driver for stuck.
_NVML = NarrowNvml()
_LIVE_SOURCE = NvmlSource(_NVML.load)


class NvidiaGpus:
    """The GPUs that NVML lists.

    Parameters
    ----------
    first
        What a check has just read: it is the first reading.
    """

    def __init__(
        self,
        first: NvmlFacts,
        source: NvmlSource = _LIVE_SOURCE,
        nvml: NarrowNvml = _NVML,
    ) -> None:
        self._first: NvmlFacts | None = first
        self._nvml = nvml
        self._last: dict[str, Reading] = {}
        self._hangs = False
        # The check's own thread is stuck in the driver: ask there whether it is free.
        self._source = SOURCE if _is_stuck(first) else source

    def read(self) -> tuple[list[Reading], str | None]:
        """Return a reading a GPU; those seen before stay in the list."""
        facts, self._first = self._first or self._ask(), None
        self._hangs = _is_stuck(facts)
        if facts.state is SourceState.OK and facts.devices:
            readings = {one.device: one for one in map(self._reading, facts.devices)}
            for label, before in self._last.items():
                if label not in readings:
                    gone = "the driver does not list it any more"
                    readings[label] = _without_values(before, gone)
            self._last = readings
            return list(readings.values()), None
        if not self._hangs:
            self._nvml.release()  # begin anew with the next reading
        problem = facts.reason or "the driver lists no GPU any more"
        lost = [_without_values(reading, problem) for reading in self._last.values()]
        return lost, None if lost else f"NVIDIA: {problem}"

    def close(self) -> None:
        """Close NVML, unless the driver hangs: then closing would hang too."""
        if not self._hangs:
            self._nvml.release()

    def _ask(self) -> NvmlFacts:
        """Read all GPUs."""
        until = time.monotonic() + DEADLINE_S
        self._source.start(until)
        return self._source.finish(until)

    def _reading(self, device: DeviceFacts) -> Reading:
        """Return what is shown of a GPU; a lost one keeps its name."""
        label = f"GPU {device.index}"
        before = self._last.get(label)
        name = _known(device.name) or (before.name if before else "unknown GPU")
        return Reading(
            device=label,
            name=f"{name} (MIG)" if device.mig_enabled is True else name,
            memory_used_bytes=_known(device.memory_used_bytes),
            memory_total_bytes=_known(device.memory_total_bytes),
            use_percent=_known(device.utilization_percent),
            temperature_c=_known(device.temperature_c),
            power_w=_known(device.power_w),
            power_limit_w=_known(device.power_limit_w),
            problem=device.error or _why_silent(device),
        )


class OtherGpus:
    """The GPUs of AMD and Intel, from the kernel's files."""

    def __init__(self, sysroot: str = "/") -> None:
        self._root = Path(sysroot)

    def read(self) -> tuple[list[Reading], str | None]:
        """Return a reading a card."""
        cards = [card for card in probe_cards(self._root) if _is_readable(card)]
        return [_card_reading(index, card) for index, card in enumerate(cards)], None

    def close(self) -> None:
        """Keep nothing."""


class Machine:
    """The processors and the memory around the GPUs."""

    def __init__(self, sysroot: str = "/") -> None:
        self._root = Path(sysroot)
        self._before = _cpu_times(self._root)

    def read(self) -> tuple[list[Reading], str | None]:
        """Return one reading; the use is that since the reading before."""
        facts = detect_system(os.environ, self._root)
        total = _known(facts.memory_total_bytes)
        available = _known(facts.memory_available_bytes)
        before, self._before = self._before, _cpu_times(self._root)
        reading = Reading(
            device=CPU,
            name=_processors(facts.cpu_count),
            memory_used_bytes=None if None in {total, available} else total - available,
            memory_total_bytes=total,
            use_percent=_share(before, self._before),
        )
        return [reading], None

    def close(self) -> None:
        """Keep nothing."""


def _known(value: Any) -> Any:  # noqa: ANN401 (whatever the field holds)
    """Return a value, or None for an unknown one."""
    return None if isinstance(value, Unknown) else value


def _is_stuck(facts: NvmlFacts) -> bool:
    """Tell whether the driver kept a thread, at once or in the middle of a GPU."""
    silent = any(_why_silent(device) and not device.error for device in facts.devices)
    return facts.state is SourceState.HUNG or silent


def _why_silent(device: DeviceFacts) -> str | None:
    """Say why a GPU gave no value at all."""
    memory = device.memory_used_bytes
    others = (device.utilization_percent, device.temperature_c, device.power_w)
    if not isinstance(memory, Unknown):
        return None
    return memory.reason if all(isinstance(one, Unknown) for one in others) else None


def _without_values(reading: Reading, problem: str) -> Reading:
    """Return a device that does not answer now."""
    return Reading(device=reading.device, name=reading.name, problem=problem)


def _is_readable(card: CardFacts) -> bool:
    """Tell whether the kernel measures a card; it does not for graphics in processors."""
    return _known(card.memory_used_bytes) is not None


def _card_reading(index: int, card: CardFacts) -> Reading:
    """Return what is shown of a card of AMD or Intel."""
    return Reading(
        device=f"GPU {index}",
        name=_known(card.name) or f"{card.maker} GPU",
        memory_used_bytes=_known(card.memory_used_bytes),
        memory_total_bytes=_known(card.memory_total_bytes),
        use_percent=_known(card.utilization_percent),
        temperature_c=_known(card.temperature_c),
    )


def _cpu_times(root: Path) -> tuple[int, int] | None:
    """Return busy and idle time of all processors, in ticks."""
    first = (read_text(root / "proc/stat") or "").partition("\n")[0].split()
    if not first or first[0] != "cpu":
        return None  # no Linux
    ticks = [int(word) for word in first[1:9] if word.isdigit()]
    idle = sum(ticks[3:5])  # idle, and waiting for a disk
    return sum(ticks) - idle, idle


def _share(before: Sequence[int] | None, now: Sequence[int] | None) -> float | None:
    """Return the percentage of busy time between two readings."""
    if before is None or now is None:
        return None
    busy, idle = (after - earlier for after, earlier in zip(now, before, strict=True))
    whole = busy + idle
    return round(100 * max(busy, 0) / whole, 1) if whole > 0 else None


def _processors(count: float | Unknown) -> str:
    """Say how many processors there are."""
    if isinstance(count, Unknown):
        return "processors"
    return f"{count:g} processor{'' if count == 1 else 's'}"
