"""Loaders and datasets: batches go to the device, Dataset code stays on the CPU."""

from __future__ import annotations

import functools
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch.utils import data as torch_data
from torch.utils.data.dataloader import (
    _BaseDataLoaderIter,
)

from colabmagic.interrupts import deferred_interrupts
from colabmagic.train import ahead, batch, rows
from colabmagic.train.meter import count_passes
from colabmagic.train.next_batch import without_mark
from colabmagic.train.reach import Reach
from colabmagic.train.storage import key
from colabmagic.train.unseen import Unseen
from colabmagic.train.visit import Visitors, end_visit, visit_home, visitors_among

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from colabmagic.train.meter import Meter
    from colabmagic.train.move import Mover
    from colabmagic.train.patches import Patches
    from colabmagic.train.resident import Resident
    from colabmagic.train.scope import Scope


@dataclass(eq=False)
class Loading:
    """Stands at the door between Dataset code and the cell.

    Tensors that a dataset and the cell both use are on the device for the cell, and at
    home while Dataset code runs: worker processes could not use them otherwise.

    Attributes
    ----------
    scope
        Of the cell.
    mover
        Knows what is away.
    resident
        Datasets that are kept on the device; None to keep none.
    """

    scope: Scope
    mover: Mover
    meter: Meter
    resident: Resident | None = None
    _sends_ahead: bool = False
    _unseen: Unseen = field(init=False)
    _shared: dict[int, tuple[object, Visitors]] = field(default_factory=dict)
    _met: set[type] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._unseen = Unseen(self.scope, self.mover)
        if self.resident is not None:
            self.resident.shared = lambda tensor: key(tensor) in self.mover.pairs

    def install(self, patches: Patches) -> None:
        """Patch the iterators of loaders."""
        self._unseen.install(patches)
        rows.install(patches, self.resident)
        self._sends_ahead = ahead.install(patches, self.scope.device)
        patches.set(_BaseDataLoaderIter, "__next__", self._next())
        for kind in _with_own(torch_data.DataLoader, "_get_iterator"):
            patches.set(kind, "_get_iterator", self._get_iterator(kind))
        for kind in _with_own(_BaseDataLoaderIter, "_reset"):
            if kind is not _BaseDataLoaderIter:
                patches.set(kind, "_reset", self._reset(kind))
        # Ctrl-C inside `Queue.put` leaves Python's lock of the queue taken: torch would
        # wait for it for ever when it ends the workers.
        for name in (
            "_try_put_index", "_mark_worker_as_unavailable", "_shutdown_workers",
        ):  # fmt: skip
            for kind in _with_own(_BaseDataLoaderIter, name):
                patches.set(kind, name, _whole(getattr(kind, name)))
        count_passes(patches, self.meter)

    def meet(self, patches: Patches, datasets: Iterable[object]) -> None:
        """Patch the datasets that the cell indexes."""
        for kind in {type(dataset) for dataset in datasets} - self._met:
            self._met.add(kind)
            for name in ("__getitem__", "__iter__"):
                if getattr(kind, name, None) is not None:
                    patches.set(kind, name, self._direct(name, getattr(kind, name)))

    def forget(self) -> None:
        """Forget what datasets share with the cell: the next one may share more."""
        self._shared.clear()
        self._unseen.forget()

    def close(self) -> None:
        """Let go of datasets, and of what was made for batches that nobody asked for."""
        # What is left of a session waits for the collector: without datasets.
        self.forget()
        if self._sends_ahead:
            ahead.close()
        if self.resident is not None:
            self.resident.close()

    def move(self, value: Any) -> Any:  # noqa: ANN401
        """Move what came through the door."""
        scope = self.scope
        return batch.moved(value, scope.device, non_blocking=scope.non_blocking)

    def _next(self) -> Callable[..., Any]:
        """Return the patched ``__next__`` of iterators over loaders."""
        original = _BaseDataLoaderIter.__next__
        take = without_mark(original)
        scope, shared, meter = self.scope, self._shared, self.meter
        device, non_blocking = scope.device, scope.non_blocking
        clock, note, sends_ahead = meter.clock, meter.log.extend, self._sends_ahead

        @functools.wraps(original)
        def __next__(iterator: Any) -> Any:  # noqa: ANN401, N807
            if scope.inside_loader:  # a loader inside a Dataset
                return original(iterator)
            asked = clock()
            known = shared.get(id(iterator._dataset))  # noqa: SLF001
            visits = self._visits(iterator) if known is None else known[1]
            scope.inside_loader = 1
            try:
                if visits:
                    visit_home(visits)
                result = take(iterator)
            except StopIteration:
                meter.add_end(asked, clock())
                raise
            finally:
                if visits:
                    end_visit(visits)
                scope.inside_loader = 0
            fetched = clock()
            there = ahead.taken(iterator, result) if sends_ahead else None
            if there is None:
                there = batch.moved(result, device, non_blocking=non_blocking)
            sent = clock()
            note((asked, fetched, sent))
            if sent >= meter.due:
                meter.tick(iterator)
            return there

        return __next__

    def _get_iterator(self, kind: Any) -> Callable[..., Any]:  # noqa: ANN401 (a class)
        """Return the patched method that starts workers: they inherit CPU tensors."""
        original = kind._get_iterator  # noqa: SLF001

        @functools.wraps(original)
        def _get_iterator(loader: Any) -> Any:  # noqa: ANN401
            if self.scope.inside_loader:
                return original(loader)
            # Workers that start by half would complain when torch's iterator is freed.
            held = (
                deferred_interrupts(once=True) if loader.num_workers else nullcontext()
            )
            with held:
                return self._indoors(
                    loader, lambda: ahead.iterate(loader, lambda: original(loader))
                )

        return _get_iterator

    def _reset(self, kind: Any) -> Callable[..., Any]:  # noqa: ANN401 (a class)
        """Return the patched method by which persistent workers begin a new epoch."""
        original: Any = kind._reset  # noqa: SLF001

        @functools.wraps(original)
        def _reset(iterator: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401
            if self.scope.inside_loader:  # the first epoch, from its constructor
                original(iterator, *args, **options)
                return
            try:
                with _whole_puts(iterator):
                    self._indoors(
                        iterator, lambda: original(iterator, *args, **options)
                    )
            finally:
                ahead.forget(iterator)

        return _reset

    def _direct(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``dataset[i]`` and ``iter(dataset)`` for calls from the cell."""

        @functools.wraps(original)
        def item(dataset: Any, *args: Any) -> Any:  # noqa: ANN401
            if self.scope.inside_loader:
                return original(dataset, *args)
            if name == "__iter__":
                return self._each(dataset, original)
            return self.move(self._indoors(dataset, lambda: original(dataset, *args)))

        rows.declare(item, original)
        return item

    def _each(self, dataset: Any, original: Callable[..., Any]) -> Any:  # noqa: ANN401
        """Iterate over a dataset, item by item through the door."""
        iterator = self._indoors(dataset, lambda: original(dataset))
        done = object()
        while True:
            value = self._indoors(dataset, lambda: next(iterator, done))
            if value is done:
                return
            yield self.move(value)

    def _indoors(self, owner: Any, action: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Run Dataset code with everything that it can reach at home."""
        visits = self._visits(owner)
        self.scope.inside_loader += 1
        try:
            visit_home(visits)
            return action()
        finally:
            end_visit(visits)
            self.scope.inside_loader -= 1

    def _visits(self, owner: Any) -> Visitors:  # noqa: ANN401
        """Find the tensors of the cell that Dataset code would meet."""
        dataset = owner
        if isinstance(owner, torch_data.DataLoader):
            dataset = owner.dataset
        elif isinstance(owner, _BaseDataLoaderIter):
            dataset = owner._dataset  # noqa: SLF001
        found = Reach({}, into_data=True).values([owner, dataset])
        self._unseen.watch_statistics(found.modules.values())
        chosen = self.scope.on_device
        tensors = [each for each in found.tensors.values() if each not in chosen]
        visits = visitors_among(self.mover, tensors, found.arrays, self._unseen)
        if dataset is not owner:
            self._shared[id(dataset)] = (dataset, visits)
        return visits


def _with_own(kind: type[Any], name: str) -> list[type[Any]]:
    """Return a class and all classes below it that have this method of their own."""
    found = [kind] if name in vars(kind) else []
    for each in type.__subclasses__(kind):
        found += _with_own(each, name)
    return list(dict.fromkeys(found))


def _whole(original: Callable[..., None]) -> Callable[..., None]:
    """Let Ctrl-C wait until a method is over; a second one does not wait.

    Samplers are the user's code and run in it, and workers may take long to end.
    """

    @functools.wraps(original)
    def method(*args: Any, **options: Any) -> None:  # noqa: ANN401
        # What is raised in `__del__` stops nobody: Python only prints it.
        freed = sys._getframe(1).f_code.co_name == "__del__"  # noqa: SLF001
        with deferred_interrupts(once=True, later=freed):
            original(*args, **options)

    return method


@contextmanager
def _whole_puts(iterator: Any) -> Iterator[None]:  # noqa: ANN401
    """Let Ctrl-C wait whenever something is put for a worker.

    Not while the workers answer: a notebook's stop button ends them, too.
    """
    queues = getattr(iterator, "_index_queues", ())
    for queue in queues:
        vars(queue)["put"] = _whole(queue.put)
    try:
        yield
    finally:
        for queue in queues:
            vars(queue).pop("put", None)


def indexed_datasets(reached: Iterable[object], *, inside: bool) -> list[object]:
    """Return the datasets whose items the cell may take itself.

    Parameters
    ----------
    reached
        Datasets, loaders and samplers that the cell reaches.
    inside
        Whether the cell also takes them out of loaders and subsets
        (``loader.dataset``).
    """
    found: list[object] = []
    pending = list(reached)
    seen: set[int] = set()
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        kind = type(value)  # not `in` its bases: a metaclass may have forbidden ``==``
        if issubclass(kind, torch_data.Dataset):
            found.append(value)
        if inside and issubclass(kind, torch_data.Dataset | torch_data.DataLoader):
            attributes = vars(value)
            pending.append(attributes.get("dataset"))
            pending += attributes.get("datasets") or ()
    return found
