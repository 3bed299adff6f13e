"""Move what a loader gives, whatever its shape; the user's own containers stay."""

from __future__ import annotations

import copy
import dataclasses
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch.nn.utils.rnn import PackedSequence

# Torch's own: `Tensor.to` is patched while a cell runs, to see what the user moves.
_to: Final = torch._C.TensorBase.to  # noqa: SLF001
_ATOMS: Final = frozenset({str, bytes, int, float, bool, complex, type(None)})


def moved(batch: Any, device: torch.device, *, non_blocking: bool = False) -> Any:  # noqa: ANN401
    """Return a batch with its tensors on a device.

    Containers are made anew with the same type; what holds no tensor is passed through
    as it is. A tensor that occurs twice stays one tensor.

    Parameters
    ----------
    batch
        Tensor, tuple, list, dict and their relatives, namedtuple, dataclass,
        PackedSequence, an object with ``to``, or an object with tensors as attributes.
    device
        Where to.
    non_blocking
        Whether copies may run on while Python goes on.
    """
    if type(batch) is list and len(batch) == 2:  # noqa: PLR2004 (inputs and targets)
        first, second = batch
        if type(first) is type(second) is torch.Tensor and first is not second:
            return [
                _to(first, device, non_blocking=non_blocking),
                _to(second, device, non_blocking=non_blocking),
            ]
    return _Batch(device, non_blocking).move(batch)


class _Batch:
    """Moves one batch; remembers what it has seen."""

    def __init__(self, device: torch.device, non_blocking: bool) -> None:  # noqa: FBT001
        self._device = device
        self._non_blocking = non_blocking
        self._seen: dict[int, tuple[object, object]] = {}

    def move(self, value: Any) -> Any:  # noqa: ANN401, PLR0911 (one line for each kind)
        """Move one value."""
        kind = type(value)
        if kind is torch.Tensor:
            return self._tensor(value)
        if kind in _ATOMS:
            return value
        if kind is list:
            return [self.move(each) for each in value]
        if kind is tuple:
            return tuple([self.move(each) for each in value])
        if kind is dict:
            return {key: self.move(each) for key, each in value.items()}
        known = self._seen.get(id(value))
        if known is not None:
            return known[1]
        result = self._other(value)
        self._seen[id(value)] = (value, result)
        return result

    def _tensor(self, value: torch.Tensor) -> torch.Tensor:
        known = self._seen.get(id(value))
        if known is not None:
            return known[1]  # type: ignore[return-value]
        there = _to(value, self._device, non_blocking=self._non_blocking)
        self._seen[id(value)] = (value, there)
        return there

    def _other(self, value: Any) -> Any:  # noqa: ANN401, PLR0911
        """Move a value of a rarer type."""
        if isinstance(value, torch.Tensor):
            return value.to(self._device, non_blocking=self._non_blocking)
        if isinstance(value, PackedSequence):
            return value.to(self._device)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(self.move(each) for each in value))
        if isinstance(value, defaultdict):
            return defaultdict(
                value.default_factory, {key: self.move(each) for key, each in value.items()}
            )
        if isinstance(value, deque):
            return deque((self.move(each) for each in value), value.maxlen)
        if callable(getattr(type(value), "to", None)):
            return value.to(self._device)
        if isinstance(value, (list, tuple)):
            return type(value)([self.move(each) for each in value])
        if isinstance(value, Mapping):
            return self._mapping(value)
        return self._attributes(value)

    def _mapping(self, value: Any) -> Any:  # noqa: ANN401
        """Move a mapping of a type of its own, through a shallow copy."""
        try:
            result = copy.copy(value)
            for key in value:
                result[key] = self.move(value[key])
        except (TypeError, AttributeError, KeyError):
            return value  # read-only: it stays as the user made it
        return result

    def _attributes(self, value: Any) -> Any:  # noqa: ANN401
        """Move tensors held as attributes, in a copy of the object."""
        found = {
            name: each
            for name, each in _attributes_of(value)
            if isinstance(each, (torch.Tensor, list, tuple, dict))
        }
        changed = {name: self.move(each) for name, each in found.items()}
        changed = {
            name: each for name, each in changed.items() if _differs(each, found[name])
        }
        if not changed:
            return value
        result = copy.copy(value)
        for name, each in changed.items():
            object.__setattr__(result, name, each)  # also past a frozen dataclass
        return result


def _attributes_of(value: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    """Return the attributes of a plain object: fields, dictionary, slots."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [
            (each.name, getattr(value, each.name))
            for each in dataclasses.fields(value)
            if hasattr(value, each.name)
        ]
    names = [
        name
        for kind in type(value).__mro__
        for name in _as_tuple(kind.__dict__.get("__slots__", ()))
        if name not in {"__dict__", "__weakref__"}
    ]
    slots = [(name, getattr(value, name)) for name in names if hasattr(value, name)]
    return [*slots, *getattr(value, "__dict__", {}).items()]


def _as_tuple(slots: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return ``__slots__`` as a tuple; one name may stand alone."""
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _differs(new: Any, old: Any) -> bool:  # noqa: ANN401
    """Tell whether moving changed anything in a value."""
    if isinstance(old, torch.Tensor):
        return new is not old
    if isinstance(old, dict):
        return any(_differs(new[key], each) for key, each in old.items())
    if isinstance(old, (list, tuple)):
        return any(_differs(a, b) for a, b in zip(new, old, strict=True))
    return new is not old
