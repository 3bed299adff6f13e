"""What is the user's: his names, what they own, and what a failed cell still holds."""

from __future__ import annotations

import itertools
import traceback
from typing import TYPE_CHECKING, Final

import torch

from colabmagic.memory.children import is_kind
from colabmagic.memory.usage import used_names
from colabmagic.train.origin import is_user_file, is_user_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


_MANY_NAMES: Final = 4
_DEEPEST: Final = 2  # objects of the user in one another


def is_users(name: object) -> bool:
    """Tell whether a name of the namespace is one that the user gave."""
    return isinstance(name, str) and not name.startswith("_")


def owns(value: object, taken: set[int], depth: int = 0) -> bool:
    """Tell whether a value is, or visibly holds, a tensor that was moved.

    Parameters
    ----------
    value
        A model, an optimizer, a tensor, or an object of the user that holds such.
    taken
        ``id`` of the tensors.
    depth
        How many objects of the user it is inside of.
    """
    if is_kind(value, torch.Tensor):
        return id(value) in taken
    if is_kind(value, torch.nn.Module) and "_parameters" in vars(value):
        tensors = itertools.chain(value.parameters(), value.buffers())  # type: ignore[attr-defined]
        return any(id(each) in taken for each in tensors)
    if is_kind(value, torch.optim.Optimizer) and "param_groups" in vars(value):
        groups = value.param_groups  # type: ignore[attr-defined]
        return any(id(each) in taken for group in groups for each in group["params"])
    if is_user_type(type(value)) and depth < _DEEPEST:
        parts = attributes(value).values()
        return any(owns(each, taken, depth + 1) for each in list(parts))
    return False


def described(
    namespace: Mapping[str, object], names: Iterable[str], taken: set[int]
) -> tuple[str, ...]:
    """Return the names whose values moved, as the user knows them.

    Parameters
    ----------
    namespace
        His names.
    names
        The dotted ones that the cell mentions.
    taken
        ``id`` of the tensors that moved.
    """
    heads = dict.fromkeys(name.partition(".")[0] for name in names)
    # A function stands for what it uses: `main()` moves `model`.
    heads |= dict.fromkeys(sorted(used_names(namespace, heads)))
    found = [name for name in heads if owns(namespace.get(name), taken)]
    found.sort(key=lambda name: rank(namespace[name]))
    if taken and not found:
        return (f"{len(taken)} tensors",)
    rest = len(found) - _MANY_NAMES
    return (*found[:_MANY_NAMES], *((f"{rest} more",) if rest > 0 else ()))


def rank(value: object) -> int:
    """Return how early a value is named among others: models, optimizers, the rest."""
    kinds = (torch.nn.Module, torch.optim.Optimizer)
    return next((n for n, kind in enumerate(kinds) if is_kind(value, kind)), len(kinds))


def attributes(value: object) -> dict[str, object]:
    """Return the attributes that an object holds itself; nothing is computed."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return held if type(held) is dict else {}


def frame_values(error: BaseException | None) -> Iterator[object]:
    """Return the local values that the traceback of an error keeps alive."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if is_user_file(frame.f_code.co_filename):
                yield from list(frame.f_locals.values())
        error = error.__cause__ or error.__context__
