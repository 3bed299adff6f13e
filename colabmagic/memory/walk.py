"""Walk through objects to see what they hold, and by which path.

The walk runs no code of the user's objects: no ``getattr``, ``len``, ``==``, ``bool``
or ``isinstance`` on them, only the type and the memory of built-in kinds.
"""

from __future__ import annotations

import collections
import contextlib
from typing import TYPE_CHECKING, Any, Final

from colabmagic.memory.children import ATOMS, children, is_users
from colabmagic.memory.exceptions import is_exception, next_links

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    # The path that led there, and what came last: joined only where it is wanted.
    Path = tuple["Path | None", str]

MOST_OBJECTS: Final = 150_000  # of one walk
_LONGEST_CONTAINER: Final = 5_000  # in which somebody keeps exceptions
_LENGTHS: Final[dict[type, Callable[[Any], int]]] = {
    kind: kind.__len__ for kind in (list, tuple, dict, set, collections.deque)
}


def walk(
    root: object, path: str, *, budget: int = MOST_OBJECTS
) -> Iterator[tuple[Path, object]]:
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
    start: Path = (None, path)
    pending: collections.deque[tuple[Path, object]] = collections.deque([(start, root)])
    while pending and len(seen) < budget:
        here, value = pending.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield here, value
        try:
            for suffix, child in children(value):
                kind = type(child)
                # Asked by hash only where no metaclass can forbid it.
                if type(kind) is not type or kind not in ATOMS:
                    pending.append(((here, suffix), child))
        except Exception:  # noqa: BLE001, S112 (changed by another thread meanwhile)
            continue


def path_text(path: Path) -> str:
    """Return a path as the user writes it.

    Parameters
    ----------
    path
        As `walk` yields it.
    """
    parts = []
    rest: Path | None = path
    while rest is not None:
        rest, suffix = rest
        parts.append(suffix)
    return "".join(reversed(parts))


def exceptions_in(
    values: Iterable[object], *, budget: int = 50_000
) -> dict[int, BaseException]:
    """Return all exceptions that the user holds himself, by ``id``.

    Parameters
    ----------
    values
        The values of his names.
    budget
        How many objects are looked at: names, containers, instances of his classes.
    """
    seen: set[int] = set()
    found: dict[int, BaseException] = {}
    pending = collections.deque(each for each in values if _may_hold_exception(each))
    while pending and len(seen) < budget:
        value = pending.popleft()  # nearest first: a large container is no wall
        if id(value) in seen:
            continue
        seen.add(id(value))
        if is_exception(value):
            assert isinstance(value, BaseException)
            found[id(value)] = value
            pending += next_links(value)
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
