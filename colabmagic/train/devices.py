"""Which devices exist, and the one that a cell gets."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import torch

from colabmagic.errors import BadDeviceError, DeviceUnavailableError
from colabmagic.train.options import DeviceSpec, bad_device

_COUNT_WITHOUT_NUMBERS: Final = frozenset({"mps"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The device of a cell.

    Attributes
    ----------
    device
        Where the cell runs, with its number.
    fallback
        Why it is the CPU although something else was asked for; None otherwise.
    """

    device: torch.device
    fallback: str | None = None


def accelerator() -> str | None:
    """Return torch's accelerator that can be used now, as "cuda" or "mps"."""
    if hasattr(torch, "accelerator"):
        if not torch.accelerator.is_available():
            return None
        found = torch.accelerator.current_accelerator()
        return None if found is None else found.type
    for kind in ("cuda", "xpu"):  # torch before 2.6
        module = getattr(torch, kind, None)
        if module is not None and module.is_available():
            return kind
    return "mps" if torch.backends.mps.is_available() else None


def count(kind: str) -> int:
    """Return how many devices of a kind there are."""
    if kind == "mps":
        return 1
    module = getattr(torch, kind, None)
    counter = getattr(module, "device_count", None)
    return int(counter()) if callable(counter) else 1


def available_devices() -> tuple[str, ...]:
    """Return what ``%%train_on`` takes on this machine, best last."""
    kind = accelerator()
    if kind is None:
        return ("auto", "cpu")
    if kind in _COUNT_WITHOUT_NUMBERS:
        return ("auto", "cpu", kind)
    return ("auto", "cpu", *(f"{kind}:{index}" for index in range(count(kind))))


def resolve(text: str, *, strict: bool = False) -> Resolved:
    """Find the device that the user means.

    Parameters
    ----------
    text
        What he typed.
    strict
        Raise if it is absent, instead of falling back to the CPU.

    Raises
    ------
    BadDeviceError
        There is no such kind of device, or not so many of them.
    DeviceUnavailableError
        The device is absent or does not answer, with `strict`.
    """
    known = available_devices()
    spec = DeviceSpec.parse(text, known)
    if spec.kind in {"cpu", "meta"}:
        if spec.index:
            raise bad_device(str(spec), known)
        return Resolved(device=torch.device(spec.kind))
    kind = accelerator()
    if spec.kind == "auto" and kind is None:
        return _absent("a GPU", None, strict=strict)
    if spec.kind not in {"auto", kind}:
        if not _is_device_type(spec.kind):
            raise bad_device(text.strip(), known)
        return _absent(spec.kind, kind, strict=strict)
    assert kind is not None
    index = _current(kind) if spec.index is None else spec.index
    if index >= count(kind):
        raise BadDeviceError(
            f"there is no {kind}:{index}",
            seen="devices here: " + ", ".join(known),
            hint=f"%%train_on {known[-1]}",
        )
    device = torch.device(kind, index)
    trouble = _trouble(device)
    if trouble is not None:
        reason = f"{device} does not work: {trouble}"
        return _unusable(str(device), reason, strict=strict)
    return Resolved(device=device)


def _is_device_type(kind: str) -> bool:
    """Tell whether torch knows this kind of device at all."""
    try:
        torch.device(kind)
    except RuntimeError:
        return False
    return True


def _current(kind: str) -> int:
    """Return the number of the current device of a kind."""
    if kind in _COUNT_WITHOUT_NUMBERS:
        return 0
    return int(getattr(torch, kind).current_device())


def _trouble(device: torch.device) -> str | None:
    """Use the device once; return the first line of what goes wrong."""
    try:
        torch.empty(1, device=device).fill_(1).cpu()
    except torch.OutOfMemoryError:
        return None  # it is there, and full: moving will tell
    except Exception as error:  # noqa: BLE001 (drivers raise anything; it is reported)
        lines = str(error).strip().splitlines()
        return lines[0] if lines else type(error).__name__
    return None


def _absent(wanted: str, other: str | None, *, strict: bool) -> Resolved:
    """Fall back to the CPU because this machine has no such device."""
    if other is not None:
        reason = (
            f"This machine's accelerator is {other}, not {wanted}: "
            f"to use it, write {other} as the device."
        )
        return _unusable(wanted, reason, strict=strict, hint=f"%%train_on {other}")
    return _unusable(wanted, _reason(wanted), strict=strict)


@functools.lru_cache(maxsize=8)
def _reason(wanted: str) -> str:
    """Return what ``%gpu_check`` says about the missing device; asked once."""
    if wanted in {"mps", "xpu"} or wanted not in {"a GPU", "cuda"}:
        return f"This PyTorch sees no {wanted} device here."
    from colabmagic.gpu import check  # noqa: PLC0415 (only when there is no GPU)

    return check().reason or "PyTorch sees no GPU"


def _unusable(
    wanted: str, reason: str, *, strict: bool, hint: str = "%gpu_check"
) -> Resolved:
    """Fall back to the CPU, or raise."""
    if strict:
        raise DeviceUnavailableError(
            f"{wanted} cannot be used here, and --strict was given",
            seen=reason,
            hint=hint,
        )
    return Resolved(device=torch.device("cpu"), fallback=reason)
