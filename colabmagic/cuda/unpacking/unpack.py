"""Unpack a file, by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.cuda.unpacking.deb import unpack_deb
from colabmagic.cuda.unpacking.makeself import unpack_runfile
from colabmagic.cuda.unpacking.policy import Outlet
from colabmagic.cuda.unpacking.tar import unpack_tar
from colabmagic.cuda.unpacking.wheel import unpack_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def unpack(  # noqa: PLR0913 (by keyword)
    path: Path,
    root: Path,
    *,
    name: str,
    kind: str,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> int:
    """Unpack a file into a folder; what is there already stays, but for equal names.

    Parameters
    ----------
    path
        Of the file; in the cache it has no name.
    root
        The folder; it is made.
    name
        Of the file, for errors.
    kind
        ``wheels``, ``redist``, ``deb`` or ``runfile``.
    only, skip
        See `colabmagic.cuda.steps.fetch.Unpack`.

    Returns
    -------
    int
        How many files were written.

    Raises
    ------
    ChecksumError
        It is damaged, or wants to write elsewhere.
    DiskFullError
        There is no room.
    """
    if kind == "runfile":
        return unpack_runfile(path, root, name=name, only=only, skip=skip)
    outlet = Outlet(
        root,
        name=name,
        rename=_without_top if kind == "redist" else None,
        only=only,
        skip=skip,
        rooted=kind == "deb",
    )
    if kind == "wheels":
        unpack_wheel(path, outlet)
    elif kind == "deb":
        unpack_deb(path, outlet)
    else:
        with path.open("rb") as stream:
            unpack_tar(stream, outlet)
    outlet.finish()
    return outlet.files


def _without_top(path: str) -> str | None:
    """Return a path without the folder that all of an archive lies in."""
    return path.partition("/")[2] or None
