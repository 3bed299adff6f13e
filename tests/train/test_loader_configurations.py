"""Every configuration of a loader gives the batches of a plain run, and leaves its state."""

from __future__ import annotations

import functools
import gc
import random
from multiprocessing import resource_sharer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from colabmagic.train import ahead
from tests.train.cell import DEVICE, Notebook

if TYPE_CHECKING:
    import types

SETUP = """
import random
import numpy as np, torch
from torch.utils.data import (BatchSampler, ConcatDataset, DataLoader, Dataset,
    IterableDataset, RandomSampler, Sampler, StackDataset, Subset, SubsetRandomSampler,
    TensorDataset, WeightedRandomSampler, default_collate, random_split)

x = torch.arange(69.).reshape(23, 3)
y = torch.arange(23)
data = TensorDataset(x, y)
generator = torch.Generator()

class Noisy(Dataset):
    "Draws from every stream while it makes an item."
    def __len__(self): return 11
    def __getitem__(self, i):
        return x[i] + torch.rand(3), np.random.rand(2), random.random(), str(i)

class Failing(Noisy):
    "Has an item that cannot be made."
    def __getitem__(self, i):
        if i == 7: raise KeyError("item seven")
        return super().__getitem__(i)

class Stream(IterableDataset):
    "Gives rows, each worker its share."
    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for i in range(first, 9, step):
            yield x[i] + torch.rand(3)

class FailingStream(Stream):
    "Breaks after some rows."
    def __iter__(self):
        for number, row in enumerate(super().__iter__()):
            if number == 3: raise ValueError("row three")
            yield row

class Drawing(Sampler):
    "Draws from the main process's streams each time it is asked."
    def __init__(self): pass
    def __len__(self): return 8
    def __iter__(self):
        for _ in range(8):
            yield int(torch.randint(0, 11, (1,))) if random.random() < .5 else 3

class Tensors(Sampler):
    "Gives numbers of rows as tensors that it draws."
    def __init__(self): pass
    def __len__(self): return 11
    def __iter__(self):
        yield from torch.randperm(11)

def collate(items): return {"rows": default_collate(items), "count": len(items)}
def twice(items):
    stacked = default_collate([each[0] for each in items])
    return [stacked, {"again": stacked}, "text", None]
def seed_worker(number): np.random.seed(number); random.seed(number)
"""

LOADERS = {
    "plain": "DataLoader(data, 4)",
    "shuffle": "DataLoader(data, 4, shuffle=True)",
    "generator": "DataLoader(data, 4, shuffle=True, generator=generator)",
    "drop_last": "DataLoader(data, 5, shuffle=True, drop_last=True)",
    "no batches": "DataLoader(data, batch_size=None)",
    "no batches, shuffle": "DataLoader(data, batch_size=None, shuffle=True)",
    "one by one": "DataLoader(data)",
    "one batch": "DataLoader(data, 100, shuffle=True)",
    "batch_sampler": "DataLoader(data, batch_sampler=BatchSampler("
    "RandomSampler(data, replacement=True, num_samples=30), 4, False))",
    "lists of lists": "DataLoader(data, batch_sampler=[[1, 2], [-1], [5, 5, 5]])",
    "index arrays": "DataLoader(data, batch_sampler=[[np.int64(1), np.int64(2)]])",
    "index tensors": "DataLoader(data, batch_sampler=[[torch.tensor(1)], [2]])",
    "truth values": "DataLoader(data, batch_sampler=[[True], [False]])",
    "weighted": "DataLoader(data, 4, sampler=WeightedRandomSampler([1.] * 23, 40))",
    "subset sampler": "DataLoader(data, 4, sampler=SubsetRandomSampler(range(9)))",
    "drawing sampler": "DataLoader(Noisy(), 3, sampler=Drawing())",
    "subset": "DataLoader(Subset(data, [7, 3, -1, 3]), 3, shuffle=True)",
    "subset of arrays": "DataLoader(Subset(data, np.array([7, 3, 1])), 2)",
    "split": "DataLoader(random_split(data, [10, 13])[1], 4, shuffle=True)",
    "split of a split": "DataLoader(random_split(random_split(data, [10, 13])[1], "
    "[6, 7])[0], 4)",
    "concatenated": "DataLoader(ConcatDataset([data, data]), 4)",
    "stacked": "DataLoader(StackDataset(a=x, b=y), 4)",
    "custom collate": "DataLoader(data, 4, collate_fn=collate)",
    "the same tensor twice": "DataLoader(data, 4, collate_fn=twice)",
    "sampler of tensors": "DataLoader(Noisy(), 3, sampler=Tensors())",
    "noisy": "DataLoader(Noisy(), 3, shuffle=True)",
    "stream": "DataLoader(Stream(), 4)",
    "stream, drop_last": "DataLoader(Stream(), 4, drop_last=True)",
    "out of range": "DataLoader(data, batch_sampler=[[1, 2], [3, 23]])",
    "far out of range": "DataLoader(data, batch_sampler=[[1], [2**70]])",
    "nothing in a batch": "DataLoader(data, batch_sampler=[[1], []])",
    "failing": "DataLoader(Failing(), 3)",
    "failing stream": "DataLoader(FailingStream(), 2)",
}
WORKERS = (
    "plain", "generator", "batch_sampler", "no batches", "split", "custom collate",
    "the same tensor twice", "noisy", "drawing sampler", "sampler of tensors", "stream", "failing",
    "failing stream",
)  # fmt: skip

WHOLE = """
for epoch in range(2):
    for batch in loader:
        seen.append(batch)
        noise.append(torch.rand(2))
"""
LOOPS = {
    "whole": WHOLE,
    "early break": """
for epoch in range(2):
    for number, batch in enumerate(loader):
        seen.append(batch)
        noise.append(torch.rand(2))
        if number == 1: break
""",
    "inside itself": """
for first in loader:
    for second in loader:
        seen.append([first, second])
    noise.append(torch.rand(2))
""",
    "two at once": """
other = DataLoader(data, 3, shuffle=True)
for first, second in zip(loader, other):
    seen.append([first, second])
    noise.append(torch.rand(2))
""",
    "by hand": """
iterator = iter(loader)
while True:
    try: seen.append(next(iterator))
    except StopIteration: break
    noise.append(torch.rand(2))
del iterator
""",
}


def run(kind: str, loop: str, device: str | None) -> dict[str, Any]:
    """Run a loop over a loader; return all that somebody could compare."""
    notebook = Notebook()
    notebook.run(SETUP)
    torch.manual_seed(1)
    random.seed(2)
    np.random.seed(3)  # noqa: NPY002 (the stream that user code draws from)
    notebook.run(f"generator.manual_seed(4)\nloader = {kind}\nseen, noise = [], []")
    before = dict(vars(notebook["loader"]))
    failure = None
    try:
        if device is None:
            notebook.run(loop)
        else:
            notebook.train_on(loop, device)
    except (KeyError, ValueError, IndexError, TypeError, RuntimeError) as error:
        failure = type(error)
    after = dict(vars(notebook["loader"]), _iterator=None)
    assert after == dict(before, _iterator=None)
    found = {
        "failure": failure,
        "seen": [bits(each) for each in notebook["seen"]],
        "noise": [bits(each) for each in notebook["noise"]],
        "torch": torch.get_rng_state().tolist(),
        "python": random.getstate(),
        "numpy": [bits(torch.as_tensor(np.random.get_state()[1].astype("int64")))],  # type: ignore[union-attr,index]  # noqa: NPY002
        "generator": notebook["generator"].get_state().tolist(),
    }
    notebook.names.clear()
    del after, before
    if failure is not None or "num_workers" in kind:
        gc.collect()  # ends the workers that persist
    resource_sharer.stop()  # the thread in which Python sends tensors to workers
    return found


@functools.cache
def plainly(kind: str, loop: str) -> dict[str, Any]:
    """Return what the loop gives without a device; run once for all devices."""
    return run(kind, loop, None)


def bits(value: Any) -> Any:  # noqa: ANN401
    """Return a value as something that compares bit by bit."""
    if isinstance(value, torch.Tensor):
        assert value.device.type == "cpu"
        whole = value.contiguous().view(torch.uint8) if value.dim() else value
        return (
            type(value).__name__, value.dtype, tuple(value.shape), value.stride(),
            value.requires_grad, value.is_leaf, whole.tolist(),
        )  # fmt: skip
    if isinstance(value, dict):
        return {key: bits(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        same = [[i for i, other in enumerate(value) if other is each] for each in value]
        return type(value).__name__, [bits(each) for each in value], same
    return value


@pytest.mark.parametrize("device", [DEVICE, "cpu"])
@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.usefixtures("fake")
def test_a_whole_loop(name: str, device: str) -> None:
    """Two epochs give the same bits in the same order, and the same streams after."""
    assert run(LOADERS[name], WHOLE, device) == plainly(LOADERS[name], WHOLE)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", ["noisy", "stream"])
@pytest.mark.usefixtures("fake")
def test_other_loops(name: str, loop: str) -> None:
    """So do loops that stop early, meet themselves, or go hand in hand."""
    plain = plainly(LOADERS[name], LOOPS[loop])
    assert run(LOADERS[name], LOOPS[loop], DEVICE) == plain
    assert run(LOADERS[name], LOOPS[loop], "cpu") == plain


@pytest.fixture
def overlapping(monkeypatch: pytest.MonkeyPatch, fake: types.ModuleType) -> Any:  # noqa: ANN401
    """Let the test device overlap copies, as CUDA does."""
    monkeypatch.setattr(ahead, "OVERLAPPING", {"fake"})
    return fake


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("options", ["2, persistent_workers=True"])
@pytest.mark.parametrize("name", WORKERS)
@pytest.mark.usefixtures("overlapping")
def test_with_workers(name: str, options: str) -> None:
    """Worker processes change nothing: neither by pinning nor by sending ahead."""
    kind = f"{LOADERS[name][:-1]}, num_workers={options}, worker_init_fn=seed_worker)"
    assert run(kind, WHOLE, DEVICE) == plainly(kind, WHOLE)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("device", [DEVICE, "cpu"])
@pytest.mark.parametrize("name", ["noisy", "stream", "failing"])
@pytest.mark.usefixtures("fake")
def test_with_workers_alone(name: str, device: str) -> None:
    """The same where nothing is pinned and sent ahead."""
    kind = f"{LOADERS[name][:-1]}, num_workers=2)"
    assert run(kind, WHOLE, device) == plainly(kind, WHOLE)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("options", ["1", "2, persistent_workers=True"])
@pytest.mark.parametrize("loop", LOOPS)
def test_other_loops_with_workers(loop: str, options: str, overlapping: Any) -> None:  # noqa: ANN401
    """A loop that is left early, or that meets itself, leaves nothing on the device."""
    if loop == "inside itself" and "persistent" in options:
        pytest.skip("torch itself ends such a loop early")
    kind = f"DataLoader(Noisy(), 3, shuffle=True, num_workers={options})"
    assert run(kind, LOOPS[loop], DEVICE) == plainly(kind, LOOPS[loop])
    assert overlapping.stats(1)["current"] == 0
