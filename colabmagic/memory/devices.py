"""What devices say of their memory, and how their caches are emptied.

Asked through PyTorch, and only where it is loaded and has started the device already:
nothing here initialises CUDA.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Kinds of devices that PyTorch knows by a module of their own, besides what
# `torch.accelerator` names.
_KINDS: Final = ("cuda", "xpu", "mps")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMemory:
    """The memory of one device, in bytes; None where the device does not tell.

    Attributes
    ----------
    device
        As ``cuda:0``.
    total_bytes
        All that it has.
    free_bytes
        What nobody uses, this process and others.
    allocated_bytes
        What tensors of this process use.
    cached_bytes
        What the allocator keeps although no tensor uses it.
    """

    device: str
    total_bytes: int | None
    free_bytes: int | None
    allocated_bytes: int | None
    cached_bytes: int | None


def loaded_torch() -> Any:  # noqa: ANN401 (a module that is not imported here)
    """Return PyTorch if somebody has imported it, else None."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "Tensor") else None


def started_kinds() -> list[str]:
    """Return the kinds of devices that this process uses already."""
    torch = loaded_torch()
    if torch is None:
        return []
    kinds = [kind for kind in _KINDS if _has_started(torch, kind)]
    private = _private_kind(torch)
    if private is not None and private not in kinds and _has_started(torch, private):
        kinds.append(private)
    return kinds


def read_devices() -> tuple[DeviceMemory, ...]:
    """Return the memory of each device that this process uses."""
    torch = loaded_torch()
    return tuple(
        _read(torch, kind, number)
        for kind in started_kinds()
        for number in range(1 if kind == "mps" else _count(torch, kind))
    )


def read_device(device: Any) -> DeviceMemory:  # noqa: ANN401 (torch is not imported here)
    """Return the memory of one device; asking starts it.

    Parameters
    ----------
    device
        An accelerator, as a ``torch.device``.
    """
    torch = loaded_torch()
    number = 0 if device.index is None else device.index
    if getattr(torch, device.type, None) is None:  # as `meta`, which has no memory
        return DeviceMemory(
            device=str(device),
            total_bytes=None,
            free_bytes=None,
            allocated_bytes=None,
            cached_bytes=None,
        )
    return _read(torch, device.type, number)


def read_cpu() -> DeviceMemory:
    """Return the computer's own memory, as far as the system tells."""
    sizes: dict[str, int | None] = {"SC_PHYS_PAGES": None, "SC_AVPHYS_PAGES": None}
    for name in sizes:
        with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows, macOS
            sizes[name] = os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    return DeviceMemory(
        device="cpu",
        total_bytes=sizes["SC_PHYS_PAGES"],
        free_bytes=sizes["SC_AVPHYS_PAGES"],
        allocated_bytes=None,
        cached_bytes=None,
    )


def empty_caches() -> None:
    """Have each started device give back what its allocator only keeps."""
    torch = loaded_torch()
    for kind in started_kinds():
        with contextlib.suppress(Exception):  # a lost device has no cache
            if kind == "cuda":
                torch._C._cuda_clearCublasWorkspaces()  # noqa: SLF001 (the only way)
        with contextlib.suppress(Exception):
            getattr(torch, kind).empty_cache()


def allocated_bytes() -> int | None:
    """Return what tensors use on all devices together; None without a device."""
    known = [each.allocated_bytes for each in read_devices()]
    found = [each for each in known if each is not None]
    return sum(found) if found else None


def _private_kind(torch: Any) -> str | None:  # noqa: ANN401
    """Return the name of a back end that was registered with PyTorch."""
    try:
        name = str(torch._C._get_privateuse1_backend_name())  # noqa: SLF001 (no other way)
    except AttributeError:
        return None
    return name if hasattr(torch, name) else None


def _has_started(torch: Any, kind: str) -> bool:  # noqa: ANN401
    """Tell whether a kind of device is in use; asking does not start it."""
    module = getattr(torch, kind, None)
    try:
        if kind == "mps":  # has no start of its own
            return bool(torch.backends.mps.is_available())
        return bool(module.is_initialized()) if module is not None else False
    except Exception:  # noqa: BLE001 (drivers and builds raise anything)
        return False


def _count(torch: Any, kind: str) -> int:  # noqa: ANN401
    """Return how many devices of a started kind there are."""
    try:
        return int(getattr(torch, kind).device_count())
    except Exception:  # noqa: BLE001 (a lost driver raises anything)
        return 0


def _read(torch: Any, kind: str, number: int) -> DeviceMemory:  # noqa: ANN401
    """Ask one device."""
    module, accelerator = getattr(torch, kind), getattr(torch, "accelerator", None)
    device = torch.device(kind, number) if kind != "mps" else torch.device("mps")
    if kind == "mps":
        allocated = _ask(module, "current_allocated_memory")
        reserved = _ask(module, "driver_allocated_memory")
        total = _ask(module, "recommended_max_memory")
        free = None if None in {total, reserved} else max(total - reserved, 0)  # type: ignore[operator]
    else:
        owners = (module, accelerator)
        allocated = _first(owners, "memory_allocated", device)
        reserved = _first(owners, "memory_reserved", device)
        free, total = _free_and_total((module, accelerator, torch), device)
    cached = None
    if reserved is not None and allocated is not None:
        cached = max(reserved - allocated, 0)
    return DeviceMemory(
        device=str(device),
        total_bytes=total,
        free_bytes=free,
        allocated_bytes=allocated,
        cached_bytes=cached,
    )


def _first(owners: tuple[Any, ...], name: str, device: object) -> int | None:
    """Return the first answer that one of several modules gives."""
    answers = (_ask(owner, name, device) for owner in owners)
    return next((each for each in answers if each is not None), None)


def _ask(owner: object, name: str, *arguments: object) -> int | None:
    """Call a function that may be missing or fail."""
    function: Callable[..., Any] | None = getattr(owner, name, None)
    if function is None:
        return None
    with contextlib.suppress(Exception):  # some back ends do not tell
        return int(function(*arguments))
    return None


def _free_and_total(
    owners: tuple[Any, ...],
    device: Any,  # noqa: ANN401
) -> tuple[int | None, int | None]:
    """Return what is free and what there is."""
    for owner in owners:
        for name in ("mem_get_info", "get_memory_info"):
            function = getattr(owner, name, None)
            if function is None:
                continue
            with contextlib.suppress(Exception):  # some back ends do not tell
                free, total = function(device)
                return int(free), int(total)
    return None, None
