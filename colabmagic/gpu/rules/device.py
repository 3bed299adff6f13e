"""Rules for: usable, with a catch. Each is pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.gpu.facts import Build, SourceState, Unknown
from colabmagic.gpu.rules.advice import mend, pip_install, seen_nvml
from colabmagic.report.model import Finding, Severity

if TYPE_CHECKING:
    from colabmagic.gpu.facts import GpuFacts


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


def insane(facts: GpuFacts) -> Finding | None:
    """Notice values that the driver cannot mean."""
    strange = tuple(
        f"GPU {device.index}: {_in_words(note)} is impossible"
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
        fix=(
            "Compare with nvidia-smi.",
            mend(facts, "reboot; if it stays, update the driver."),
        ),
    )


def _in_words(note: str) -> str:
    """Return the name of a field; the value itself would only confuse."""
    return note.partition(" = ")[0].replace("_", " ")


def framework_cpu_build(facts: GpuFacts) -> Finding | None:
    """Notice TensorFlow or JAX without GPU support, beside a GPU."""
    plain = [one for one in facts.frameworks if one.build is Build.CPU]
    if not plain or not facts.nvml.devices:
        return None
    commands = {
        "TensorFlow": pip_install(facts, "tensorflow[and-cuda]"),
        "JAX": pip_install(facts, '"jax[cuda12]"'),
    }
    names = " and ".join(one.name for one in plain)
    return Finding(
        code="framework-cpu-build",
        severity=Severity.INFO,
        title=f"{names} here has no GPU support (PyTorch is another matter).",
        evidence=tuple(f"{one.name} {one.version}: CPU build" for one in plain),
        fix=tuple(commands[one.name] for one in plain if one.name in commands),
    )


def driver_slow(facts: GpuFacts) -> Finding | None:
    """Notice that the deadline came before all fields were read."""
    late = [
        device
        for device in facts.nvml.devices
        if any(
            isinstance(last, Unknown) and "in time" in last.reason
            for last in (device.pcie_width_max, device.nvlinks_total)
        )
    ]
    if facts.nvml.state is not SourceState.OK or not late:
        return None
    return Finding(
        code="driver-slow",
        severity=Severity.INFO,
        title="The driver is slow, so some fields are missing.",
        evidence=(seen_nvml(facts),),
        fix=(
            "%gpu_check --timeout 30",
            (
                "On a machine of your own, persistence mode spares the driver a start"
                " for each question: sudo nvidia-smi -pm 1"
            ),
        ),
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
