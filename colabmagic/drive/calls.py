"""Calls of the library: Ctrl-C is one line, and for a name that is not there one that is."""

from __future__ import annotations

import contextlib
import difflib
import itertools
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import DriveError, DriveFileNotFoundError
from colabmagic.drive.words import named
from colabmagic.errors import interrupted
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.drive.api.files import Files, RemoteFile

_LOOKED_AT: Final = 1000  # names: one page of a list
_LIKE: Final = 0.7
GOES_ON: Final = "run it again, it goes on where it stopped"
AS_BEFORE: Final = "on Drive is what was there before; run it again"
AGAIN: Final = "run it again"


@contextlib.contextmanager
def stoppable(doing: str, again: str = AGAIN) -> Iterator[None]:
    """Have Ctrl-C in a block say what it stopped, and what to do, in one line of a notebook.

    Parameters
    ----------
    doing
        What is done, with the name of the file.
    again
        What the same call does the next time.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        interrupted(error, f"stopped ({clean(doing)}); {again}")
        raise


@contextlib.contextmanager
def suggesting(files: Files) -> Iterator[None]:
    """Have an error for a name that is not there tell what is there.

    Parameters
    ----------
    files
        Lists the folder, once.
    """
    try:
        yield
    except DriveFileNotFoundError as error:
        if error.place is not None:
            with contextlib.suppress(DriveError):
                _add_neighbours(files, error, *error.place)
        raise


def _add_neighbours(
    files: Files, error: DriveFileNotFoundError, folder: RemoteFile, path: str
) -> None:
    """Add the name that is likest to what was looked for, or some that are there."""
    error.place = None  # once
    above, slash, name = path.rstrip("/").rpartition("/")
    listed = itertools.islice(files.children(folder), _LOOKED_AT)
    names = {each.name for each in listed}
    plain = {each.casefold(): each for each in sorted(names)}
    near = difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=_LIKE)
    if near:
        meant = clean(f"{above}{slash}{plain[near[0]]}")
        error.seen = f"there is {meant!r}"
        error.hint = f'did you mean "{meant}"?\n{error.hint}'
    else:
        some = named(sorted(names)) if names else "nothing"
        error.seen = f"in {clean(above) or 'the shared drive'} there is: {some}"
