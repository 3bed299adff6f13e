"""Are two results the same? Plain copies of values, and where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far two numbers may be apart: ``|a - b| <= atol + rtol * |b|``."""

    rtol: float = 1e-4
    atol: float = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where two results are not the same bits.

    Attributes
    ----------
    path
        Where in the result.
    what
        Both values, or how they differ.
    rounding
        Whether the numbers are within the tolerance.
    """

    path: str
    what: str
    rounding: bool = False

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.path}: {self.what}"


@dataclass(frozen=True, slots=True)
class Numbers:
    """A tensor or an array, copied, with everything a user could notice about it."""

    values: np.ndarray[Any, Any]
    facts: tuple[tuple[str, object], ...]


def frozen(value: object, _seen: tuple[int, ...] = ()) -> object:
    """Copy a result into plain data that later cells cannot change."""
    if id(value) in _seen:
        return "<itself>"
    seen = (*_seen, id(value))
    if isinstance(value, torch.Tensor):
        return _tensor(value, seen)
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return [frozen(item, seen) for item in value.tolist()]
        return Numbers(value.copy(), (("kind", "array"), ("dtype", str(value.dtype))))
    if isinstance(value, np.generic):
        return Numbers(
            np.asarray(value), (("kind", "number"), ("dtype", str(value.dtype)))
        )
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return value
    if isinstance(value, torch.nn.Module):
        return _module(value, seen)
    if isinstance(value, torch.optim.Optimizer):
        return {"type": type(value).__name__, **_mapping(value.state_dict(), seen)}
    if isinstance(value, Mapping):
        return {"type": type(value).__name__, **_mapping(value, seen)}
    if isinstance(value, (list, tuple, set, frozenset)) or hasattr(value, "popleft"):
        return [type(value).__name__, *(frozen(item, seen) for item in value)]
    if callable(value):
        return f"<{getattr(value, '__qualname__', type(value).__name__)}>"
    return {"type": type(value).__name__, **_mapping(_attributes(value), seen)}


def _tensor(value: torch.Tensor, seen: tuple[int, ...]) -> object:
    """Copy a tensor."""
    if value.device.type != "cpu":
        return f"<tensor left on {value.device}>"
    facts: dict[str, object] = {
        "kind": type(value).__name__,
        "dtype": str(value.dtype),
        "shape": tuple(value.shape),
        "strides": value.stride(),
        "requires_grad": value.requires_grad,
        "leaf": value.is_leaf,
    }
    if value.is_leaf and value.grad is not None:
        facts["grad"] = frozen(value.grad, seen)
    return Numbers(value.detach().numpy().copy(), tuple(facts.items()))


def _module(value: torch.nn.Module, seen: tuple[int, ...]) -> dict[str, object]:
    """Copy a module: parameters, buffers, modes and its plain attributes."""
    parts: dict[str, object] = {}
    for name, module in value.named_modules():
        for kind in ("_parameters", "_buffers"):
            for key, tensor in getattr(module, kind).items():
                parts[f"{name}.{key}".lstrip(".")] = frozen(tensor, seen)
        for key, attribute in vars(module).items():
            if not key.startswith("_") and not callable(attribute):
                parts[f"{name}.{key}".lstrip(".")] = frozen(attribute, seen)
    return {"type": type(value).__name__, **parts}


def _mapping(value: Mapping[Any, Any], seen: tuple[int, ...]) -> dict[str, object]:
    """Copy the items of a mapping."""
    return {repr(key): frozen(item, seen) for key, item in value.items()}


def _attributes(value: object) -> dict[str, object]:
    """Return the attributes and slots of an object."""
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in {"__weakref__", "__dict__"} and hasattr(value, name):
                found[name] = getattr(value, name)
    return found


def differences(
    expected: object, actual: object, tolerance: Tolerance, path: str = ""
) -> Iterator[Difference]:
    """Yield every place where two frozen results are not the same bits."""
    if isinstance(expected, Numbers) and isinstance(actual, Numbers):
        yield from _numbers(expected, actual, tolerance, path)
    elif isinstance(expected, dict) and isinstance(actual, dict):
        if list(expected) != list(actual):
            yield Difference(path=path, what=f"keys {list(expected)} != {list(actual)}")
            return
        for key, value in expected.items():
            yield from differences(value, actual[key], tolerance, f"{path}[{key}]")
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield Difference(path=path, what=f"{len(expected)} items != {len(actual)}")
            return
        for number, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(one, other, tolerance, f"{path}[{number}]")
    elif type(expected) is not type(actual):
        yield Difference(path=path, what=f"{_short(expected)} != {_short(actual)}")
    elif isinstance(expected, (float, complex)):
        assert isinstance(actual, (float, complex))
        if expected != actual and not (expected != expected and actual != actual):
            near = math.isclose(
                abs(expected - actual),
                0,
                abs_tol=tolerance.atol + tolerance.rtol * abs(expected),
            )
            yield Difference(path=path, what=f"{expected} != {actual}", rounding=near)
    elif expected != actual:
        yield Difference(path=path, what=f"{_short(expected)} != {_short(actual)}")


def _numbers(
    expected: Numbers, actual: Numbers, tolerance: Tolerance, path: str
) -> Iterator[Difference]:
    """Compare two tensors or arrays."""
    facts, others = dict(expected.facts), dict(actual.facts)
    yield from differences(
        facts.pop("grad", None), others.pop("grad", None), tolerance, f"{path}.grad"
    )
    for name in facts.keys() | others.keys():
        if facts.get(name) != others.get(name):
            yield Difference(
                path=path, what=f"{name} {facts.get(name)} != {others.get(name)}"
            )
    one, other = expected.values, actual.values
    if one.shape != other.shape or one.dtype != other.dtype:
        yield Difference(
            path=path, what=f"{one.dtype}{one.shape} != {other.dtype}{other.shape}"
        )
    elif one.tobytes() != other.tobytes() and not np.array_equal(
        one, other, equal_nan=one.dtype.kind in "fc"
    ):
        near = one.dtype.kind in "fc" and np.allclose(
            other, one, rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=True
        )
        gap = (
            np.abs(one.astype(np.float64) - other.astype(np.float64)).max()
            if one.size
            else 0
        )
        yield Difference(path=path, what=f"largest gap {gap:.3g}", rounding=bool(near))


def _short(value: object) -> str:
    """Return a value in few characters."""
    text = "numbers" if isinstance(value, Numbers) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
