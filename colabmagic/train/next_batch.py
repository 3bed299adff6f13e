"""Take a loader's next batch without the profiler's mark, where nobody profiles.

Torch marks each batch for its profiler, also when none runs: 6 µs, a quarter of what a
batch of 32 rows takes when it is fetched at once.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.autograd import profiler
from torch.utils.data.dataloader import (
    _BaseDataLoaderIter,
    _DatasetKind,
    _SingleProcessDataLoaderIter,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# All that torch's method reads: in a version where it does something else, it runs as it is.
_READ: Final = frozenset({
    "torch", "autograd", "profiler", "record_function", "_profile_name",
    "_sampler_iter", "_reset", "_next_data", "_num_yielded",
    "_dataset_kind", "_DatasetKind", "Iterable", "_IterableDataset_len_called",
    "_dataset", "_num_workers", "warnings", "warn",
})  # fmt: skip
_next_of_torch: Final[Any] = _BaseDataLoaderIter.__next__
_code: Final = getattr(_next_of_torch, "__code__", None)
_is_known: Final = _code is not None and frozenset(_code.co_names) == _READ
_profiles: Final = getattr(torch.autograd, "_profiler_enabled", None)
_record: Final = profiler.record_function
# Somebody may have changed it before this module was imported.
_is_torchs_mark: Final = (
    _record.__module__ == profiler.__name__ and "<locals>" not in _record.__qualname__
)
_function_modes: Final = torch._C._len_torch_function_stack  # noqa: SLF001
_dispatch_modes: Final = torch._C._len_torch_dispatch_stack  # noqa: SLF001
_modules: Final = sys.modules
_MONITOR: Final = "torch.profiler._cupti_monitor"


def _is_watched() -> bool:
    """Tell whether somebody would see the mark."""
    return bool(
        (_profiles is not None and _profiles())
        # Of a profiler that another thread has started, for all threads.
        or getattr(profiler, "_is_profiler_enabled", False)
        or _function_modes()  # the user's own modes see what the mark calls
        or _dispatch_modes()
        or profiler.record_function is not _record
        or getattr(_modules.get(_MONITOR), "_monitor_singleton", None) is not None
    )


def without_mark(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what gives the same batches as an iterator's ``__next__``, in less time.

    Parameters
    ----------
    original
        ``__next__`` of torch's iterators over loaders, as it is now.

    Returns
    -------
    callable
        `original` itself, where it is not torch's own, or not the one that is known.

    Notes
    -----
    Source: ``torch/utils/data/dataloader.py``, as in torch 2.13.
    """
    if (
        original is not _next_of_torch
        or not _is_known
        or not _is_torchs_mark
        or _profiles is None
    ):
        return original

    @functools.wraps(original)
    def take(iterator: Any) -> Any:  # noqa: ANN401
        if (
            type(iterator) is not _SingleProcessDataLoaderIter
            or iterator._dataset_kind != _DatasetKind.Map  # noqa: SLF001
            or iterator._sampler_iter is None  # noqa: SLF001
            or _is_watched()
        ):
            return original(iterator)
        data = iterator._next_data()  # type: ignore[no-untyped-call]  # noqa: SLF001
        iterator._num_yielded += 1  # noqa: SLF001
        return data

    return take
