"""Move what a loader gives, whatever its shape; the user's own containers stay."""

from __future__ import annotations

import copy
import dataclasses
import types
from collections import UserDict, deque
from collections.abc import Mapping
from operator import is_
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn.utils.rnn import PackedSequence

if TYPE_CHECKING:
    from collections.abc import Iterable

_ATOMS: Final = frozenset({str, bytes, int, float, bool, complex, type(None)})
# What owns tensors instead of carrying them, and what is no value at all.
_CLOSED: Final = (
    torch.nn.Module, torch.optim.Optimizer, torch.utils.data.Dataset,
    torch.utils.data.DataLoader, torch.Generator, type, types.FunctionType,
    types.MethodType, types.BuiltinFunctionType, types.ModuleType,
)  # fmt: skip
# Torch's own: `Tensor.to` is wrapped while a cell runs, to see what the user moves.
_to: Final = torch._C.TensorBase.to  # noqa: SLF001
_PLAIN: Final = frozenset({torch.Tensor})
_CARRIERS: Final = (
    torch.Tensor, list, tuple, dict, UserDict, deque, PackedSequence, set, frozenset,
)  # fmt: skip


def moved(batch: Any, device: torch.device, *, non_blocking: bool = False) -> Any:  # noqa: ANN401
    """Return a batch with its tensors on a device.

    Containers are made anew with the same type; what holds nothing to move is passed
    through as it is, so that a list which a model fills is the user's own. A tensor
    that occurs twice stays one tensor.

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
    kind = type(batch)
    if kind is list and len(batch) == 2:  # noqa: PLR2004 (inputs and targets: the most usual)
        first, second = batch
        if type(first) is type(second) is torch.Tensor and first is not second:
            if not non_blocking:  # parsing the keyword takes a third of a call
                return [_to(first, device), _to(second, device)]
            return [
                _to(first, device, non_blocking=non_blocking),
                _to(second, device, non_blocking=non_blocking),
            ]
    if (
        (kind is list or kind is tuple)
        and _PLAIN.issuperset(map(type, batch))
        and len(set(map(id, batch))) == len(batch)
    ):
        there = [_to(each, device, non_blocking=non_blocking) for each in batch]
        return batch if all(map(is_, there, batch)) else kind(there)
    return _Batch(device, non_blocking).move(batch)


class _Batch:
    """Moves one batch; remembers what it has seen."""

    def __init__(self, device: torch.device, non_blocking: bool) -> None:  # noqa: FBT001
        self._device = device
        self._non_blocking = non_blocking
        self._seen: dict[int, tuple[object, object]] = {}

    def move(self, value: Any) -> Any:  # noqa: ANN401
        """Move one value."""
        kind = type(value)
        if kind in _ATOMS:
            return value
        known = self._seen.get(id(value))
        if known is not None:
            return known[1]
        if kind is torch.Tensor:
            result = _to(value, self._device, non_blocking=self._non_blocking)
        else:
            self._seen[id(value)] = (value, value)  # a value that holds itself
            result = self._other(kind, value)
        self._seen[id(value)] = (value, result)
        return result

    def _other(self, kind: type, value: Any) -> Any:  # noqa: ANN401
        """Move a value that is no plain tensor."""
        if kind is list or kind is tuple:
            items = self._items(value)
            return value if items is None else kind(items)
        if kind is dict or kind is types.MappingProxyType:
            changed = self._changed(value.items())
            return kind({**value, **changed}) if changed else value
        if kind is set or kind is frozenset:
            items = self._items(value)
            return value if items is None else kind(items)
        if isinstance(value, torch.Tensor):
            return value.to(self._device, non_blocking=self._non_blocking)
        if isinstance(value, PackedSequence):
            return value.to(self._device)  # type: ignore[arg-type]
        return value if isinstance(value, _CLOSED) else self._rare(kind, value)

    def _rare(self, kind: type, value: Any) -> Any:  # noqa: ANN401
        """Move a value of a type that somebody wrote."""
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            items = self._items(value)
            return value if items is None else kind(*items)
        if callable(getattr(kind, "to", None)):
            return self._by_its_own_method(value)
        if isinstance(value, (tuple, deque, list)):
            return self._sequence(value)
        if isinstance(value, (dict, UserDict)):
            return self._mapping(value)
        return self._attributes(value)

    def _items(self, values: Iterable[Any]) -> list[Any] | None:
        """Move the items of a sequence; None if there is nothing to move."""
        differs = False
        items = []
        for each in values:
            there = self.move(each)
            differs = differs or there is not each
            items.append(there)
        return items if differs else None

    def _changed(self, pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
        """Move values; return those that are others now, by their key."""
        return {
            key: there for key, each in pairs if (there := self.move(each)) is not each
        }

    def _by_its_own_method(self, value: Any) -> Any:  # noqa: ANN401
        """Let an object move itself; where its ``to`` means another thing, we do.

        A copy is asked: Hugging Face's ``BatchEncoding`` changes itself, and a dataset
        may keep it.
        """
        try:
            twin = copy.copy(value)
        except Exception:  # noqa: BLE001 (whatever the user has written)
            twin = value
        try:
            there = twin.to(self._device)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # noqa: BLE001 (a `to` of the user for units, dates, formats …)
            return self._attributes(value)
        if there is None:
            there = twin
        return value if there is twin and _are_same(value, twin) else there

    def _sequence(self, value: Any) -> Any:  # noqa: ANN401
        """Move a list, tuple or deque of a type of its own."""
        items = self._items(value)
        if items is None:
            return self._attributes(value)
        if isinstance(value, tuple):
            try:
                return type(value)(items)
            except TypeError:
                return value  # it is made in another way: it stays as the user made it
        result = copy.copy(value)
        result.clear()
        result.extend(items)
        return self._with(result, self._changed(_attributes_of(result).items()))

    def _mapping(self, value: Any) -> Any:  # noqa: ANN401
        """Move a dictionary of a type of its own, through a shallow copy."""
        changed = self._changed(list(value.items()))
        if not changed:
            return self._attributes(value)
        try:
            result = copy.copy(value)
            for key, each in changed.items():
                result[key] = each
        except (TypeError, AttributeError, KeyError):
            return value  # read-only: it stays as the user made it
        return self._with(result, self._changed(_attributes_of(result).items()))

    def _attributes(self, value: Any) -> Any:  # noqa: ANN401
        """Move tensors held as attributes, in a copy of the object."""
        changed = self._changed(_attributes_of(value).items())
        return self._with(copy.copy(value), changed) if changed else value

    def _with(self, result: Any, changed: dict[str, Any]) -> Any:  # noqa: ANN401
        """Set attributes, also past a frozen dataclass."""
        for name, each in changed.items():
            object.__setattr__(result, name, each)
        return result


def _attributes_of(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the attributes that may carry tensors, without running the user's code."""
    return {name: each for name, each in _state(value).items() if _carries(each)}


def _state(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return all that an object holds under names."""
    found = {}
    for kind in type(value).__mro__:
        for name, member in vars(kind).items():
            if type(member) is types.MemberDescriptorType and name != "__dict__":
                try:
                    found[name] = member.__get__(value)
                except AttributeError:
                    continue  # not set
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        own = {}
    if isinstance(own, dict) and own is not value:
        found.update(own)
    return found


def _are_same(value: Any, twin: Any) -> bool:  # noqa: ANN401
    """Tell whether a copy still holds the very same things."""
    old, new = _state(value), _state(twin)
    return old.keys() == new.keys() and all(
        new[name] is each or _are_same_dicts(each, new[name])
        for name, each in old.items()
    )


def _are_same_dicts(old: Any, new: Any) -> bool:  # noqa: ANN401
    """Tell whether two dictionaries hold the very same things."""
    return (
        type(old) is type(new) is dict
        and old.keys() == new.keys()
        and all(map(is_, old.values(), new.values()))
    )


def _carries(value: Any) -> bool:  # noqa: ANN401
    """Tell whether an attribute may hold tensors that belong to the object."""
    kind = type(value)
    return kind not in _ATOMS and (
        issubclass(kind, (*_CARRIERS, Mapping))
        or dataclasses.is_dataclass(kind)
        or hasattr(kind, "__attrs_attrs__")
    )
