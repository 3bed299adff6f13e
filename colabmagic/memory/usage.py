"""Which names a cell needs: those it mentions, and those that what it calls mentions."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from colabmagic.memory.children import is_kind, is_users

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_members_of = type.__dict__["__dict__"].__get__


def used_names(
    namespace: Mapping[str, Any],
    words: Iterable[str],
    called: Iterable[types.FrameType] = (),
) -> frozenset[str]:
    """Return the names of the namespace that a cell may need; rather too many.

    Parameters
    ----------
    namespace
        The user's names.
    words
        The words of the cell.
    called
        Frames of what it called.
    """
    pending = [*words, *(name for frame in called for name in _names(frame.f_code))]
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name in found or name not in namespace:
            continue
        found.add(name)
        pending += [inner for code in _codes(namespace[name]) for inner in _names(code)]
    return frozenset(found)


def _codes(value: object) -> Iterator[types.CodeType]:
    """Yield the code of a function, of a class in a cell, or of an instance of it."""
    if type(value) is types.FunctionType:
        yield value.__code__
    elif type(value) is types.MethodType:
        yield from _codes(value.__func__)
    else:
        kind = value if is_kind(value, type) else type(value)
        if is_users(kind):  # type: ignore[arg-type]
            for member in list(_members_of(kind).values()):
                if type(member) is types.FunctionType:
                    yield member.__code__


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield the global names that code mentions, with the functions defined in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if type(constant) is types.CodeType:
            yield from _names(constant)
