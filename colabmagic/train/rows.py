"""Fetch a batch of a ``TensorDataset`` at once, where that gives the very same batch.

Torch takes each row by itself and stacks them. With its own collate function, its own
dataset and plain tensors, indexing with all numbers gives the same bits, shape and
strides; every condition of that is looked at anew for each batch.
"""

from __future__ import annotations

import functools
import os
import weakref
from array import array
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.utils.data import Dataset, Subset, TensorDataset, get_worker_info
from torch.utils.data._utils import collate, fetch

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.train.patches import Patches
    from colabmagic.train.resident import Resident

Rows = list[torch.Tensor]

_INT: Final = frozenset({int})
_SEQUENCES: Final = frozenset({list, tuple, range})
_PLAIN_DTYPES: Final = frozenset({
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool,
})  # fmt: skip

# Torch's own, as they are before anybody changes them.
_frombuffer: Final = torch.frombuffer
_Tensor: Final = torch.Tensor
_int64: Final = torch.int64
_strided: Final = torch.strided
_index_select: Final = torch.index_select
_stack: Final = torch.stack
_fetch: Final = fetch._MapDatasetFetcher.fetch  # noqa: SLF001
_collate: Final = collate.collate
_default_collate: Final = collate.default_collate
_collate_tensor: Final = collate.collate_tensor_fn
_collate_map: Final = collate.default_collate_fn_map
_item_of_tensors: Final = TensorDataset.__getitem__
_items_of_subset: Final = Subset.__getitems__
_item_of_subset: Final = Subset.__getitem__
# Live views of what the class has, and of what it inherits: `hasattr` takes three times as long.
_of_tensors: Final = vars(TensorDataset)
_of_datasets: Final = vars(Dataset)
_has_names: Final = getattr(torch.Tensor, "has_names", None)  # older torch
_modes: Final = torch._C._len_torch_function_stack  # noqa: SLF001
_dispatch_modes: Final = torch._C._len_torch_dispatch_stack  # noqa: SLF001

_ours: weakref.WeakKeyDictionary[Callable[..., Any], object] = (
    weakref.WeakKeyDictionary()
)


def declare(wrapper: Callable[..., Any], original: object) -> None:
    """Say that a function does the same as another inside of a loader.

    Parameters
    ----------
    wrapper
        A function of ours that is put in the place of a dataset's method.
    original
        What stood there.
    """
    _ours[wrapper] = original


def install(patches: Patches, resident: Resident | None = None) -> None:
    """Let loaders in this process fetch whole batches, until the patches are undone.

    Parameters
    ----------
    patches
        Undoes it.
    resident
        Datasets that are kept on the device; None to keep none.
    """
    original: Any = fetch._MapDatasetFetcher.fetch  # noqa: SLF001

    @functools.wraps(original)
    def fetch_batch(fetcher: Any, index: Any) -> Any:  # noqa: ANN401
        if type(index) is list and fetcher.collate_fn is _default_collate:
            rows = whole_rows(fetcher, index, resident)
            if rows is not None:
                return rows
        return original(fetcher, index)

    patches.set(fetch._MapDatasetFetcher, "fetch", fetch_batch)  # noqa: SLF001


def is_read_at_once(loader: Any) -> bool:  # noqa: ANN401 (a DataLoader)
    """Tell whether the batches of a loader are mostly made at once, as far as it shows.

    Parameters
    ----------
    loader
        A ``torch.utils.data.DataLoader``.
    """
    dataset = loader.dataset
    while type(dataset) is Subset:
        dataset = dataset.dataset
    return (
        type(dataset) is TensorDataset
        and loader.collate_fn is _default_collate
        and not loader.num_workers
    )


def _fetch_as_ever() -> None:
    """Leave loading in a worker process to torch: its errors are shown as texts."""
    fetcher: Any = fetch._MapDatasetFetcher  # noqa: SLF001
    if getattr(fetcher.fetch, "__wrapped__", None) is _fetch:
        fetcher.fetch = _fetch


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fetch_as_ever)


def whole_rows(
    fetcher: Any,  # noqa: ANN401 (a private class of torch)
    index: list[Any],
    resident: Resident | None = None,
) -> Rows | None:
    """Return the batch that a fetcher of torch's would give, made at once.

    Parameters
    ----------
    fetcher
        Torch's, whose dataset is asked.
    index
        The numbers that the sampler gave.
    resident
        Where copies of the tensors on the device are; None if there are none.

    Returns
    -------
    list of Tensor or None
        None where it cannot be known that the batch is the same.
    """
    dataset = fetcher.dataset
    kind = type(dataset)
    if (
        (kind is not TensorDataset and kind is not Subset)
        or not index
        or not _INT.issuperset(map(type, index))
        or not fetcher.auto_collation
        or not _is_torchs_own()
    ):
        return None
    if kind is Subset:
        found = _through_subsets(dataset, index)
        if found is None:
            return None
        dataset, index = found
    tensors = _tensors(dataset)
    if tensors is None or not _are_plain(tensors):
        return None
    try:
        # A third of the time of `torch.tensor(index)`.
        numbers = _frombuffer(array("q", index), dtype=_int64)
        if resident is not None:
            return resident.rows(tensors, numbers)
        return [_index_select(each, 0, numbers) for each in tensors]
    except (IndexError, RuntimeError, OverflowError):
        return None  # negative, or out of range: torch's own way knows, and says it


def _is_torchs_own() -> bool:
    """Tell whether nobody has changed what makes a batch, or watches it being made."""
    return (
        _modes() == 0
        and _dispatch_modes() == 0
        and torch.stack is _stack
        and collate.collate is _collate
        and _collate_map.get(torch.Tensor) is _collate_tensor
        and _leave_tuples(tuple(_collate_map))
        and "__getitems__" not in _of_tensors
        and "__getitems__" not in _of_datasets
        and (
            TensorDataset.__getitem__ is _item_of_tensors
            or _is(TensorDataset.__getitem__, _item_of_tensors)
        )
        and get_worker_info() is None
    )


@functools.lru_cache(maxsize=64)
def _leave_tuples(kinds: tuple[Any, ...]) -> bool:
    """Tell whether none of these kinds has a collate function that gets a tuple."""
    return not any(issubclass(tuple, kind) for kind in kinds)


def _is(function: Any, original: object) -> bool:  # noqa: ANN401
    """Tell whether a method is torch's own, or what we have put there for a cell."""
    return function is original or _ours.get(function) is original


def _through_subsets(
    dataset: Any,  # noqa: ANN401
    index: list[int],
) -> tuple[Any, list[int]] | None:
    """Translate numbers through subsets, down to the dataset below."""
    if not _is(Subset.__getitem__, _item_of_subset) or (
        Subset.__getitems__ is not _items_of_subset
    ):
        return None
    while type(dataset) is Subset:
        own = vars(dataset)
        chosen: Any = own.get("indices")
        if type(chosen) not in _SEQUENCES or "__getitems__" in own:
            return None
        try:
            index = list(map(chosen.__getitem__, index))
        except IndexError:
            return None
        if not _INT.issuperset(map(type, index)):
            return None
        dataset = own.get("dataset")
    return (dataset, index) if type(dataset) is TensorDataset else None


def _tensors(dataset: TensorDataset) -> tuple[torch.Tensor, ...] | None:
    """Return the tensors of a dataset that nobody has changed in kind."""
    own = vars(dataset)
    tensors = own.get("tensors")
    if type(tensors) is not tuple or not tensors or "__getitems__" in own:
        return None
    return tensors


def _are_plain(tensors: tuple[Any, ...]) -> bool:
    """Tell whether rows of tensors can be taken at once with the same result."""
    for tensor in tensors:
        if (
            type(tensor) is not _Tensor
            or not tensor.is_cpu
            or tensor.layout is not _strided
            or tensor.is_nested
            or tensor.requires_grad
            or not tensor.ndim
            or not tensor.is_contiguous()
            or tensor.dtype not in _PLAIN_DTYPES
            or (_has_names is not None and _has_names(tensor))
        ):
            return False
    return True
