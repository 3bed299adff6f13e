"""Which names hold the memory of tensors, and what frees it."""

from __future__ import annotations

import itertools
import re
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from colabmagic.memory.children import is_atom
from colabmagic.memory.devices import DeviceMemory, loaded_torch, read_devices
from colabmagic.memory.exceptions import is_exception
from colabmagic.memory.graphs import Graphs
from colabmagic.memory.tensors import (
    Storage,
    all_tensors,
    has_graph,
    is_tensor,
    shape_of,
    storages_of,
)
from colabmagic.memory.walk import MOST_OBJECTS, path_text, walk
from colabmagic.memory.written import is_library

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_IN_ALL: Final = 300_000  # objects of all walks together: about a second
FREE: Final = "%gpu_memory --free"
GRAPH: Final = " (its graph)"
_OUTPUT_NAME: Final = re.compile(r"_(?:\d*|__?)")
# IPython's own names, whose contents are looked at one by one or are text.
_SKIPPED: Final = frozenset(
    {"In", "Out", "_ih", "_oh", "_dh", "get_ipython", "exit", "quit", "__builtin__"}
    | {"__builtins__", "__spec__", "__loader__"}
)
LIBRARIES: Final = "calls inside libraries"
_LARGEST: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTensor:
    """One tensor, and how the user gets at it.

    Attributes
    ----------
    path
        As he writes it: ``model.fc.weight``, ``cache['train'][0]``.
    device, shape, size_bytes
        Where it is, its shape and element type, and the memory behind it.
    """

    path: str
    device: str
    shape: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Memory that the same names hold, all of them together.

    Attributes
    ----------
    names
        All names that have to go before it is free, the plainest first.
    kinds
        What these names are: class names.
    device
        Where the memory is.
    size_bytes
        How much; memory that tensors share counts once.
    tensors
        How many tensors use it.
    results
        Computed values that keep the graph behind them, as the user writes them.
    largest
        The largest of them.
    commands
        What to type to free it, each in one line.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    device: str
    size_bytes: int
    tensors: int
    results: tuple[str, ...]
    largest: tuple[HeldTensor, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What the first name that leads to it holds on one device.

    Attributes
    ----------
    name
        A name of the user's, or a local as ``h in train_step()``.
    is_local
        Whether it is a local of the failed call.
    size_bytes, tensors
        How much, in how many tensors.
    results
        How many computed values it keeps with the graph behind each.
    in_graphs
        How much of it only graphs keep, for ``backward()``.
    largest
        The largest tensor.
    command
        What frees a name; empty for a local.
    shared_with
        Other names that hold some of it.
    """

    name: str
    is_local: bool
    size_bytes: int
    tensors: int
    results: int
    in_graphs: int
    largest: HeldTensor
    command: str
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """Who holds the memory of tensors.

    Attributes
    ----------
    torch_loaded
        Whether PyTorch is imported; if not there are no tensors.
    devices
        What each device says of itself.
    holdings
        By size, accelerators before the CPU.
    is_complete
        False if there was more to look at than the walk allows.
    """

    torch_loaded: bool
    devices: tuple[DeviceMemory, ...]
    holdings: tuple[Holding, ...]
    is_complete: bool = True


@dataclass(eq=False, slots=True)
class Root:
    """An object that the user can name, with all its names."""

    value: object
    names: list[str] = field(default_factory=list)
    command: str = FREE


def find_holders(
    namespace: Mapping[str, Any],
    *,
    outputs: Mapping[int, Any] | None = None,
    hidden: Mapping[str, Any] | None = None,
    elsewhere: bool = True,
) -> MemoryFacts:
    """Find out who holds the memory of tensors.

    Parameters
    ----------
    namespace
        The user's names.
    outputs
        ``Out``: values that were shown, by number.
    hidden
        What else the shell keeps: the code that frees it, and the object. An exception
        that the shell keeps for ``%tb`` has the code ``%gpu_memory --free``.
    elsewhere
        Also look for tensors that no name leads to.
    """
    if loaded_torch() is None:
        return MemoryFacts(torch_loaded=False, devices=(), holdings=())
    roots = find_roots(namespace, outputs or {}, hidden or {})
    ledger = Ledger()
    seen_whole = [ledger.enter(root) for root in roots]
    if elsewhere:
        ledger.enter_rest(all_tensors())
    return MemoryFacts(
        torch_loaded=True,
        devices=read_devices(),
        holdings=ledger.holdings(),
        is_complete=all(seen_whole),
    )


class Ledger:
    """Which storages there are, and which roots lead to each."""

    def __init__(self) -> None:
        self._storages: dict[int, Storage] = {}
        self._roots: dict[int, list[Root]] = {}
        self._tensors: dict[int, dict[int, tuple[str, Any]]] = {}
        self._results: dict[int, list[str]] = {}  # of a root, with what computed them
        self._left = MOST_IN_ALL

    def enter(self, root: Root) -> bool:
        """Walk from a root; tell whether all of it was seen."""
        count, most = 0, min(self._left, MOST_OBJECTS)
        graphs = Graphs()
        for path, value in walk(root.value, root.names[0], budget=most):
            count += 1
            if is_tensor(value):
                text = path_text(path)
                self._note(root, text, value)
                if has_graph(value):
                    self._results.setdefault(id(root), []).append(text)
                for saved in graphs.saved_by(value):
                    self._note(root, text + GRAPH, saved)
        self._left -= count
        return count < most

    def enter_rest(self, tensors: Iterable[Any]) -> None:
        """Note the tensors that no root led to."""
        rest = Root(None, ["(no name of yours)"])
        for tensor in tensors:
            if any(each.key not in self._roots for each in storages_of(tensor)):
                self._note(rest, "?", tensor)

    def _note(self, root: Root, path: str, tensor: Any) -> None:  # noqa: ANN401
        for storage in storages_of(tensor):
            if not storage.size_bytes:
                continue
            self._storages[storage.key] = storage
            roots = self._roots.setdefault(storage.key, [])
            if root not in roots:
                roots.append(root)
            self._tensors.setdefault(storage.key, {}).setdefault(
                id(tensor), (path, tensor)
            )

    def holdings(self) -> tuple[Holding, ...]:
        """Return the storages, those with the same roots and device together."""
        groups: dict[tuple[object, ...], list[int]] = {}
        for key, roots in self._roots.items():
            group = (self._storages[key].device, *map(id, roots))
            groups.setdefault(group, []).append(key)
        found = [self._holding(keys) for keys in groups.values()]
        found.sort(key=lambda each: (each.device == "cpu", -each.size_bytes))
        return tuple(found)

    def shares(self, device: str) -> tuple[Share, ...]:
        """Return what is on a device, each piece with the first root that led to it."""
        groups: dict[int, list[int]] = {}
        for key, roots in self._roots.items():
            if self._storages[key].device == device:
                groups.setdefault(id(roots[0]), []).append(key)
        found = [self._share(keys) for keys in groups.values()]
        found.sort(key=lambda each: -each.size_bytes)
        return tuple(found)

    def _share(self, keys: list[int]) -> Share:
        root = self._roots[keys[0]][0]
        keys.sort(key=lambda key: -self._storages[key].size_bytes)
        sizes = {key: self._storages[key].size_bytes for key in keys}
        return Share(
            name=root.names[0],
            is_local=not root.command,
            size_bytes=sum(sizes.values()),
            tensors=len({each for key in keys for each in self._tensors[key]}),
            results=len(self._results.get(id(root), ())),
            in_graphs=sum(
                size
                for key, size in sizes.items()
                if self._largest(key).path.endswith(GRAPH)
            ),
            largest=self._largest(keys[0]),
            command=root.command,
            shared_with=tuple(
                {other.names[0]: None for key in keys for other in self._roots[key][1:]}
            ),
        )

    def _holding(self, keys: list[int]) -> Holding:
        roots = self._roots[keys[0]]
        keys.sort(key=lambda key: -self._storages[key].size_bytes)
        tensors = list(itertools.chain(*(self._tensors[key].values() for key in keys)))
        return Holding(
            names=tuple(root.names[0] for root in roots),
            kinds=tuple(type(root.value).__name__ for root in roots),
            device=self._storages[keys[0]].device,
            size_bytes=sum(self._storages[key].size_bytes for key in keys),
            tensors=len({id(tensor) for _, tensor in tensors}),
            results=tuple(self._results.get(id(roots[0]), ())),
            largest=tuple(self._largest(key) for key in keys[:_LARGEST]),
            commands=tuple(dict.fromkeys(root.command for root in roots)),
        )

    def _largest(self, key: int) -> HeldTensor:
        # The plainest path: a tensor is in a graph often, besides having a name.
        path, tensor = min(
            self._tensors[key].values(), key=lambda each: each[0].count("(")
        )
        storage = self._storages[key]
        return HeldTensor(
            path=path,
            device=storage.device,
            shape=shape_of(tensor),
            size_bytes=storage.size_bytes,
        )


def find_roots(
    namespace: Mapping[str, Any], outputs: Mapping[int, Any], hidden: Mapping[str, Any]
) -> list[Root]:
    """Return the objects to begin from; one that has several names comes once.

    Parameters
    ----------
    namespace, outputs, hidden
        As for `find_holders`.
    """
    roots: dict[int, Root] = {}
    for name, value in list(namespace.items()):
        if name not in _SKIPPED and type(name) is str and not is_atom(value):
            _add(roots, name, value)
    for root in roots.values():
        root.names.sort(key=_plainness)
        name = root.names[0]
        plain = name.isidentifier()
        root.command = f"%xdel {name}" if plain else f"del globals()[{name!r}]"
    _add_outputs(roots, outputs)
    for name, value in list(namespace.items()):
        if type(value) is types.ModuleType:
            for key, inner in _module_globals(name, value):
                if id(inner) not in roots:
                    _add(roots, key, inner).command = f"del {key}"
    for label, value in hidden.items():
        if not is_atom(value) and id(value) not in roots:
            command, _, shown = label.partition("#")
            _add(roots, shown.strip(), value).command = command.strip()
    return list(roots.values())


def local_roots(called: Iterable[types.FrameType]) -> list[Root]:
    """Return the locals of a failed call, each as ``name in function()``.

    What only calls inside libraries hold comes last, together: their names are nobody's.

    Parameters
    ----------
    called
        The frames, the outermost first. Reading their locals leaves a copy on them up
        to Python 3.12: only for frames that are let go soon.
    """
    found, below = [], []
    for frame in called:
        inside = is_library(frame.f_code.co_filename)
        for name, value in list(frame.f_locals.items()):
            if is_atom(value) or is_exception(value):  # it leads to these frames
                continue
            if inside:
                below.append(value)
            else:
                name = f"{name} in {frame.f_code.co_name}()"  # noqa: PLW2901
                found.append(Root(value, [name], command=""))
    return [*found, Root(below, [LIBRARIES], command="")]


def _add_outputs(roots: dict[int, Root], outputs: Mapping[int, Any]) -> None:
    """Add what was shown; its number is its best name where the user gave it none."""
    for number, value in list(outputs.items()):
        if is_atom(value):
            continue
        root = _add(roots, f"Out[{number}]", value)
        if root.names[0].startswith("Out["):  # no name leads there
            root.command = f"del Out[{number}]"
        elif _OUTPUT_NAME.fullmatch(root.names[0]):  # its command has a name that does
            root.names.insert(0, f"Out[{number}]")


def _add(roots: dict[int, Root], name: str, value: object) -> Root:
    """Note one name of an object."""
    root = roots.setdefault(id(value), Root(value))
    root.names.append(name)
    return root


def _plainness(name: str) -> tuple[bool, bool, bool]:
    """Order the names of an object: the user's own, then ``_5``, then ``__``.

    What ``__`` means changes with each value that is shown.
    """
    is_output = _OUTPUT_NAME.fullmatch(name) is not None
    return is_output, not name[-1:].isdigit(), name.startswith("_")


def _module_globals(
    name: str, module: types.ModuleType
) -> Iterable[tuple[str, object]]:
    """Yield what a module of the user's own holds, by its dotted name."""
    attributes = types.ModuleType.__getattribute__(module, "__dict__")
    filename = attributes.get("__file__")
    if type(filename) is not str or is_library(filename):
        return
    for key, value in list(attributes.items()):
        if not key.startswith("__") and not is_atom(value):
            yield f"{name}.{key}", value
