"""Tests for `colabmagic.train.rows`."""

from __future__ import annotations

import itertools
from collections import namedtuple
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torch.utils.data._utils import collate, fetch

from colabmagic.train import rows
from colabmagic.train.patches import Patches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def fetcher(dataset: Dataset[Any], **changes: Any) -> Any:  # noqa: ANN401
    """Return torch's own fetcher for a dataset."""
    made = fetch._MapDatasetFetcher(
        dataset,
        auto_collation=True,
        collate_fn=collate.default_collate,
        drop_last=False,
    )
    vars(made).update(changes)
    return made


def is_taken(dataset: Dataset[Any], index: Any = (0, 1), **changes: Any) -> bool:  # noqa: ANN401
    """Tell whether rows of a dataset are fetched at once."""
    chosen = list(index) if isinstance(index, tuple) else index
    return rows.whole_rows(fetcher(dataset, **changes), chosen) is not None


def pair() -> TensorDataset:
    """Return a dataset that is as plain as can be."""
    return TensorDataset(torch.arange(12.0).reshape(6, 2), torch.arange(6))


@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    dtype=st.sampled_from(sorted(rows._PLAIN_DTYPES, key=str)),
    index=st.lists(st.integers(0, 6), min_size=1, max_size=9),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_the_batch_is_torchs_own(
    shape: list[int], dtype: torch.dtype, index: list[int], seed: int
) -> None:
    """Bits, shape, strides, kind and memory are those of rows that are stacked."""
    generator = torch.Generator().manual_seed(seed)
    size = (7, *shape)
    noise = torch.randint(0, 256, (*size, 8), dtype=torch.uint8, generator=generator)
    tensor = (
        noise[..., 0] > 127
        if dtype is torch.bool
        else noise.view(dtype)[..., 0].contiguous()  # any bits: infinities, NaNs
    )
    dataset = TensorDataset(tensor, torch.arange(7))
    plain = fetcher(dataset).fetch(index)
    ours = cast("list[Any]", rows.whole_rows(fetcher(dataset), index))
    assert type(ours) is type(plain)
    for mine, theirs in zip(ours, plain, strict=True):
        assert mine.dtype is theirs.dtype
        assert mine.shape == theirs.shape
        assert mine.stride() == theirs.stride()
        assert mine.storage_offset() == theirs.storage_offset() == 0
        assert mine.untyped_storage().nbytes() == theirs.untyped_storage().nbytes()
        assert mine.is_leaf
        assert not mine.requires_grad
        assert mine.untyped_storage().tolist() == theirs.untyped_storage().tolist()


def test_a_batch_is_a_copy() -> None:
    """Writing into it leaves the dataset alone."""
    dataset = pair()
    (found, _) = cast("list[Any]", rows.whole_rows(fetcher(dataset), [2]))
    found.zero_()
    assert dataset.tensors[0][2].tolist() == [4.0, 5.0]


class Own(TensorDataset):
    """A dataset of the user's own."""

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401
        return tuple(each * 2 for each in super().__getitem__(index))


class OwnTensor(torch.Tensor):
    """A kind of tensor that keeps itself through indexing."""


class OwnSubset(Subset[Any]):
    """A subset of the user's own."""


Named = namedtuple("Named", ["x"])  # noqa: PYI024


def changed(**values: object) -> TensorDataset:
    """Return a plain dataset with changed attributes."""
    dataset = pair()
    vars(dataset).update(values)
    return dataset


MATRIX = torch.arange(12.0).reshape(6, 2)
OTHERS: dict[str, Callable[[], Dataset[Any]]] = {
    "a class of the user's": lambda: Own(MATRIX),
    "a kind of tensor": lambda: TensorDataset(MATRIX.as_subclass(OwnTensor)),
    "a parameter": lambda: TensorDataset(torch.nn.Parameter(MATRIX)),
    "gradients": lambda: TensorDataset(MATRIX.clone().requires_grad_()),
    "rows that are not in a row": lambda: TensorDataset(torch.zeros(2, 6).t()),
    "expanded": lambda: TensorDataset(torch.zeros(1, 2).expand(6, 2)),
    "sparse": lambda: TensorDataset(MATRIX.to_sparse()),
    "complex": lambda: TensorDataset(MATRIX.to(torch.complex64)),
    "another device": lambda: TensorDataset(MATRIX.to("meta")),
    "its own items": lambda: changed(__getitems__=lambda index: [(0,)] * len(index)),
    "a list of tensors": lambda: changed(tensors=[MATRIX]),
    "a named tuple": lambda: changed(tensors=Named(MATRIX)),
    "nothing": lambda: changed(tensors=()),
    "a class of subset": lambda: OwnSubset(pair(), [0, 1]),
    "a subset of something": lambda: Subset(Own(MATRIX), [0, 1]),
    "a subset by a tensor": lambda: Subset(pair(), cast("Any", torch.arange(2))),
    "a subset of no numbers": lambda: Subset(pair(), cast("Any", [0, True])),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_provably_equal_is_torchs_work(name: str) -> None:
    """A dataset, tensor or subset of another kind is left to torch."""
    assert not is_taken(OTHERS[name]())


@pytest.mark.parametrize(
    "index", [(), (True,), (0.0,), (torch.tensor(1),), (-1,), (6,), (2**70,), ([1],)]
)
def test_numbers_of_rows_that_torch_reads_otherwise(index: Any) -> None:  # noqa: ANN401
    """Only whole numbers within the dataset are taken."""
    assert not is_taken(pair(), index)


@pytest.mark.parametrize(
    "changes", [{"auto_collation": False}, {"auto_collation": None}]
)
def test_a_fetcher_that_makes_no_batches(changes: dict[str, Any]) -> None:
    """Without batches there is nothing to gather."""
    assert not is_taken(pair(), **changes)


def test_plain_ones_are_taken() -> None:
    """So that the tests above cannot pass by accident."""
    assert is_taken(pair())
    assert is_taken(Subset(pair(), [5, 0]))
    assert is_taken(Subset(Subset(pair(), range(4)), (1, 2)))


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (TensorDataset, "__getitem__", lambda _, index: index),
        (torch, "stack", lambda *_, **__: None),
        (collate, "collate", lambda *_, **__: None),
    ],
)
def test_somebody_has_changed_torch(
    owner: Any,  # noqa: ANN401
    name: str,
    value: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """His change is honoured."""
    monkeypatch.setattr(owner, name, value)
    assert not is_taken(pair())


@pytest.mark.parametrize("kind", [torch.Tensor, tuple, object])
def test_a_collate_function_of_the_users(
    kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is registered for tensors or tuples is asked."""
    monkeypatch.setitem(collate.default_collate_fn_map, kind, lambda *_, **__: None)
    assert not is_taken(pair())


def test_a_mode_that_watches() -> None:
    """``with torch.device(...)`` and other modes see what they would see."""

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, *_: Any) -> Any:  # noqa: ANN401
            raise NotImplementedError

    dataset = pair()
    with torch.device("meta"):
        assert not is_taken(dataset)
    with Watching():
        assert not is_taken(dataset)


def test_a_wrapper_is_trusted_if_it_was_declared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ours around ``dataset[i]`` is no change; a user's copy of its marks is one."""
    original = TensorDataset.__getitem__

    def ours(dataset: Any, index: Any) -> Any:  # noqa: ANN401
        return original(dataset, index)

    monkeypatch.setattr(TensorDataset, "__getitem__", ours)
    assert not is_taken(pair())
    rows.declare(ours, original)
    assert is_taken(pair())


@pytest.fixture
def installed() -> Iterator[Patches]:
    """Install it as a cell does."""
    patches = Patches()
    rows.install(patches)
    yield patches
    patches.undo()


def test_loaders_use_it_and_are_put_back(
    installed: Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loader takes no row by itself while it is installed, and does afterwards."""
    taken: list[Any] = []
    plain = TensorDataset.__getitem__

    def watched(dataset: Any, index: Any) -> Any:  # noqa: ANN401
        taken.append(index)
        return plain(dataset, index)

    monkeypatch.setattr(TensorDataset, "__getitem__", watched)
    rows.declare(watched, plain)
    loader = DataLoader(pair(), 4)
    inside = [each for batch in loader for each in batch]
    assert not taken
    installed.undo()
    outside = [each for batch in loader for each in batch]
    assert taken == [0, 1, 2, 3, 4, 5]
    assert all(itertools.starmap(torch.equal, zip(inside, outside, strict=True)))
