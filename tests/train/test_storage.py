"""Tests for `colabmagic.train.storage`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from colabmagic.train import storage

if TYPE_CHECKING:
    import types

CPU = torch.device("cpu")


def pair_of(tensor: torch.Tensor, there: torch.Tensor, start: int = 0) -> storage.Pair:
    """Pair the memory of two tensors."""
    return storage.Pair(tensor.untyped_storage(), there.untyped_storage(), start)


def test_tensors_that_share_memory_have_one_key() -> None:
    """Views, detached tensors and other element types; not equal copies."""
    base = torch.zeros(4)
    assert storage.key(base) == storage.key(base[1:]) == storage.key(base.detach())
    assert storage.key(base) == storage.key(base.view(torch.int32))
    assert storage.key(base) != storage.key(base.clone())


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (torch.zeros(4), (0, 16)),
        (torch.zeros(4)[1:3], (4, 12)),
        (torch.zeros(2, 3).t(), (0, 24)),
        (torch.zeros(4, 4)[1:3, ::2], (16, 44)),
        (torch.zeros(1).expand(100), (0, 4)),
        (torch.zeros(4)[4:], (16, 16)),
        (torch.zeros(0, 5), (0, 0)),
        (torch.tensor(1.0), (0, 4)),
        (torch.zeros(3, dtype=torch.int8)[1:], (1, 3)),
        (torch.zeros(9).as_strided((2, 2), (1, 5), 1), (4, 32)),
    ],
    ids=str,
)
def test_the_extent_of_a_tensor(
    tensor: torch.Tensor, expected: tuple[int, int]
) -> None:
    """The first byte, and the one after the last."""
    assert storage.extent(tensor) == expected


def test_a_small_storage_is_taken_whole() -> None:
    """Copying less would save nothing."""
    assert storage.span([torch.zeros(100)[50:51]]) == (0, 400)


def test_a_little_of_a_big_storage() -> None:
    """From a multiple of 16 bytes to the end of what is used."""
    big = torch.zeros(2**20)
    assert storage.span([big[1001:1003]]) == (4000, 4012)
    assert storage.span([big[1001:1003], big[2000:2001]]) == (4000, 8004)
    assert storage.span([big[: 2**19]]) == (0, 2**22)
    assert storage.span([big[5:5]])[0] % 16 == 0


@given(st.integers(0, 63), st.integers(0, 64), st.integers(1, 5))
def test_bytes_of_a_storage(first: int, length: int, step: int) -> None:
    """A view of bytes writes into the memory that it shows, and holds what it spans."""
    base = torch.zeros(64, dtype=torch.uint8)
    last = min(first + length, 64)
    storage.raw(base.untyped_storage(), first, last).fill_(7)
    assert base.nonzero().flatten().tolist() == list(range(first, last))
    part = base[first:last:step]
    begin, end = storage.extent(part)
    assert storage.holds(part)
    assert begin <= end <= 64


def test_a_freed_storage_does_not_hold_its_tensor() -> None:
    """Libraries let go of memory and take it again later."""
    tensor = torch.zeros(4)
    assert storage.holds(tensor)
    tensor.untyped_storage().resize_(0)
    assert not storage.holds(tensor)


def test_there_and_back(fake: types.ModuleType) -> None:
    """Memory is sent once for all, and comes back with what was written."""
    base = torch.arange(8.0)
    pair = storage.send([base[2:4], base[6:]], torch.device("fake", 1))
    assert fake.stats(1)["h2d"] == 1
    assert pair.covers(0, 32)
    assert not pair.covers(0, 33)
    storage.raw(pair.away, 8, 12).fill_(0)
    assert storage.fetch(pair)
    assert base.tolist() == [0, 1, 0, 3, 4, 5, 6, 7]
    base[0] = 9
    storage.resend(pair)
    base[0] = 1
    assert storage.fetch(pair)
    assert base[0] == 9


def test_what_was_resized_does_not_come_back() -> None:
    """Larger or smaller on the device, or smaller at home: it needs memory of its own."""
    for side, size in (("away", 32), ("away", 8), ("home", 8)):
        here, there = torch.zeros(4), torch.ones(4)
        pair = pair_of(here, there)
        getattr(pair, side).resize_(size)
        assert not storage.fetch(pair)
        assert here.untyped_storage()[0] == 0


@pytest.mark.parametrize("chunk", [4, 7, 2**20])
def test_foreign_memory_is_written_where_it_differs(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """An array gets what has changed, piece by piece, from the right offset."""
    monkeypatch.setattr(storage, "CHUNK_BYTES", chunk)
    array = np.arange(6, dtype=np.float32)
    here = torch.from_numpy(array)
    there = torch.tensor([2.0, -3.0, 4.0, -5.0])
    assert storage.fetch(pair_of(here, there, start=8))
    assert array.tolist() == [0, 1, 2, -3, 4, -5]


def test_read_only_memory_is_left_alone(tmp_path: Path) -> None:
    """Equal bytes are home; other ones are not, and nothing is written."""
    path = tmp_path / "data.bin"
    np.arange(4, dtype=np.float32).tofile(path)
    here = torch.from_file(str(path), shared=False, size=4)
    there = here.clone()
    assert storage.fetch(pair_of(here, there))
    mapped = np.memmap(path, dtype=np.float32, mode="r")
    here = torch.frombuffer(memoryview(bytearray(mapped)), dtype=torch.float32)
    assert storage.is_writable(here.untyped_storage(), 0, 16)


@pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="this system has no /proc"
)
def test_which_memory_may_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system is asked; where it does not tell, the answer is yes."""
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(8192))
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    fixed = np.ndarray(8192, np.uint8, buffer=mapped)
    fixed = np.lib.stride_tricks.as_strided(fixed)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says once that it is not writable
        tensor = torch.from_numpy(fixed)
    assert not storage.is_writable(tensor.untyped_storage(), 0, 8192)
    assert not storage.fetch(pair_of(tensor, torch.ones(8192, dtype=torch.uint8)))
    assert storage.is_writable(torch.zeros(4).untyped_storage(), 0, 16)
    monkeypatch.setattr(storage, "_MAPS", tmp_path / "absent")
    assert storage.is_writable(tensor.untyped_storage(), 0, 8192)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(12.0).view(3, 4).t()[1:],
        torch.randn(4, dtype=torch.complex64).conj()[1:],
        torch.randn(4, dtype=torch.complex64).conj().imag,
        torch.zeros(0, 3),
        torch.tensor(2.5),
        torch.arange(3).expand(2, 3),
    ],
    ids=["strided", "conjugated", "negated", "empty", "scalar", "expanded"],
)
def test_a_tensor_over_other_memory(tensor: torch.Tensor) -> None:
    """The same values, size, strides and lazy flags over a copy of the bytes."""
    memory = tensor.untyped_storage().clone()
    made = storage.rebuild(tensor, memory, 0)
    assert torch.equal(made, tensor)
    assert made.stride() == tensor.stride()
    assert made.storage_offset() == tensor.storage_offset()
    assert made.is_conj() == tensor.is_conj()
    assert made.is_neg() == tensor.is_neg()
    assert made.untyped_storage()._cdata == memory._cdata


def test_a_tensor_over_a_part_of_the_memory() -> None:
    """The shift counts bytes, whatever the element type."""
    base = torch.arange(16, dtype=torch.int16)
    part = base[10:12]
    memory = base[8:].clone().untyped_storage()
    assert storage.rebuild(part, memory, 16).tolist() == [10, 11]
