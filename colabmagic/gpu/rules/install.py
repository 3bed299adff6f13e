"""Rules for: the driver is missing, or is not in order. Each is pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.gpu.facts import SourceState, Unknown
from colabmagic.gpu.rules.advice import (
    NEW_RUNTIME,
    mend,
    pip_install,
    seen_driver,
    seen_nodes,
    seen_nvml,
)
from colabmagic.gpu.rules.signs import gpu_is_seen, has_card, is_bare, refused_with
from colabmagic.report.model import Finding, Severity

if TYPE_CHECKING:
    from colabmagic.gpu.facts import GpuFacts

NVML_NO_PERMISSION = 4
NVML_DRIVER_NOT_LOADED = 9
NVML_MISMATCH = 18
NVML_UNKNOWN = 999


def wsl(facts: GpuFacts) -> Finding | None:
    """Notice a Linux driver inside WSL, where only the Windows driver counts."""
    path = facts.driver.library_path
    if not facts.host.system.wsl or isinstance(path, Unknown):
        return None
    if facts.driver.state is SourceState.OK or path.startswith("/usr/lib/wsl/"):
        return None
    return Finding(
        code="wsl",
        severity=Severity.ERROR,
        title="WSL uses a Linux NVIDIA driver; only the Windows driver counts.",
        evidence=(seen_driver(facts),),
        fix=(
            (
                "Remove the NVIDIA driver packages inside WSL; install the driver in"
                " Windows only."
            ),
            "Put /usr/lib/wsl/lib first in LD_LIBRARY_PATH, then restart the kernel.",
        ),
    )


def container_lost_gpu(facts: GpuFacts) -> Finding | None:
    """Notice a container whose GPUs were taken away while it ran."""
    if not facts.host.is_container or not facts.platform.nvidia_nodes:
        return None
    if not refused_with(facts, NVML_UNKNOWN):
        return None
    return Finding(
        code="container-lost-gpu",
        severity=Severity.ERROR,
        title="The container lost its GPU; 'systemctl daemon-reload' on the host does"
        " that.",
        evidence=(seen_nvml(facts), seen_nodes(facts)),
        fix=("Restart the container.",),
    )


def driver_not_loaded(facts: GpuFacts) -> Finding | None:
    """Notice a driver that is installed while its kernel module is not loaded."""
    libraries = facts.nvml.state is not SourceState.NO_LIBRARY or (
        facts.driver.state is not SourceState.NO_LIBRARY
    )
    idle = (
        has_card(facts)
        and facts.platform.kernel_module_version is None
        and libraries
        and not gpu_is_seen(facts)
        and facts.nvml.state is not SourceState.NO_BINDING
        and not facts.host.system.wsl
    )
    if facts.driver.devices:
        return None  # CUDA runs, so it is loaded
    if not refused_with(facts, NVML_DRIVER_NOT_LOADED) and not idle:
        return None
    module = facts.platform.kernel_module_version or "not loaded"
    return Finding(
        code="driver-not-loaded",
        severity=Severity.ERROR,
        title="The NVIDIA driver is installed, but its kernel module is not loaded.",
        evidence=(seen_nvml(facts), f"kernel module: {module}", seen_nodes(facts)),
        fix=_load_driver(facts),
    )


def _load_driver(facts: GpuFacts) -> tuple[str, ...]:
    """Return the steps that load the kernel module."""
    if facts.host.is_managed:
        return (
            NEW_RUNTIME.get(facts.host.kind, "Stop the machine and start it again."),
        )
    if facts.host.is_container:
        return ("On the host, not in the container: sudo modprobe nvidia, or reboot.",)
    return ("sudo modprobe nvidia", "If that fails: reboot.")


def lib_rm_mismatch(facts: GpuFacts) -> Finding | None:
    """Notice a driver that was updated while its old kernel module runs."""
    if not refused_with(facts, NVML_MISMATCH):
        return None
    module = facts.platform.kernel_module_version or "unknown"
    fix: tuple[str, ...]
    if facts.host.is_managed:
        new = NEW_RUNTIME.get(facts.host.kind, "Stop the machine and start it again.")
        fix = (new, "Do not apt install nvidia-* packages here.")
    elif facts.host.is_container:
        fix = ("Reboot the host, or restart the container after the host's update.",)
    else:
        fix = ("Reboot.",)
    return Finding(
        code="lib-rm-mismatch",
        severity=Severity.ERROR,
        title="The driver's library and the loaded kernel module differ in version.",
        evidence=(seen_nvml(facts), f"kernel module {module}"),
        fix=fix,
    )


def no_permission(facts: GpuFacts) -> Finding | None:
    """Notice device nodes that this user may not open."""
    if facts.driver.devices:
        return None  # CUDA may, so whatever keeps NVML out is another matter
    closed = not facts.platform.nodes_writable and not gpu_is_seen(facts)
    if not refused_with(facts, NVML_NO_PERMISSION) and not closed:
        return None
    fix = (
        "Start the container with --gpus all instead of single devices."
        if facts.host.is_container
        else mend(facts, "sudo usermod -aG video,render $USER, then log in again.")
    )
    return Finding(
        code="no-permission",
        severity=Severity.ERROR,
        title="This user may not open the GPU.",
        evidence=(seen_nvml(facts), seen_nodes(facts)),
        fix=(fix,),
    )


def driver_missing(facts: GpuFacts) -> Finding | None:
    """Notice an NVIDIA card without any driver."""
    if not has_card(facts) or not is_bare(facts) or facts.host.system.wsl:
        return None
    if facts.driver.state is not SourceState.NO_LIBRARY:
        return None
    return Finding(
        code="driver-missing",
        severity=Severity.ERROR,
        title="There is an NVIDIA GPU, but no NVIDIA driver.",
        evidence=(
            f"NVIDIA cards on the PCI bus: {facts.platform.pci_nvidia_count}",
            seen_driver(facts),
            seen_nodes(facts),
        ),
        fix=(
            (
                "Install the driver from your system's packages, then reboot"
                " (Ubuntu: sudo ubuntu-drivers install)."
            ),
        ),
    )


def nvml_error(facts: GpuFacts) -> Finding | None:
    """Notice any other error of the driver's management library."""
    if facts.nvml.state is not SourceState.REFUSED or facts.nvml.devices:
        return None
    return Finding(
        code="nvml-error",
        severity=Severity.ERROR,
        title=f"The NVIDIA driver reports an error: {facts.nvml.reason}.",
        evidence=(seen_nvml(facts), seen_driver(facts), seen_nodes(facts)),
        fix=(
            mend(
                facts,
                "reboot; if it stays, reinstall the driver (sudo dmesg | grep -i nvrm"
                " shows its own messages).",
            ),
        ),
    )


def nvml_missing(facts: GpuFacts) -> Finding | None:
    """Notice that details of the GPUs are missing for want of a small package."""
    if facts.nvml.state is not SourceState.NO_BINDING or not facts.driver.devices:
        return None
    return Finding(
        code="nvml-missing",
        severity=Severity.INFO,
        title="Free memory, use and temperature are not shown.",
        evidence=(seen_nvml(facts),),
        fix=(pip_install(facts, "nvidia-ml-py"),),
    )
