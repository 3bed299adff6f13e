"""Tests for `colabmagic.train.exchange`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from colabmagic.errors import NotSupportedError
from colabmagic.train import exchange

if TYPE_CHECKING:
    import types

DEVICE = "fake:1"
pytestmark = pytest.mark.usefixtures("fake")


def test_where_data_can_be_exchanged() -> None:
    """Within the CPU; not between the CPU and a PrivateUse1 back end."""
    here = torch.zeros(2)
    assert exchange.compatible(here, torch.ones(3))
    assert not exchange.compatible(here, torch.ones(2, device=DEVICE))


def test_data_is_exchanged_past_the_users_class() -> None:
    """The tensor keeps its identity, class and autograd state."""

    class Loud(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *_: Any) -> Any:  # noqa: ANN401
            raise RuntimeError

    loud = torch.Tensor._make_subclass(Loud, torch.zeros(2))
    with exchange.no_subclass():
        exchange.set_data(loud, torch.ones(3))
        assert loud.tolist() == [1, 1, 1]
    assert type(loud) is Loud


def test_implementations_are_exchanged() -> None:
    """Each object has the other's memory; class, attributes and gradient mode stay."""
    weight = nn.Parameter(torch.ones(2))
    weight.note = "mine"
    made = torch.zeros(2, device=DEVICE)
    exchange.exchange(weight, made)
    assert type(weight) is nn.Parameter
    assert weight.note == "mine"
    assert weight.device.type == "fake"
    assert weight.requires_grad
    assert made.device.type == "cpu"
    assert made.tolist() == [1, 1]


def test_hooks_go_along() -> None:
    """Those of gradients and those after accumulation, with their handles."""
    weight = torch.ones(2, requires_grad=True)
    seen: list[str] = []
    handle = weight.register_hook(lambda _: seen.append("hook"))
    weight.register_post_accumulate_grad_hook(lambda _: seen.append("after"))
    exchange.exchange(weight, torch.ones(2, device=DEVICE))
    weight.sum().backward()
    assert seen == ["hook", "after"]
    handle.remove()
    weight.sum().backward()
    assert seen == ["hook", "after", "after"]


def test_a_tensor_that_others_hold_weakly_is_exchanged() -> None:
    """Recurrent layers hold weak references; a graph holds strong ones."""
    layer = nn.LSTM(2, 2)
    weight = layer.weight_hh_l0
    alive = (weight * 2).sum()
    exchange.exchange(weight, torch.ones(8, 2, device=DEVICE))
    assert weight.device.type == "fake"
    assert alive.item() == pytest.approx(alive.item())
    assert any(each() is weight for each in layer._flat_weight_refs if each is not None)


def test_a_value_without_its_history() -> None:
    """It looks computed and says clearly that its graph is gone, wherever backward begins."""
    value = torch.ones(2)
    made = exchange.without_history(value, torch.device("cuda", 3))
    assert made.requires_grad
    assert not made.is_leaf
    assert made.tolist() == [1, 1]
    with pytest.raises(NotSupportedError, match="cell has ended") as caught:
        (made * 2).sum().backward()
    assert caught.value.seen is not None
    assert "cuda:3" in caught.value.seen


@pytest.mark.parametrize(
    ("make", "plain"),
    [
        (lambda: torch.zeros(2), True),
        (lambda: torch.zeros(0), True),
        (lambda: torch.zeros(2, device="meta"), True),
        (lambda: nn.Parameter(torch.zeros(2)), True),
        (lambda: torch.eye(2).to_sparse(), False),
        (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), False),
        (lambda: torch.nested.nested_tensor([torch.ones(1)]), False),
    ],
    ids=["plain", "empty", "meta", "parameter", "sparse", "quantized", "nested"],
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:DeprecationWarning")
def test_which_tensors_are_memory_with_strides(make: Any, *, plain: bool) -> None:  # noqa: ANN401
    """The others are moved as a whole, by torch."""
    assert exchange.is_plain(make()) is plain


def test_which_tensors_can_be_moved() -> None:
    """Lazy parameters have no size yet; classes that dispatch themselves are closed."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        closed = torch.zeros(2)
    assert exchange.is_movable(torch.zeros(2))
    assert exchange.is_movable(nn.Parameter(torch.zeros(2)))
    assert not exchange.is_movable(nn.LazyLinear(2).weight)
    assert not exchange.is_movable(closed)


def test_which_leaves_a_graph_leads_to() -> None:
    """Through branches that meet again, long chains, and with answers of before."""
    used, other = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    left, right = used * 2, used + other
    meeting = left * right
    chain = other
    for _ in range(5000):
        chain = chain + 1
    known: dict[Any, bool] = {}
    assert exchange.leads_to(meeting.grad_fn, {id(used)}, known)
    assert exchange.leads_to(left.grad_fn, {id(used)}, known)
    assert exchange.leads_to(right.grad_fn, {id(used)}, known)
    assert not exchange.leads_to(chain.grad_fn, {id(used)}, known)
    assert exchange.leads_to(chain.grad_fn, {id(other)}, {})
    assert not exchange.leads_to(left.grad_fn, {id(other)}, {})


def test_the_copy_of_a_computed_tensor_shares_memory() -> None:
    """Its values are those of the memory; its history is the tensor's."""
    weight = torch.ones(2, requires_grad=True)
    memory = torch.full((2,), 5.0)
    made = exchange.with_history(weight * 3, memory)
    memory.add_(1)
    assert made.tolist() == [6, 6]
    made.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [3, 3]


def test_the_history_of_a_tensor(fake: types.ModuleType) -> None:
    """A leaf has none; a view that torch calls invalid is taken for a leaf."""
    assert fake.is_available()
    weight = nn.Parameter(torch.zeros(3))
    assert exchange.history_of(weight) is None
    made = weight * 2
    assert exchange.history_of(made) is made.grad_fn
    with torch.no_grad():
        row = weight[:1]
        weight.add_(1)
    assert exchange.history_of(row) is None
