"""What a cell can reach from the names that it mentions.

The walk never runs code of the user's objects: no ``getattr``, ``len``, ``==``, ``bool``
or ``isinstance`` on them, only the type and the memory of the built-in kinds.
"""

from __future__ import annotations

import functools
import gc
import itertools
import sys
import types
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.utils import data as torch_data
from torch.utils.data.dataloader import _BaseDataLoaderIter

from colabmagic.memory.children import is_kind
from colabmagic.train import origin
from colabmagic.train.exchange import no_subclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_ATOMS: Final = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, bytearray, range, slice,
        type(Ellipsis), torch.dtype, torch.device, torch.Size, torch.layout,
        torch.memory_format, torch.Generator, types.ModuleType, types.CodeType,
    }
)  # fmt: skip
# Large worlds of their own, in which a walk would get lost; none of them trains.
_CLOSED: Final = (
    sys.stdlib_module_names
    - {"collections", "functools", "types", "argparse", "__main__", "itertools"}
) | {
    "numpy", "pandas", "PIL", "cv2", "matplotlib", "IPython", "ipykernel", "traitlets",
    "zmq", "tornado", "sklearn", "scipy", "tqdm", "ipywidgets", "jupyter_client",
    "tensorboard", "wandb", "colabmagic", "google", "polars", "pyarrow", "h5py",
}  # fmt: skip
_CLOSED_PARTS: Final = (
    "torch.utils.data",
    "torch.utils.tensorboard",
    "torch._",
    "torch.jit",
)
_DATA_TYPES: Final = (
    torch_data.Dataset,
    torch_data.DataLoader,
    torch_data.Sampler,
    _BaseDataLoaderIter,
)
# Iterators and views: no attributes, but something inside.
_HOLDERS: Final = (
    *map(type, map(iter, ([], (), {}, {}.values(), {}.items(), set()))),
    *map(type, ({}.keys(), {}.values(), {}.items(), reversed([]))),
    enumerate, zip, map, filter, reversed, types.MappingProxyType,
    type(functools.lru_cache(int)),
    *(each for each in vars(itertools).values() if isinstance(each, type)),
)  # fmt: skip
_hooks_of: Final = torch._C.TensorBase._backward_hooks.__get__  # type: ignore[union-attr]  # noqa: SLF001
_LOOKED_AT: Final = 8
_ROWS: Final = frozenset({id(tuple), id(list)})
_SKIPPED_NAMES: Final = frozenset({"get_ipython", "exit", "quit"})


@dataclass(eq=False)
class Reach:
    """What was found.

    Attributes
    ----------
    tensors
        By ``id``; gradients are not listed, they go with their tensors.
    modules
        Every ``nn.Module``, by ``id``.
    optimizers
        Every optimizer, by ``id``.
    data
        Datasets, loaders, samplers and iterators over loaders, by ``id``; what is
        reachable only through them is not in `tensors`.
    at_home
        ``id`` of tensors that belong on the CPU (step counters of optimizers).
    devices
        Attributes of objects whose value is a ``torch.device``, as the dict that holds
        them and the key; not looked for where it is None.
    arrays
        NumPy arrays, which may look at the memory of tensors.
    """

    namespace: Mapping[str, Any]
    into_data: bool = False
    tensors: dict[int, torch.Tensor] = field(default_factory=dict)
    modules: dict[int, torch.nn.Module] = field(default_factory=dict)
    optimizers: dict[int, torch.optim.Optimizer] = field(default_factory=dict)
    data: dict[int, Any] = field(default_factory=dict)
    at_home: set[int] = field(default_factory=set)
    devices: list[tuple[dict[Any, Any], Any]] | None = None
    arrays: list[Any] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)
    _pending: list[Any] = field(default_factory=list)
    _kinds: set[int] = field(default_factory=set)

    def names(self, names: Iterable[str]) -> Reach:
        """Walk from dotted names of the namespace; unknown names are passed over."""
        for name in names:
            self._pending.append(self._value(name))
            self._pending.extend(self._taken_from_data(name))
        self._walk()
        return self

    def values(self, values: Iterable[object]) -> Reach:
        """Walk from objects."""
        self._pending.extend(values)
        self._walk()
        return self

    def _value(self, name: str) -> object:
        """Return the object of a dotted name, as far as modules of the user lead."""
        first, *rest = name.split(".")
        if first in _SKIPPED_NAMES or first not in self.namespace:
            return None
        value = self.namespace[first]
        for part in rest:
            if type(value) is not types.ModuleType:
                return value
            value = types.ModuleType.__getattribute__(value, "__dict__").get(part)
        return value

    def _taken_from_data(self, name: str) -> list[object]:
        """Return what the cell itself takes out of a dataset, as ``dataset.targets``.

        Of a method that it calls, what the method takes.
        """
        first, *rest = name.split(".")
        value = self.namespace.get(first)
        for part in rest:
            if not _is_data(value):
                break
            attributes = object.__getattribute__(value, "__dict__")
            if part in attributes:
                value = attributes[part]
                continue
            method = _function_of(type(value), part)
            names = method.__code__.co_names if method is not None else ()
            found = [attributes.get(each) for each in names]
            return [each for each in found if _is_tensors(each)]
        return [value] if rest and _is_tensors(value) else []

    def _walk(self) -> None:
        """Visit everything that is pending, each object once."""
        seen, pending = self._seen, self._pending
        while pending:
            value = pending.pop()
            kind = type(value)
            try:
                if kind in _ATOMS or id(value) in seen:
                    continue
                visit = _visitors.get(kind)
                if visit is None:
                    visit = _visitors.setdefault(kind, _visitor(kind))
            except Exception:  # noqa: BLE001 (a metaclass whose instances have no hash)
                if id(value) in seen:
                    continue
                visit = _visitor(kind)
            seen.add(id(value))
            visit(self, value)

    # ---- one method for each kind of object -----------------------------------

    def _skip(self, value: object) -> None:
        """Pass over what is closed."""

    def _array(self, value: Any) -> None:  # noqa: ANN401 (a NumPy array)
        self.arrays.append(value)

    def _tensor(self, value: torch.Tensor) -> None:
        self.tensors[id(value)] = value
        if value_dict := object.__getattribute__(value, "__dict__"):
            self._dict(value_dict)
        with no_subclass():
            hooks = _hooks_of(value)
        if hooks:
            self._pending.extend(hooks.values())

    def _list(self, value: list[Any]) -> None:
        if not _only_atoms(list.__iter__(value)) and not _only_rows(value):
            self._pending.extend(list.__iter__(value))
        self._instance(value)

    def _tuple(self, value: tuple[Any, ...]) -> None:
        self._pending.extend(tuple.__iter__(value))
        self._instance(value)

    def _set(self, value: set[Any]) -> None:
        self._pending.extend(set.__iter__(value))

    def _frozenset(self, value: frozenset[Any]) -> None:
        self._pending.extend(frozenset.__iter__(value))

    def _deque(self, value: deque[Any]) -> None:
        self._pending.extend(deque.__iter__(value))
        self._instance(value)

    def _dict(self, value: dict[Any, Any]) -> None:
        for key in list(dict.keys(value)):
            if type(key) is not str:
                self._pending.append(key)
        self._pending.extend(list(dict.values(value)))

    def _dict_instance(self, value: dict[Any, Any]) -> None:
        self._dict(value)
        self._instance(value)

    def _data(self, value: object) -> None:
        self.data[id(value)] = value
        if self.into_data:
            self._instance(value)
            self._class(type(value))

    def _module(self, value: torch.nn.Module) -> None:
        self.modules[id(value)] = value
        attributes = object.__getattribute__(value, "__dict__")
        pending = self._pending
        for name, inner in dict.copy(attributes).items():
            kind = type(inner)
            if kind is OrderedDict or kind is dict:
                if name == "_parameters":
                    self._parameters(inner.values())
                elif inner:
                    pending += inner.values()
            elif type(kind) is not type or kind not in _ATOMS:
                pending.append(inner)
            elif kind is torch.device and self.devices is not None:
                self.devices.append((attributes, name))
        if id(type(value)) not in self._kinds:
            self._kinds.add(id(type(value)))
            pending.append(type(value))

    def _parameters(self, values: Iterable[Any]) -> None:
        """Visit the parameters of one module: most of all that there is to visit."""
        for value in values:
            if (
                type(value) is torch.nn.Parameter
                and not value.__dict__
                and not _hooks_of(value)
            ):
                self._seen.add(id(value))
                self.tensors[id(value)] = value
            else:
                self._pending.append(value)

    def _optimizer(self, value: torch.optim.Optimizer) -> None:
        self.optimizers[id(value)] = value
        attributes = object.__getattribute__(value, "__dict__")
        groups = attributes.get("param_groups") or []
        states = attributes.get("state")
        on_device = any(
            group.get("capturable") or group.get("fused")
            for group in groups
            if isinstance(group, dict)
        )
        if not on_device and isinstance(states, dict):
            for state in dict.values(states):
                step = state.get("step") if type(state) is dict else None
                # Read by Python at every step: on a device each one would wait.
                if isinstance(step, torch.Tensor):
                    self.at_home.add(id(step))
        self._instance(value)

    def _function(self, value: types.FunctionType) -> None:
        self._pending.extend(_cells(value.__closure__))
        self._pending.extend(value.__defaults__ or ())
        self._pending.extend((value.__kwdefaults__ or {}).values())
        if value.__dict__:
            self._pending.extend(value.__dict__.values())
        if origin.is_user_file(value.__code__.co_filename):
            namespace = value.__globals__
            self._pending.extend(
                namespace[name]
                for name in global_names(value.__code__)
                if name in namespace
            )

    def _method(self, value: types.MethodType) -> None:
        self._pending.extend((value.__self__, value.__func__))

    def _builtin(self, value: types.BuiltinFunctionType) -> None:
        self._pending.append(value.__self__)

    def _partial(self, value: functools.partial[Any]) -> None:
        self._pending.extend((value.func, value.args, value.keywords))

    def _wrapper(self, value: Any) -> None:  # noqa: ANN401
        self._pending.append(value.__func__)

    def _property(self, value: property) -> None:
        self._pending.extend((value.fget, value.fset))

    def _cell(self, value: types.CellType) -> None:
        self._pending.extend(_cells((value,)))

    def _suspended(self, value: Any) -> None:  # noqa: ANN401
        prefix = {types.GeneratorType: "gi", types.CoroutineType: "cr"}.get(
            type(value), "ag"
        )
        frame = getattr(value, f"{prefix}_frame")
        self._pending.append(getattr(value, f"{prefix}_yieldfrom", None))
        if frame is not None and origin.is_user_file(frame.f_code.co_filename):
            self._pending.extend(frame.f_locals.values())
            names = global_names(frame.f_code)
            self._pending.extend(
                frame.f_globals[name] for name in names if name in frame.f_globals
            )

    def _class(self, value: type) -> None:
        for kind in type.__dict__["__mro__"].__get__(value):
            if id(kind) in _classes_done or not origin.is_user_type(kind):
                continue
            if id(kind) in self._seen and kind is not value:
                continue
            self._seen.add(id(kind))
            self._pending.extend(list(type.__dict__["__dict__"].__get__(kind).values()))

    def _instance(self, value: object) -> None:
        """Visit attributes and slots, without running any code of the object."""
        kind = type(value)
        try:
            slots = _slots(kind)  # type: ignore[arg-type]  # mostly, a type is hashable
        except Exception:  # noqa: BLE001 (a metaclass whose instances have no hash)
            slots = _slots.__wrapped__(kind)
        for slot in slots:
            try:
                self._pending.append(slot.__get__(value))
            except AttributeError:
                continue  # not set
        try:
            attributes = object.__getattribute__(value, "__dict__")
        except AttributeError:
            return
        if type(attributes) is dict:
            self._dict(attributes)
            if self.devices is not None:
                self.devices += [
                    (attributes, name)
                    for name, inner in dict.items(attributes)
                    if type(inner) is torch.device
                ]

    def _holder(self, value: object) -> None:
        """Visit what an iterator or a view holds; only C code knows where."""
        self._pending.extend(gc.get_referents(value))

    def _user_instance(self, value: object) -> None:
        self._instance(value)
        self._pending.append(type(value))


_classes_done: Final = frozenset(map(id, (object, torch.nn.Module, torch.Tensor)))
_visitors: dict[type, Callable[[Reach, Any], None]] = {
    list: Reach._list,  # noqa: SLF001 (the table of the class's own methods)
    tuple: Reach._tuple,  # noqa: SLF001
    dict: Reach._dict,  # noqa: SLF001
    set: Reach._set,  # noqa: SLF001
    frozenset: Reach._frozenset,  # noqa: SLF001
    types.FunctionType: Reach._function,  # noqa: SLF001
    types.MethodType: Reach._method,  # noqa: SLF001
    types.BuiltinFunctionType: Reach._builtin,  # noqa: SLF001
    types.CellType: Reach._cell,  # noqa: SLF001
    types.GeneratorType: Reach._suspended,  # noqa: SLF001
    types.CoroutineType: Reach._suspended,  # noqa: SLF001
    types.AsyncGeneratorType: Reach._suspended,  # noqa: SLF001
    staticmethod: Reach._wrapper,  # noqa: SLF001
    classmethod: Reach._wrapper,  # noqa: SLF001
    property: Reach._property,  # noqa: SLF001
    **dict.fromkeys(_HOLDERS, Reach._holder),  # noqa: SLF001
}
_BY_BASE: Final[tuple[tuple[type, Callable[[Reach, Any], None]], ...]] = (
    (torch.Tensor, Reach._tensor),  # noqa: SLF001
    (torch.nn.Module, Reach._module),  # noqa: SLF001
    (torch.optim.Optimizer, Reach._optimizer),  # noqa: SLF001
    *((kind, Reach._data) for kind in _DATA_TYPES),  # noqa: SLF001
    (type, Reach._class),  # noqa: SLF001
    (functools.partial, Reach._partial),  # noqa: SLF001
    (dict, Reach._dict_instance),  # noqa: SLF001
    (list, Reach._list),  # noqa: SLF001
    (tuple, Reach._tuple),  # noqa: SLF001
    (set, Reach._set),  # noqa: SLF001
    (frozenset, Reach._frozenset),  # noqa: SLF001
    (deque, Reach._deque),  # noqa: SLF001
)


def _visitor(kind: type) -> Callable[[Reach, Any], None]:
    """Choose how objects of a type are visited."""
    mro = set(map(id, type.__dict__["__mro__"].__get__(kind)))
    for base, visit in _BY_BASE:
        if id(base) in mro:
            return visit
    module = origin.module_name(kind)
    if module == "__main__" or origin.is_user_type(kind):
        return Reach._user_instance  # noqa: SLF001
    if module == "numpy" and kind.__name__ == "ndarray":
        return Reach._array  # noqa: SLF001
    if module.partition(".")[0] in _CLOSED or module.startswith(_CLOSED_PARTS):
        return Reach._skip  # noqa: SLF001
    return Reach._instance  # noqa: SLF001


def _is_data(value: object) -> bool:
    """Tell whether a value is a dataset or a loader."""
    kinds = type.__dict__["__mro__"].__get__(type(value))
    return any(base is kind for base in kinds for kind in _DATA_TYPES)


def _is_tensors(value: object) -> bool:
    """Tell whether a value is a tensor, or some in a list or tuple."""
    if type(value) in {list, tuple}:
        return all(_is_tensors(each) for each in value[:_LOOKED_AT]) and bool(value)  # type: ignore[index]
    return is_kind(value, torch.Tensor)


def _function_of(kind: type, name: str) -> types.FunctionType | None:
    """Return a method that the user wrote, as a function."""
    for base in type.__dict__["__mro__"].__get__(kind):
        found = type.__dict__["__dict__"].__get__(base).get(name)
        if found is not None:
            is_users = type(found) is types.FunctionType and origin.is_user_file(
                found.__code__.co_filename
            )
            return found if is_users else None
    return None


def _cells(cells: Iterable[types.CellType] | None) -> list[object]:
    """Return the contents of closure cells; empty ones have none."""
    found = []
    for cell in cells or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            continue
    return found


def _only_atoms(values: Iterable[object]) -> bool:
    """Tell whether nothing among many values needs a visit."""
    try:
        return _ATOMS.issuperset(map(type, values))
    except Exception:  # noqa: BLE001 (a metaclass whose instances have no hash)
        return False


def _only_rows(values: list[Any]) -> bool:
    """Tell whether a list holds rows of atoms, as a table of file names does."""
    kinds = {id(type(each)) for each in list.__iter__(values)}
    return kinds <= _ROWS and _only_atoms(
        itertools.chain.from_iterable(list.__iter__(values))
    )


@functools.lru_cache(maxsize=1024)
def _slots(kind: type) -> tuple[types.MemberDescriptorType, ...]:
    """Return the slots of a class and its bases."""
    return tuple(
        member
        for base in type.__dict__["__mro__"].__get__(kind)
        if origin.module_name(base) != "builtins"
        for member in type.__dict__["__dict__"].__get__(base).values()
        if type(member) is types.MemberDescriptorType
    )


@functools.lru_cache(maxsize=1024)
def global_names(code: types.CodeType) -> tuple[str, ...]:
    """Return the global names that code reads, with the functions defined in it."""
    import dis  # noqa: PLC0415 (not needed by a cell without functions)

    names = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}
    }
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(global_names(constant))
    return tuple(sorted(names))
