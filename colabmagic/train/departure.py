"""What belongs to sending tensors away: errors in words, graphs and layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.errors import DeviceMemoryError, NotSupportedError
from colabmagic.report.size import in_words
from colabmagic.train.exchange import leads_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from colabmagic.train.move import Mover
    from colabmagic.train.traveller import Traveller

# What every device holds; another type may be why a tensor cannot go there.
_COMMON_TYPES: Final = frozenset({"torch.float32", "torch.int64", "torch.bool"})


def send(mover: Mover, chosen: list[torch.Tensor]) -> list[torch.Tensor]:
    """Send tensors to the device, all or none.

    Parameters
    ----------
    mover
        Knows the device.
    chosen
        What belongs there.

    Returns
    -------
    list of Tensor
        Those that were not there.

    Raises
    ------
    DeviceMemoryError
        They do not fit.
    NotSupportedError
        The device does not take one of them.
    """
    try:
        return mover.away(chosen)
    except torch.OutOfMemoryError as error:
        size = sum(each.nbytes for each in chosen if each.device.type == "cpu")
        raise DeviceMemoryError(
            f"what the cell uses does not fit on {mover.device}; nothing was moved",
            seen=f"{in_words(size)} to move; {first_line(error)}",
            hint="free memory, use a smaller model or batch, or %%train_on cpu",
        ) from error.with_traceback(None)  # whose frames hold what was copied
    except (RuntimeError, TypeError) as error:  # a type that the device has not
        kinds = sorted({str(each.dtype) for each in chosen})
        cell_on_cpu = "%%train_on cpu for this cell"
        raise NotSupportedError(
            f"what the cell uses cannot go to {mover.device}; nothing was moved",
            seen=f"{first_line(error)} (element types: {', '.join(kinds)})",
            hint=cell_on_cpu
            if _COMMON_TYPES.issuperset(kinds)
            else f"convert it, as in X = X.float(), or {cell_on_cpu}",
        ) from error.with_traceback(None)


def guard_graphs(travellers: Mapping[int, Traveller]) -> list[Any]:
    """Refuse a backward pass into a graph of the CPU whose leaves have moved.

    Parameters
    ----------
    travellers
        What has moved.

    Returns
    -------
    list of handles
        Their ``remove`` ends it.
    """
    leaves = set(travellers)
    leaves.update(
        id(each.shadow) for each in travellers.values() if each.shadow is not None
    )
    known: dict[Any, bool] = {}
    guards = []
    for each in travellers.values():
        # A computed value was copied with its history: the copy is the first node,
        # so that a refusal uses up nothing of the graph behind it.
        copy = each.history
        if copy is not None and leads_to(copy, leaves, known):
            guards.append(copy.register_prehook(_refuse_old_graph))
    return guards


def _refuse_old_graph(_: object) -> None:
    """Stop a backward pass that would give gradients to tensors that have moved."""
    raise NotSupportedError(
        "backward() through a value that was computed on the CPU in an earlier cell",
        seen="the parameters that it was computed from are on the device now",
        hint="compute the loss again in this cell, then call backward()",
    )


def flatten(modules: Iterable[torch.nn.Module], taken: set[int], mover: Mover) -> None:
    """Lay out the weights of recurrent layers as cuDNN wants them.

    Parameters
    ----------
    modules
        The layers are among these.
    taken
        ``id`` of the tensors that have just moved.
    mover
        Knows who shares memory.
    """
    for module in modules:
        if not isinstance(module, torch.nn.RNNBase):
            continue
        weights: list[Any] = module._flat_weights  # noqa: SLF001
        if taken.isdisjoint(map(id, weights)):
            continue
        if all(mover.is_alone(each) for each in weights):
            module.flatten_parameters()
            mover.accept_place(weights)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
