"""Frozen dataclasses to plain data that JSON can hold, and back."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from typing import Any, TypeVar

from colabmagic.report.model import Unknown

Value = TypeVar("Value")

_UNKNOWN_KEY = "unknown"


def to_plain(value: object) -> Any:  # noqa: ANN401 (plain data has no closer type)
    """Return dicts, lists, strings and numbers only."""
    if isinstance(value, Unknown):
        return {_UNKNOWN_KEY: value.reason}
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: to_plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[Value], data: object) -> Value:
    """Return the value of type `kind` that `to_plain` turned into `data`.

    Raises
    ------
    ValueError
        The data does not fit the type; the message names both.
    """
    return typing.cast("Value", _read(kind, data))


def _read(kind: Any, data: object) -> object:  # noqa: ANN401 (any annotation)
    """Read data as one annotated type."""
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        return _read_union(typing.get_args(kind), data)
    if typing.get_origin(kind) is tuple and isinstance(data, list):
        return _read_tuple(typing.get_args(kind), data)
    if kind is Unknown and isinstance(data, dict) and list(data) == [_UNKNOWN_KEY]:
        return Unknown(data[_UNKNOWN_KEY])
    if dataclasses.is_dataclass(kind) and isinstance(data, dict):
        return _read_dataclass(typing.cast("type[Any]", kind), data)
    return _read_scalar(kind, data)


def _read_scalar(kind: Any, data: object) -> object:  # noqa: ANN401 (any annotation)
    """Read data as an enumeration, a number, a string or None."""
    if isinstance(kind, type):
        if issubclass(kind, Enum):
            return kind(data)
        if kind is float and type(data) is int:  # JSON has one kind of number
            return float(data)
        if type(data) is kind:
            return data
    msg = f"{data!r} is not a {getattr(kind, '__name__', kind)}"
    raise ValueError(msg)


def _read_union(kinds: tuple[Any, ...], data: object) -> object:
    """Read data as the first type of a union that fits."""
    for kind in kinds:
        try:
            return _read(kind, data)
        except ValueError:
            continue
    msg = f"{data!r} is none of {kinds}"
    raise ValueError(msg)


def _read_tuple(kinds: tuple[Any, ...], data: list[object]) -> tuple[object, ...]:
    """Read a list as ``tuple[X, ...]`` or as ``tuple[X, Y]``."""
    if kinds[-1] is Ellipsis:
        return tuple(_read(kinds[0], item) for item in data)
    if len(kinds) != len(data):
        msg = f"{data!r} has not {len(kinds)} items"
        raise ValueError(msg)
    return tuple(_read(kind, item) for kind, item in zip(kinds, data, strict=True))


def _read_dataclass(kind: type[Any], data: dict[str, object]) -> object:
    """Read a dict as a dataclass; fields that it lacks take their defaults."""
    hints = typing.get_type_hints(kind)
    names = {field.name for field in dataclasses.fields(kind)}
    if extra := data.keys() - names:
        msg = f"{kind.__name__} has no field {', '.join(sorted(extra))}"
        raise ValueError(msg)
    try:
        return kind(**{name: _read(hints[name], data[name]) for name in data})
    except TypeError as error:  # a field without default is missing
        raise ValueError(str(error)) from error
