"""Arrays and random numbers of NumPy, as they were."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

Kept = tuple[Callable[[], None], Iterable[object]]


def keep_numpy(value: Any) -> Kept | None:  # noqa: ANN401
    """Keep an array or a source of random numbers of NumPy.

    Parameters
    ----------
    value
        The object.

    Returns
    -------
    tuple or None
        What puts it back, and what it leads to; None for what needs not to be.
    """
    numpy = sys.modules["numpy"]
    if _is(value, numpy.ndarray):
        return _keep_array(value)
    if _is(value, numpy.random.RandomState):
        state = value.get_state()
        return (lambda: value.set_state(state), ())
    if _is(value, numpy.random.Generator):
        return _keep_bits(value.bit_generator)
    return _keep_bits(value) if _is(value, numpy.random.BitGenerator) else None


def _keep_bits(value: Any) -> Kept:  # noqa: ANN401 (a numpy.random.BitGenerator)
    state = value.state
    return (lambda: setattr(value, "state", state), ())


def _keep_array(value: Any) -> Kept | None:  # noqa: ANN401 (a numpy.ndarray)
    if not value.flags.writeable:
        return None  # as a file that is mapped
    before = value.copy()
    dtype, shape, strides = value.dtype, value.shape, value.strides

    def undo() -> None:
        _restore_shape(value, dtype, shape, strides)
        if value.tobytes() != before.tobytes():
            value[...] = before

    return (undo, list(value.flat) if value.dtype.hasobject else ())


def _restore_shape(value: Any, dtype: Any, shape: Any, strides: Any) -> None:  # noqa: ANN401
    """Let an array be writable and over its memory as it was."""
    if not value.flags.writeable:
        value.setflags(write=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy would rather have a new array
        if value.nbytes != math.prod(shape) * dtype.itemsize and value.base is None:
            value.resize(
                math.prod(shape) * dtype.itemsize // value.itemsize, refcheck=False
            )
        if value.dtype != dtype:
            value.dtype = dtype
        if value.shape != shape:
            value.shape = shape
        if value.strides != strides:
            value.strides = strides


def _is(value: object, kind: type) -> bool:
    """Tell whether a value is of a class; no metaclass is asked."""
    return any(each is kind for each in type.__dict__["__mro__"].__get__(type(value)))
