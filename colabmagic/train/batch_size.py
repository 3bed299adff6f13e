"""How large a batch fits on a device: one pass of the models on shapes alone.

Copies of the models without values (on the meta device) take a batch of two sizes; what
autograd saves for the backward pass then says what one sample needs.
"""

from __future__ import annotations

import contextlib
import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.utils import data as torch_data
from torch.utils._pytree import tree_leaves, tree_map_only

from colabmagic.train.exchange import is_plain
from colabmagic.train.fork import in_a_fork
from colabmagic.train.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Two sizes, neither of them 1, which layers and models may treat in a way of its own.
_SIZES: Final = (2, 6)
_META: Final = torch.device("meta")
_RESERVE: Final = 0.05  # of the free memory: allocators lose some to rounding
_STATES_OF_ADAM: Final = 2
_DEADLINE_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEstimate:
    """What training takes on a device, from shapes alone.

    Attributes
    ----------
    models
        The user's names of the models that were tried.
    source
        Where the shape of a sample comes from: the name of a loader, dataset or tensor.
    sample_bytes
        What each sample of a batch takes: itself, and what is kept for the backward pass.
    once_bytes
        What comes once besides what moves at entry: gradients, state of optimizers.
    batch_size
        That the loader has; None where it is not known.
    samples
        How many there are; None where that is not known.
    largest
        The largest batch that fits, 0 if none does; None where that is not known.
    why_not
        Why nothing could be told; None where something is.
    """

    models: tuple[str, ...] = ()
    source: str | None = None
    sample_bytes: int = 0
    once_bytes: int = 0
    batch_size: int | None = None
    samples: int | None = None
    largest: int | None = None
    why_not: str | None = None

    @property
    def is_too_large(self) -> bool:
        """Whether the loader's batches are larger than what fits."""
        sizes = (self.batch_size, self.largest)
        return None not in sizes and sizes[0] > sizes[1]  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class _Source:
    """Something that batches come from."""

    name: str
    batches: tuple[Any, ...]  # one of each size, without values
    batch_size: int | None
    samples: int | None


def estimate(
    namespace: Mapping[str, Any], reach: Reach, *, moved: int, free: int | None
) -> BatchEstimate:
    """Tell how large a batch of a cell can be.

    One sample of the dataset is read and the models run, both in a copy of the process:
    nothing of the user's changes.

    Parameters
    ----------
    namespace
        The user's names.
    reach
        What the cell reaches.
    moved
        Bytes that go to the device at entry.
    free
        Bytes that the device has for it; None if that is not known.
    """
    models = _models(namespace, reach)
    if not models:
        return BatchEstimate(why_not="the cell names no model that exists already")
    try:
        return in_a_fork(
            lambda: _estimate(namespace, reach, models, moved, free),
            deadline_s=_DEADLINE_S,
        )
    except LookupError as reason:
        return BatchEstimate(models=tuple(models), why_not=str(reason.args[0]))


def _estimate(
    namespace: Mapping[str, Any],
    reach: Reach,
    models: Mapping[str, nn.Module],
    moved: int,
    free: int | None,
) -> BatchEstimate:
    """Try the sources of batches, the likeliest first."""
    sources = _sources(namespace, reach)
    if not sources:
        raise LookupError("the cell names no DataLoader, dataset or tensor of samples")
    failed: list[Exception] = []
    for source in sources:
        costs = {}
        for name, model in models.items():
            try:
                costs[name] = _cost(model, source, namespace)
            except Exception as error:  # noqa: BLE001 (of the user's model: whatever it raises)
                failed.append(error)
        if costs:
            break
    else:
        first = failed[0]
        first_line = f"{type(first).__name__}: {first}".partition("\n")[0]
        raise LookupError(
            f"no model takes what comes from {sources[0].name} ({first_line})"
        )
    once = _gradients_and_states(reach)
    per_sample = max(1, math.ceil(sum(each for each, _ in costs.values())))
    fixed = moved + once + max(0, math.ceil(sum(each for _, each in costs.values())))
    largest = None
    if free is not None:
        largest = max(0, math.floor((free * (1 - _RESERVE) - fixed) / per_sample))
    return BatchEstimate(
        models=tuple(costs),
        source=source.name,
        sample_bytes=per_sample,
        once_bytes=once,
        batch_size=source.batch_size,
        samples=source.samples,
        largest=largest,
    )


# --- models ---------------------------------------------------------------------------


def _models(namespace: Mapping[str, Any], reach: Reach) -> dict[str, nn.Module]:
    """Return the models that are no part of another and that have weights, by name."""
    inner = {
        id(child)
        for module in reach.modules.values()
        for child in module.modules()
        if child is not module
    }
    names = _names(namespace)
    return {
        names.get(key, type(module).__name__): module
        for key, module in reach.modules.items()
        if key not in inner and any(True for _ in module.parameters())
    }


def _names(namespace: Mapping[str, Any]) -> dict[int, str]:
    """Return the user's name of each value."""
    return {
        id(value): name
        for name, value in reversed(list(namespace.items()))
        if not name.startswith("_")
    }


def _without_values(value: Any, namespace: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return a copy whose tensors have shapes and no values."""
    tensors = Reach(namespace).values([value]).tensors
    with torch.no_grad():
        return copy.deepcopy(value, {key: _shape_of(t) for key, t in tensors.items()})


def _shape_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor of the same shape without values."""
    empty = tensor.detach().to(_META)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(empty, requires_grad=tensor.requires_grad)
    return empty.requires_grad_(tensor.requires_grad)


# --- samples --------------------------------------------------------------------------


def _sources(namespace: Mapping[str, Any], reach: Reach) -> list[_Source]:
    """Return what batches may come from: loaders, then datasets, then tensors."""
    names = _names(namespace)
    data = list(reach.data.values())
    loaders = [each for each in data if isinstance(each, torch_data.DataLoader)]
    inside = {id(each.dataset) for each in loaders}
    datasets = [
        each
        for each in data
        if isinstance(each, torch_data.Dataset) and id(each) not in inside
    ]
    found = []
    # What has a name comes first, in the order of the names: train before test, mostly.
    order = {key: place for place, key in enumerate(reversed(names))}
    for each in sorted(loaders, key=lambda each: order.get(id(each), len(order))):
        with contextlib.suppress(Exception):  # whatever the user's dataset raises
            batches = _of_dataset(each.dataset, each.collate_fn)
            name = names.get(id(each), "the loader")
            size = _length(each.dataset)
            found.append(_Source(name, batches, each.batch_size, size))
    for dataset in sorted(datasets, key=lambda each: order.get(id(each), len(order))):
        with contextlib.suppress(Exception):
            batches = _of_dataset(dataset, torch_data.default_collate)
            name = names.get(id(dataset), "the dataset")
            found.append(_Source(name, batches, None, _length(dataset)))
    for key, tensor in reach.tensors.items():
        if key in names and is_plain(tensor) and tensor.dim() and len(tensor) > 1:
            batches = tuple(_rows(tensor, size) for size in _SIZES)
            found.append(_Source(names[key], batches, None, len(tensor)))
    return found


def _of_dataset(dataset: Any, collate: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Return batches of one sample, repeated."""
    if isinstance(dataset, torch_data.IterableDataset):
        raise LookupError("a stream gives no sample without using it up")  # noqa: TRY004
    sample = dataset[0]
    batches = [collate([sample] * size) for size in _SIZES]
    return tuple(
        tree_map_only(torch.Tensor, lambda each: each.to(_META), batch)
        for batch in batches
    )


def _length(dataset: Any) -> int | None:  # noqa: ANN401
    """Return how many samples a dataset has, if it tells."""
    try:
        return len(dataset)
    except Exception:  # noqa: BLE001 (of the user's dataset: whatever it raises)
        return None


def _rows(tensor: torch.Tensor, size: int) -> torch.Tensor:
    """Return so many rows like those of a tensor, without values."""
    return torch.empty(size, *tensor.shape[1:], dtype=tensor.dtype, device=_META)


# --- what they cost ---------------------------------------------------------------------


def _cost(
    model: nn.Module, source: _Source, namespace: Mapping[str, Any]
) -> tuple[float, float]:
    """Return the bytes of each sample, and those that come once in a pass."""
    empty = _without_values(model, namespace)
    empty.train()
    small, large = (_bytes_of_pass(empty, batch) for batch in source.batches)
    slope = (large - small) / (_SIZES[1] - _SIZES[0])
    if slope <= 0:
        raise LookupError(
            f"what it takes does not grow with the batch of {source.name}"
        )
    return slope, small - slope * _SIZES[0]


def _bytes_of_pass(model: nn.Module, batch: Any) -> float:  # noqa: ANN401
    """Return the bytes of a batch and of what a pass keeps for the way back."""
    error: Exception | None = None
    for arguments, named in _calls(batch):
        saved: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: torch.Tensor, into: dict[int, Any] = saved) -> torch.Tensor:
            storage = tensor.untyped_storage()
            into[storage._cdata] = storage  # noqa: SLF001 (its identity)
            return tensor

        hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda each: each)
        try:
            with hooks, torch.enable_grad(), _META:
                output = model(*arguments, **named)
        except Exception as failed:  # noqa: BLE001 (another way to call it may do)
            error = error or failed
            continue
        own = {
            each.untyped_storage()._cdata  # noqa: SLF001
            for each in (*model.parameters(), *model.buffers(), *_tensors(batch))
        }
        kept = [each.nbytes() for key, each in saved.items() if key not in own]
        # On the way back a layer has the gradients of what it gave and of what it took;
        # a loss keeps about as much as it got, and so does its gradient.
        ends = sum(each.nbytes for each in _tensors(output))
        inputs = sum(each.nbytes for each in _tensors(batch))
        return inputs + sum(kept) + 2 * max(kept, default=0) + 2 * ends
    raise error or LookupError("there is nothing that it could take")


def _calls(batch: Any) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:  # noqa: ANN401
    """Return how a model may be called with a batch, the likeliest first."""
    if isinstance(batch, dict):
        yield (), dict(batch)
        yield (batch,), {}
        for value in batch.values():
            yield (value,), {}
    elif isinstance(batch, (list, tuple)) and batch:
        yield (batch[0],), {}
        if len(batch) > 2:  # noqa: PLR2004 (several inputs and a label)
            yield tuple(batch[:-1]), {}
        yield tuple(batch), {}
        yield (batch,), {}
    else:
        yield (batch,), {}


def _tensors(value: Any) -> list[torch.Tensor]:  # noqa: ANN401
    """Return the tensors of a batch or an output."""
    leaves = tree_leaves(value)
    if len(leaves) == 1 and not isinstance(leaves[0], torch.Tensor):
        leaves = list(
            getattr(leaves[0], "__dict__", {}).values()
        )  # an object of outputs
    return [each for each in leaves if isinstance(each, torch.Tensor)]


def _gradients_and_states(reach: Reach) -> int:
    """Return the bytes of gradients and optimizer state that training will make."""
    parameters = {
        id(each): each
        for module in reach.modules.values()
        for each in module.parameters()
        if each.requires_grad
    }
    gradients = sum(each.nbytes for each in parameters.values() if each.grad is None)
    states, stepped = 0, set[int]()
    for optimizer in reach.optimizers.values():
        own = [each for group in optimizer.param_groups for each in group["params"]]
        stepped.update(map(id, own))
        new = [
            each for each in own if each.requires_grad and not optimizer.state.get(each)
        ]
        states += _states(optimizer, new)
    # An optimizer that the cell makes itself: Adam, most of the time.
    rest = [each for key, each in parameters.items() if key not in stepped]
    return gradients + states + _STATES_OF_ADAM * sum(each.nbytes for each in rest)


def _states(optimizer: torch.optim.Optimizer, parameters: list[torch.Tensor]) -> int:
    """Return the bytes of the state that an optimizer makes for parameters."""
    size = sum(each.nbytes for each in parameters)
    if not size:
        return 0
    options = dict(optimizer.defaults)
    if options.get("fused"):
        options["fused"] = False  # has no code for tensors without values
    probe = nn.Parameter(torch.empty(64, 64, device=_META))
    probe.grad = torch.empty_like(probe)
    try:
        tried = type(optimizer)([probe], **options)
        tried.step()
        state = tried.state[probe].values()
    except Exception:  # noqa: BLE001 (LBFGS, and optimizers of the user)
        return _STATES_OF_ADAM * size
    made = sum(
        each.nbytes for each in state if isinstance(each, torch.Tensor) and each.dim()
    )
    return math.ceil(size * made / probe.nbytes)
