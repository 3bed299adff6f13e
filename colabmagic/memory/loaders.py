"""Loaders that a failed cell used, and how each is written with smaller batches."""

from __future__ import annotations

import ast
import itertools
import re
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from colabmagic.memory.children import is_users
from colabmagic.memory.devices import loaded_torch
from colabmagic.memory.exceptions import has_locals
from colabmagic.memory.written import UNKNOWN, Page, pages
from colabmagic.report.model import Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ITEM: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*|\[(?:'[^'\\]*'|\d+)\])*")
_MOST_ITEMS: Final = 100
_WORKERS_FETCH: Final = 2  # batches ahead, where nobody says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderFacts:
    """What makes the batches of the user: a ``DataLoader``, or slices.

    Attributes
    ----------
    name
        What he calls it.
    batch_size
        Samples in a batch.
    smaller
        How half of that is written; what is to be typed is
        `colabmagic.report.model.Code`. Empty where that is not certain.
    """

    name: str
    batch_size: int
    smaller: tuple[str, ...]


def find_loaders(
    namespace: Mapping[str, Any],
    mentioned: Iterable[str],
    called: Iterable[types.FrameType],
) -> tuple[LoaderFacts, ...]:
    """Return the loaders that a cell mentions or that its calls used.

    Parameters
    ----------
    namespace
        The user's names.
    mentioned
        The words of the cell.
    called
        The frames of the failed call, the outermost first.
    """
    called = list(called)
    # A function of the notebook may use a loader that neither cell nor call names.
    by_functions = (
        frame.f_code.co_names for frame in called if frame.f_globals is namespace
    )
    words = {*mentioned, *(name for names in by_functions for name in names)}
    used = sorted(word for word in words if word in namespace)
    named = [pair for name in used for pair in _paths(name, namespace[name])]
    everywhere = {
        id(value): name
        for name, value in reversed(list(namespace.items()))
        if not name.startswith("_")  # what the shell calls a value that was shown
    }
    everywhere |= {id(value): path for path, value in reversed(named)}
    local = [
        (f"{name} in {frame.f_code.co_name}()", inner)
        for frame in called
        if has_locals(frame)
        for key, value in list(frame.f_locals.items())
        for name, inner in _paths(key, value)
    ]
    read = pages(called, namespace)
    found: dict[int, LoaderFacts] = {}
    for name, value in (*named, *local):
        size = _batch_size(value)
        if id(value) in found or size is None:
            continue
        path = everywhere.get(id(value))
        found[id(value)] = LoaderFacts(
            name=path or name,
            batch_size=size,
            smaller=_smaller(path, value, size, namespace, read),
        )
    return tuple(found.values()) or tuple(_slices(read))


def _paths(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield a value, and what it holds as attribute or item, by the user's words."""
    yield name, value
    if type(value) is dict:
        items = itertools.islice(value.items(), _MOST_ITEMS)
        inner = [(f"{name}[{key!r}]", each) for key, each in items if type(key) is str]
    elif type(value) in {list, tuple}:
        parts: Any = value
        inner = [(f"{name}[{n}]", each) for n, each in enumerate(parts[:_MOST_ITEMS])]
    elif is_users(type(value)):
        try:
            attributes = object.__getattribute__(value, "__dict__")
        except AttributeError:
            return
        inner = [(f"{name}.{key}", each) for key, each in dict.items(attributes)]
    else:
        return
    yield from ((path, each) for path, each in inner if _ITEM.fullmatch(path))


def _batch_size(value: Any) -> int | None:  # noqa: ANN401 (any object)
    """Return the batch size of a loader; None if the batches are the user's own."""
    data: Any = getattr(getattr(loaded_torch(), "utils", None), "data", None)
    if data is None or type(value) is not data.DataLoader:
        return None
    size = object.__getattribute__(value, "__dict__").get("batch_size")
    return size if type(size) is int else None


# ---- how a loader is made anew -----------------------------------------------------


def arguments(name: str, loader: Any) -> dict[str, str]:  # noqa: ANN401 (a DataLoader)
    """Return how a loader is made anew: each argument as the user would type it.

    Parameters
    ----------
    name
        An expression for the loader.
    loader
        A ``DataLoader`` of torch's own class.
    """
    data: Any = loaded_torch().utils.data
    held = object.__getattribute__(loader, "__dict__")
    sampler, generator = held.get("sampler"), held.get("generator")
    found = {"batch_size": repr(held.get("batch_size"))}
    if _shuffles(data, sampler, held.get("dataset"), generator):
        found["shuffle"] = "True"
    elif not _is_default(data, sampler, held.get("dataset")):
        found["sampler"] = f"{name}.sampler"
    workers = held.get("num_workers")
    for option in ("num_workers", "pin_memory", "drop_last", "timeout"):
        if held.get(option):
            found[option] = repr(held[option])
    if _is_users_function(held.get("collate_fn")):
        found["collate_fn"] = f"{name}.collate_fn"
    context = held.get("_DataLoader__multiprocessing_context")
    given = {
        "generator": generator,
        "worker_init_fn": held.get("worker_init_fn"),
        "multiprocessing_context": context if workers else None,
    }
    found |= {key: f"{name}.{key}" for key, each in given.items() if each is not None}
    if workers and held.get("prefetch_factor") not in {None, _WORKERS_FETCH}:
        found["prefetch_factor"] = repr(held["prefetch_factor"])
    if held.get("persistent_workers"):
        found["persistent_workers"] = "True"
    if held.get("pin_memory_device"):
        found["pin_memory_device"] = repr(held["pin_memory_device"])
    if held.get("in_order") is False:
        found["in_order"] = "False"
    return found


def made_anew(name: str, given: Mapping[str, str], namespace: Mapping[str, Any]) -> str:
    """Return the line that makes a loader anew.

    Parameters
    ----------
    name
        What the user calls it.
    given
        What `arguments` returned, changed.
    namespace
        His names.
    """
    kind = loaded_torch().utils.data.DataLoader
    call = f"type({name})"
    if namespace.get("DataLoader") is kind:
        call = "DataLoader"
    elif namespace.get("torch") is loaded_torch():
        call = "torch.utils.data.DataLoader"
    words = ", ".join(f"{key}={value}" for key, value in given.items())
    return f"{name} = {call}({name}.dataset, {words})"


def _shuffles(data: Any, sampler: Any, dataset: object, generator: object) -> bool:  # noqa: ANN401
    """Tell whether ``shuffle=True`` makes this very sampler."""
    if type(sampler) is not data.RandomSampler:
        return False
    held = object.__getattribute__(sampler, "__dict__")
    plain = held.get("replacement") is False and held.get("_num_samples") is None
    same = held.get("data_source") is dataset and held.get("generator") is generator
    return plain and same


def _is_default(data: Any, sampler: Any, dataset: object) -> bool:  # noqa: ANN401
    """Tell whether a loader makes this very sampler by itself."""
    if type(sampler) is data.SequentialSampler:
        held = object.__getattribute__(sampler, "__dict__")
        return held.get("data_source") is dataset
    endless = getattr(data.dataloader, "_InfiniteConstantSampler", None)
    return type(sampler) is endless


def _is_users_function(function: object) -> bool:
    """Tell whether a function was given by the user: not torch's, nor our wrapper."""
    owner = function if type(function) is types.FunctionType else type(function)
    name = str(owner.__module__)
    return function is not None and not name.startswith(("colabmagic.", "torch."))


# ---- where its batch size is written -------------------------------------------------


def _smaller(
    path: str | None,
    loader: Any,  # noqa: ANN401 (a DataLoader)
    size: int,
    namespace: Mapping[str, Any],
    read: tuple[Page, ...],
) -> tuple[str, ...]:
    """Say how a loader gets half of its batch size; in the cell itself if it is made there."""
    half = max(size // 2, 1)
    made = [(page, call) for page in read for call in _makings(page, loader, size)]
    in_cell = [each for each in made if each[0].is_first]
    first = next((page for page in read if page.is_first), None)
    root = re.split(r"[.\[]", path or "")[0]
    if path is not None and not in_cell and not (first and first.stores(root)):
        given = arguments(path, loader) | {"batch_size": str(half)}
        return (Code(made_anew(path, given, namespace)),)
    for page, call in in_cell or made if len(in_cell or made) == 1 else ():
        return _written(page, _size_of(call), half, read)
    return ()


def _makings(page: Page, loader: Any, size: int) -> Iterator[ast.Call]:  # noqa: ANN401
    """Yield the calls of a page that may have made a loader."""
    dataset = object.__getattribute__(loader, "__dict__").get("dataset")
    for node in itertools.chain(*map(ast.walk, page.called())):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else ""
        name = called.id if isinstance(called, ast.Name) else name
        if name != "DataLoader":
            continue
        given = {word.arg: word.value for word in node.keywords}
        data = page.value(given.get("dataset", node.args[0] if node.args else None))
        known = page.value(_size_of(node))
        if (data is UNKNOWN or data is dataset) and (known is UNKNOWN or known == size):
            yield node


def _size_of(call: ast.Call) -> ast.expr | None:
    """Return how the batch size of a loader is written."""
    given = [word.value for word in call.keywords if word.arg == "batch_size"]
    return next(iter(given or call.args[1:2]), None)


def _written(
    page: Page, node: ast.expr | None, half: int, read: tuple[Page, ...]
) -> tuple[str, ...]:
    """Say what to write where a number stands, by itself or by its name."""
    again = () if page.is_first else ("and run that cell again",)
    if isinstance(node, ast.Constant):
        before = page.lines[node.lineno - 1].encode()[: node.col_offset].decode()
        word = re.search(r"\w+\s*=\s*$", before)
        text = f"{word[0]}{half}" if word else f"{half} in place of {node.value!r}"
        return (f"in {page.place(node)} write {text}", *again)
    if not isinstance(node, ast.Name):
        return ()
    first = next((each for each in read if each.is_first), page)
    whose = page if page.is_local(node.id) else first
    bound = whose.stores(node.id)
    if not bound:
        return Code(f"{node.id} = {half}"), "and run this cell again"
    if len(bound) == 1 and bound[0] and isinstance(bound[0].value, ast.Constant):
        return (f"in {whose.place(bound[0])} write {node.id} = {half}", *again)
    return (f"{page.place(node)} has it as {node.id}",)


def _slices(read: Iterable[Page]) -> Iterator[LoaderFacts]:
    """Yield the batch sizes of loops that cut batches out of tensors themselves."""
    read = tuple(read)
    seen: set[str] = set()
    for page in read:
        for loop in itertools.chain(*map(ast.walk, page.called())):
            if not isinstance(loop, ast.For):
                continue
            for node in _steps(loop):
                size, text = page.value(node), ast.unparse(node)
                if type(size) is int and size > 1 and text not in seen:
                    seen.add(text)
                    name = text if isinstance(node, ast.Name) else "the slices"
                    smaller = _written(page, node, max(size // 2, 1), read)
                    yield LoaderFacts(name=name, batch_size=size, smaller=smaller)


def _steps(loop: ast.For) -> Iterator[ast.expr]:
    """Yield the step of a ``range`` whose slices are as long, and the size of a split."""
    match loop.iter:
        case ast.Call(func=ast.Name(id="range"), args=[_, _, step]):
            text = ast.unparse(step)
            slices = (node for node in ast.walk(loop) if isinstance(node, ast.Slice))
            if any(
                isinstance(each.upper, ast.BinOp)
                and text
                in {ast.unparse(each.upper.left), ast.unparse(each.upper.right)}
                for each in slices
            ):
                yield step
    for node in ast.walk(loop.iter):
        match node:
            case ast.Call(func=ast.Attribute(attr="split"), args=[*_, size]):
                yield size
