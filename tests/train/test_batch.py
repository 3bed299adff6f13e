"""Tests for `colabmagic.train.batch`."""

from __future__ import annotations

import dataclasses
import types
from collections import (
    Counter,
    OrderedDict,
    UserDict,
    UserList,
    defaultdict,
    deque,
    namedtuple,
)
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple, Self

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from colabmagic.train.batch import moved

META = torch.device("meta")


def is_there(value: torch.Tensor) -> bool:
    """Tell whether a tensor was moved."""
    return value.device == META


class Point(NamedTuple):
    """A named tuple."""

    x: torch.Tensor
    label: str = "p"


Old = namedtuple("Old", ["x", "y"])  # noqa: PYI024 (as older code makes them)


@dataclasses.dataclass
class Sample:
    """A dataclass with a field of each sort."""

    image: torch.Tensor
    boxes: list[torch.Tensor]
    name: str = "cat"
    inner: Sample | None = None

    def __post_init__(self) -> None:
        """Add what is no field."""
        self.mask = torch.ones(1)


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A dataclass that refuses assignment."""

    image: torch.Tensor


@dataclasses.dataclass(frozen=True, slots=True)
class Narrow:
    """A dataclass with slots only."""

    image: torch.Tensor


class Slotted:
    """Slots, one of them never set, and no ``__dict__``."""

    __slots__ = ("empty", "image", "name")

    def __init__(self) -> None:
        self.image = torch.zeros(2)
        self.name = "a"


class OneSlot:
    """``__slots__`` may be one text."""

    __slots__ = "image"  # noqa: PLC0205 (that is the case)

    def __init__(self) -> None:
        self.image = torch.zeros(2)


class Plain:
    """An ordinary object that holds tensors."""

    def __init__(self) -> None:
        self.image = torch.zeros(2)
        self.several = {"a": [torch.zeros(1)]}
        self.name = "plain"


class Mover:
    """Moves itself."""

    def __init__(self, device: object = "cpu") -> None:
        self.device = device

    def to(self, device: object) -> Mover:
        """Return a copy there."""
        return Mover(device)


class InPlace:
    """Moves itself, and forgets to return itself."""

    def __init__(self) -> None:
        self.x = torch.zeros(2)

    def to(self, device: torch.device) -> None:
        """Move the tensor."""
        self.x = self.x.to(device)


class Quantity:
    """Has a ``to`` that is about units."""

    def __init__(self) -> None:
        self.x = torch.zeros(2)

    def to(self, unit: str) -> Quantity:
        """Convert."""
        message = f"no unit {unit}"
        raise ValueError(message)


def test_a_tensor() -> None:
    """The simplest batch."""
    assert is_there(moved(torch.zeros(2), META))


def test_a_tensor_that_is_there_already() -> None:
    """It stays the same object."""
    tensor = torch.zeros(2, device=META)
    assert moved(tensor, META) is tensor


@pytest.mark.parametrize(
    "value",
    ["text", b"bytes", 3, 2.5, 1j, True, None, np.ones(2), range(3), object(), print,
     {1, 2}, slice(1), torch.float32, torch.Size([2]), Plain, Sample, np.float32(2)],
)  # fmt: skip
def test_what_is_no_tensor_passes_through(value: object) -> None:
    """Texts, numbers, arrays, types and functions come out as they went in."""
    assert moved(value, META) is value


@pytest.mark.parametrize(
    "value",
    [[1, "a"], (1, None), {"a": 1}, [], {}, (), [[["deep"]]], deque([1]), Old(1, 2),
     OrderedDict(a=1), defaultdict(list), UserDict(a=1), {"a": [1, {"b": (2,)}]},
     types.MappingProxyType({"a": 1}), Counter("ab")],
)  # fmt: skip
def test_containers_with_nothing_to_move_are_the_users_own(value: object) -> None:
    """A list that the model fills, or a cache, must not be filled in a copy."""
    assert moved(value, META) is value
    there = [value, torch.zeros(2, device=META)]
    assert moved(there, META) is there


def test_lists_tuples_and_dictionaries() -> None:
    """The nesting stays, and what is not moved stays the same object."""
    label = ["cat"]
    out = moved([(torch.zeros(2), label), {"x": torch.zeros(1), 3: None}], META)
    assert type(out) is list
    assert type(out[0]) is tuple
    assert is_there(out[0][0])
    assert out[0][1] is label
    assert list(out[1]) == ["x", 3]
    assert is_there(out[1]["x"])


def test_the_batch_itself_is_not_changed() -> None:
    """A dataset that keeps its samples keeps them on the CPU."""
    tensor = torch.zeros(2)
    values: list[Any] = [
        [tensor], {"a": tensor}, deque([tensor]), UserDict(a=tensor), Plain(), Slotted(),
        Sample(tensor, [tensor]), defaultdict(list, a=tensor), OrderedDict(a=tensor),
    ]  # fmt: skip
    moved(values, META)
    assert values[0][0] is values[2][0] is values[1]["a"] is values[3]["a"] is tensor
    assert not is_there(values[4].image)
    assert not is_there(values[4].several["a"][0])
    assert not is_there(values[5].image)
    assert not is_there(values[6].boxes[0])


def test_named_tuples() -> None:
    """They are made of their fields."""
    point = moved(Point(torch.zeros(2)), META)
    assert type(point) is Point
    assert is_there(point.x)
    assert point.label == "p"
    old = moved(Old(torch.zeros(1), 3), META)
    assert type(old) is Old
    assert is_there(old.x)


def test_results_of_torch_that_are_tuples() -> None:
    """``torch.max`` gives a tuple of a type of its own."""
    out = moved(torch.max(torch.rand(2, 2), dim=1), META)
    assert is_there(out.values)
    assert is_there(out.indices)


def test_ordered_default_and_user_dictionaries() -> None:
    """Type, order and factory stay."""
    tensor = torch.zeros(1)
    ordered = moved(OrderedDict(b=tensor, a=1), META)
    assert type(ordered) is OrderedDict
    assert list(ordered) == ["b", "a"]
    assert is_there(ordered["b"])
    factory = moved(defaultdict(list, a=tensor), META)
    assert type(factory) is defaultdict
    assert factory["new"] == []
    assert is_there(factory["a"])
    user = moved(UserDict(a=tensor), META)
    assert type(user) is UserDict
    assert is_there(user["a"])


def test_a_deque_keeps_its_length() -> None:
    """``maxlen`` stays, and so does an empty one."""
    out = moved(deque([torch.zeros(1), 2], maxlen=2), META)
    assert out.maxlen == 2
    assert is_there(out[0])
    assert out[1] == 2


def test_a_dictionary_whose_items_are_attributes() -> None:
    """``batch.x`` and ``batch["x"]`` are the same tensor, there as here."""

    class AttributeDict(dict[str, Any]):
        def __init__(self, **values: object) -> None:
            super().__init__(**values)
            self.__dict__ = self

    out: Any = moved(AttributeDict(x=torch.zeros(1), n=1), META)
    assert type(out) is AttributeDict
    assert is_there(out["x"])
    assert out.x is out["x"]
    assert out.n == 1


def test_lists_and_dictionaries_with_attributes() -> None:
    """A subclass keeps its attributes, and tensors among them move."""

    class Rows(list[Any]):
        extra: Any = None

    rows = Rows([torch.zeros(1)])
    rows.extra = torch.zeros(2)
    out = moved(rows, META)
    assert type(out) is Rows
    assert is_there(out[0])
    assert is_there(out.extra)
    assert not is_there(rows.extra)


def test_a_tuple_that_is_made_in_another_way_stays() -> None:
    """A constructor with other arguments is no error."""

    class Pair(tuple[Any, ...]):
        __slots__ = ()

        def __new__(cls, first: object, second: object) -> Self:
            return super().__new__(cls, (first, second))

    pair = Pair(torch.zeros(1), 2)
    assert moved(pair, META) is pair


def test_dataclasses() -> None:
    """Fields, nested dataclasses and what ``__post_init__`` added move; the rest stays."""
    inner = Sample(torch.zeros(1), [])
    out = moved(Sample(torch.zeros(2), [torch.zeros(1)], "dog", inner), META)
    assert type(out) is Sample
    assert is_there(out.image)
    assert is_there(out.boxes[0])
    assert is_there(out.mask)
    assert out.inner is not None
    assert is_there(out.inner.image)
    assert out.name == "dog"
    assert not is_there(inner.image)


@pytest.mark.parametrize("kind", [Frozen, Narrow])
def test_frozen_dataclasses(kind: type[Any]) -> None:
    """Frozen is for the user, not for the copy; slots are no hindrance."""
    sample = kind(torch.zeros(2))
    out = moved(sample, META)
    assert type(out) is kind
    assert is_there(out.image)
    assert not is_there(sample.image)
    with pytest.raises(dataclasses.FrozenInstanceError):
        out.image = 1


def test_objects_with_slots() -> None:
    """A slot that was never set stays so."""
    out = moved(Slotted(), META)
    assert is_there(out.image)
    assert out.name == "a"
    assert not hasattr(out, "empty")
    assert is_there(moved(OneSlot(), META).image)


def test_ordinary_objects() -> None:
    """Tensors in attributes move, in a copy."""
    sample = Plain()
    out = moved(sample, META)
    assert type(out) is Plain
    assert is_there(out.image)
    assert is_there(out.several["a"][0])
    assert out.name == "plain"
    assert not is_there(sample.image)


def test_objects_that_move_themselves() -> None:
    """Their ``to`` is asked; one that returns nothing has moved itself."""
    assert moved(Mover(), META).device == META
    sample = InPlace()
    out = moved(sample, META)
    assert type(out) is InPlace
    assert is_there(out.x)
    assert not is_there(sample.x)


def test_a_to_that_means_another_thing() -> None:
    """A ``to`` that raises is no device's: the attributes are moved then."""
    assert is_there(moved(Quantity(), META).x)


def test_a_full_device_is_not_hidden() -> None:
    """The one error of ``to`` that must be seen."""

    class Heavy:
        def to(self, _: object) -> Heavy:
            raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        moved([Heavy()], META)


@pytest.mark.usefixtures("registered_fake")
def test_modules_and_optimizers_are_not_batches() -> None:
    """A module among the arguments is not moved behind the user's back."""
    module = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    batch = [module, optimizer, torch.zeros(1), lambda: module]
    out = moved(batch, META)
    assert out[0] is module
    assert out[1] is optimizer
    assert module.weight.device.type == "cpu"
    assert is_there(out[2])


def test_a_packed_sequence() -> None:
    """Its data moves; its batch sizes stay on the CPU, as torch wants them."""
    packed = pack_sequence([torch.zeros(3), torch.zeros(2)])
    out = moved({"x": packed}, META)["x"]
    assert type(out) is PackedSequence
    assert is_there(out.data)
    assert out.batch_sizes.device.type == "cpu"


def test_the_same_tensor_twice_stays_one() -> None:
    """Identity inside a batch is kept, in containers of any sort."""
    tensor = torch.zeros(2)
    parameter = torch.nn.Parameter(torch.zeros(1))
    out = moved([tensor, {"again": tensor}, (parameter, deque([parameter]))], META)
    assert out[0] is out[1]["again"]
    assert out[2][0] is out[2][1][0]


def test_the_same_container_twice_stays_one() -> None:
    """Lists and objects that occur twice are one object afterwards, too."""
    rows, sample = [torch.zeros(1)], Plain()
    out = moved({"a": rows, "b": rows, "c": sample, "d": sample}, META)
    assert out["a"] is out["b"]
    assert out["c"] is out["d"]


def test_a_parameter_keeps_its_graph() -> None:
    """A tensor that requires gradients is moved within its graph."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    assert moved([parameter], META)[0].grad_fn is not None


def test_a_mapping_that_cannot_be_written() -> None:
    """A view of a dictionary is one again; a refusing one stays as it is."""
    out = moved(types.MappingProxyType({"a": torch.zeros(1), "b": 2}), META)
    assert type(out) is types.MappingProxyType
    assert is_there(out["a"])
    assert out["b"] == 2

    class Refusing(dict[str, Any]):
        def __setitem__(self, key: str, value: object) -> None:
            raise TypeError

    refusing = Refusing(a=torch.zeros(1))
    assert moved(refusing, META) is refusing


def test_a_mapping_over_a_dictionary_of_its_own() -> None:
    """The user's dictionary inside is not written through the copy."""

    class Store(MutableMapping[str, Any]):
        def __init__(self) -> None:
            self._values: dict[str, Any] = {"a": torch.zeros(1)}

        def __getitem__(self, key: str) -> Any:  # noqa: ANN401
            return self._values[key]

        def __setitem__(self, key: str, value: object) -> None:
            self._values[key] = value

        def __delitem__(self, key: str) -> None:
            del self._values[key]

        def __iter__(self) -> Iterator[str]:
            return iter(self._values)

        def __len__(self) -> int:
            return len(self._values)

    store = Store()
    out = moved(store, META)
    assert is_there(out["a"])
    assert not is_there(store["a"])


def test_a_read_only_mapping_of_the_user() -> None:
    """Without ``__setitem__``, the attributes are moved."""

    class Record(Mapping[str, Any]):
        def __init__(self) -> None:
            self.row = {"a": torch.zeros(1)}

        def __getitem__(self, key: str) -> Any:  # noqa: ANN401
            return self.row[key]

        def __iter__(self) -> Iterator[str]:
            return iter(self.row)

        def __len__(self) -> int:
            return 1

    assert is_there(moved(Record(), META)["a"])


def test_lists_of_the_standard_library() -> None:
    """``UserList`` keeps its type."""
    out = moved(UserList([torch.zeros(1)]), META)
    assert type(out) is UserList
    assert is_there(out[0])


def test_values_that_hold_themselves() -> None:
    """A loop of containers or objects ends."""
    loop: list[Any] = [torch.zeros(1)]
    loop.append(loop)
    assert is_there(moved(loop, META)[0])
    parent, child = Plain(), Plain()
    parent.several = {"a": [child]}  # type: ignore[dict-item, list-item]
    child.several = {"a": [parent]}  # type: ignore[dict-item, list-item]
    assert is_there(moved(parent, META).several["a"][0].image)


class Angry:
    """Every look at it is an error."""

    def __init__(self) -> None:
        object.__setattr__(self, "x", torch.zeros(1))

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401
        if name == "__class__":
            return Angry
        raise RuntimeError(name)

    def __eq__(self, _: object) -> bool:
        raise RuntimeError

    def __bool__(self) -> bool:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


def test_no_code_of_an_ordinary_object_is_run() -> None:
    """An object whose methods raise passes, with its own attributes."""
    angry = Angry()
    object.__delattr__(angry, "x")
    out = moved([angry, torch.zeros(1)], META)
    assert out[0] is angry
    assert is_there(out[1])


def test_properties_are_not_asked() -> None:
    """A property that loads a file is not set off."""

    class Lazy:
        def __init__(self) -> None:
            self.x = torch.zeros(1)

        @property
        def big(self) -> torch.Tensor:
            raise RuntimeError

    assert is_there(moved(Lazy(), META).x)


TREES = st.recursive(
    st.sampled_from(["text", 1, None, "tensor", "shared"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        st.lists(inner, max_size=3).map(deque),
        st.tuples(inner, inner).map(lambda pair: Old(*pair)),
    ),
    max_leaves=12,
)


def planted(tree: Any, shared: torch.Tensor) -> Any:  # noqa: ANN401
    """Return the tree with tensors where the words for them stand."""
    if tree == "tensor":
        return torch.ones(1)
    if tree == "shared":
        return shared
    if isinstance(tree, Old):
        return Old(*(planted(each, shared) for each in tree))
    if isinstance(tree, dict):
        return {key: planted(each, shared) for key, each in tree.items()}
    if isinstance(tree, (list, tuple, deque)):
        return type(tree)(planted(each, shared) for each in tree)
    return tree


def same_shape(here: Any, there: Any, met: set[int], shared: torch.Tensor) -> bool:  # noqa: ANN401
    """Tell whether two trees agree but for the device; collect the shared tensor."""
    if isinstance(here, torch.Tensor):
        if here is shared:
            met.add(id(there))
        return is_there(there) and not is_there(here)
    if type(here) is not type(there):
        return False
    if isinstance(here, dict):
        return list(here) == list(there) and all(
            same_shape(here[key], there[key], met, shared) for key in here
        )
    if isinstance(here, (list, tuple, deque)):
        return len(here) == len(there) and all(
            same_shape(a, b, met, shared) for a, b in zip(here, there, strict=True)
        )
    return bool(here is there)


@given(TREES)
def test_any_nesting_keeps_its_shape(tree: Any) -> None:  # noqa: ANN401
    """Every tensor is moved, everything else is as before, one tensor stays one."""
    shared = torch.zeros(1)
    batch = planted(tree, shared)
    met: set[int] = set()
    out = moved(batch, META)
    assert same_shape(batch, out, met, shared)
    assert len(met) <= 1
