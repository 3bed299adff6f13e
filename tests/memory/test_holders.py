"""Who holds the memory of tensors."""

from __future__ import annotations

import functools
import gc
import weakref
from typing import Any, ClassVar, NoReturn

import pytest
import torch
from torch import nn

from colabmagic.memory import holders
from colabmagic.memory.report import MemoryReport
from colabmagic.memory.walk import walk

MB = 1_000_000


def megabytes(count: int = 1, device: str = "cpu") -> torch.Tensor:
    """Return a tensor of so many megabytes."""
    return torch.zeros(count * 250_000, device=device)


def found(namespace: dict[str, Any], **more: Any) -> list[holders.Holding]:  # noqa: ANN401
    """Return the holdings that names lead to."""
    facts = holders.find_holders(namespace, elsewhere=False, **more)
    assert facts.is_complete
    return list(facts.holdings)


def only(namespace: dict[str, Any], **more: Any) -> holders.Holding:  # noqa: ANN401
    """Return the one holding that there is."""
    (holding,) = found(namespace, **more)
    return holding


def in_closure() -> Any:  # noqa: ANN401
    """Return a function that holds a tensor."""
    held = megabytes()
    return lambda: held


def in_generator() -> Any:  # noqa: ANN401
    """Return a generator that waits with a tensor."""

    def batches() -> Any:  # noqa: ANN401
        held = megabytes()
        yield held
        yield held

    running = batches()
    next(running)
    return running


def in_exception() -> ValueError:
    """Return an exception whose traceback holds a tensor."""

    def go() -> None:
        held = megabytes()
        raise ValueError(held.shape)

    try:
        go()
    except ValueError as error:
        return error
    raise AssertionError


class Slots:
    """Holds a tensor in a slot."""

    __slots__ = ("t", "unset")

    def __init__(self) -> None:
        self.t = megabytes()


@functools.lru_cache
def cached() -> torch.Tensor:
    """Return a tensor and keep it."""
    return megabytes()


PLACES: dict[str, tuple[Any, str]] = {
    "a name": (megabytes, "x"),
    "containers": (lambda: [1, {"a": (megabytes(),)}], "x[1]['a'][0]"),
    "a key that is a number": (lambda: {1: megabytes(), "b": 2}, "x[1]"),
    "a slot": (Slots, "x.t"),
    "a partial": (lambda: functools.partial(print, megabytes()), "x.args[0]"),
    "a closure": (in_closure, "x (its held)"),
    "a generator": (in_generator, ""),
    "a method": (lambda: megabytes().__add__, ""),
    "an exception": (in_exception, "x.__traceback__ (go)"),
    "a layer": (lambda: nn.Linear(500, 500, bias=False), "x.weight"),
    "layers": (
        lambda: nn.Sequential(nn.Linear(500, 500, bias=False)),
        "x[0].weight",
    ),
    "a dataset": (lambda: torch.utils.data.TensorDataset(megabytes()), "x.tensors[0]"),
    "an iterator": (lambda: iter([megabytes()]), ""),
    "a set": (lambda: frozenset({megabytes()}), ""),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_is_found_wherever_it_is(place: str) -> None:
    """With the path that the user writes, where he can write one."""
    make, path = PLACES[place]
    holding = only({"x": make()})
    assert holding.names == ("x",)
    assert holding.commands == ("%xdel x",)
    assert holding.size_bytes == MB
    if path:
        assert holding.largest[0].path == path


def test_a_cache_of_a_function_is_seen() -> None:
    """``functools.lru_cache`` holds what it returned."""
    cached()
    try:
        assert only({"cached": cached}).size_bytes == MB
    finally:
        cached.cache_clear()


def test_shared_memory_counts_once() -> None:
    """Views share a row that names all who hold it."""
    x = megabytes(4)
    holding = only({"x": x, "first": x[:10], "again": x})
    assert holding.size_bytes == 4 * MB
    assert holding.names == ("x", "first")
    assert holding.commands == ("%xdel x", "%xdel first")
    assert holding.tensors == 2


@pytest.mark.usefixtures("fake")  # torch's compiler comes with the first step
def test_optimizers_share_the_weights_and_own_their_state() -> None:
    """Two rows: the parameters with their gradients, and the state."""
    model = nn.Linear(500, 500, bias=False)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.zeros(1, 500)).sum().backward()
    optimizer.step()
    rows = {
        each.names: each.size_bytes
        for each in found({"model": model, "opt": optimizer})
    }
    assert rows.pop(("model", "opt")) == 2 * MB
    assert rows[("opt",)] - 2 * MB < 100  # and the counters of steps


def test_graphs_belong_to_those_who_keep_them() -> None:
    """A list of losses holds the activations behind them, and the weights too."""
    w = torch.zeros(500, 500, requires_grad=True)
    x = torch.zeros(500, 500)
    losses = [(x @ w).relu().sum()]
    rows = {each.names: each for each in found({"w": w, "x": x, "losses": losses})}
    assert rows["losses",].size_bytes == MB + 4
    assert rows["losses",].largest[0].path == "losses[0] (its graph)"
    assert rows["w", "losses"].size_bytes == MB
    assert "losses keeps what computed it" in MemoryReport(
        facts=holders.find_holders({"losses": losses}, elsewhere=False)
    ).text.replace("\n          ", " ")


def test_a_result_that_keeps_its_graph_has_a_command() -> None:
    """By its own name; pasted, it frees the graph."""
    w = torch.zeros(500, 500, requires_grad=True)
    names = {"w": w, "out": (torch.zeros(500, 500) @ w).relu().sum()}
    facts = holders.find_holders(names, elsewhere=False)
    (finding,) = MemoryReport(facts=facts).view().findings
    assert finding.fix == ("out = out.detach()",)
    exec(finding.fix[0], names)  # noqa: S102 (as the user pastes it)
    facts = holders.find_holders(names, elsewhere=False)
    assert not MemoryReport(facts=facts).view().findings


def test_saved_tensor_hooks_are_not_run() -> None:
    """Unpacking may compute a whole forward pass: it is the user's code."""

    def refuse(_: object) -> NoReturn:
        raise AssertionError

    with torch.autograd.graph.saved_tensors_hooks(lambda each: each, refuse):
        y = megabytes().requires_grad_().exp()
    assert only({"y": y}).size_bytes == 2 * MB


def test_outputs_have_their_number() -> None:
    """What was shown is found in ``Out``, with a command that a name allows."""
    x = megabytes()
    shown = only({"_": x, "_3": x, "_oh": {3: x}}, outputs={3: x})
    assert shown.names == ("Out[3]",)
    assert shown.commands == ("%xdel _3",)
    named = only({"x": x, "_3": x}, outputs={3: x})
    assert (named.names, named.commands) == (("x",), ("%xdel x",))
    bare = only({}, outputs={3: x})
    assert (bare.names, bare.commands) == (("Out[3]",), ("del Out[3]",))


def test_odd_names_can_be_deleted() -> None:
    """A name that is no identifier."""
    assert only({"a b": megabytes()}).commands == ("del globals()['a b']",)


def test_what_no_name_leads_to_is_found() -> None:
    """Tensors that others hold are counted, and said to be nobody's."""
    gc.collect()
    hidden = [megabytes(3)]
    facts = holders.find_holders({"x": megabytes()})
    rest = [each for each in facts.holdings if each.names == ("(no name of yours)",)]
    assert sum(each.size_bytes for each in rest) >= 3 * MB
    assert rest[0].commands == ("%gpu_memory --free",)
    assert hidden


class Trap:
    """Every question to it fails the test."""

    calls: ClassVar[list[str]] = []

    def __init__(self) -> None:
        object.__setattr__(self, "t", megabytes())

    def __getattribute__(self, name: str) -> NoReturn:
        Trap.calls.append(name)
        raise AssertionError(name)

    __eq__ = __bool__ = __len__ = __iter__ = __hash__ = __repr__ = __getattribute__  # type: ignore[assignment]


def test_no_code_of_the_user_runs() -> None:
    """Not for attributes, length, truth, equality or hash; nor of a tensor's class."""

    class Tensor(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *args: object, **kwargs: object) -> NoReturn:
            Trap.calls.append("__torch_function__")
            raise AssertionError

    class Meta(type):
        def __hash__(cls) -> NoReturn:
            raise AssertionError

        def __eq__(cls, _: object) -> NoReturn:
            raise AssertionError

        def __instancecheck__(cls, _: object) -> NoReturn:
            raise AssertionError

    class Odd(metaclass=Meta):
        def __init__(self) -> None:
            self.t = megabytes()

    subclass = torch.Tensor._make_subclass(Tensor, megabytes())
    rows = found({"trap": Trap(), "sub": subclass, "odd": Odd(), "all": [Odd()]})
    assert sorted(name for each in rows for name in each.names) == [
        "all",
        "odd",
        "sub",
        "trap",
    ]
    assert Trap.calls == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(500, 500).to_sparse(),
        lambda: torch.eye(500).to_sparse_csr(),
        lambda: torch.zeros(10, device="meta"),
        lambda: torch.empty(0),
        lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        lambda: torch.quantize_per_tensor(torch.zeros(8), 0.1, 0, torch.qint8),
        lambda: nn.LazyLinear(3),
    ],
    ids=["coo", "csr", "meta", "empty", "nested", "quantized", "lazy"],
)
@pytest.mark.filterwarnings("ignore")
def test_odd_tensors_do_no_harm(make: Any) -> None:  # noqa: ANN401
    """Sparse, nested, quantized, empty and lazy ones, and those without memory."""
    facts = holders.find_holders({"x": make()}, elsewhere=False)
    assert all(each.names == ("x",) for each in facts.holdings)


def test_looking_keeps_nothing_alive() -> None:
    """Neither objects nor classes nor nodes of graphs, whose attributes may be large."""

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:  # noqa: ANN401
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(_: Any, grad: Any) -> Any:  # noqa: ANN401
            return grad

    class Holder:
        __slots__ = ("__weakref__", "t")

    holder = Holder()
    holder.t = Twice.apply(torch.ones(3, requires_grad=True))
    refs = [weakref.ref(each) for each in (holder, Holder, Twice)]
    assert found({"x": holder})
    del holder, Holder, Twice
    gc.collect()
    assert [ref() for ref in refs] == [None, None, None]


def test_a_large_list_of_numbers_is_passed_over() -> None:
    """A million numbers, or rows of them, are not visited one by one."""
    numbers = list(range(1_000_000))
    assert sum(1 for _ in walk({"a": numbers}, "x")) == 2


def test_devices_and_rows(fake: Any) -> None:  # noqa: ANN401
    """Rows of devices come first; the devices say what they have."""
    fake.set_limit(1, 100 * MB)
    names = {"far": megabytes(2, "fake:1"), "near": megabytes(9)}
    report = MemoryReport(facts=holders.find_holders(names, elsewhere=False))
    assert [each.names[0] for each in report.holdings] == ["far", "near"]
    second = next(each for each in report.facts.devices if each.device == "fake:1")
    assert second.total_bytes == 100 * MB
    assert second.allocated_bytes == 2 * MB
    assert "far" in report.text
    assert "%xdel far" in report.html
    assert report.to_dict()["facts"]["holdings"][0]["names"] == ["far"]


def test_names_are_escaped() -> None:
    """A key of the user's is text in HTML."""
    facts = holders.find_holders({"x": {"<b>": megabytes()}}, elsewhere=False)
    assert "<b>" not in MemoryReport(facts=facts).html
    assert "&lt;b&gt;" in MemoryReport(facts=facts).html
