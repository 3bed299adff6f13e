"""What is asked of NVML, field by field; each may fail without the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colabmagic.gpu.facts import Pair, Unknown
from colabmagic.gpu.sources import plausible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GPU_IS_LOST = 15
RESET_REQUIRED = 16
FATAL_FOR_DEVICE = frozenset({GPU_IS_LOST, RESET_REQUIRED})
_TEMPERATURE_OF_GPU = 0  # NVML_TEMPERATURE_GPU
_MILLI = 1000

# pynvml has no types, and its handles are opaque: hence `Any` in this module.


@dataclass(frozen=True, slots=True)
class NvmlField:
    """One question to NVML about a GPU.

    Parameters
    ----------
    names
        The fields of `DeviceFacts` that the answer fills.
    read
        Asks; gets the module and the handle.
    is_plausible
        Judges the raw answer.
    convert
        Makes the values of the fields out of the raw answer.
    is_vital
        Whether an impossible answer is worth a word to the user.
    """

    names: tuple[str, ...]
    read: Callable[[Any, Any], Any]
    is_plausible: Callable[[Any], bool]
    convert: Callable[[Any], tuple[Any, ...]]
    is_vital: bool = True


def text(value: str | bytes) -> str:
    """Return a driver's string; old versions of pynvml give bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _read_memory(nvml: Any, handle: Any) -> tuple[int, int, int]:  # noqa: ANN401
    """Return total, used and free bytes."""
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return memory.total, memory.used, memory.free


def _read_capability(nvml: Any, handle: Any) -> Pair:  # noqa: ANN401
    """Return the compute capability."""
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return major, minor


def _one(value: object) -> tuple[object]:
    """Return the value of a field that is taken as it is."""
    return (value,)


def _watts(value: int) -> tuple[float]:
    """Return watts."""
    return (value / _MILLI,)


# In order of importance: a slow driver is cut off after the vital ones.
FIELDS = (
    NvmlField(
        ("name",),
        lambda nvml, handle: text(nvml.nvmlDeviceGetName(handle)).strip(),
        bool,
        _one,
    ),
    NvmlField(
        ("memory_total_bytes", "memory_used_bytes", "memory_free_bytes"),
        _read_memory,
        plausible.is_memory,
        tuple,
    ),
    NvmlField(("compute_capability",), _read_capability, plausible.is_capability, _one),
    NvmlField(
        ("pci_bus_id",),
        lambda nvml, handle: text(nvml.nvmlDeviceGetPciInfo(handle).busId),
        plausible.is_anything,
        _one,
    ),
    NvmlField(
        ("mig_enabled",),
        lambda nvml, handle: bool(nvml.nvmlDeviceGetMigMode(handle)[0]),
        plausible.is_anything,
        _one,
    ),
    NvmlField(
        ("utilization_percent",),
        lambda nvml, handle: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        plausible.is_percent,
        _one,
    ),
    NvmlField(
        ("temperature_c",),
        lambda nvml, handle: nvml.nvmlDeviceGetTemperature(handle, _TEMPERATURE_OF_GPU),
        plausible.is_temperature,
        _one,
    ),
    NvmlField(
        ("power_w",),
        lambda nvml, handle: nvml.nvmlDeviceGetPowerUsage(handle),
        plausible.is_power,
        _watts,
    ),
    NvmlField(
        ("power_limit_w",),
        lambda nvml, handle: nvml.nvmlDeviceGetEnforcedPowerLimit(handle),
        plausible.is_power_limit,
        _watts,
    ),
)


def blank(
    index: int, reason: Unknown, fields: Iterable[NvmlField] = FIELDS
) -> dict[str, Any]:
    """Return a GPU of which nothing is known yet."""
    names = (name for field in fields for name in field.names)
    return {"index": index, **dict.fromkeys(names, reason)}


def error_code(error: Exception) -> int | None:
    """Return NVML's code of an error that pynvml raised."""
    code = getattr(error, "value", None)
    return code if isinstance(code, int) else None


def ask(function: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401
    """Return an answer, or `Unknown` with NVML's words."""
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 (the border to a foreign library)
        return Unknown(str(error) or type(error).__name__)


def driver_version(nvml: Any) -> str | Unknown:  # noqa: ANN401
    """Return the version of the driver."""
    answer: str | bytes | Unknown = ask(nvml.nvmlSystemGetDriverVersion)
    return answer if isinstance(answer, Unknown) else text(answer)


def cuda_version(nvml: Any) -> Pair | Unknown:  # noqa: ANN401
    """Return the newest CUDA that the driver supports."""
    answer: int | Unknown = ask(nvml.nvmlSystemGetCudaDriverVersion_v2)
    return answer if isinstance(answer, Unknown) else split_cuda(answer)


def split_cuda(number: int) -> Pair | Unknown:
    """Return ``(12, 4)`` for 12040."""
    if number < _MILLI:
        return Unknown(f"the driver said {number}")
    return number // _MILLI, number % _MILLI // 10


def open_device(nvml: Any, device: dict[str, Any]) -> Any | None:  # noqa: ANN401
    """Return the handle of a GPU, or None and note why in `device`."""
    try:
        return nvml.nvmlDeviceGetHandleByIndex(device["index"])
    except Exception as error:  # noqa: BLE001 (the border to a foreign library)
        _note_error(device, error)
        fill(device, Unknown(str(error) or type(error).__name__))
        return None


def fill(device: dict[str, Any], reason: Unknown) -> None:
    """Give all fields of a GPU the same reason."""
    given = {"index", "error", "error_code", "insane"}
    device.update((name, reason) for name in device.keys() - given)


def read_field(
    nvml: Any,  # noqa: ANN401
    handle: Any,  # noqa: ANN401
    field: NvmlField,
    device: dict[str, Any],
) -> None:
    """Ask one question and write the answer, or why there is none, into `device`."""
    if device.get("error_code") is not None:
        return  # a lost GPU gives the same error to every question
    try:
        raw = field.read(nvml, handle)
    except Exception as error:  # noqa: BLE001 (the border to a foreign library)
        if error_code(error) in FATAL_FOR_DEVICE:
            _note_error(device, error)
            fill(device, Unknown(str(error)))
            return
        reason = Unknown(str(error) or type(error).__name__)
        device.update(dict.fromkeys(field.names, reason))
        return
    try:
        if field.is_plausible(raw):
            device.update(zip(field.names, field.convert(raw), strict=True))
            return
    except (TypeError, ValueError, IndexError):
        pass  # not even of the kind that was asked for
    device.update(
        dict.fromkeys(field.names, Unknown("the driver's value is impossible"))
    )
    if not field.is_vital:
        return  # many drivers know nothing of such a field, and say so in odd ways
    device["insane"] = (*device.get("insane", ()), f"{field.names[0]} = {raw}")


def _note_error(device: dict[str, Any], error: Exception) -> None:
    """Note the error that a GPU as a whole answered with."""
    device["error_code"] = error_code(error)
    device["error"] = str(error)
