"""What an exception keeps alive: its links, their tracebacks, and what drops them.

The C members of `BaseException` are read directly: a class of the user's may replace
them by properties, and no code of the user's is to run here.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import sys
import types
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

HAS_OWN_LOCALS: Final = 0x2  # CO_NEWLOCALS: a function's frame, not a cell's
# Clearing one of these that waits would end it.
_SUSPENDABLE: Final = (
    inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
)
_MEMBERS: Final[dict[str, Any]] = dict(vars(BaseException))
_cause_of: Final = _MEMBERS["__cause__"].__get__
_context_of: Final = _MEMBERS["__context__"].__get__
_TRACEBACK: Final = _MEMBERS["__traceback__"]
_group_of: Final = vars(BaseExceptionGroup)["exceptions"].__get__


def is_exception(value: object) -> bool:
    """Tell whether a value is an exception, without asking its class."""
    return _has_base(value, BaseException)


def _has_base(value: object, base: type) -> bool:
    """Tell whether a value is an instance of a class; a metaclass may forbid ``==``."""
    return any(each is base for each in type.__dict__["__mro__"].__get__(type(value)))


def traceback_of(error: BaseException) -> types.TracebackType | None:
    """Return the traceback of one link."""
    found: types.TracebackType | None = _TRACEBACK.__get__(error)
    return found


def next_links(error: BaseException) -> list[BaseException]:
    """Return what an exception came from, and what a group of them holds."""
    found = [_cause_of(error), _context_of(error)]
    if _has_base(error, BaseExceptionGroup):
        found += _group_of(error)
    return [each for each in found if each is not None]


def links(errors: Iterable[object]) -> list[BaseException]:
    """Return all exceptions that are reachable from some, each once.

    Parameters
    ----------
    errors
        Where to begin; what is no exception is passed over.
    """
    pending = [each for each in errors if is_exception(each)]
    found: dict[int, BaseException] = {}
    while pending:
        error = pending.pop()
        assert isinstance(error, BaseException)
        if id(error) not in found:
            found[id(error)] = error
            pending += next_links(error)
    return list(found.values())


def frames(error: BaseException) -> Iterator[types.FrameType]:
    """Yield the frames of one link's traceback, the outermost first."""
    traceback = traceback_of(error)
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def has_locals(frame: types.FrameType) -> bool:
    """Tell whether a frame has names of its own, which it alone may hold."""
    if frame.f_code.co_flags & HAS_OWN_LOCALS:
        return True
    return frame.f_locals is not frame.f_globals  # the body of a class


def drop_tracebacks(errors: Iterable[BaseException], kept: Container[int] = ()) -> None:
    """Take the traceback off each link.

    Frames are not cleared: clearing one that is suspended would end a generator that
    the user still has. What only the traceback held goes with it.

    Parameters
    ----------
    errors
        The links.
    kept
        ``id`` of those that stay as they are.
    """
    for error in errors:
        if id(error) not in kept:
            _TRACEBACK.__set__(error, None)


def end_loops(
    errors: Iterable[BaseException], kept: Mapping[int, BaseException]
) -> None:
    """Clear the frames that hold a loader's iterator with workers.

    Left to the collector, in a cycle, it would wait five seconds for each worker: the
    threads that send them the end would have been stopped before it asks them to.

    Parameters
    ----------
    errors
        The links whose tracebacks will be dropped.
    kept
        Exceptions that stay as they are, with their frames, by ``id``.
    """
    module = sys.modules.get("torch.utils.data.dataloader")
    kind = getattr(module, "_MultiProcessingDataLoaderIter", None)
    if kind is None:
        return
    untouched = {id(frame) for each in kept.values() for frame in _with_ours(each)}
    for error in errors:
        for frame in _with_ours(error) if id(error) not in kept else ():
            if id(frame) in untouched or frame.f_code.co_flags & _SUSPENDABLE:
                continue
            # Not by `f_locals`: up to Python 3.12 that leaves a copy on the frame.
            if not any(type(each) is kind for each in gc.get_referents(frame)):
                continue
            with contextlib.suppress(RuntimeError):  # it runs still
                frame.clear()
                _ = frame.f_locals  # a copy that somebody left there is cleared too


def _with_ours(error: BaseException) -> Iterator[types.FrameType]:
    """Yield the frames of a traceback, and ours behind them that were taken out."""
    for frame in frames(error):
        yield frame
        behind = frame.f_back
        while behind is not None and str(
            behind.f_globals.get("__name__", "")
        ).startswith("colabmagic."):
            yield behind
            behind = behind.f_back


def cut_tracebacks(errors: Iterable[BaseException], kept: Container[int] = ()) -> None:
    """Leave only those entries of the tracebacks that hold nothing of their own.

    These are the frames of the cell itself: the place of the error is still known, and
    a debugger finds the user's names there.

    Parameters
    ----------
    errors
        The links.
    kept
        ``id`` of those that stay as they are.
    """
    for error in errors:
        if id(error) in kept:
            continue
        entries = []
        entry = traceback_of(error)
        while entry is not None:
            if not has_locals(entry.tb_frame):
                entries.append(entry)
            entry = entry.tb_next
        chain = None
        for entry in reversed(entries):
            chain = types.TracebackType(
                chain, entry.tb_frame, entry.tb_lasti, entry.tb_lineno
            )
        _TRACEBACK.__set__(error, chain)
