"""What the sources say about GPUs, as plain frozen data.

Each source has a state of its own, for "it says there is none" and "it could not be
asked" lead to different advice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# At run time, not for type checkers only: captured machines are read by these types.
from colabmagic.host.facts import HostFacts  # noqa: TC001
from colabmagic.report.model import Unknown

__all__ = [
    "NOT_READ",
    "Accelerator",
    "CudaDevice",
    "DeviceFacts",
    "DriverFacts",
    "GpuFacts",
    "NvmlFacts",
    "Pair",
    "PlatformFacts",
    "SourceState",
    "TorchFacts",
    "TorchState",
    "Unknown",
]

Pair = tuple[int, int]
NOT_READ = Unknown("not read")


class SourceState(Enum):
    """How asking a source went."""

    OK = "ok"
    NO_BINDING = "no-binding"  # the Python package that asks is missing
    NO_LIBRARY = "no-library"  # the driver's library is missing
    REFUSED = "refused"  # it answered with an error code
    HUNG = "hung"  # it did not answer in time
    FAILED = "failed"  # asking broke in a way that says nothing about the GPU
    NOT_ASKED = "not-asked"  # it cannot exist on this platform


class TorchState(Enum):
    """Whether PyTorch is installed."""

    INSTALLED = "installed"
    MISSING = "missing"
    UNREADABLE = "unreadable"  # there, but its build cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """One GPU, as NVML lists it."""

    index: int
    name: str | Unknown
    pci_bus_id: str | Unknown
    compute_capability: Pair | Unknown
    memory_total_bytes: int | Unknown
    memory_used_bytes: int | Unknown
    memory_free_bytes: int | Unknown
    utilization_percent: int | Unknown
    temperature_c: int | Unknown
    power_w: float | Unknown
    power_limit_w: float | Unknown
    mig_enabled: bool | Unknown
    error_code: int | None = None  # NVML's, when the GPU itself answers with one
    error: str | None = None
    insane: tuple[str, ...] = ()  # fields that were impossible, as "field = value"


@dataclass(frozen=True, slots=True, kw_only=True)
class NvmlFacts:
    """The driver's management library."""

    state: SourceState
    reason: str | None = None  # for every state but OK
    code: int | None = None
    driver_version: str | Unknown = NOT_READ
    cuda_version: Pair | Unknown = NOT_READ
    devices: tuple[DeviceFacts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaDevice:
    """One GPU, as CUDA numbers it: after CUDA_VISIBLE_DEVICES, fastest first."""

    name: str | Unknown
    compute_capability: Pair | Unknown
    memory_total_bytes: int | Unknown
    pci_bus_id: str | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFacts:
    """The CUDA driver, as a child process found it."""

    state: SourceState
    reason: str | None = None
    code: int | None = None  # of cuInit; 0 is good
    library_path: str | Unknown = NOT_READ
    cuda_version: Pair | Unknown = NOT_READ
    devices: tuple[CudaDevice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A device type that the imported PyTorch offers beside CUDA."""

    kind: str
    count: int | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchFacts:
    """The installed PyTorch, read from its files."""

    state: TorchState
    reason: str | None = None
    version: str | Unknown = NOT_READ
    cuda: Pair | Unknown | None = NOT_READ  # None: built without CUDA
    hip: str | Unknown | None = NOT_READ
    archs: tuple[str, ...] | Unknown = NOT_READ
    imported: bool = False
    cuda_initialized: bool = False
    accelerator: Accelerator | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformFacts:
    """What files and variables show, without any driver call."""

    nvidia_nodes: tuple[str, ...]
    nodes_writable: bool
    kernel_module_version: str | None
    pci_nvidia_count: int | Unknown
    has_dxg: bool
    has_kfd: bool
    tpu_signs: tuple[str, ...]
    cuda_visible_devices: str | None  # UUIDs masked
    ld_library_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """Everything that the rules look at."""

    host: HostFacts
    platform: PlatformFacts
    nvml: NvmlFacts
    driver: DriverFacts
    torch: TorchFacts
    failures: tuple[str, ...] = ()  # sources that broke, with the reason
