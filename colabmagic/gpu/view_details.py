"""Every field of every GPU, for ``--all``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from colabmagic.gpu.facts import DeviceFacts, RemappedRows, Unknown
from colabmagic.gpu.rules.advice import dotted, gib
from colabmagic.gpu.rules.health import throttle_words
from colabmagic.report.model import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.facts import GpuFacts

_NOTHING: Final = "?"


def _plain(value: object) -> str:
    """Return a value as it is."""
    return str(value)


def _yes_no(value: object) -> str:
    """Return a flag in words."""
    return "yes" if value else "no"


def _unit(unit: str) -> Callable[[Any], str]:
    """Return a writer of numbers with a unit."""
    return lambda value: f"{value:.0f} {unit}"


def _rows(value: RemappedRows) -> str:
    """Return the rows of memory that were replaced."""
    parts = [
        f"{value.corrected} for corrected errors",
        f"{value.uncorrected} for uncorrected ones",
    ]
    if value.pending:
        parts.append("some wait for a reset")
    if value.failed:
        parts.append("some could not be replaced")
    return ", ".join(parts)


def _throttle(mask: int) -> str:
    """Return why clocks are lower."""
    return throttle_words(mask) or ("idle" if mask & 1 else "no")


# What it is called, the fields of `DeviceFacts`, and how a value is written.
_LINES: Final[tuple[tuple[str, tuple[str, ...], Callable[..., str]], ...]] = (
    ("UUID", ("uuid",), _plain),
    ("Serial number", ("serial",), _plain),
    ("Bus address", ("pci_bus_id",), _plain),
    ("Architecture", ("architecture",), _plain),
    ("Compute capability", ("compute_capability",), dotted),
    ("CUDA cores", ("cuda_cores",), _plain),
    ("VBIOS", ("vbios_version",), _plain),
    ("Memory used", ("memory_used_bytes",), gib),
    ("Memory free", ("memory_free_bytes",), gib),
    ("Memory total", ("memory_total_bytes",), gib),
    ("Memory reserved by the driver", ("memory_reserved_bytes",), gib),
    ("Memory bus", ("memory_bus_bits",), _unit("bit")),
    ("BAR1", ("bar1_total_bytes",), gib),
    ("GPU use", ("utilization_percent",), _unit("%")),
    ("Memory bus use", ("memory_utilization_percent",), _unit("%")),
    ("Encoder use", ("encoder_percent",), _unit("%")),
    ("Decoder use", ("decoder_percent",), _unit("%")),
    ("Temperature", ("temperature_c",), _unit("°C")),
    ("Slows down at", ("temperature_slowdown_c",), _unit("°C")),
    ("Switches off at", ("temperature_shutdown_c",), _unit("°C")),
    ("Fan", ("fan_percent",), _unit("%")),
    ("Power", ("power_w",), _unit("W")),
    ("Power limit", ("power_limit_w",), _unit("W")),
    (
        "Power limit can be",
        ("power_limit_min_w", "power_limit_max_w"),
        lambda least, most: f"{least:.0f} to {most:.0f} W",
    ),
    ("Performance state", ("performance_state",), lambda state: f"P{state}"),
    ("Slowed down", ("throttle_mask",), _throttle),
    (
        "SM clock",
        ("clock_sm_mhz", "clock_sm_max_mhz"),
        lambda now, most: f"{now} of {most} MHz",
    ),
    (
        "Memory clock",
        ("clock_memory_mhz", "clock_memory_max_mhz"),
        lambda now, most: f"{now} of {most} MHz",
    ),
    (
        "PCIe generation",
        ("pcie_generation", "pcie_generation_max"),
        lambda now, most: f"{now} of {most}",
    ),
    (
        "PCIe lanes",
        ("pcie_width", "pcie_width_max"),
        lambda now, most: f"{now} of {most}",
    ),
    (
        "NVLinks",
        ("nvlinks_active", "nvlinks_total"),
        lambda active, total: f"{active} of {total} up",
    ),
    ("Compute mode", ("compute_mode",), _plain),
    ("Persistence mode", ("persistence_mode",), _yes_no),
    ("Display attached", ("display_active",), _yes_no),
    ("MIG", ("mig_enabled",), _yes_no),
    ("ECC", ("ecc_enabled",), _yes_no),
    ("ECC errors, corrected", ("ecc_corrected",), _plain),
    ("ECC errors, uncorrected", ("ecc_uncorrected",), _plain),
    ("ECC errors, uncorrected, ever", ("ecc_uncorrected_lifetime",), _plain),
    ("Remapped rows", ("remapped_rows",), _rows),
    ("Retired pages wait", ("retired_pages_pending",), _yes_no),
)


def detail_tables(facts: GpuFacts) -> tuple[Table, ...]:
    """Return a table of all fields, a column for each GPU, and one of processes."""
    tables = []
    devices = facts.nvml.devices
    # Eight columns do not fit on a line of text: a table for each pair of GPUs.
    for first in range(0, len(devices), 2):
        pair = devices[first : first + 2]
        rows = [
            (label, *cells)
            for label, names, write in _LINES
            if set(cells := [_cell(device, names, write) for device in pair])
            != {_NOTHING}
        ]
        tables.append(
            Table(
                caption="All fields of GPU "
                + ", ".join(str(one.index) for one in pair),
                columns=("Field", *(f"GPU {one.index}" for one in pair)),
                rows=tuple(rows),
            )
        )
    processes = _processes(facts)
    if processes.rows:
        tables.append(processes)
    return tuple(table for table in tables if table.rows)


def _cell(
    device: DeviceFacts, names: tuple[str, ...], write: Callable[..., str]
) -> str:
    """Return one value, or a mark where it is not known."""
    values = [getattr(device, name) for name in names]
    if any(isinstance(value, Unknown) for value in values):
        return _NOTHING
    return write(*values)


def _processes(facts: GpuFacts) -> Table:
    """Return the processes on all GPUs."""
    rows = [
        (
            str(device.index),
            str(process.pid),
            _NOTHING if isinstance(process.name, Unknown) else process.name,
            process.owner.value,
            _NOTHING
            if isinstance(process.memory_bytes, Unknown)
            else gib(process.memory_bytes),
        )
        for device in facts.nvml.devices
        if not isinstance(device.processes, Unknown)
        for process in device.processes
    ]
    return Table(
        caption="Processes",
        columns=("GPU", "Pid", "Program", "Whose", "Memory"),
        rows=tuple(rows),
    )
