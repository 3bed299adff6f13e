"""Rules for: usable, with a catch. Each is pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.gpu.advice import gib, seen_nvml
from colabmagic.gpu.facts import SourceState, Unknown
from colabmagic.report.model import Finding, Severity

if TYPE_CHECKING:
    from colabmagic.gpu.facts import DeviceFacts, GpuFacts

_LITTLE_BYTES = 2**30
_MUCH_USED = 0.8


def torch_accelerator(facts: GpuFacts) -> Finding | None:
    """Notice a device type that the imported PyTorch offers beside CUDA."""
    accelerator = facts.torch.accelerator
    if accelerator is None or accelerator.kind == "mps":
        return None
    return Finding(
        code="torch-accelerator",
        severity=Severity.INFO,
        title=f"The imported PyTorch offers the device type '{accelerator.kind}'.",
        evidence=(f"torch.accelerator, devices: {accelerator.count}",),
    )


def mem_held(facts: GpuFacts) -> Finding | None:
    """Notice GPUs whose memory is mostly taken."""
    full = [device for device in facts.nvml.devices if _is_full(device)]
    if not full:
        return None
    names = ", ".join(str(one.index) for one in full)
    return Finding(
        code="mem-held",
        severity=Severity.WARN,
        title=f"Most memory of GPU {names} is taken.",
        evidence=tuple(
            f"GPU {one.index}: {gib(one.memory_free_bytes)} free of"
            f" {gib(one.memory_total_bytes)}"
            for one in full
        ),
        fix=(
            (
                "Held by this notebook: delete the tensors, then"
                " import gc; gc.collect(); torch.cuda.empty_cache()"
            ),
            "Held by another notebook: shut down its kernel.",
        ),
    )


def _is_full(device: DeviceFacts) -> bool:
    """Tell whether a GPU has little memory left."""
    total, free = device.memory_total_bytes, device.memory_free_bytes
    if isinstance(total, Unknown) or isinstance(free, Unknown):
        return False
    return free < min(_LITTLE_BYTES, total / 2) or free < total * (1 - _MUCH_USED)


def insane(facts: GpuFacts) -> Finding | None:
    """Notice values that the driver cannot mean."""
    strange = tuple(
        f"GPU {device.index}: {note}"
        for device in facts.nvml.devices
        for note in device.insane
    )
    if not strange:
        return None
    return Finding(
        code="insane",
        severity=Severity.WARN,
        title="The driver gives impossible values; they are shown as unknown.",
        evidence=strange,
    )


def driver_slow(facts: GpuFacts) -> Finding | None:
    """Notice that the deadline came before all fields were read."""
    late = [
        device
        for device in facts.nvml.devices
        if isinstance(device.power_limit_w, Unknown)
        and "in time" in device.power_limit_w.reason
    ]
    if facts.nvml.state is not SourceState.OK or not late:
        return None
    return Finding(
        code="driver-slow",
        severity=Severity.INFO,
        title="The driver is slow, so some fields are missing.",
        evidence=(seen_nvml(facts),),
        fix=("%gpu_check --timeout 30",),
    )


def probe_failed(facts: GpuFacts) -> Finding | None:
    """Notice that one of our own sources broke."""
    if not facts.failures:
        return None
    return Finding(
        code="probe-failed",
        severity=Severity.WARN,
        title="A part of the check itself failed.",
        evidence=facts.failures,
        fix=(
            "Please report this to colabmagic, with the output of %gpu_check --json.",
        ),
    )
