"""Symbolic links of an archive: made last, and only where they stay inside.

Until the last file is written there is no link in the folder at all, so no member can be
written through one. Where a link leads is worked out here, from the names alone, with the
other links of the archive in mind; the way there is then opened step by step, and never
through a link.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import TargetFullError, UnsafeMemberError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_HOPS: Final = 40  # as the kernel has it
_LONGEST: Final = 4095


def make(root: int, planned: Mapping[tuple[str, ...], str]) -> list[str]:
    """Make links; return the names of those that lead to nothing, which are not made.

    These are in the order of the archive.

    Parameters
    ----------
    root
        Descriptor of the folder; there is no link in it.
    planned
        The way to each link, and its text.

    Raises
    ------
    UnsafeMemberError
        One leads out of the folder; none is made then.
    """
    ways = {parts: _resolved(parts, text, planned) for parts, text in planned.items()}
    lost = {parts for parts, way in ways.items() if not _is_there(root, way)}
    for parts, text in planned.items():
        if parts not in lost:
            _make(root, parts, text)
    return ["/".join(parts) for parts in planned if parts in lost]


@contextlib.contextmanager
def opened(root: int, parts: Sequence[str]) -> Iterator[int | None]:
    """Yield a descriptor of a folder below another; None where there is none.

    Parameters
    ----------
    root
        Descriptor of the other.
    parts
        Names on the way; a link among them is not followed.
    """
    current = os.dup(root)
    try:
        for part in parts:
            following = os.open(part, _FOLDER, dir_fd=current)
            os.close(current)
            current = following
    except OSError:
        os.close(current)
        yield None
        return
    try:
        yield current
    finally:
        os.close(current)


def leads_out(name: str, text: str) -> UnsafeMemberError:
    """Return the error for a link that leads out, or to nothing that may be linked.

    Parameters
    ----------
    name
        Of the link.
    text
        Where it leads.
    """
    return UnsafeMemberError(
        "a link of the archive does not lead to a file inside of the folder",
        seen=f"{name[:80]!r} to {text[:80]!r}",
        hint="do not trust this archive; make it anew without links (tar --dereference)",
    )


def _resolved(
    parts: tuple[str, ...], text: str, planned: Mapping[tuple[str, ...], str]
) -> list[str]:
    """Return where a link leads: names from the folder on, none of them a link."""
    name = "/".join(parts)
    at, rest, hops = list(parts[:-1]), _steps(name, text), 0
    while rest:
        step = rest.pop(0)
        if step == "..":
            if not at:
                raise leads_out(name, text)
            at.pop()
            continue
        at.append(step)
        following = planned.get(tuple(at))
        if following is not None:
            hops += 1
            if hops > _MOST_HOPS:
                raise leads_out(name, text)
            at.pop()
            rest = _steps(name, following) + rest
    return at


def _steps(name: str, text: str) -> list[str]:
    """Return the names in the text of a link."""
    bad = not text or text.startswith("/") or "\0" in text
    if bad or len(os.fsencode(text)) > _LONGEST:
        raise leads_out(name, text)
    return [step for step in text.split("/") if step not in {"", "."}]


def _is_there(root: int, way: list[str]) -> bool:
    """Tell whether a file or folder is at the end of a way."""
    with opened(root, way[:-1]) as folder:
        if folder is None:
            return False
        if not way:
            return True
        try:
            os.lstat(way[-1], dir_fd=folder)
        except OSError:
            return False
    return True


def _make(root: int, parts: tuple[str, ...], text: str) -> None:
    """Make one link."""
    name = "/".join(parts)
    try:
        with opened(root, parts[:-1]) as folder:
            if folder is None:
                raise leads_out(name, text)
            os.symlink(text, parts[-1], dir_fd=folder)
    except FileExistsError:  # a file would have taken its place: it is a folder
        raise UnsafeMemberError(
            "a name of the archive is both a link and a folder",
            seen=repr(name[:120]),
            hint="make the archive anew",
        ) from None
    except OSError as error:
        raise TargetFullError(
            f"the link {name[-120:]!r} cannot be made",
            seen=error.strerror or type(error).__name__,
            hint="another folder: --to",
        ) from None
