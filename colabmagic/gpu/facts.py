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
    "Build",
    "CardFacts",
    "CudaDevice",
    "DeviceFacts",
    "DriverFacts",
    "FrameworkFacts",
    "GpuFacts",
    "MigFacts",
    "NvmlFacts",
    "Owner",
    "Pair",
    "PlatformFacts",
    "ProcessFacts",
    "RemappedRows",
    "SourceState",
    "ToolkitFacts",
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


class Owner(Enum):
    """Who holds memory of a GPU."""

    KERNEL = "this kernel"
    OTHER = "another process"
    DEAD = "no process any more"  # the driver lists it, the system does not
    FOREIGN = "outside this container"  # numbers that mean nothing in here


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """A process that uses a GPU."""

    pid: int
    owner: Owner
    name: str | Unknown
    memory_bytes: int | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class MigFacts:
    """One instance of a GPU that is cut into several."""

    name: str | Unknown
    uuid: str | Unknown
    memory_total_bytes: int | Unknown
    memory_free_bytes: int | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class RemappedRows:
    """Rows of memory that the GPU has replaced, or could not replace."""

    corrected: int
    uncorrected: int
    pending: bool
    failed: bool


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
    compute_mode: str | Unknown = NOT_READ
    throttle_mask: int | Unknown = NOT_READ  # NVML's bits: why clocks are lower
    ecc_uncorrected: int | Unknown = NOT_READ  # since the driver was loaded
    remapped_rows: RemappedRows | Unknown = NOT_READ
    retired_pages_pending: bool | Unknown = NOT_READ
    mig_devices: tuple[MigFacts, ...] | Unknown = NOT_READ
    processes: tuple[ProcessFacts, ...] | Unknown = NOT_READ
    clock_sm_mhz: int | Unknown = NOT_READ
    clock_sm_max_mhz: int | Unknown = NOT_READ
    pcie_generation: int | Unknown = NOT_READ
    pcie_generation_max: int | Unknown = NOT_READ
    pcie_width: int | Unknown = NOT_READ
    pcie_width_max: int | Unknown = NOT_READ
    memory_reserved_bytes: int | Unknown = NOT_READ
    uuid: str | Unknown = NOT_READ
    serial: str | Unknown = NOT_READ
    architecture: str | Unknown = NOT_READ
    cuda_cores: int | Unknown = NOT_READ
    vbios_version: str | Unknown = NOT_READ
    memory_bus_bits: int | Unknown = NOT_READ
    bar1_total_bytes: int | Unknown = NOT_READ
    memory_utilization_percent: int | Unknown = NOT_READ
    encoder_percent: int | Unknown = NOT_READ
    decoder_percent: int | Unknown = NOT_READ
    temperature_slowdown_c: int | Unknown = NOT_READ
    temperature_shutdown_c: int | Unknown = NOT_READ
    fan_percent: int | Unknown = NOT_READ
    power_limit_min_w: float | Unknown = NOT_READ
    power_limit_max_w: float | Unknown = NOT_READ
    performance_state: int | Unknown = NOT_READ
    clock_memory_mhz: int | Unknown = NOT_READ
    clock_memory_max_mhz: int | Unknown = NOT_READ
    persistence_mode: bool | Unknown = NOT_READ
    display_active: bool | Unknown = NOT_READ
    ecc_enabled: bool | Unknown = NOT_READ
    ecc_corrected: int | Unknown = NOT_READ
    ecc_uncorrected_lifetime: int | Unknown = NOT_READ
    nvlinks_active: int | Unknown = NOT_READ
    nvlinks_total: int | Unknown = NOT_READ
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
    in_bad_fork: bool = False  # CUDA was live before this process was forked off
    accelerator: Accelerator | None = None

    @property
    def is_xpu(self) -> bool:
        """Tell whether it was built for Intel's GPUs."""
        return not isinstance(self.version, Unknown) and "+xpu" in self.version


class Build(Enum):
    """What a framework was built for."""

    CUDA = "CUDA"
    ROCM = "ROCm"
    TPU = "TPU"
    CPU = "CPU only"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkFacts:
    """TensorFlow or JAX, as far as files and imported modules tell."""

    name: str
    version: str | Unknown
    build: Build | Unknown
    cuda: str | Unknown  # the CUDA that it was built for, as "12.5"
    imported: bool
    holds_gpu: bool  # its GPU back end is live in this process


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """A GPU of another maker, as the kernel's files show it."""

    maker: str  # "AMD" or "Intel"
    name: str | Unknown
    driver: str | Unknown  # the kernel module: amdgpu, i915, xe
    memory_total_bytes: int | Unknown
    memory_used_bytes: int | Unknown
    utilization_percent: int | Unknown
    temperature_c: int | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolkitFacts:
    """The CUDA toolkit whose ``nvcc`` a shell would find first."""

    path: str
    version: str | Unknown


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
    cuda_device_order: str | None = None
    tpu_name: str | None = None  # such as v5e-1
    cards: tuple[CardFacts, ...] = ()
    toolkit: ToolkitFacts | None = None
    xid: int | None = None  # the driver's last error number in the system's log


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """Everything that the rules look at."""

    host: HostFacts
    platform: PlatformFacts
    nvml: NvmlFacts
    driver: DriverFacts
    torch: TorchFacts
    frameworks: tuple[FrameworkFacts, ...] = ()
    failures: tuple[str, ...] = ()  # sources that broke, with the reason
