"""Batches that are made of plain tensors in plain containers, and nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_DEPTH: Final = 8
_strided: Final = torch.strided
_ATOMS: Final = frozenset({str, bytes, int, float, bool, complex, type(None)})


def is_simple(batch: Any) -> bool:  # noqa: ANN401
    """Tell whether a batch is made of plain tensors in plain containers.

    Only such a one is touched before it is asked for: copying what somebody wrote
    would run his code in a thread.

    Parameters
    ----------
    batch
        What a collate function gave.
    """
    return _tensors_in(batch, 0) > 0


def _tensors_in(value: Any, depth: int) -> float:  # noqa: ANN401
    """Count the tensors in a value; minus infinity if anything else is there."""
    kind = type(value)
    if kind is torch.Tensor:
        plain = (
            value.is_cpu
            and value.layout is _strided
            and not value.is_nested
            and not value.requires_grad
        )
        return 1 if plain else -math.inf
    if kind in _ATOMS:
        return 0
    if depth < _DEPTH:
        if kind is list or kind is tuple:
            return sum(_tensors_in(each, depth + 1) for each in value)
        if kind is dict:
            return sum(_tensors_in(each, depth + 1) for each in value.values())
    return -math.inf


def bytes_of(batch: Any) -> int:  # noqa: ANN401
    """Return the size of a simple batch.

    Parameters
    ----------
    batch
        A simple one.
    """
    sizes: list[int] = []

    def weighed(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.nbytes)
        return tensor

    mapped(batch, weighed)
    return sum(sizes)


def mapped(batch: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:  # noqa: ANN401
    """Return a simple batch with a function applied to its tensors, each once.

    Parameters
    ----------
    batch
        A simple one.
    function
        Gets a tensor, and returns what shall stand in its place.
    """
    return _mapped(batch, function, {})


def _mapped(
    value: Any,  # noqa: ANN401
    function: Callable[[torch.Tensor], torch.Tensor],
    seen: dict[int, Any],
) -> Any:  # noqa: ANN401
    """Return a simple batch with a function applied to its tensors, each once."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if id(value) not in seen:
        if kind is torch.Tensor:
            made: Any = function(value)
        elif kind is dict:
            made = {key: _mapped(each, function, seen) for key, each in value.items()}
        else:
            made = kind([_mapped(each, function, seen) for each in value])
        seen[id(value)] = made
    return seen[id(value)]
