"""Several files of one name that were made at the same time, by processes of one work.

Drive takes as many as it is given. Each who has made one looks again: the one that was
made first stays, and whoever made another takes it back. Until then others see several.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import AmbiguousPathError
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from colabmagic.drive.api.remote import RemoteFile
    from colabmagic.drive.api.waits import Waits

_MANY: Final = 3
_SHOWN: Final = 80  # of foreign text
_LOOKS: Final = 3
_NEW: Final = timedelta(minutes=2)  # the clocks of both sides differ


def first_of(found: Iterable[RemoteFile]) -> RemoteFile:
    """Return the file that all who look take for the first.

    Parameters
    ----------
    found
        One at least.
    """
    return min(found, key=lambda each: (each.created, each.id))


def settled(
    look: Callable[[], list[RemoteFile]], waits: Waits, looks: int = _LOOKS
) -> list[RemoteFile]:
    """Return what is found; look again where several have only just been made.

    Parameters
    ----------
    look
        Returns the files of a name.
    waits
        Between two looks.
    looks
        How often it is looked again.
    """
    found = look()
    for attempt in range(looks):
        if not _are_new(found):
            break
        waits.wait(attempt)
        found = look()
    return found


def left_behind(found: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Return which of several files one has left that was killed before it took it back.

    Those hold the same bytes as the first, and were made with it; any other file is
    somebody's own.

    Parameters
    ----------
    found
        The files of a name.
    """
    first, *others = sorted(found, key=lambda each: (each.created, each.id))
    return [
        each
        for each in others
        if each.md5 is not None
        and (each.md5, each.size) == (first.md5, first.size)
        and _made_together(first, each)
    ]


def _made_together(one: RemoteFile, other: RemoteFile) -> bool:
    """Tell whether two files were made at about the same time."""
    try:
        times = [datetime.fromisoformat(each.created) for each in (one, other)]
        return abs(times[0] - times[1]) < _NEW
    except (ValueError, TypeError):  # no times, or of different kinds
        return False


def _are_new(found: Sequence[RemoteFile]) -> bool:
    """Tell whether one of several files was made a moment ago."""
    if len(found) < 2:  # noqa: PLR2004 (several)
        return False
    try:
        made = datetime.fromisoformat(max(each.created for each in found))
    except ValueError:
        return False
    now = datetime.now(UTC)
    return abs(now - (made if made.tzinfo else made.replace(tzinfo=UTC))) < _NEW


def ambiguous(path: str, found: list[RemoteFile]) -> AmbiguousPathError:
    """Return the error for several files of one name.

    Parameters
    ----------
    path
        Which they share.
    found
        They.
    """
    shown = ", ".join(
        f"{'a folder, ' if each.is_folder else ''}{clean(each.modified[:_SHOWN]) or '?'} "
        f"(id {clean(each.id[:_SHOWN])})"
        for each in found[:_MANY]
    )
    return AmbiguousPathError(
        f"{len(found)} files are called {clean(path.rstrip('/'))}",
        seen=f"changed {shown}",
        hint="rename or delete all but one on drive.google.com, or take the newest: --newest"
        " (newest=True)",
    )
