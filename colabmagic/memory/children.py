"""What one object holds itself, and how each part is called.

Nothing here runs code of the user's objects: no ``getattr``, ``len``, ``==``, ``bool``
or ``isinstance`` on them, only the type and the memory of built-in kinds.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import gc
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any, Final

from colabmagic.memory.exceptions import (
    HAS_OWN_LOCALS,
    frames,
    next_links,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Children = Iterator[tuple[str, object]]

_LONGEST_KEY: Final = 30

ATOMS: Final = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, bytearray, range, slice,
        type(Ellipsis), types.CodeType, types.ModuleType,
    }
)  # fmt: skip
# Worlds of their own, in which a walk would get lost; none of them holds tensors.
_CLOSED: Final = (
    sys.stdlib_module_names
    - {"builtins", "collections", "functools", "types", "argparse", "itertools"}
) | {
    "numpy", "pandas", "PIL", "cv2", "matplotlib", "IPython", "ipykernel", "traitlets",
    "zmq", "tornado", "sklearn", "scipy", "ipywidgets", "jupyter_client", "colabmagic",
    "tensorboard", "google", "polars", "pyarrow", "h5py", "jedi", "parso",
}  # fmt: skip
_CLOSED_PARTS: Final = ("torch._", "torch.jit", "torch.autograd.profiler")

_args_of: Final = vars(BaseException)["args"].__get__
_mro_of: Final = type.__dict__["__mro__"].__get__
_members_of: Final = type.__dict__["__dict__"].__get__
_module_of: Final = type.__dict__["__module__"].__get__


def is_atom(value: object) -> bool:
    """Tell whether a value holds nothing that matters."""
    kind = type(value)
    # By identity: a metaclass may have forbidden hashes.
    return type(kind) is type and kind in ATOMS


def only_atoms(values: Iterable[object]) -> bool:
    """Tell whether nothing among many values needs a visit."""
    try:
        return ATOMS.issuperset(map(type, values))
    except Exception:  # noqa: BLE001 (a metaclass whose instances have no hash)
        return False


def is_kind(value: object, base: type | None) -> bool:
    """Tell whether a value is an instance of a class, without asking the value."""
    # By identity, unlike `in`: a metaclass may have forbidden ``==``.
    return base is not None and type.__subclasscheck__(base, type(value))


def children(value: object) -> Children:
    """Yield what one object holds itself, each with the end of its path."""
    kind = type(value)
    if type(kind) is not type:  # a metaclass may forbid hashes
        return _visitor(kind)(value)
    visit = _visitors.get(kind) or _chosen.get(kind)
    if visit is None:
        visit = _chosen[kind] = _visitor(kind)
    return visit(value)


def module_name(kind: type) -> str:
    """Return the name of a class's module; "" where it is no text."""
    with contextlib.suppress(AttributeError):
        name = _module_of(kind)
        if type(name) is str:
            return name
    return ""


# ---- one function for each kind of object ------------------------------------------


def _nothing(_: object) -> Children:
    yield from ()


def _mapping(value: dict[Any, Any]) -> Children:
    if only_atoms(dict.values(value)) and only_atoms(dict.keys(value)):
        return
    for key, inner in list(dict.items(value)):
        yield f"[{_shown(key)}]", inner
        if not is_atom(key):
            yield "[…]", key


def _list(value: list[Any]) -> Children:
    if not only_atoms(list.__iter__(value)):
        for number, inner in enumerate(list.__iter__(value)):
            yield f"[{number}]", inner
    yield from _attributes(value)


def _tuple(value: tuple[Any, ...]) -> Children:
    for number, inner in enumerate(tuple.__iter__(value)):
        yield f"[{number}]", inner
    yield from _attributes(value)


def _deque(value: collections.deque[Any]) -> Children:
    for number, inner in enumerate(collections.deque.__iter__(value)):
        yield f"[{number}]", inner
    yield from _attributes(value)


def _mapping_instance(value: dict[Any, Any]) -> Children:
    yield from _mapping(value)
    yield from _attributes(value)


def _held(value: object) -> Children:
    """Yield what an object of C code holds: only that code knows where."""
    for inner in gc.get_referents(value):
        if not _is_code(inner):
            yield "…", inner


def _set_instance(value: object) -> Children:
    yield from _held(value)
    yield from _attributes(value)


def _function(value: types.FunctionType) -> Children:
    names = value.__code__.co_freevars
    for name, cell in zip(names, value.__closure__ or (), strict=False):
        with contextlib.suppress(ValueError):  # not bound yet
            yield f" (its {name})", cell.cell_contents
    for inner in (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()):
        yield " (a default)", inner
    for name, inner in list(value.__dict__.items()):
        yield f".{name}", inner


def _method(value: types.MethodType) -> Children:
    yield ".__self__", value.__self__
    yield "", value.__func__


def _builtin(value: types.BuiltinFunctionType) -> Children:
    yield ".__self__", value.__self__


def _partial(value: functools.partial[Any]) -> Children:
    yield ".func", value.func
    yield ".args", value.args
    yield ".keywords", value.keywords
    yield from _attributes(value)


def _wrapper(value: Any) -> Children:  # noqa: ANN401 (staticmethod or classmethod)
    yield "", value.__func__


def _property(value: property) -> Children:
    yield "", value.fget


def _cell(value: types.CellType) -> Children:
    with contextlib.suppress(ValueError):  # not bound yet
        yield "", value.cell_contents


def _exception(value: BaseException) -> Children:
    for frame in frames(value):
        # Not `f_locals`: up to Python 3.12 reading it leaves a copy on the frame.
        if frame.f_code.co_flags & HAS_OWN_LOCALS:
            for inner in gc.get_referents(frame):
                if not _is_code(inner):
                    yield f".__traceback__ ({frame.f_code.co_name})", inner
    for link in next_links(value):
        yield ".__context__", link
    yield ".args", _args_of(value)
    yield from _attributes(value)


def _traceback(value: types.TracebackType) -> Children:
    entry: types.TracebackType | None = value
    while entry is not None:
        if entry.tb_frame.f_code.co_flags & HAS_OWN_LOCALS:
            yield f" ({entry.tb_frame.f_code.co_name})", entry.tb_frame
        entry = entry.tb_next


def _frame(value: types.FrameType) -> Children:
    if value.f_code.co_flags & HAS_OWN_LOCALS:
        yield from _held(value)


def _class(value: type) -> Children:
    if is_users(value):
        for name, inner in list(_members_of(value).items()):
            yield f".{name}", inner


def _attributes(value: object) -> Children:
    """Yield attributes and slots."""
    for name, slot in _slots(type(value)):
        with contextlib.suppress(AttributeError):  # not set
            yield f".{name}", slot.__get__(value)
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return
    if type(attributes) is dict:
        for name, inner in list(dict.items(attributes)):
            yield f".{name}" if type(name) is str else "…", inner


def _instance(value: object) -> Children:
    yield from _attributes(value)
    if is_users(type(value)):
        yield "", type(value)


def _torch_module(value: object) -> Children:
    """Yield what an ``nn.Module`` holds, by the names that the user writes."""
    for name, inner in _attributes(value):
        if name in {"._parameters", "._buffers", "._modules"} and is_kind(inner, dict):
            parts: dict[Any, Any] = inner  # type: ignore[assignment]
            for key, part in list(dict.items(parts)):
                text = _shown(key).strip("'")
                yield f".{text}" if text.isidentifier() else f"[{text}]", part
        else:
            yield name, inner
    if is_users(type(value)):
        yield "", type(value)


def _tensor(value: Any) -> Children:  # noqa: ANN401 (torch is not imported here)
    from colabmagic.memory.tensors import gradient_of  # noqa: PLC0415 (needs torch)

    yield ".grad", gradient_of(value)
    yield from _attributes(value)


# What was found out about classes. Weak: a class that the user defines anew may hold
# tensors in its attributes.
_chosen: weakref.WeakKeyDictionary[type, Callable[[Any], Children]] = (
    weakref.WeakKeyDictionary()
)
_without_slots: weakref.WeakSet[type] = weakref.WeakSet()
_visitors: dict[type, Callable[[Any], Children]] = {
    list: _list,
    tuple: _tuple,
    dict: _mapping,
    set: _held,
    frozenset: _held,
    types.FunctionType: _function,
    types.MethodType: _method,
    types.BuiltinFunctionType: _builtin,
    types.CellType: _cell,
    types.GeneratorType: _held,
    types.CoroutineType: _held,
    types.AsyncGeneratorType: _held,
    types.MappingProxyType: _held,
    types.TracebackType: _traceback,
    types.FrameType: _frame,
    type(functools.lru_cache(int)): _held,
    staticmethod: _wrapper,
    classmethod: _wrapper,
    property: _property,
}
_BY_BASE: Final[tuple[tuple[type, Callable[[Any], Children]], ...]] = (
    (type, _class),
    (functools.partial, _partial),
    (dict, _mapping_instance),
    (list, _list),
    (tuple, _tuple),
    (set, _set_instance),
    (frozenset, _set_instance),
    (collections.deque, _deque),
)


def _visitor(kind: type) -> Callable[[Any], Children]:
    """Choose how objects of a type are visited."""
    torch: Any = sys.modules.get("torch")
    by_base = (
        (BaseException, _exception),
        (getattr(torch, "Tensor", None), _tensor),
        (getattr(getattr(torch, "nn", None), "Module", None), _torch_module),
        *_BY_BASE,
    )
    bases = set(map(id, _mro_of(kind)))
    for base, visit in by_base:
        if base is not None and id(base) in bases:
            return visit
    name = module_name(kind)
    if is_users(kind):
        return _instance
    if name.partition(".")[0] in _CLOSED or name.startswith(_CLOSED_PARTS):
        return _nothing
    return _held if name in {"builtins", "itertools"} else _instance


def is_users(kind: type) -> bool:
    """Tell whether a class was written in a cell."""
    return module_name(kind) == "__main__"


def _is_code(value: object) -> bool:
    """Tell whether a value leads out of what was asked about, into all the rest."""
    kind = type(value)  # by identity: a metaclass may have forbidden hashes
    if kind is types.ModuleType or kind is types.CodeType or kind is types.FrameType:
        return True
    return is_kind(value, type)


def _slots(kind: type) -> tuple[tuple[str, Any], ...]:
    """Return the slots of a class and its bases."""
    is_plain = type(kind) is type  # else a metaclass may forbid hashes
    if is_plain and kind in _without_slots:
        return ()
    found = tuple(
        (name, member)
        for base in _mro_of(kind)
        if module_name(base) != "builtins"
        for name, member in _members_of(base).items()
        if type(member) is types.MemberDescriptorType
    )
    if is_plain and not found:  # a slot refers to its class: it must not be kept
        _without_slots.add(kind)
    return found


def _shown(key: object) -> str:
    """Return a key of a dict as it is typed, in short."""
    if type(key) not in {str, int, bool, float, type(None)}:
        return "…"
    text = repr(key)
    return text if len(text) <= _LONGEST_KEY else f"{text[:_LONGEST_KEY]}…"
