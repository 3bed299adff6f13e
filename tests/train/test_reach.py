"""Tests for `colabmagic.train.reach`."""

from __future__ import annotations

import argparse
import asyncio
import collections
import enum
import functools
import itertools
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from colabmagic.train.reach import Reach

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def reached(tensor: torch.Tensor, value: object) -> bool:
    """Tell whether the walk from a value finds a tensor."""
    return id(tensor) in Reach({}).values([value]).tensors


def cell(code: str, **namespace: Any) -> dict[str, Any]:  # noqa: ANN401
    """Run code as if it stood in a notebook; return its names."""
    names = {"torch": torch, "nn": nn, "__name__": "__main__", **namespace}
    exec(compile(code, "<ipython-input-1-abc>", "exec"), names)  # noqa: S102 (a cell)
    return names


class Slotted:
    """Holds a tensor in a slot."""

    __slots__ = ("never_set", "x")

    def __init__(self, x: object) -> None:
        self.x = x


class Child(Slotted):
    """Inherits the slot, and has a ``__dict__``."""

    def __init__(self, x: object) -> None:
        super().__init__(None)
        self.y = x


@dataclass
class Trainer:
    """An object as users write them."""

    model: object
    history: list[object] = field(default_factory=list)

    def step(self) -> None:
        """Train."""


class Stack(list[Any]):
    """A list with an attribute."""


class Sub(torch.Tensor):
    """A tensor of the user."""


CONTAINERS: list[Callable[[Any], object]] = [
    lambda x: x,
    lambda x: [x],
    lambda x: [1, "a", [x]],
    lambda x: (x,),
    lambda x: {"a": x},
    lambda x: {x: 1},
    lambda x: {(1, x): 1},
    lambda x: {x},
    lambda x: frozenset({x}),
    lambda x: collections.deque([x]),
    lambda x: collections.OrderedDict(a=x),
    lambda x: collections.defaultdict(list, a=[x]),
    lambda x: collections.UserDict(a=x),
    lambda x: collections.ChainMap({"a": x}),
    lambda x: collections.namedtuple("P", "x")(x),  # noqa: PLW0108, PYI024
    lambda x: types.SimpleNamespace(x=x),
    lambda x: argparse.Namespace(x=x),
    lambda x: types.MappingProxyType({"a": x}),
    lambda x: {"a": x}.values(),
    lambda x: {"a": x}.items(),
    lambda x: {x: "a"}.keys(),
    Slotted,
    Child,
    Trainer,
    lambda x: Trainer(None, [x]).step,
    lambda x: functools.partial(print, x),
    lambda x: functools.partial(print, end=x),
    lambda x: lambda: x,
    lambda x: lambda y=x: y,
    lambda x: [lambda *, y=x: y],
    lambda x: [x].append,
    lambda x: staticmethod(lambda: x),
    lambda x: property(lambda _: x),
    types.CellType,
    lambda x: iter([x]),
    lambda x: iter((x,)),
    lambda x: iter({"a": x}.values()),
    lambda x: reversed([x]),
    lambda x: enumerate([x]),
    lambda x: zip([1], [x], strict=True),
    lambda x: map(print, [x]),
    lambda x: filter(None, [x]),
    lambda x: itertools.cycle([x]),
    lambda x: itertools.chain([1], [x]),
    lambda x: itertools.islice([x], 1),
    itertools.repeat,
    lambda x: (each for each in [x]),
    lambda x: type("C", (), {"held": x, "__module__": "__main__"}),
    lambda x: type("C", (), {"held": x, "__module__": "__main__"})(),
]


@pytest.mark.parametrize("number", range(len(CONTAINERS)))
def test_finds_a_tensor_wherever_it_is_held(number: int) -> None:
    """Containers, views, iterators, closures, defaults, slots and classes are walked."""
    tensor = torch.zeros(2)
    assert reached(tensor, CONTAINERS[number](tensor))


@pytest.mark.parametrize(
    "make",
    [
        torch.zeros,
        lambda n: nn.Parameter(torch.zeros(n)),
        lambda n: torch.zeros(n).as_subclass(Sub),
    ],
    ids=["plain", "parameter", "subclass"],
)
def test_finds_tensors_of_every_class(make: Callable[[int], torch.Tensor]) -> None:
    """Parameters and the user's own subclasses are tensors."""
    tensor = make(2)
    assert reached(tensor, [tensor])


def test_attributes_of_containers_and_tensors() -> None:
    """A list with attributes, and a tensor that carries another."""
    tensor, other = torch.zeros(2), torch.zeros(2)
    stack = Stack()
    stack.extra = tensor
    other.mask = tensor
    assert reached(tensor, stack)
    assert reached(tensor, other)


def test_modules_with_all_their_parts() -> None:
    """Parameters, buffers, plain attributes, hooks and inner modules are found once."""
    mask, seen = torch.zeros(1), torch.zeros(1)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model.extra = [mask]  # type: ignore[assignment]
    model[0].register_forward_hook(lambda *_: seen)  # type: ignore[arg-type]
    reach = Reach({"model": model}).names(["model"])
    expected = {
        *map(id, model.parameters()),
        *map(id, model.buffers()),
        id(mask),
        id(seen),
    }
    assert set(reach.tensors) == expected
    assert set(reach.modules) == {id(each) for each in model.modules()}


@pytest.mark.parametrize("parameter", [True, False])
def test_what_hooks_of_a_tensor_hold(*, parameter: bool) -> None:
    """A mask in a gradient hook must be where the gradient is."""
    mask = torch.ones(2)
    weight: torch.Tensor = torch.zeros(2, requires_grad=True)
    if parameter:
        weight = nn.Parameter(weight.detach())
    weight.register_hook(lambda gradient: gradient * mask)
    holder = nn.Module()
    holder.weight = weight  # type: ignore[assignment]
    assert reached(mask, weight)
    assert reached(mask, holder)


@pytest.mark.usefixtures("registered_fake")
def test_optimizers_and_their_step_counters() -> None:
    """State is found; ``step`` is read by Python and belongs on the CPU."""
    model = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    reach = Reach({}).values([optimizer])
    state = optimizer.state[model.weight]
    assert {id(state["exp_avg"]), id(model.weight)} <= set(reach.tensors)
    assert id(state["step"]) in reach.at_home
    assert id(state["exp_avg"]) not in reach.at_home
    assert set(reach.optimizers) == {id(optimizer)}


@pytest.mark.usefixtures("registered_fake")
@pytest.mark.parametrize("option", ["capturable", "fused"])
def test_step_counters_that_belong_on_the_device(option: str) -> None:
    """Fused and capturable optimizers want ``step`` beside the weights."""
    weight = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([weight])
    weight.sum().backward()
    optimizer.step()
    optimizer.param_groups[0][option] = True
    assert not Reach({}).values([optimizer]).at_home


@pytest.mark.usefixtures("registered_fake")
def test_optimizers_through_what_wraps_them() -> None:
    """A scheduler leads to its optimizer."""
    weight = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([weight], 0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    assert id(weight) in Reach({}).values([scheduler]).tensors


@pytest.mark.usefixtures("registered_fake")
def test_an_odd_optimizer_is_survived() -> None:
    """A wrapper that keeps its state and groups in types of its own."""

    class Wrapper(torch.optim.Optimizer):
        def __init__(self, weight: torch.Tensor) -> None:
            self.state = [weight]  # type: ignore[assignment]
            self.param_groups = [weight]  # type: ignore[list-item]

    weight = torch.zeros(2)
    assert reached(weight, Wrapper(weight))


def test_functions_lead_to_the_globals_that_they_read() -> None:
    """In an earlier cell: functions, inner functions, methods; other names are left."""
    names = cell(
        "used, inner, other = torch.zeros(1), torch.zeros(1), torch.zeros(1)\n"
        "def helper():\n"
        "    return [inner for _ in range(2)]\n"
        "class Runner:\n"
        "    def run(self):\n"
        "        return used, helper()\n"
        "runner = Runner()\n"
    )
    found = Reach(names).names(["runner"]).tensors
    assert id(names["used"]) in found
    assert id(names["inner"]) in found
    assert id(names["other"]) not in found


def test_functions_of_libraries_do_not_lead_to_their_globals() -> None:
    """What an installed function reads is not the cell's business."""
    tensor = torch.zeros(1)
    names: dict[str, Any] = {"tensor": tensor}
    code = compile("def f():\n    return tensor\n", "/x/site-packages/a.py", "exec")
    exec(code, names)  # noqa: S102 (a library's module)
    assert not reached(tensor, names["f"])


def test_decorated_and_cached_functions() -> None:
    """``functools.wraps``, ``cache`` and what they keep."""
    names = cell(
        "import functools\n"
        "table = torch.zeros(1)\n"
        "@functools.lru_cache(maxsize=None)\n"
        "def encode(n):\n"
        "    return torch.zeros(n) + table\n"
        "@torch.no_grad()\n"
        "def evaluate():\n"
        "    return table\n"
        "kept = encode(3)\n"
    )
    kept = names.pop("kept")
    found = Reach(names).names(["encode"]).tensors
    assert id(names["table"]) in found
    assert id(kept) in found
    assert id(names["table"]) in Reach(names).names(["evaluate"]).tensors


def test_dotted_names_lead_through_modules() -> None:
    """``utils.net`` is an object of the user's module; ``utils`` alone is only a name."""
    utils: Any = types.ModuleType("utils")
    utils.net = nn.Linear(1, 1)
    utils.other = torch.zeros(1)
    reach = Reach({"utils": utils}).names(["utils", "utils.net.weight", "utils.gone"])
    assert id(utils.net.weight) in reach.tensors
    assert id(utils.other) not in reach.tensors


def test_unknown_names_are_passed_over() -> None:
    """A name that the cell will bind is not there yet."""
    assert not Reach({}).names(["gone", "gone.too", ""]).tensors


def test_the_shell_is_not_walked() -> None:
    """``get_ipython`` is mentioned by every magic, and leads to everything."""
    tensor = torch.zeros(1)
    assert not Reach({"get_ipython": lambda: tensor}).names(["get_ipython"]).tensors


class Rows(Dataset[torch.Tensor]):
    """A dataset that holds tensors."""

    shared: ClassVar[list[torch.Tensor]] = []

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.rows[index]


class Stream(IterableDataset[torch.Tensor]):
    """An iterable dataset."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(self.rows)

    def __len__(self) -> int:
        raise RuntimeError


@pytest.mark.parametrize(
    "make",
    [
        Rows,
        Stream,
        TensorDataset,
        lambda x: DataLoader(Rows(x)),
        lambda x: iter(DataLoader(Rows(x))),
        lambda x: torch.utils.data.Subset(Rows(x), [0]),
        lambda x: torch.utils.data.ConcatDataset([Rows(x)]),
    ],
    ids=["map", "iterable", "tensors", "loader", "iterator", "subset", "concat"],
)
def test_datasets_are_closed_unless_asked_for(
    make: Callable[[torch.Tensor], Any],
) -> None:
    """Tensors that only a loader leads to stay on the CPU."""
    tensor = torch.zeros(4)
    data = make(tensor)
    reach = Reach({}).values([data])
    assert id(tensor) not in reach.tensors
    assert id(data) in reach.data
    assert id(tensor) in Reach({}, into_data=True).values([data]).tensors


def test_a_tensor_that_dataset_and_cell_share() -> None:
    """What the cell names itself is found, whoever else holds it."""
    tensor = torch.zeros(4)
    names = {"data": Rows(tensor), "tensor": tensor}
    assert id(tensor) in Reach(names).names(["data", "tensor"]).tensors


def test_generators_of_the_user() -> None:
    """What a suspended generator, coroutine or its inner generator holds is found."""
    names = cell(
        "outer, inner, read = torch.zeros(1), torch.zeros(1), torch.zeros(1)\n"
        "def below(held):\n"
        "    yield 1\n"
        "    yield held\n"
        "def batches(held):\n"
        "    yield from below(inner)\n"
        "    yield held, read\n"
        "running = batches(outer)\n"
        "next(running)\n"
    )
    found = Reach(names).names(["running"]).tensors
    assert {id(names["outer"]), id(names["inner"]), id(names["read"])} <= set(found)


def test_asynchronous_generators_of_the_user() -> None:
    """They are suspended as others are."""
    tensor = torch.zeros(1)

    async def batches(held: torch.Tensor) -> AsyncIterator[torch.Tensor]:
        yield held

    async def job(held: torch.Tensor) -> torch.Tensor:
        await asyncio.sleep(0)
        return held

    running = batches(tensor)
    assert reached(tensor, running)
    waiting = job(tensor)
    assert reached(tensor, waiting)
    waiting.close()


def test_a_finished_generator_holds_nothing() -> None:
    """It has no frame any more."""
    running = (each for each in [1])
    list(running)
    assert not Reach({}).values([running]).tensors


def test_an_empty_closure_is_survived() -> None:
    """A cell variable that is not bound yet."""

    def outer() -> Callable[[], object]:
        def inner() -> object:
            return later

        if inner is None:
            later = 1
        return inner

    assert not Reach({}).values([outer()]).tensors


def test_loops_of_containers_end() -> None:
    """Lists, dictionaries and objects that hold themselves are visited once."""
    tensor = torch.zeros(1)
    loop: list[Any] = [tensor]
    loop.append({"loop": loop, "trainer": Trainer(loop, loop)})
    assert reached(tensor, loop)


def test_a_long_chain_needs_no_recursion() -> None:
    """Nesting may be deeper than Python's stack."""
    tensor = torch.zeros(1)
    value: Any = tensor
    for _ in range(20_000):
        value = [value]
    assert reached(tensor, value)
    while isinstance(value, list):  # or its end would be recursive
        value = value.pop()


class Meta(type):
    """A metaclass whose every method is an error."""

    def __getattribute__(cls, name: str) -> Any:  # noqa: ANN401
        raise RuntimeError(name)

    def __eq__(cls, _: object) -> bool:
        raise RuntimeError

    def __hash__(cls) -> int:
        raise RuntimeError

    def __instancecheck__(cls, _: object) -> bool:
        raise RuntimeError


class Angry:
    """An object whose every method is an error."""

    def __init__(self, x: object) -> None:
        object.__setattr__(self, "x", x)

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401
        raise RuntimeError(name)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        raise RuntimeError(name)

    def __eq__(self, _: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    def __bool__(self) -> bool:
        raise RuntimeError

    def __iter__(self) -> Iterator[object]:
        raise RuntimeError


class AngryList(list[Any]):
    """A list whose every method is an error."""

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


class AngryDict(dict[Any, Any]):
    """A dictionary whose every method is an error."""

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError

    def keys(self) -> Any:  # noqa: ANN401
        """Refuse."""
        raise RuntimeError

    def values(self) -> Any:  # noqa: ANN401
        """Refuse."""
        raise RuntimeError


class AngryModule(nn.Module):
    """A module that refuses to list its parts."""

    def parameters(self, *_: object) -> Iterator[nn.Parameter]:  # type: ignore[override]
        """Refuse."""
        raise RuntimeError

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        raise RuntimeError(name)


def angry_class(x: object) -> object:
    """Return an instance of a class whose metaclass is an error."""
    kind = Meta("Odd", (), {"__module__": "__main__", "__slots__": ("x",)})
    made = object.__new__(kind)
    vars_of = type.__dict__["__dict__"].__get__(kind)
    vars_of["x"].__set__(made, x)
    return made


def angry_module(x: Any) -> nn.Module:  # noqa: ANN401
    """Return a module that refuses everything."""
    module = AngryModule()
    module.__dict__["_buffers"]["x"] = x
    return module


@pytest.mark.parametrize(
    "make",
    [
        Angry,
        lambda x: AngryList([x]),
        lambda x: AngryDict(a=x),
        angry_class,
        angry_module,
    ],
    ids=["object", "list", "dict", "class", "module"],
)
def test_no_code_of_the_user_is_run(make: Callable[[Any], object]) -> None:
    """No ``getattr``, ``len``, ``==``, ``bool``, ``hash`` or ``isinstance`` on his objects."""
    tensor = torch.zeros(1)
    odd = make(tensor)
    assert reached(tensor, odd)
    assert reached(tensor, [odd, 1])
    assert reached(tensor, {"a": (odd,)})
    module = nn.Module()
    module.__dict__["held"] = odd
    assert reached(tensor, module)


def test_properties_and_lazy_attributes_are_not_read() -> None:
    """A property that would load a file is not set off."""
    asked = []

    class Lazy:
        def __init__(self) -> None:
            self.x = torch.zeros(1)

        @property
        def big(self) -> None:
            asked.append("big")

        @functools.cached_property
        def bigger(self) -> None:
            asked.append("bigger")

    lazy = Lazy()
    assert reached(lazy.x, lazy)
    assert asked == []


def test_tensor_subclasses_are_not_called() -> None:
    """A ``__torch_function__`` of the user is not asked by the walk."""

    class Loud(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *_: Any) -> Any:  # noqa: ANN401
            raise RuntimeError

    loud = torch.Tensor._make_subclass(Loud, torch.zeros(1))
    assert reached(loud, [loud])


def test_worlds_of_their_own_are_not_entered() -> None:
    """Standard library objects and enumerations end the walk without harm."""
    import logging
    import threading

    class Color(enum.Enum):
        RED = 1

    things = [
        logging.getLogger(),
        threading.current_thread(),
        Color.RED,
        re_match(),
        open,
    ]
    assert not Reach({}).values(things).tensors


def re_match() -> object:
    """Return an object of the standard library."""
    import re

    return re.match("a", "a")


def test_a_module_without_its_init() -> None:
    """A module whose ``super().__init__()`` was forgotten is no error."""

    class Forgotten(nn.Module):
        def __init__(self) -> None:
            self.x = 1

    assert id(made := Forgotten()) in Reach({}).values([made]).modules


def test_tables_are_passed_over_at_once() -> None:
    """Rows of names and numbers, as datasets keep them; a tensor in one of them counts."""
    tensor = torch.zeros(1)
    table: list[Any] = [(f"{index}.png", index) for index in range(50_000)]
    reach = Reach({}).values([table])
    assert len(reach._seen) == 1
    assert reached(tensor, [*table, ("x", [tensor])])
    assert reached(tensor, [*table, ("x", tensor)])
    assert reached(tensor, [*table, [tensor]])


def test_changing_containers_are_read_at_once() -> None:
    """Ten thousand names and long lists of numbers are no work."""
    names = {f"name{index}": [index] * 100 for index in range(10_000)}
    reach = Reach(names).names(names)
    assert not reach.tensors
