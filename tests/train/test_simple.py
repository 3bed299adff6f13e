"""Tests for `colabmagic.train.simple`."""

from __future__ import annotations

import pytest
import torch

from colabmagic.train.simple import bytes_of, is_simple, mapped


class Custom(list[torch.Tensor]):
    """A batch of a type that somebody wrote."""


@pytest.mark.parametrize(
    "batch",
    [None, "text", [], [1, None], Custom([torch.ones(1)]), [torch.ones(1), object()],
     torch.nn.Parameter(torch.ones(1)), torch.ones(1, requires_grad=True),
     torch.ones(2).to_sparse(), torch.ones(1, device="meta")],
)  # fmt: skip
def test_what_is_not_simple(batch: object) -> None:
    """Nothing of the user's own runs in a thread, and nothing special is sent early."""
    assert not is_simple(batch)


@pytest.mark.parametrize(
    "batch",
    [torch.ones(1), [torch.ones(1), torch.ones(2)], {"x": (torch.ones(1), None, "a")}],
)
def test_what_is_simple(batch: object) -> None:
    """Tensors in lists, tuples and dictionaries, with numbers and texts between."""
    assert is_simple(batch)


def test_containers_too_deep_are_not() -> None:
    """Not even one that holds itself."""
    batch: list[object] = [torch.ones(1)]
    batch.append(batch)
    assert not is_simple(batch)


def test_each_tensor_is_mapped_once() -> None:
    """What occurs twice does so afterwards; the batch itself is as it was."""
    tensor = torch.ones(3)
    rows = [tensor]
    batch = {"a": rows, "b": (rows, tensor, 1)}
    out = mapped(batch, lambda each: each + 1)
    assert out["a"] is out["b"][0]
    assert out["a"][0] is out["b"][1]
    assert out["b"][1].tolist() == [2, 2, 2]
    assert rows[0] is tensor
    assert bytes_of(batch) == 12
