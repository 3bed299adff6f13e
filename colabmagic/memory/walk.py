"""Walk through objects to see what they hold, and by which path.

The walk runs no code of the user's objects: no ``getattr``, ``len``, ``==``, ``bool``
or ``isinstance`` on them, only the type and the memory of built-in kinds.
"""

from __future__ import annotations

import collections
import contextlib
from typing import TYPE_CHECKING, Any, Final

from colabmagic.memory.children import children, is_atom, is_users
from colabmagic.memory.exceptions import is_exception, next_links

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_OBJECTS: Final = 300_000  # of one walk: about half a second
_LONGEST_CONTAINER: Final = 5_000  # in which somebody keeps exceptions
_LENGTHS: Final[dict[type, Callable[[Any], int]]] = {
    kind: kind.__len__ for kind in (list, tuple, dict, set, collections.deque)
}


def walk(
    root: object, path: str, *, budget: int = MOST_OBJECTS
) -> Iterator[tuple[str, object]]:
    """Yield everything that an object holds, nearest first, each once, with its path.

    Parameters
    ----------
    root
        Where to begin; it is yielded first.
    path
        How the user writes it.
    budget
        How many objects are looked at.
    """
    seen: set[int] = set()
    pending: collections.deque[tuple[str, object]] = collections.deque([(path, root)])
    while pending and len(seen) < budget:
        here, value = pending.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield here, value
        with contextlib.suppress(Exception):  # changed by another thread meanwhile
            pending.extend(
                (here + suffix, child)
                for suffix, child in children(value)
                if not is_atom(child)
            )


def exceptions_in(values: Iterable[object], *, budget: int = 20_000) -> set[int]:
    """Return the ``id`` of all exceptions that the user holds himself.

    Parameters
    ----------
    values
        The values of his names.
    budget
        How many objects are looked at: names, containers, instances of his classes.
    """
    seen: set[int] = set()
    found: set[int] = set()
    pending = [each for each in values if _may_hold_exception(each)]
    while pending and len(seen) < budget:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if is_exception(value):
            found.add(id(value))
            pending += next_links(value)  # type: ignore[arg-type]
            continue
        with contextlib.suppress(Exception):  # changed by another thread meanwhile
            pending += [
                each for _, each in children(value) if _may_hold_exception(each)
            ]
    return found


def _may_hold_exception(value: object) -> bool:
    """Tell whether a value is where people put exceptions, or is one."""
    kind = type(value)
    if is_exception(value) or is_users(kind):
        return True
    # By identity: a metaclass may have forbidden hashes.
    length = _LENGTHS.get(kind) if type(kind) is type else None
    return length is not None and length(value) <= _LONGEST_CONTAINER
