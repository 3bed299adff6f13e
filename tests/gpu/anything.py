"""Any value of an annotated type, for Hypothesis.

Its own ``from_type`` resolves types lazily and is not the same from run to run for
unions as nested as those of the facts.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from typing import Any

from hypothesis import strategies as st

_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=30),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 (any annotation)
    """Return all values that an annotation allows."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    parts = typing.get_args(kind)
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        return st.one_of(*map(values_of, parts))
    if typing.get_origin(kind) is tuple:
        if parts[-1] is Ellipsis:
            return st.lists(values_of(parts[0]), max_size=3).map(tuple)
        return st.tuples(*map(values_of, parts))
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    hints = typing.get_type_hints(kind)
    names = (field.name for field in dataclasses.fields(kind))
    return st.builds(kind, **{name: values_of(hints[name]) for name in names})
