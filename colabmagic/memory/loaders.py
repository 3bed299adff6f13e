"""Loaders that a failed cell used, and how each is written with smaller batches."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colabmagic.memory.children import is_kind, is_users
from colabmagic.memory.devices import loaded_torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderFacts:
    """A ``DataLoader`` of the user.

    Attributes
    ----------
    name
        What he calls it.
    batch_size
        Samples in a batch.
    smaller
        The line that makes it anew with half of that.
    """

    name: str
    batch_size: int
    smaller: str


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
    # A function of the notebook may use a loader that neither cell nor call names.
    by_functions = (
        frame.f_code.co_names for frame in called if frame.f_globals is namespace
    )
    words = {*mentioned, *(name for names in by_functions for name in names)}
    named = [(name, namespace[name]) for name in words if name in namespace]
    named += [pair for name, value in named for pair in _attributes(name, value)]
    local = [pair for frame in called for pair in list(frame.f_locals.items())]
    found: dict[int, LoaderFacts] = {}
    for name, value in (*sorted(named, key=lambda pair: pair[0]), *local):
        if id(value) not in found and name.replace(".", "").isidentifier():
            facts = _facts(name, value)
            if facts is not None:
                found[id(value)] = facts
    return tuple(found.values())


def _attributes(name: str, value: object) -> list[tuple[str, object]]:
    """Return the attributes of an instance of the user's class, by dotted names."""
    if not is_users(type(value)):
        return []
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return []
    return [(f"{name}.{key}", inner) for key, inner in dict.items(attributes)]


def _facts(name: str, value: Any) -> LoaderFacts | None:  # noqa: ANN401 (any object)
    """Read a loader; None if the value is none, or its batches are the user's own."""
    data: Any = getattr(getattr(loaded_torch(), "utils", None), "data", None)
    if data is None or not is_kind(value, getattr(data, "DataLoader", None)):
        return None
    attributes = object.__getattribute__(value, "__dict__")
    size = attributes.get("batch_size")
    if type(size) is not int or type(value) is not data.DataLoader:
        return None
    half = max(size // 2, 1)
    arguments = [f"{name}.dataset", f"batch_size={half}"]
    sampler = attributes.get("sampler")
    if type(sampler) is data.RandomSampler:
        arguments.append("shuffle=True")
    elif type(sampler) is not data.SequentialSampler:
        arguments.append(f"sampler={name}.sampler")
    arguments += [
        f"{option}={attributes[option]!r}"
        for option in ("num_workers", "pin_memory", "drop_last")
        if attributes.get(option)
    ]
    if _is_users_function(attributes.get("collate_fn")):
        arguments.append(f"collate_fn={name}.collate_fn")
    call = ", ".join(arguments)
    return LoaderFacts(
        name=name,
        batch_size=size,
        smaller=f"{name} = torch.utils.data.DataLoader({call})",
    )


def _is_users_function(function: object) -> bool:
    """Tell whether a function was given by the user: not torch's, nor our wrapper."""
    owner = function if type(function) is types.FunctionType else type(function)
    name = str(owner.__module__)
    return function is not None and not name.startswith(("colabmagic.", "torch."))
