"""Names and errors as they may be shown and typed: they come from outside."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import DrivePathError
from colabmagic.errors import ColabMagicError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED: Final = 3
_MOST_SHOWN: Final = 200
_PATH_SHOWN: Final = 120
_LONGEST_NAME: Final = 255  # bytes
_LONGEST_PATH: Final = 4095


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

    Nothing is looked for on a disk: what the path leads to may not answer.

    Parameters
    ----------
    path
        As it was typed.

    Raises
    ------
    DrivePathError
        There is no such user, no disk can have such a name, or it begins in a working
        directory that is gone.
    """
    _refuse_characters(str(path))
    try:
        found = Path(path).expanduser()
    except RuntimeError:
        raise DrivePathError(
            f"{quoted(path)} begins in the home of a user who is not here",
            hint="write the path out, from / on",
        ) from None
    whole = found if found.is_absolute() else here() / found
    longest = max(len(os.fsencode(part)) for part in ("", *whole.parts))
    if longest > _LONGEST_NAME or len(os.fsencode(whole)) > _LONGEST_PATH:
        raise DrivePathError(
            f"{_cut(path)} is longer than a disk can have it",
            seen=f"{longest:,} bytes in one name, {len(os.fsencode(whole)):,} in all",
            hint="a shorter name",
        )
    return found


def remote(path: str | os.PathLike[str]) -> str:
    """Return a path on Drive as a text.

    Parameters
    ----------
    path
        A text, or a path of `pathlib`.

    Raises
    ------
    DrivePathError
        No name can have what is in it.
    """
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"a path on Drive is a text, not {type(text).__name__}")
    _refuse_characters(text)
    return text


def home() -> Path:
    """Return the folder of the user.

    Raises
    ------
    DrivePathError
        He has none.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise DrivePathError(
            "this user has no home folder",
            seen="HOME is not set, and the system does not know the user",
            hint="%env HOME=/content, or another folder that you may write",
        ) from None


def here() -> Path:
    """Return the working directory.

    Raises
    ------
    DrivePathError
        It is gone.
    """
    try:
        return Path.cwd()
    except OSError:
        raise DrivePathError(
            "the working directory is gone",
            hint="%cd to another one, or write the path out, from / on",
        ) from None


def resolved(path: Path) -> Path:
    """Return a path without links.

    Parameters
    ----------
    path
        It need not lead to anything.

    Raises
    ------
    DrivePathError
        Its links lead in a circle.
    """
    whole = here() / path
    found = Path(os.path.realpath(whole))
    if os.path.islink(found):  # noqa: PTH114 (False also where we may not look)
        raise DrivePathError(
            f"{_cut(path)} is a link that leads in a circle", hint="another name"
        )
    return found


def _refuse_characters(path: str) -> None:
    """Raise for what stands in no name, here or on Drive."""
    try:
        os.fsencode(path)
        odd = "\0" in path
    except UnicodeEncodeError:
        odd = True
    if odd:
        raise DrivePathError(
            f"{_cut(path)} holds a character that no name has",
            hint="type it anew, by hand",
        )


def _cut(path: object) -> str:
    """Return the beginning of a path, as it may be typed."""
    return quoted(str(path)[:_PATH_SHOWN])


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


def error_in_words(error: Exception) -> str:
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
