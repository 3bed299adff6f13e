"""One object, as it was: what it holds, and how to put that back in place."""

from __future__ import annotations

import array
import collections
import contextvars
import datetime as dt
import decimal
import functools
import gc
import random
import re
import sys
import threading
import types
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch.utils.data.dataloader import _BaseDataLoaderIter

from colabmagic.train import origin
from colabmagic.train.kept_arrays import keep_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_UNCHANGING: Final = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, range, slice, re.Pattern,
        type(Ellipsis), types.CodeType, decimal.Decimal,
        dt.date, dt.datetime, dt.timedelta, torch.dtype, torch.device,
        torch.Size, torch.layout, torch.memory_format,
    }
)  # fmt: skip
# What these hold is not taken back: figures, tables, bars, loggers, connections.
_LEFT_ALONE: Final = (
    sys.stdlib_module_names
    - {
        "__main__", "_asyncio", "_collections", "_io", "_random", "argparse", "array",
        "_weakrefset", "builtins", "collections", "functools", "io", "itertools",
        "queue", "random", "tempfile", "types", "weakref",
    }
) | {
    "IPython", "PIL", "colabmagic", "cv2", "google", "h5py", "ipykernel", "ipywidgets",
    "jupyter_client", "matplotlib", "pandas", "polars", "pyarrow", "tensorboard",
    "tensorboardX", "tornado", "tqdm", "traitlets", "wandb", "zmq",
}  # fmt: skip
_ABSENT: Final = object()
_HEAP: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_IMMUTABLE: Final = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE: a class of C, though on the heap
_OPEN: Final = frozenset(
    {"builtins", "functools", "types", "torch", "torch._C", "weakref"}
)
_REFUSED: Final[dict[type, str]] = {
    _BaseDataLoaderIter: "is an iterator in the middle of a loader",
    torch.jit.ScriptModule: "is a ScriptModule, whose state PyTorch keeps to itself",
    types.GeneratorType: "is a generator in the middle of its work",
    types.CoroutineType: "is a coroutine in the middle of its work",
    types.AsyncGeneratorType: "is a generator in the middle of its work",
}


_factory: Any = collections.defaultdict.default_factory  # type: ignore[misc]
_unchanging: Final = frozenset(map(id, _UNCHANGING))


def is_unchanging(value: object) -> bool:
    """Tell whether a value is a plain number, text or the like."""
    return id(type(value)) in _unchanging


class Kept(NamedTuple):
    """How to put an object back, and what it leads to."""

    undo: Callable[[], None]
    inside: Iterable[object]


def keep(value: Any, mro: tuple[type, ...]) -> Kept | str | None:  # noqa: ANN401
    """Keep one object that is no tensor, function, class, module or loader.

    Parameters
    ----------
    value
        The object.
    mro
        The classes of its type.

    Returns
    -------
    Kept or str or None
        A text says why it cannot be put back; None is for what needs not to be.
    """
    for base in map(id, mro):
        if base in _keepers:
            return _with_attributes(value, _keepers[base](value))
        if base in _refused:
            return _refused[base]
    solid = next(each for each in mro if not _is_python(each))
    if solid is not object:
        return _keep_foreign(value, mro, solid)
    closed = _is_left_alone(origin.module_name(mro[0]))
    return None if closed else keep_attributes(value)


def _keep_foreign(
    value: Any,  # noqa: ANN401
    mro: tuple[type, ...],
    solid: type,
) -> Kept | str | None:
    """Keep an object of a class that is not written in Python."""
    module = origin.module_name(solid)
    if module in {"io", "_io"}:
        return "is an open file"
    if "__next__" in type.__dict__["__dict__"].__get__(solid):
        return "is an iterator in the middle of its work"
    if module.partition(".")[0] == "numpy":
        found = keep_numpy(value)
        return None if found is None else Kept(*found)
    if module in _OPEN or _is_left_alone(module):
        return _with_attributes(value, None)
    return f"is a {mro[0].__name__} of {module}, which nobody can copy for sure"


def keep_dict(value: dict[Any, Any], *, in_order: bool = True) -> Kept:
    """Keep keys and values of a dict.

    Parameters
    ----------
    value
        The dict.
    in_order
        Also their order: then the dict is without some of them for a moment.
    """
    ordered = _has(type(value), collections.OrderedDict)
    kind: Any = collections.OrderedDict if ordered else dict
    items = list(kind.items(value))
    defaults = _has(type(value), collections.defaultdict)
    factory = _factory.__get__(value) if defaults else None

    def undo() -> None:
        if defaults:
            _factory.__set__(value, factory)
        now = list(kind.items(value))
        if len(now) == len(items) and all(
            one[0] is other[0] and one[1] is other[1]
            for one, other in zip(now, items, strict=True)
        ):
            return
        keys = {key for key, _ in items}
        for key, _ in now:
            if key not in keys:
                kind.__delitem__(value, key)
        left = [key for key, _ in now if key in keys]
        if in_order and left != [key for key, _ in items][: len(left)]:
            for key in left:
                kind.__delitem__(value, key)
        for key, each in items:
            kind.__setitem__(value, key, each)

    return Kept(undo, [each for pair in items for each in pair])


def keep_cell(cell: types.CellType) -> Kept:
    """Keep a variable of a closure."""
    try:
        before = cell.cell_contents
    except ValueError:  # not bound yet
        return Kept(lambda: _empty(cell), ())
    return Kept(lambda: setattr(cell, "cell_contents", before), (before,))


def _empty(cell: types.CellType) -> None:
    """Unbind a variable of a closure."""
    try:
        del cell.cell_contents
    except ValueError:
        return


def keep_code(function: types.FunctionType) -> Kept:
    """Keep the code of a function, and the defaults of its parameters."""
    names = ("__code__", "__defaults__", "__kwdefaults__")
    before = {name: getattr(function, name) for name in names}

    def undo() -> None:
        for name, value in before.items():
            if getattr(function, name) is not value:
                setattr(function, name, value)

    defaults = function.__kwdefaults__
    return Kept(undo, () if defaults is None else (defaults,))


def keep_class(kind: type) -> Kept:
    """Keep the attributes of a class that the user wrote."""
    attributes = type.__dict__["__dict__"].__get__(kind)
    before = dict(attributes)

    def undo() -> None:
        for name in set(attributes) - set(before):
            type.__delattr__(kind, name)
        for name, value in before.items():
            if attributes.get(name, _ABSENT) is not value:
                type.__setattr__(kind, name, value)

    inside = [
        each for each in before.values() if type(each) is not types.GetSetDescriptorType
    ]
    return Kept(undo, inside)


def keep_attributes(value: Any) -> Kept:  # noqa: ANN401
    """Keep class, attributes and slots of an instance."""
    kind = type(value)
    undo: list[Callable[[], None]] = []
    inside: list[object] = [kind]
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        attributes = None
    if type(attributes) is dict:
        kept = keep_dict(attributes)
        undo.append(kept.undo)
        inside += kept.inside
    for slot in _slots(kind):
        before = _read(slot, value)
        undo.append(functools.partial(_write, slot, value, before))
        inside.append(before)

    def put_back() -> None:
        if type(value) is not kind:  # as a lazy module that has become another
            object.__setattr__(value, "__class__", kind)
        for each in undo:
            each()

    return Kept(put_back, inside)


def _slots(kind: type) -> list[Any]:
    """Return the slots of the classes that are written in Python."""
    return [
        member
        for base in type.__dict__["__mro__"].__get__(kind)
        if _is_python(base)
        for member in type.__dict__["__dict__"].__get__(base).values()
        if type(member) is types.MemberDescriptorType
    ]


def _read(slot: Any, value: object) -> object:  # noqa: ANN401
    try:
        return slot.__get__(value)
    except AttributeError:
        return _ABSENT


def _write(slot: Any, value: object, before: object) -> None:  # noqa: ANN401
    now = _read(slot, value)
    if now is before:
        return
    if before is _ABSENT:
        slot.__delete__(value)
    else:
        slot.__set__(value, before)


def _with_attributes(value: Any, kept: Kept | None) -> Kept | None:  # noqa: ANN401
    """Add the attributes that an instance of a subclass has besides."""
    if not _is_python(type(value)):
        return kept
    own = keep_attributes(value)
    if kept is None:
        return own

    def undo() -> None:
        own.undo()
        kept.undo()

    return Kept(undo, [*kept.inside, *own.inside])


def _is_python(kind: type) -> bool:
    """Tell whether a class was made by a ``class`` statement."""
    flags = type.__dict__["__flags__"].__get__(kind)
    return bool(flags & _HEAP) and not flags & _IMMUTABLE


def _has(kind: type, base: type) -> bool:
    """Tell whether a class is, or derives from, another; no metaclass is asked."""
    return any(each is base for each in type.__dict__["__mro__"].__get__(kind))


def _is_left_alone(module: str) -> bool:
    return module.partition(".")[0] in _LEFT_ALONE


def _keep_list(value: list[Any]) -> Kept:
    before = list(list.__iter__(value))

    def undo() -> None:
        list.__setitem__(value, slice(None), before)

    return Kept(undo, before)


def _keep_set(value: set[Any]) -> Kept:
    before = set(set.__iter__(value))

    def undo() -> None:
        set.intersection_update(value, before)
        set.update(value, before)

    return Kept(undo, before)


def _keep_deque(value: collections.deque[Any]) -> Kept:
    before = list(collections.deque.__iter__(value))

    def undo() -> None:
        collections.deque.clear(value)
        collections.deque.extend(value, before)

    return Kept(undo, before)


def _keep_bytes(value: Any) -> Kept:  # noqa: ANN401 (a bytearray or an array.array)
    before = value[:]

    def undo() -> None:
        value[:] = before

    return Kept(undo, ())


def _keep_fixed(value: Any) -> Kept:  # noqa: ANN401 (a tuple or a frozenset)
    base = tuple if isinstance(value, tuple) else frozenset
    return Kept(_nothing, list(base.__iter__(value)))


def _keep_partial(value: functools.partial[Any]) -> Kept:
    return Kept(_nothing, (value.func, value.args, value.keywords))


def _keep_cache(value: Any) -> Kept:  # noqa: ANN401 (a functools.lru_cache)
    before = value.cache_info()

    def undo() -> None:
        if value.cache_info().misses == before.misses:
            return
        if before.currsize:
            message = "a cache that was filled before cannot be put back"
            raise RuntimeError(message)
        value.cache_clear()

    # Keys and results; the cache itself has links of its own.
    inside = [each for each in gc.get_referents(value) if type(each) is not dict]
    return Kept(undo, [*inside, value.__dict__])


def _keep_exception(value: BaseException) -> Kept:
    before = value.args
    own = keep_attributes(value)

    def undo() -> None:
        own.undo()
        if value.args is not before:
            value.args = before

    return Kept(undo, [*before, *own.inside])


def _keep_thread_local(value: threading.local) -> Kept:
    return keep_dict(threading.local.__getattribute__(value, "__dict__"))


def _keep_context_variable(value: contextvars.ContextVar[Any]) -> Kept:
    return Kept(_nothing, (value.get(None),))  # each run has a context of its own


def _keep_wrapper(value: Any) -> Kept:  # noqa: ANN401
    return Kept(_nothing, (value.__func__,))


def _keep_method(value: types.MethodType) -> Kept:
    return Kept(_nothing, (value.__self__, value.__func__))


def _keep_builtin(value: types.BuiltinFunctionType) -> Kept:
    return Kept(_nothing, (value.__self__,))


def _keep_property(value: property) -> Kept:
    return Kept(_nothing, (value.fget, value.fset))


def _keep_random(value: random.Random) -> Kept:
    state = random.Random.getstate(value)
    return Kept(lambda: random.Random.setstate(value, state), ())


def _keep_generator(value: torch.Generator) -> Kept:
    state = value.get_state()
    return Kept(lambda: void(value.set_state(state)), ())


def void(_: object) -> None:
    """Return nothing."""


def _nothing() -> None:
    """Put nothing back."""


_KEEPERS: Final[dict[type, Callable[[Any], Kept]]] = {
    list: _keep_list,
    tuple: _keep_fixed,
    frozenset: _keep_fixed,
    dict: keep_dict,
    set: _keep_set,
    collections.deque: _keep_deque,
    bytearray: _keep_bytes,
    array.array: _keep_bytes,
    functools.partial: _keep_partial,
    types.MethodType: _keep_method,
    types.BuiltinFunctionType: _keep_builtin,
    types.SimpleNamespace: keep_attributes,
    staticmethod: _keep_wrapper,
    classmethod: _keep_wrapper,
    property: _keep_property,
    types.CellType: keep_cell,
    random.Random: _keep_random,
    type(functools.cache(len)): _keep_cache,
    BaseException: _keep_exception,
    threading.local: _keep_thread_local,
    contextvars.ContextVar: _keep_context_variable,
    torch.Generator: _keep_generator,
}
# By identity: a metaclass may have no hash, or one of the user's.
_keepers: Final = {id(kind): keeper for kind, keeper in _KEEPERS.items()}
_refused: Final = {id(kind): why for kind, why in _REFUSED.items()}
