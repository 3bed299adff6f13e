"""The questions to NVML beyond the vital ones: health, clocks, links, processes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from colabmagic.gpu.facts import MigFacts, Owner, ProcessFacts, RemappedRows, Unknown
from colabmagic.gpu.sources import plausible
from colabmagic.gpu.sources.nvml_fields import NvmlField, ask, error_code, text

if TYPE_CHECKING:
    from collections.abc import Callable

_UNCORRECTED, _CORRECTED = 1, 0  # NVML_MEMORY_ERROR_TYPE_*
_VOLATILE, _AGGREGATE = 0, 1  # NVML_*_ECC: since the driver was loaded, for ever
_SM, _MEMORY = 1, 2  # NVML_CLOCK_*
_SHUTDOWN, _SLOWDOWN = 0, 1  # NVML_TEMPERATURE_THRESHOLD_*
_MILLI: Final = 1000
_MOST_PARTS: Final = 64
_MOST_LINKS: Final = 36
_NOT_FOUND: Final = 6
COMPUTE_MODES: Final = {
    0: "default",
    1: "exclusive thread",
    2: "prohibited",
    3: "exclusive process",
}
_ARCHITECTURES: Final = {
    2: "Kepler", 3: "Maxwell", 4: "Pascal", 5: "Volta", 6: "Turing", 7: "Ampere",
    8: "Ada", 9: "Hopper", 10: "Blackwell",
}  # fmt: skip

# pynvml has no types, and its handles are opaque: hence `Any` in this module.


def _call(function: str, *arguments: int) -> Callable[[Any, Any], Any]:
    """Return a reader that calls one function of NVML with the handle."""

    def read(nvml: Any, handle: Any) -> Any:  # noqa: ANN401
        return getattr(nvml, function)(handle, *arguments)

    return read


def _field(
    name: str,
    read: Callable[[Any, Any], Any],
    is_plausible: Callable[[Any], bool] = plausible.is_count,
    convert: Callable[[Any], Any] = lambda value: value,
) -> NvmlField:
    """Return a question whose answer fills one field."""
    return NvmlField(
        (name,), read, is_plausible, lambda value: (convert(value),), is_vital=False
    )


def _text(name: str, function: str) -> NvmlField:
    """Return a question whose answer is a text."""
    return _field(name, _call(function), plausible.is_anything, text)


def _flag(name: str, function: str) -> NvmlField:
    """Return a question whose answer is yes or no."""
    return _field(name, _call(function), plausible.is_anything, bool)


def _throttle_mask(nvml: Any, handle: Any) -> int:  # noqa: ANN401
    """Return why the clocks are lower than they could be, as bits."""
    for name in (
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksThrottleReasons",  # its name before driver 535
    ):
        function = getattr(nvml, name, None)
        if function is None:
            continue
        try:
            return int(function(handle))
        except Exception:  # the border to a foreign library: the older name may answer
            if name.endswith("ThrottleReasons"):
                raise
    message = "this pynvml does not know the question"
    raise NotImplementedError(message)


def _remapped(value: Any) -> RemappedRows:  # noqa: ANN401
    """Return the rows that were replaced."""
    corrected, uncorrected, pending, failed = value
    return RemappedRows(
        corrected=corrected,
        uncorrected=uncorrected,
        pending=bool(pending),
        failed=bool(failed),
    )


def _mig_devices(nvml: Any, handle: Any) -> tuple[MigFacts, ...]:  # noqa: ANN401
    """Return the instances of a GPU; none where it is whole."""
    found = []
    for index in range(min(nvml.nvmlDeviceGetMaxMigDeviceCount(handle), _MOST_PARTS)):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except Exception as error:
            if error_code(error) == _NOT_FOUND:
                continue  # instances may be numbered with gaps
            raise
        memory = ask(nvml.nvmlDeviceGetMemoryInfo, part)
        known = not isinstance(memory, Unknown) and plausible.is_memory(
            (memory.total, memory.used, memory.free)
        )
        if not known and not isinstance(memory, Unknown):
            memory = Unknown("the driver's value is impossible")
        found.append(
            MigFacts(
                name=_answer(ask(nvml.nvmlDeviceGetName, part)),
                uuid=_answer(ask(nvml.nvmlDeviceGetUUID, part)),
                memory_total_bytes=memory.total if known else memory,
                memory_free_bytes=memory.free if known else memory,
            )
        )
    return tuple(found)


def _answer(value: str | bytes | Unknown) -> str | Unknown:
    """Return a text, or why there is none."""
    return value if isinstance(value, Unknown) else text(value)


def _processes(nvml: Any, handle: Any) -> tuple[ProcessFacts, ...]:  # noqa: ANN401
    """Return what uses the GPU; whose it is, is found out later."""
    seen: dict[int, Any] = {}
    listed = list(nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    graphics = ask(nvml.nvmlDeviceGetGraphicsRunningProcesses, handle)
    if not isinstance(graphics, Unknown):
        listed += graphics
    for process in listed:
        seen.setdefault(process.pid, process)
    return tuple(
        ProcessFacts(
            pid=pid,
            owner=Owner.OTHER,
            name=_program(ask(nvml.nvmlSystemGetProcessName, pid)),
            memory_bytes=_bytes(process.usedGpuMemory),
        )
        for pid, process in seen.items()
    )


def _program(command: str | bytes | Unknown) -> str | Unknown:
    """Return the name of a program without its folder, which may be private."""
    if isinstance(command, Unknown):
        return command
    path = re.split(r"\s+[-/]", text(command).strip().replace("\\", "/"))[0]
    words = path.rpartition("/")[2].split()
    return words[0] if words else Unknown("empty")


def _bytes(value: int | None) -> int | Unknown:
    """Return memory of a process; the driver does not tell everywhere."""
    if value is None or not plausible.is_count(value // 2**20):
        return Unknown("the driver does not tell")
    return value


def _links(nvml: Any, handle: Any) -> tuple[int, int]:  # noqa: ANN401
    """Return how many NVLinks are up, and how many there are."""
    active = total = 0
    for link in range(_MOST_LINKS):
        try:
            state = nvml.nvmlDeviceGetNvLinkState(handle, link)
        except Exception:  # the border to a foreign library: no link of that number
            if link == 0:
                raise
            break
        total += 1
        active += bool(state)
    return active, total


def _watts(value: float) -> float:
    """Return watts."""
    return value / _MILLI


# What findings rest on.
HEALTH: Final = (
    _field(
        "compute_mode",
        _call("nvmlDeviceGetComputeMode"),
        COMPUTE_MODES.__contains__,
        COMPUTE_MODES.__getitem__,
    ),
    _field("throttle_mask", _throttle_mask, plausible.is_anything),
    _field(
        "ecc_uncorrected",
        _call("nvmlDeviceGetTotalEccErrors", _UNCORRECTED, _VOLATILE),
    ),
    _field(
        "remapped_rows",
        _call("nvmlDeviceGetRemappedRows"),
        plausible.is_anything,
        _remapped,
    ),
    _flag("retired_pages_pending", "nvmlDeviceGetRetiredPagesPendingStatus"),
    _field("mig_devices", _mig_devices, plausible.is_anything),
    _field("processes", _processes, plausible.is_anything),
    _field("clock_sm_mhz", _call("nvmlDeviceGetClockInfo", _SM)),
    _field("clock_sm_max_mhz", _call("nvmlDeviceGetMaxClockInfo", _SM)),
    _field("pcie_generation", _call("nvmlDeviceGetCurrPcieLinkGeneration")),
    _field("pcie_generation_max", _call("nvmlDeviceGetMaxPcieLinkGeneration")),
    _field("pcie_width", _call("nvmlDeviceGetCurrPcieLinkWidth")),
    _field("pcie_width_max", _call("nvmlDeviceGetMaxPcieLinkWidth")),
)
# For `--all`: with eight GPUs these are hundreds of questions.
REST: Final = (
    _field(
        "memory_reserved_bytes",
        lambda nvml, handle: (
            nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2).reserved
        ),
        plausible.is_size,
    ),
    _text("uuid", "nvmlDeviceGetUUID"),
    _text("serial", "nvmlDeviceGetSerial"),
    _field(
        "architecture",
        _call("nvmlDeviceGetArchitecture"),
        plausible.is_count,
        lambda number: _ARCHITECTURES.get(number, f"architecture {number}"),
    ),
    _field("cuda_cores", _call("nvmlDeviceGetNumGpuCores")),
    _text("vbios_version", "nvmlDeviceGetVbiosVersion"),
    _field("memory_bus_bits", _call("nvmlDeviceGetMemoryBusWidth")),
    _field(
        "bar1_total_bytes",
        lambda nvml, handle: nvml.nvmlDeviceGetBAR1MemoryInfo(handle).bar1Total,
        plausible.is_size,
    ),
    _field(
        "memory_utilization_percent",
        lambda nvml, handle: nvml.nvmlDeviceGetUtilizationRates(handle).memory,
        plausible.is_percent,
    ),
    _field(
        "encoder_percent",
        lambda nvml, handle: nvml.nvmlDeviceGetEncoderUtilization(handle)[0],
        plausible.is_percent,
    ),
    _field(
        "decoder_percent",
        lambda nvml, handle: nvml.nvmlDeviceGetDecoderUtilization(handle)[0],
        plausible.is_percent,
    ),
    _field(
        "temperature_slowdown_c",
        _call("nvmlDeviceGetTemperatureThreshold", _SLOWDOWN),
        plausible.is_temperature,
    ),
    _field(
        "temperature_shutdown_c",
        _call("nvmlDeviceGetTemperatureThreshold", _SHUTDOWN),
        plausible.is_temperature,
    ),
    _field("fan_percent", _call("nvmlDeviceGetFanSpeed"), plausible.is_fan),
    NvmlField(
        ("power_limit_min_w", "power_limit_max_w"),
        _call("nvmlDeviceGetPowerManagementLimitConstraints"),
        lambda limits: all(map(plausible.is_power, limits)),
        lambda limits: tuple(map(_watts, limits)),
        is_vital=False,
    ),
    _field("performance_state", _call("nvmlDeviceGetPerformanceState")),
    _field("clock_memory_mhz", _call("nvmlDeviceGetClockInfo", _MEMORY)),
    _field("clock_memory_max_mhz", _call("nvmlDeviceGetMaxClockInfo", _MEMORY)),
    _flag("persistence_mode", "nvmlDeviceGetPersistenceMode"),
    _flag("display_active", "nvmlDeviceGetDisplayActive"),
    _field(
        "ecc_enabled",
        lambda nvml, handle: nvml.nvmlDeviceGetEccMode(handle)[0],
        plausible.is_anything,
        bool,
    ),
    _field(
        "ecc_corrected", _call("nvmlDeviceGetTotalEccErrors", _CORRECTED, _VOLATILE)
    ),
    _field(
        "ecc_uncorrected_lifetime",
        _call("nvmlDeviceGetTotalEccErrors", _UNCORRECTED, _AGGREGATE),
    ),
    NvmlField(
        ("nvlinks_active", "nvlinks_total"),
        _links,
        plausible.is_anything,
        tuple,
        is_vital=False,
    ),
)
