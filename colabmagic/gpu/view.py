"""How the facts about GPUs are laid out for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.gpu.facts import SourceState, TorchState, Unknown
from colabmagic.gpu.rules import ASIDE, CPU
from colabmagic.gpu.rules.advice import dotted, gib
from colabmagic.gpu.rules.signs import hidden_devices, same_card
from colabmagic.gpu.view_details import detail_tables
from colabmagic.report.model import Field, Report, Table

if TYPE_CHECKING:
    from colabmagic.gpu.facts import (
        CudaDevice,
        DeviceFacts,
        FrameworkFacts,
        GpuFacts,
    )
    from colabmagic.report.model import Finding

READY = "READY"
NOT_USABLE = "NOT USABLE BY PYTORCH"
_NOTHING = "?"


def view(
    facts: GpuFacts,
    device: str,
    findings: tuple[Finding, ...],
    elapsed_s: float | None,
    *,
    show_all: bool = False,
) -> Report:
    """Return the report that is shown."""
    tables = [_table(facts), _cards(facts)]
    if show_all:
        tables += detail_tables(facts)
    else:
        findings = tuple(one for one in findings if one.code not in ASIDE)
    return Report(
        title="GPU check",
        verdict=NOT_USABLE if device == CPU else READY,
        summary="" if device == CPU else summary(facts, device),
        findings=findings,
        tables=tuple(table for table in tables if table.rows),
        fields=_fields(facts),
        elapsed_s=elapsed_s,
    )


def summary(facts: GpuFacts, device: str) -> str:
    """Say in a few words what can be used, and as which device."""
    if device == CPU:
        return "PyTorch cannot use a GPU, use device='cpu'"
    kind = device.partition(":")[0]
    index = int(device.partition(":")[2] or 0)
    if kind == "cuda" and index < len(facts.driver.devices):
        chosen = facts.driver.devices[index]
        shown = device if index else kind
        return (
            f"{_text(chosen.name)}, {_free_memory(facts, chosen)}, use device='{shown}'"
        )
    if kind == "cuda" and facts.nvml.devices:
        only = next((one for one in facts.nvml.devices if one.error is None), None)
        name = "GPU" if only is None else _text(only.name)
        return f"{name}, use device='cuda'"
    names = {"cuda": "AMD GPU", "mps": "Apple GPU"}
    return f"{names.get(kind, f'accelerator {kind!r}')}, use device='{kind}'"


def _free_memory(facts: GpuFacts, device: CudaDevice) -> str:
    """Say how much memory the GPU that CUDA lists first has free."""
    for listed in facts.nvml.devices:
        if not same_card(listed, device):
            continue
        if listed.mig_enabled is True:
            return _free_in_instance(listed)
        if not isinstance(listed.memory_free_bytes, Unknown):
            return f"{gib(listed.memory_free_bytes)} free"
    if isinstance(device.memory_total_bytes, Unknown):
        return "memory unknown"
    return f"{gib(device.memory_total_bytes)}, free part unknown"


def _free_in_instance(device: DeviceFacts) -> str:
    """Say how much memory the first instance of a GPU has free."""
    parts = () if isinstance(device.mig_devices, Unknown) else device.mig_devices
    if not parts or isinstance(parts[0].memory_free_bytes, Unknown):
        return "memory of its instance unknown"
    return f"{gib(parts[0].memory_free_bytes)} free in the first instance"


def _table(facts: GpuFacts) -> Table:
    """Return the GPUs, a row for each."""
    hidden = hidden_devices(facts)
    rows = [
        _row(device, is_hidden=any(one is device for one in hidden))
        for device in facts.nvml.devices
    ]
    if not rows:
        rows = [
            (
                str(index),
                _text(device.name),
                f"? of {gib(device.memory_total_bytes)}",
                _NOTHING,
                _NOTHING,
                _NOTHING,
                _pair(device.compute_capability),
                "OK",
            )
            for index, device in enumerate(facts.driver.devices)
        ]
    return Table(
        caption="GPUs that the driver lists",
        columns=(
            "GPU",
            "Name",
            "Free memory",
            "Use",
            "Temp",
            "Power",
            "Compute",
            "Driver",
        ),
        rows=tuple(rows),
    )


def _cards(facts: GpuFacts) -> Table:
    """Return the GPUs of other makers, as the system's files show them."""
    rows = []
    for card in facts.platform.cards:
        total, used = card.memory_total_bytes, card.memory_used_bytes
        known = not isinstance(total, Unknown) and not isinstance(used, Unknown)
        rows.append(
            (
                card.maker,
                _NOTHING if isinstance(card.name, Unknown) else card.name,
                f"{gib(used)} of {gib(total)}" if known else _NOTHING,
                _number(card.utilization_percent, "%"),
                _number(card.temperature_c, " °C"),
                _NOTHING if isinstance(card.driver, Unknown) else card.driver,
            )
        )
    return Table(
        caption="GPUs of other makers",
        columns=("Maker", "Name", "Used memory", "Use", "Temp", "Driver"),
        rows=tuple(rows),
    )


def _row(device: DeviceFacts, *, is_hidden: bool) -> tuple[str, ...]:
    """Return the cells of one GPU."""
    free, total = device.memory_free_bytes, device.memory_total_bytes
    known = not isinstance(free, Unknown)
    memory = f"{gib(free).removesuffix(' GiB')} of {gib(total)}" if known else _NOTHING
    status = "OK, hidden" if is_hidden else "OK"
    status = status if device.error is None else f"PROBLEM: {device.error}"
    return (
        str(device.index),
        _text(device.name) + (" (MIG)" if device.mig_enabled is True else ""),
        memory,
        _number(device.utilization_percent, "%"),
        _number(device.temperature_c, " °C"),
        _power(device),
        _pair(device.compute_capability),
        status,
    )


def _text(value: str | Unknown) -> str:
    """Return a name, or that there is none."""
    return "unknown GPU" if isinstance(value, Unknown) else value


def _number(value: float | Unknown, unit: str) -> str:
    """Return a number with its unit."""
    return _NOTHING if isinstance(value, Unknown) else f"{value:.0f}{unit}"


def _pair(value: tuple[int, int] | Unknown) -> str:
    """Return a compute capability."""
    return _NOTHING if isinstance(value, Unknown) else dotted(value)


def _power(device: DeviceFacts) -> str:
    """Return power drawn and allowed."""
    if isinstance(device.power_w, Unknown):
        return _NOTHING
    if isinstance(device.power_limit_w, Unknown):
        return f"{device.power_w:.0f} W"
    return f"{device.power_w:.0f} of {device.power_limit_w:.0f} W"


def _fields(facts: GpuFacts) -> tuple[Field, ...]:
    """Return the versions and the place."""
    system = facts.host.system
    container = f", {system.container}" if facts.host.is_container else ""
    return (
        Field(label="Driver", value=_driver(facts)),
        Field(label="PyTorch", value=_torch(facts)),
        *(Field(label=one.name, value=_framework(one)) for one in facts.frameworks),
        *_toolkit(facts),
        Field(label="Python", value=system.python),
        Field(label="on", value=f"{facts.host.name}, {system.os_name}{container}"),
    )


def _framework(framework: FrameworkFacts) -> str:
    """Return version and build of TensorFlow or JAX."""
    version = "" if isinstance(framework.version, Unknown) else framework.version
    build = (
        "build unknown"
        if isinstance(framework.build, Unknown)
        else framework.build.value
    )
    cuda = "" if isinstance(framework.cuda, Unknown) else f" {framework.cuda}"
    imported = "imported" if framework.imported else "not imported"
    return f"{version} ({build}{cuda}, {imported})".strip()


def _toolkit(facts: GpuFacts) -> tuple[Field, ...]:
    """Return the toolkit's version, where there is one."""
    toolkit = facts.platform.toolkit
    if toolkit is None:
        return ()
    version = "version unknown"
    if not isinstance(toolkit.version, Unknown):
        version = toolkit.version
    return (Field(label="nvcc", value=version),)


def _driver(facts: GpuFacts) -> str:
    """Return the driver's version and the CUDA it supports."""
    nvml, driver = facts.nvml, facts.driver
    version = nvml.driver_version
    if isinstance(version, Unknown):
        version = facts.platform.kernel_module_version or "none"
        if version == "none" and driver.state is SourceState.OK:
            version = "of unknown version"
    for cuda in (driver.cuda_version, nvml.cuda_version):
        if not isinstance(cuda, Unknown):
            return f"{version} (CUDA {dotted(cuda)})"
    return version


def _torch(facts: GpuFacts) -> str:
    """Return PyTorch's version, and whether it is imported."""
    torch = facts.torch
    if torch.state is TorchState.MISSING:
        return "not installed"
    version = "unreadable" if isinstance(torch.version, Unknown) else torch.version
    return f"{version} ({'imported' if torch.imported else 'not imported'})"
