"""Paths on Drive as users write them: which names they hold, and what was meant."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from colabmagic.drive.errors import DrivePathError
from colabmagic.report.text import clean

MY_DRIVE: Final = frozenset({"MyDrive", "My Drive"})
SHARED: Final = frozenset({"Shareddrives", "Shared drives"})
# As they are written wrong: in other letters, and without the blank.
_ROOTS: Final = {"mydrive": "MyDrive", "shareddrives": "Shareddrives"}


def parts_of(path: str) -> list[str]:
    """Return the names of a path, from the root of Drive on.

    Parameters
    ----------
    path
        As it is written; also as it is on Colab, where Drive is mounted.
    """
    parts = [part for part in PurePosixPath(path).parts if part not in {"/", "."}]
    return parts[2:] if parts[:2] == ["content", "drive"] else parts


def above(path: str, names: list[str]) -> list[str]:
    """Return what of a path stands before the names below its root.

    Parameters
    ----------
    path
        The whole.
    names
        Its last names.
    """
    parts = parts_of(path)
    return parts[: len(parts) - len(names)]


def without_begin(path: str) -> DrivePathError:
    """Return the error for a path that names no root, with the one that was meant.

    Parameters
    ----------
    path
        As it is written.
    """
    parts = [part for part in parts_of(path) if part != "~"]
    if not parts:
        return DrivePathError(
            "no path on Drive is given", seen=repr(path), hint='"MyDrive/…"'
        )
    named = _from_root(parts)
    meant = "/".join(named or ["MyDrive", *parts]) + ("/" if path.endswith("/") else "")
    if_there = "" if named else ", if it is in My Drive"
    return DrivePathError(
        f"{clean(path)!r} does not say where it begins",
        hint=f'"{clean(meant)}"{if_there}',
    )


def _from_root(parts: list[str]) -> list[str] | None:
    """Return the names from a root on that stands below a folder, or is written wrong."""
    for number, part in enumerate(parts):
        root = _ROOTS.get(part.replace(" ", "").casefold())
        if root == "MyDrive" or (root is not None and number + 1 < len(parts)):
            return [root, *parts[number + 1 :]]
    return None
