"""An out-of-memory error: what it says, and who held the memory when it came."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from colabmagic.memory.children import module_name
from colabmagic.memory.devices import (
    allocated_bytes,
    loaded_torch,
    read_cpu,
    read_devices,
)
from colabmagic.memory.exceptions import frames, has_locals, links
from colabmagic.memory.holders import Ledger, Share, find_roots, local_roots
from colabmagic.memory.loaders import LoaderFacts, find_loaders
from colabmagic.memory.usage import used_names
from colabmagic.memory.written import Growing, growing, pages

if TYPE_CHECKING:
    import types
    from collections.abc import Mapping

_SIZE: Final = r"(\d+(?:\.\d+)?) ?(bytes|[KMGT]i?B|B)\b"
_UNITS: Final = {
    "bytes": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    # Those of MPS are powers of two by another name.
    "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40,
}  # fmt: skip
_FIGURES: Final = {
    "requested": (rf"[Tt]ried to allocate {_SIZE}",),
    "total": (
        rf"total capacity of {_SIZE}",
        rf"{_SIZE} total capacity",
        rf"max allowed: {_SIZE}",
    ),
    "free": (rf"of which {_SIZE} is free", rf"; {_SIZE} free"),
    "allocated": (
        rf"{_SIZE} is allocated by PyTorch",
        rf"{_SIZE} already allocated",
        rf"MPS allocated: {_SIZE}",
    ),
    "cached": (rf"{_SIZE} is reserved by PyTorch but unallocated",),
}
_ON_DEVICE: Final = re.compile(
    r"\b(\w+)(?: backend| error:)? out of memory", re.IGNORECASE
)
_ON_CPU: Final = re.compile(
    r"DefaultCPUAllocator: (?:can't allocate|not enough) memory"
)
_NUMBER: Final = re.compile(r"\bGPU (\d+)\b")
_WORD: Final = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemoryFacts:
    """What was seen when memory ran out; sizes in bytes, None where nobody tells.

    Attributes
    ----------
    device
        As ``cuda:0``; ``cpu`` if the computer itself ran out.
    message
        The first line of the error.
    requested_bytes, free_bytes, total_bytes, allocated_bytes, cached_bytes
        As PyTorch or the device says.
    shares
        Who held memory on the device: names, then locals of the failed call.
    loaders
        Loaders that the cell mentions or the failed call used; else its slices.
    growing
        Sums and lists that keep the graphs of one round after the other.
    used
        The names that the cell and what it calls mention.
    trains
        Whether the cell or the failed call goes backward.
    """

    device: str
    message: str
    requested_bytes: int | None
    free_bytes: int | None
    total_bytes: int | None
    allocated_bytes: int | None
    cached_bytes: int | None
    shares: tuple[Share, ...]
    loaders: tuple[LoaderFacts, ...]
    growing: tuple[Growing, ...]
    used: tuple[str, ...]
    trains: bool


def find_out_of_memory(error: BaseException | None) -> BaseException | None:
    """Return the link of an error that says that memory ran out, or None."""
    if error is None or loaded_torch() is None or _is_ours(error):
        return None
    return next((each for each in links([error]) if _device_of(_text(each))), None)


def look(
    error: BaseException, namespace: Mapping[str, Any], source: str = ""
) -> OutOfMemoryFacts | None:
    """Look around while the frames of the failed call are still there.

    Parameters
    ----------
    error
        What escaped from the cell.
    namespace
        The user's names.
    source
        The cell.

    Returns
    -------
    OutOfMemoryFacts or None
        None if the error is another one.
    """
    cause = find_out_of_memory(error)
    if cause is None:
        return None
    text = _text(cause)
    device = _device_of(text)
    failed = list(
        dict.fromkeys(frame for each in links([error]) for frame in frames(each))
    )
    called = [frame for frame in failed if has_locals(frame)]
    mentioned = frozenset(_WORD.findall(source))
    figures = {name: _figure(text, name) for name in _FIGURES}
    devices = (*read_devices(), read_cpu())
    known = next((each for each in devices if each.device == device), None)
    for name in ("total", "free", "allocated", "cached"):
        if figures[name] is None and known is not None:
            figures[name] = getattr(known, f"{name}_bytes")
    return OutOfMemoryFacts(
        device=device,
        message=first_line(cause),
        **{f"{name}_bytes": value for name, value in figures.items()},
        shares=_shares(namespace, called, device),
        loaders=find_loaders(namespace, mentioned, failed),
        growing=tuple(growing(pages(failed, namespace))),
        used=tuple(sorted(used_names(namespace, mentioned, called))),
        trains="backward" in mentioned
        or any("backward" in frame.f_code.co_names for frame in called),
    )


# What was seen before a session brought everything home, and of which error. Plain
# data: nothing of the cell is kept alive by it.
_noted: list[tuple[int, OutOfMemoryFacts, int | None]] = []


def note(error: BaseException, namespace: Mapping[str, Any], source: str = "") -> None:
    """Look around now, for a report later; nothing happens for other errors.

    Parameters
    ----------
    error, namespace, source
        As for `look`.
    """
    try:
        before = allocated_bytes()
        facts = look(error, namespace, source)
    except Exception:  # noqa: BLE001 (a report must not become a second error)
        return
    if facts is not None:
        _noted[:] = [(id(error), facts, before)]


def noted(error: BaseException) -> tuple[OutOfMemoryFacts, int | None] | None:
    """Return once what was noted of an error, and the bytes in use then.

    Parameters
    ----------
    error
        What escaped from the cell.
    """
    found = [each[1:] for each in _noted if each[0] == id(error)]
    _noted.clear()
    return found[0] if found else None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    lines = _text(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _text(error: BaseException) -> str:
    """Return the message, without asking the class of the error."""
    arguments = BaseException.__dict__["args"].__get__(error)
    return arguments[0] if arguments and type(arguments[0]) is str else ""


def _is_ours(error: BaseException) -> bool:
    """Tell whether an error is one of colabmagic, which has told already."""
    return module_name(type(error)).partition(".")[0] == "colabmagic"


def _device_of(text: str) -> str:
    """Return the device that a message speaks of; "" if memory is not its matter."""
    if _ON_CPU.search(text):
        return "cpu"
    found = _ON_DEVICE.search(text)
    if found is None:
        return ""
    kind = found[1].lower()
    torch = loaded_torch()
    kind = {"hip": "cuda"}.get(kind, kind)
    if getattr(torch, kind, None) is None:
        return ""  # "host is out of memory", and what a user's own text may say
    number = _NUMBER.search(text)
    return kind if kind == "mps" else f"{kind}:{number[1] if number else 0}"


def _figure(text: str, name: str) -> int | None:
    """Return a size that a message gives."""
    for pattern in _FIGURES[name]:
        if found := re.search(pattern, text):
            return round(float(found[1]) * _UNITS[found[2]])
    found = re.search(r"tried to allocate (\d+) bytes", text)
    return int(found[1]) if found and name == "requested" else None


def _shares(
    namespace: Mapping[str, Any], called: list[types.FrameType], device: str
) -> tuple[Share, ...]:
    """Say who held the memory: the user's names first, then the failed call."""
    ledger = Ledger()
    outputs = namespace.get("_oh")
    for root in find_roots(namespace, outputs if type(outputs) is dict else {}, {}):
        ledger.enter(root)
    for root in local_roots(called):
        ledger.enter(root)
    return ledger.shares(device)
