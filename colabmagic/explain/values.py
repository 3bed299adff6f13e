"""Look at tensors and modules without running any code of theirs."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_MEMBERS = 20_000  # tensors and modules looked at below one module


def torch_module() -> Any:  # noqa: ANN401 (a module that may be there)
    """Return torch if the user imported it; never import it."""
    return sys.modules.get("torch")


def is_tensor(value: object) -> bool:
    """Tell whether it is a tensor, by its type alone."""
    torch = torch_module()
    kind = getattr(torch, "Tensor", None)
    return isinstance(kind, type) and issubclass(type(value), kind)


def is_plain_tensor(value: object) -> bool:
    """Tell whether it is a tensor or parameter of torch's own class."""
    nn = sys.modules.get("torch.nn")
    kinds = (getattr(torch_module(), "Tensor", None), getattr(nn, "Parameter", None))
    return type(value) in kinds


def is_module(value: object) -> bool:
    """Tell whether it is a model or a layer."""
    nn = sys.modules.get("torch.nn")
    kind = getattr(nn, "Module", None)
    return isinstance(kind, type) and issubclass(type(value), kind)


def is_generator(value: object) -> bool:
    """Tell whether it is a ``torch.Generator``."""
    kind = getattr(torch_module(), "Generator", None)
    return isinstance(kind, type) and issubclass(type(value), kind)


def _read(tensor: object, name: str) -> Any:  # noqa: ANN401 (any attribute)
    """Read an attribute by PyTorch's own getter, past what a subclass says."""
    torch = torch_module()
    # A subclass may have a `__torch_function__`, which is the user's code.
    with torch._C.DisableTorchFunction():  # noqa: SLF001 (no public name)
        return getattr(torch._C.TensorBase, name).__get__(tensor)  # noqa: SLF001


def device_of(tensor: object) -> str:
    """Return the device of a tensor, as ``cuda:0``."""
    return str(_read(tensor, "device"))


def dtype_of(tensor: object) -> str:
    """Return the type of its numbers, as ``float32``."""
    return str(_read(tensor, "dtype")).removeprefix("torch.")


def shape_of(tensor: object) -> tuple[int, ...]:
    """Return its size."""
    return tuple(int(size) for size in _read(tensor, "shape"))


def requires_grad(tensor: object) -> bool:
    """Tell whether gradients flow into it."""
    return bool(_read(tensor, "requires_grad"))


def has_history(tensor: object) -> bool:
    """Tell whether it was computed from something that wants gradients."""
    return requires_grad(tensor) and not bool(_read(tensor, "is_leaf"))


def attributes(value: object) -> dict[str, Any]:
    """Return the attributes that an object holds itself; nothing is computed."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return held if type(held) is dict else {}


def member(value: object, name: str) -> object:  # noqa: PLR0911 (kinds of objects)
    """Return ``value.name`` where it is plain data; None otherwise."""
    if isinstance(value, types.ModuleType):
        return vars(value).get(name)
    held = attributes(value)
    if name in held:
        return held[name]
    if is_module(value):
        for table in ("_parameters", "_buffers", "_modules"):
            entries = held.get(table)
            if isinstance(entries, dict) and name in entries:
                return entries[name]
        return None
    for kind in type(value).__mro__:
        slot = kind.__dict__.get(name)
        if type(slot) is types.MemberDescriptorType:
            try:
                return slot.__get__(value)
            except AttributeError:
                return None
    return None


def members(module: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield what a module holds, with its path: tensors, and modules before theirs."""
    seen: set[int] = set()
    waiting = [(path, module)]
    while waiting:
        prefix, owner = waiting.pop()
        if id(owner) in seen or len(seen) > MOST_MEMBERS:
            continue
        seen.add(id(owner))
        yield prefix, owner
        held = attributes(owner)
        for table in ("_parameters", "_buffers"):
            for name, tensor in _entries(held, table):
                if is_tensor(tensor):
                    yield _joined(prefix, name), tensor
        waiting += [
            (_joined(prefix, name), part)
            for name, part in reversed(_entries(held, "_modules"))
            if is_module(part)
        ]


def tensors(module: object) -> list[tuple[str, object]]:
    """Return the parameters and buffers of a module, with their paths."""
    return [(path, part) for path, part in members(module) if is_tensor(part)]


def devices_of(value: object) -> tuple[str, ...]:
    """Return the devices that a tensor or a module is on, the commonest first."""
    if is_tensor(value):
        return (device_of(value),)
    if not is_module(value):
        return ()
    return _by_number([device_of(tensor) for _, tensor in tensors(value)])


def dtypes_of(value: object) -> tuple[str, ...]:
    """Return the types of a tensor's or a module's floating numbers, commonest first."""
    if is_tensor(value):
        return (dtype_of(value),)
    if not is_module(value):
        return ()
    kinds = [dtype_of(tensor) for _, tensor in tensors(value)]
    return _by_number([kind for kind in kinds if "float" in kind])


def _by_number(words: list[str]) -> tuple[str, ...]:
    """Return each word once, the commonest first."""
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return tuple(sorted(counts, key=lambda word: -counts[word]))


def _entries(held: dict[str, Any], table: str) -> list[tuple[str, object]]:
    """Return one table of a module."""
    entries = held.get(table)
    if not isinstance(entries, dict):
        return []
    return [(name, part) for name, part in list(entries.items()) if type(name) is str]


def _joined(prefix: str, name: str) -> str:
    """Return the path of a part; numbers are indexes."""
    if name.isdecimal() and prefix:
        return f"{prefix}[{name}]"
    return f"{prefix}.{name}" if prefix else name
