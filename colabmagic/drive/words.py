"""Names and errors as they may be shown and typed: they come from outside."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import DrivePathError
from colabmagic.errors import ColabMagicError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED: Final = 3
_MOST_SHOWN: Final = 200


def shown(name: object) -> str:
    """Return a name as it may be shown: nothing in it controls a terminal.

    Parameters
    ----------
    name
        A path, or any text from outside.
    """
    return "".join(
        char if char.isprintable() else ascii(char)[1:-1] for char in str(name)
    )


def quoted(path: object) -> str:
    """Return a path as it may be typed.

    Parameters
    ----------
    path
        Any.
    """
    return shlex.quote(shown(path))


def local(path: str | Path) -> Path:
    """Return a path on this machine; ``~`` is the home of a user, as in a shell.

    Parameters
    ----------
    path
        As it was typed.

    Raises
    ------
    DrivePathError
        There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise DrivePathError(
            f"{quoted(path)} begins in the home of a user who is not here",
            hint="write the path out, from / on",
        ) from None


def named(paths: Sequence[object]) -> str:
    """Name the first of some files.

    Parameters
    ----------
    paths
        At least one.
    """
    more = len(paths) - _NAMED
    names = ", ".join(quoted(path) for path in paths[:_NAMED])
    return f"{names} and {more} more" if more > 0 else names


def in_words(error: Exception) -> str:
    """Return an error of ours in words; of others the kind alone: they may hold secrets.

    Parameters
    ----------
    error
        What was raised.
    """
    if isinstance(error, ColabMagicError):
        said = f"{error.what} ({error.seen})" if error.seen else error.what
        return shown(said)[:_MOST_SHOWN]
    if isinstance(error, OSError) and error.strerror:
        return shown(error.strerror)
    return type(error).__name__
