"""Rules for: a GPU is there, but CUDA does not start. Each is pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from colabmagic.gpu.facts import SourceState, Unknown
from colabmagic.gpu.rules.advice import (
    mend,
    restart,
    seen_driver,
    seen_nodes,
    seen_nvml,
)
from colabmagic.gpu.rules.signs import gpu_is_seen, hidden_devices, same_card
from colabmagic.gpu.sources.nvml_fields import FATAL_FOR_DEVICE
from colabmagic.host.facts import HostKind
from colabmagic.report.model import Finding, Severity

if TYPE_CHECKING:
    from colabmagic.gpu.facts import DeviceFacts, GpuFacts

CUDA_STUB = 34
CUDA_NO_DEVICE = 100
CUDA_FABRIC = 802
CUDA_COMPAT = frozenset({803, 804})
_HIDING = frozenset({"", "-1", "NoDevFiles"})
# Why a value may be missing though nothing is wrong with the GPU.
_NO_ERROR = re.compile("in time|not read|not supported|impossible", re.IGNORECASE)


def _library_has(facts: GpuFacts, part: str) -> bool:
    """Tell whether the CUDA driver's library was loaded from such a folder."""
    path = facts.driver.library_path
    return not isinstance(path, Unknown) and part in path


def _is_hidden(facts: GpuFacts) -> bool:
    """Tell whether CUDA_VISIBLE_DEVICES leaves no GPU."""
    visible = facts.platform.cuda_visible_devices
    if visible is None:
        return False
    driver = facts.driver
    if driver.state is SourceState.OK and driver.devices:
        return False
    if driver.state is SourceState.REFUSED and driver.code != CUDA_NO_DEVICE:
        return False
    first = visible.split(",")[0].strip()  # an invalid index hides all after it, too
    if first in _HIDING:
        return True
    if first.isdecimal():  # one that exists hides nothing: the trouble is another
        there = len(facts.nvml.devices) or len(facts.platform.nvidia_nodes)
        return int(first) >= there
    # A name that no GPU has hides all; whether one has it, the driver knows.
    return driver.state is SourceState.OK or driver.code == CUDA_NO_DEVICE


def driver_hung(facts: GpuFacts) -> Finding | None:
    """Notice a driver that does not answer."""
    if SourceState.HUNG not in {facts.nvml.state, facts.driver.state}:
        return None
    fix = mend(facts, "reboot: a stuck driver rarely recovers.")
    return Finding(
        code="driver-hung",
        severity=Severity.ERROR,
        title="The NVIDIA driver does not answer.",
        evidence=(seen_nvml(facts), seen_driver(facts), seen_nodes(facts)),
        fix=(f"{fix} On a machine that is only slow: %gpu_check --timeout 30.",),
    )


def gpu_lost(facts: GpuFacts) -> Finding | None:
    """Notice GPUs that no longer answer, while others may go on."""
    errors = {device: _error_of(device) for device in facts.nvml.devices}
    lost = [device for device, error in errors.items() if error is not None]
    if not lost:
        return None
    names = ", ".join(str(device.index) for device in lost)
    is_all = len(lost) == len(facts.nvml.devices)
    reset = all(device.error_code in FATAL_FOR_DEVICE for device in lost)
    what = "is lost or needs a reset" if reset else "answers with an error"
    xid = facts.platform.xid
    own = (
        "power-cycle the machine; check heat and power supply (sudo dmesg | grep Xid)."
    )
    return Finding(
        code="gpu-lost",
        severity=Severity.ERROR if is_all else Severity.WARN,
        title=f"GPU {names} {what}"
        + ("." if is_all else "; the other GPUs stay usable."),
        evidence=(
            *(f"GPU {device.index}: NVML says {errors[device]}" for device in lost),
            *((f"Xid {xid} in the system's log",) if xid is not None else ()),
        ),
        fix=(mend(facts, own),),
    )


def _error_of(device: DeviceFacts) -> str | None:
    """Return the error that a GPU answers with, be it in place of its own values."""
    if device.error is not None:
        return device.error
    name, memory = device.name, device.memory_total_bytes
    if not isinstance(name, Unknown) or name != memory:
        return None
    return None if _NO_ERROR.search(name.reason) else name.reason


def cvd_hides_all(facts: GpuFacts) -> Finding | None:
    """Notice an environment variable that hides all GPUs."""
    there = facts.nvml.devices or facts.platform.nvidia_nodes
    if not there or not _is_hidden(facts):
        return None
    value = facts.platform.cuda_visible_devices
    return Finding(
        code="cvd-hides-all",
        severity=Severity.ERROR,
        title="The environment variable CUDA_VISIBLE_DEVICES hides all GPUs.",
        evidence=(
            f"CUDA_VISIBLE_DEVICES={value!r}",
            seen_nvml(facts),
            seen_driver(facts),
        ),
        fix=(
            "import os; os.environ.pop('CUDA_VISIBLE_DEVICES', None)",
            (
                "Remove the line that sets it, and restart the kernel if CUDA was tried"
                " already: the variable is read once."
            ),
        ),
    )


def cvd_hides_some(facts: GpuFacts) -> Finding | None:
    """Notice GPUs that the driver lists and this process does not see."""
    shown, listed = facts.driver.devices, facts.nvml.devices
    hidden = hidden_devices(facts)
    if not hidden or not shown:
        return None
    names = ", ".join(str(device.index) for device in hidden)
    first = next(
        (str(one.index) for one in listed if same_card(one, shown[0])), "another one"
    )
    return Finding(
        code="cvd-hides-some",
        severity=Severity.INFO,
        title=f"CUDA_VISIBLE_DEVICES shows {len(shown)} of {len(listed)} GPUs here:"
        f" cuda:0 is GPU {first} of the table, GPU {names} is hidden.",
        evidence=(
            f"CUDA_VISIBLE_DEVICES={facts.platform.cuda_visible_devices!r}",
            seen_nvml(facts),
            seen_driver(facts),
        ),
        fix=(
            (
                "To see all: import os; os.environ.pop('CUDA_VISIBLE_DEVICES', None),"
                " before CUDA starts."
            ),
        ),
    )


def libcuda_missing(facts: GpuFacts) -> Finding | None:
    """Notice a driver whose CUDA library is not found."""
    there = facts.nvml.devices or facts.platform.nvidia_nodes
    if facts.driver.state is not SourceState.NO_LIBRARY or not there:
        return None
    fix: tuple[str, ...]
    if facts.host.kind is HostKind.COLAB:
        fix = ("!ldconfig /usr/lib64-nvidia", restart(facts))
    elif facts.host.is_container:
        fix = ("Start the container with NVIDIA_DRIVER_CAPABILITIES=compute,utility.",)
    else:
        fix = (
            (
                "Install the CUDA part of the driver (Debian, Ubuntu: the package"
                " libcuda1 or libnvidia-compute of the driver's version)."
            ),
            restart(facts),
        )
    return Finding(
        code="libcuda-missing",
        severity=Severity.ERROR,
        title="The GPU is there, but the driver's CUDA library is not found.",
        evidence=(
            seen_nvml(facts),
            seen_driver(facts),
            f"LD_LIBRARY_PATH={facts.platform.ld_library_path}",
        ),
        fix=fix,
    )


def libcuda_stub(facts: GpuFacts) -> Finding | None:
    """Notice the toolkit's stub in the place of the driver's library."""
    stub = _library_has(facts, "/stubs/") and facts.driver.state is not SourceState.OK
    if facts.driver.code != CUDA_STUB and not stub:
        return None
    return Finding(
        code="libcuda-stub",
        severity=Severity.ERROR,
        title="A stub of the CUDA toolkit is loaded in the place of the driver.",
        evidence=(
            seen_driver(facts),
            f"LD_LIBRARY_PATH={facts.platform.ld_library_path}",
        ),
        fix=(
            "Remove the folder that ends in /stubs from LD_LIBRARY_PATH.",
            restart(facts),
        ),
    )


def compat_wrong(facts: GpuFacts) -> Finding | None:
    """Notice a compatibility library that does not fit the GPU or the driver."""
    if facts.driver.code not in CUDA_COMPAT:
        return None
    fix: tuple[str, ...]
    if _library_has(facts, "/compat"):
        folder = str(facts.driver.library_path).rpartition("/")[0]
        fix = (f"Remove {folder} from LD_LIBRARY_PATH.", restart(facts))
    else:
        fix = (mend(facts, "reboot: the driver was updated."),)
    return Finding(
        code="compat-wrong",
        severity=Severity.ERROR,
        title="The CUDA library does not fit the driver's kernel module or the GPU.",
        evidence=(
            seen_driver(facts),
            f"kernel module {facts.platform.kernel_module_version or 'not told'}",
        ),
        fix=fix,
    )


def fabric_not_ready(facts: GpuFacts) -> Finding | None:
    """Notice NVLink switches that nobody has set up."""
    if facts.driver.code != CUDA_FABRIC:
        return None
    return Finding(
        code="fabric-not-ready",
        severity=Severity.ERROR,
        title="The GPUs' NVLink fabric is not set up.",
        evidence=(seen_driver(facts),),
        fix=(
            mend(
                facts,
                "sudo systemctl start nvidia-fabricmanager (same version as the driver).",
            ),
        ),
    )


def cuda_init_failed(facts: GpuFacts) -> Finding | None:
    """Notice any other failure of the CUDA driver."""
    driver = facts.driver
    if driver.state is not SourceState.REFUSED:
        return None
    if driver.code == CUDA_NO_DEVICE and not facts.nvml.devices:
        return None
    return Finding(
        code="cuda-init-failed",
        severity=Severity.ERROR,
        title=f"The CUDA driver does not start: {driver.reason}.",
        evidence=(seen_driver(facts), seen_nvml(facts), seen_nodes(facts)),
        fix=(
            "Restart the container."
            if facts.host.is_container
            else mend(facts, "restart the machine."),
        ),
    )


def driver_unproven(facts: GpuFacts) -> Finding | None:
    """Notice that CUDA could not be tried, so that READY rests on NVML alone."""
    if facts.driver.state is not SourceState.FAILED or not gpu_is_seen(facts):
        return None
    return Finding(
        code="driver-unproven",
        severity=Severity.WARN,
        title="CUDA was not tried; the answer rests on NVML alone.",
        evidence=(seen_driver(facts), seen_nvml(facts)),
        fix=("Try it: import torch; torch.ones(1, device='cuda')",),
    )
