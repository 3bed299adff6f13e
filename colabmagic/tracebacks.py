"""Keep our frames out of tracebacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType

_OURS: Final = "colabmagic."


def drop_wrappers(error: BaseException) -> None:
    """Take our frames out of the middle of a traceback and of those it came from.

    Parameters
    ----------
    error
        Changed: the first frame of each traceback stays, whosever it is.
    """
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        pending += [each.__cause__, each.__context__]
        entry = each.__traceback__
        while entry is not None:
            following = entry.tb_next
            while following is not None and module_of_frame(following).startswith(
                _OURS
            ):
                following = following.tb_next
            if following is not entry.tb_next:
                entry.tb_next = following
            entry = following


def module_of_frame(entry: TracebackType) -> str:
    """Return the name of the module in which an entry of a traceback is."""
    return str(entry.tb_frame.f_globals.get("__name__", ""))
