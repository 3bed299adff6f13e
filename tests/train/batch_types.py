"""The types of batches that people write, each with a judge; also for the benchmark."""

from __future__ import annotations

import dataclasses
import types
from collections import OrderedDict, UserDict, defaultdict, deque, namedtuple
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import attrs
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

META: Final = torch.device("meta")
OldPoint = namedtuple("OldPoint", ["x", "label"])  # noqa: PYI024 (as older code makes them)


class Point(NamedTuple):
    """A named tuple."""

    x: torch.Tensor
    label: str


@dataclasses.dataclass
class Sample:
    """A dataclass."""

    x: torch.Tensor
    label: str


@dataclasses.dataclass(frozen=True)
class FrozenSample:
    """A dataclass that refuses assignment."""

    x: torch.Tensor
    label: str


@dataclasses.dataclass(frozen=True, slots=True)
class NarrowSample:
    """One without a dictionary, too."""

    x: torch.Tensor
    label: str


@attrs.frozen
class AttrsSample:
    """The same by attrs: frozen, slots."""

    x: torch.Tensor
    label: str


@attrs.define
class AttrsOuter:
    """A class of attrs that holds another."""

    inner: AttrsSample
    label: str


class Slotted:
    """An ordinary class with slots."""

    __slots__ = ("label", "x")

    def __init__(self, x: torch.Tensor, label: str) -> None:
        self.x, self.label = x, label


class Plain:
    """An ordinary class."""

    def __init__(self, x: torch.Tensor, label: str) -> None:
        self.x, self.label = x, label


class Movable(Plain):
    """Moves itself, as torch's own tensors do."""

    def to(self, device: Any) -> Movable:  # noqa: ANN401
        """Return a copy there."""
        return Movable(self.x.to(device), self.label)


class BatchEncoding(UserDict[str, Any]):
    """What a Hugging Face tokenizer gives: the same interface, and ``to`` in place."""

    def __init__(self, data: dict[str, Any], encodings: list[str]) -> None:
        super().__init__(data)
        self._encodings = encodings

    def __getitem__(self, item: str | int) -> Any:  # noqa: ANN401
        return self.data[item] if isinstance(item, str) else self._encodings[item]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(name) from None

    def to(self, device: Any, *, non_blocking: bool = False) -> BatchEncoding:  # noqa: ANN401
        """Move the values, in this very object."""
        self.data = {
            key: each.to(device, non_blocking=non_blocking)
            if isinstance(each, torch.Tensor)
            else each
            for key, each in self.data.items()
        }
        return self


@dataclasses.dataclass(frozen=True)
class Case:
    """A type of batch.

    Attributes
    ----------
    name
        As the table shows it.
    make
        Makes a batch of a tensor.
    tensors
        Returns the tensors of a batch that must be on the device.
    keeps
        Returns what must be kept, besides type and tensors.
    """

    name: str
    make: Callable[[torch.Tensor], Any]
    tensors: Callable[[Any], list[torch.Tensor]]
    keeps: Callable[[Any], Any] = lambda _: None


def _first(batch: Any) -> list[torch.Tensor]:  # noqa: ANN401
    return [batch[0]]


def _key(batch: Any) -> list[torch.Tensor]:  # noqa: ANN401
    return [batch["x"]]


def _x(batch: Any) -> list[torch.Tensor]:  # noqa: ANN401
    return [batch.x]


def _itself(batch: Any) -> list[torch.Tensor]:  # noqa: ANN401
    return [batch]


def _label(batch: Any) -> Any:  # noqa: ANN401
    return batch.label


def _nested(x: torch.Tensor) -> torch.Tensor:
    return torch.nested.nested_tensor([x, x[:1]], layout=torch.jagged)


CASES: Final = (
    Case("list", lambda x: [x, 1], _first, lambda b: b[1]),
    Case("tuple", lambda x: (x, "cat"), _first, lambda b: b[1]),
    Case(
        "nested lists, text, None",
        lambda x: [[x, ["cat", None]], "dog"],
        lambda b: [b[0][0]],
        lambda b: (b[0][1], b[1]),
    ),
    Case("NamedTuple", lambda x: Point(x, "cat"), _x, _label),
    Case("namedtuple", lambda x: OldPoint(x, "cat"), _x, _label),
    Case("dict", lambda x: {"b": 1, "x": x}, _key, list),
    Case("OrderedDict", lambda x: OrderedDict(b=1, x=x), _key, list),
    Case(
        "defaultdict",
        lambda x: defaultdict(list, x=x),
        _key,
        lambda b: b.default_factory,
    ),
    Case("UserDict", lambda x: UserDict(b=1, x=x), _key, list),
    Case("MappingProxyType", lambda x: types.MappingProxyType({"x": x}), _key, list),
    Case("deque", lambda x: deque([x, 1], maxlen=2), _first, lambda b: b.maxlen),
    Case("set", lambda x: {x}, list),
    Case("dataclass", lambda x: Sample(x, "cat"), _x, _label),
    Case("frozen dataclass", lambda x: FrozenSample(x, "cat"), _x, _label),
    Case("frozen dataclass, slots", lambda x: NarrowSample(x, "cat"), _x, _label),
    Case("attrs, frozen", lambda x: AttrsSample(x, "cat"), _x, _label),
    Case(
        "attrs in attrs",
        lambda x: AttrsOuter(AttrsSample(x, "cat"), "dog"),
        lambda b: [b.inner.x],
        _label,
    ),
    Case("object with slots", lambda x: Slotted(x, "cat"), _x, _label),
    Case("plain object", lambda x: Plain(x, "cat"), _x, _label),
    Case("object with `.to`", lambda x: Movable(x, "cat"), _x, _label),
    Case(
        "PackedSequence",
        lambda x: pack_sequence([x, x[:1]]),
        lambda b: [b.data],
        lambda b: (isinstance(b, PackedSequence), b.batch_sizes.tolist()),
    ),
    Case("sparse tensor", lambda x: x.to_sparse(), _itself, lambda b: b.layout),
    Case("nested tensor", _nested, _itself, lambda b: b.layout),
    Case(
        "BatchEncoding (Hugging Face)",
        lambda x: BatchEncoding({"x": x, "n": 1}, ["tokens"]),
        _key,
        lambda b: (b[0], b["n"]),
    ),
    Case(
        "the same tensor twice",
        lambda x: [x, {"again": x}],
        lambda b: [b[0], b[1]["again"]],
        lambda b: b[0] is b[1]["again"],
    ),
)  # fmt: skip


def judged(case: Case, move: Callable[[Any, torch.device], Any]) -> str:
    """Return what a function makes of a batch: "ok", or what is wrong.

    Parameters
    ----------
    case
        The type.
    move
        Takes a batch and a device, and returns the batch there.
    """
    batch = case.make(torch.ones(2))
    before = [id(each) for each in _walk(case, batch)]
    keeps = case.keeps(batch)
    try:
        there = move(batch, META)
    except Exception as error:  # noqa: BLE001 (the peers raise all sorts)
        return type(error).__name__
    if type(there) is not type(batch):
        return f"becomes {type(there).__name__}"
    if any(each.device != META for each in case.tensors(there)):
        return "left on the CPU"
    if case.keeps(there) != keeps:
        return "identity lost" if "twice" in case.name else "contents changed"
    if [id(each) for each in _walk(case, batch)] != before:
        return "the original is changed"
    return "ok"


def _walk(case: Case, batch: Any) -> Iterator[torch.Tensor]:  # noqa: ANN401
    """Give the tensors that are on the CPU."""
    return (each for each in case.tensors(batch) if each.device.type == "cpu")
