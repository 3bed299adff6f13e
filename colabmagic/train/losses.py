"""What the graph of a loss tells: its weights, and whether it is a mean over the batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SUM: Final = 2  # torch's number for reduction="sum"
# These keep a number a number, and what is summed stays summed.
_THROUGH: Final = frozenset(
    {
        "AddBackward", "AliasBackward", "CloneBackward", "DivBackward", "ExpandBackward",
        "MulBackward", "NegBackward", "PermuteBackward", "RsubBackward",
        "SelectBackward", "SqueezeBackward", "SubBackward", "ToCopyBackward",
        "UnsqueezeBackward", "ViewBackward",
    }
)  # fmt: skip
_NORMS: Final = frozenset(
    {"LinalgVectorNormBackward", "NormBackward", "DotBackward", "SqrtBackward"}
)
_NUMBERED: Final = "0123456789"


def leaves_of(outputs: Iterable[object]) -> list[torch.Tensor]:
    """Return the tensors that a backward pass gives a gradient to.

    Parameters
    ----------
    outputs
        What it begins with.
    """
    return [
        node.variable
        for node in _nodes(outputs)
        if type(node).__name__ == "AccumulateGrad"
    ]


def why_no_mean(outputs: Iterable[object], size: int) -> str | None:
    """Return what shows that a loss is no mean over its batch; None if nothing does.

    Only what lies between the loss and the values of single samples is looked at.

    Parameters
    ----------
    outputs
        What the backward pass begins with.
    size
        How many samples there are.
    """
    for output in outputs:
        if not isinstance(output, torch.Tensor) or output.numel() != 1:
            return "backward() of more than one number"
        pending: list[tuple[Any, float]] = [(output.grad_fn, 1.0)]
        while pending:
            node, divided = pending.pop()
            if node is None:
                continue
            why = _why(node, size, divided)
            if why is not None:
                return why
            if _kind(node) in _THROUGH:
                divided *= _divisor(node)
                pending += [(each, divided) for each, _ in node.next_functions]
    return None


def _why(node: Any, size: int, divided: float) -> str | None:  # noqa: ANN401
    """Return what one function of the graph shows."""
    kind = _kind(node)
    if kind == "SumBackward":
        shape = tuple(node._saved_self_sym_sizes)  # noqa: SLF001 (torch's only word on it)
        if size in shape and not _is_size(divided, size, math.prod(shape)):
            return None if _is_of_weights(node, shape) else "sum()"
    if kind in _NORMS:
        return "a norm or a root"
    reduction = getattr(node, "_saved_reduction", None)
    if reduction == _SUM and not _is_size(divided, size, _count(node)):
        return 'reduction="sum"'
    if kind.startswith("NllLoss") and reduction != _SUM:
        return _why_weighted(node)
    return None


def _why_weighted(node: Any) -> str | None:  # noqa: ANN401
    """Return why the mean of a cross entropy is not by the number of its targets."""
    if node._saved_weight is not None:  # noqa: SLF001
        return "weight="
    counted, targets = node._saved_total_weight, node._saved_target  # noqa: SLF001
    return None if int(counted) == targets.numel() else "targets that are ignored"


def _count(node: Any) -> int:  # noqa: ANN401
    """Return how many numbers a loss of torch's has summed at most."""
    saved = getattr(node, "_saved_self", None)
    return saved.numel() if isinstance(saved, torch.Tensor) else 0


def _is_size(divided: float, size: int, count: int) -> bool:
    """Tell whether a divisor is that of a mean over so many samples."""
    each = divided / size  # of a sample's numbers
    near = round(each)
    if near < 1 or not math.isclose(each, near, rel_tol=1e-5):
        return False
    return near == 1 or (count > 0 and count % (near * size) == 0)


def _is_of_weights(node: Any, shape: tuple[int, ...]) -> bool:  # noqa: ANN401
    """Tell whether a sum is one over a weight, as in a penalty: no sample is in it."""
    while len(node.next_functions) == 1 and node.next_functions[0][0] is not None:
        node = node.next_functions[0][0]
    variable = getattr(node, "variable", None)
    return variable is not None and tuple(variable.shape) == shape


def _divisor(node: Any) -> float:  # noqa: ANN401
    """Return by what number a value was divided; 1 where that is not known."""
    kind = _kind(node)
    if kind not in {"DivBackward", "MulBackward"}:
        return 1.0
    for name in ("_saved_other", "_saved_self"):
        if name == "_saved_self" and kind == "DivBackward":
            break
        try:
            value = getattr(node, name)
            if isinstance(value, torch.Tensor) and value.requires_grad:
                continue  # not a number that is the same for every part
            value = float(value)
        except (AttributeError, RuntimeError, TypeError, ValueError):
            continue
        if value:
            return value if kind == "DivBackward" else 1 / value
    return 1.0


def _kind(node: Any) -> str:  # noqa: ANN401
    """Return the name of a function of the graph, without its number."""
    name: str = node.name()
    return name.rpartition(":")[2].rstrip(_NUMBERED)


def _nodes(outputs: Iterable[object]) -> Iterator[Any]:
    """Return all functions of a graph."""
    pending: list[Any] = [getattr(each, "grad_fn", None) for each in outputs]
    seen: set[Any] = {None}
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        pending += [each for each, _ in node.next_functions]
