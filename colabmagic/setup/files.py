"""Defaults in a file next to the notebook, or on Drive."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Final

from colabmagic.setup.wishes import Wishes, read_table

if TYPE_CHECKING:
    from pathlib import Path

OWN: Final = "colabmagic.toml"
PROJECT: Final = "pyproject.toml"
_TABLE: Final = "tool.colabmagic"
_MOST_BYTES: Final = 10**6


def nearby(start: Path, home: Path | None = None) -> Wishes:
    """Return what the nearest file asks for; nothing where there is none.

    Parameters
    ----------
    start
        The folder of the notebook. Those above it are looked through up to the root of
        its repository, or the user's home; where it lies in neither, only itself: what is
        further up may belong to others.
    home
        The user's home.
    """
    for folder in _folders(start, home):
        for name in (OWN, PROJECT):
            found = read(folder / name)
            if found is not None:
                return found
    return Wishes()


def on_drive(folder: Path) -> Wishes:
    """Return what the file on Drive asks for; nothing where there is none.

    Parameters
    ----------
    folder
        The folder that is Drive, or the user's own part of it.
    """
    own = folder if folder.name == "MyDrive" else folder / "MyDrive"
    return read(own / OWN, source=f"MyDrive/{OWN}") or Wishes()


def read(path: Path, source: str | None = None) -> Wishes | None:
    """Return what a file asks for; None where it is not there, or is not about us.

    Parameters
    ----------
    path
        The file.
    source
        Its name for the user; its own where left out.
    """
    name = source or path.name
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return _problem(name, f"cannot be read ({error.strerror})")
    is_ours = path.name == OWN
    if not is_ours and b"colabmagic" not in data:  # of whatever kind it is
        return None
    return _parsed(data, name, is_ours=is_ours)


def _parsed(data: bytes, source: str, *, is_ours: bool) -> Wishes | None:
    """Return what the text of a file asks for."""
    if len(data) > _MOST_BYTES:
        return _problem(source, "is too long")
    try:
        content = tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:  # of TOML, or of UTF-8
        return _problem(source, f"is no TOML: {_words(error)}")
    table = _table(content, is_ours=is_ours)
    if table is None:
        return None
    if not isinstance(table, dict):
        return _problem(source, f"[{_TABLE}] is no table")
    return read_table(table, source)


def _table(content: dict[str, Any], *, is_ours: bool) -> object | None:
    """Return our part of a file; in a file of ours the heading may be left out."""
    tool = content.get("tool")
    if isinstance(tool, dict) and "colabmagic" in tool:
        found: object = tool["colabmagic"]
        return found
    return content if is_ours else None


def _words(error: ValueError) -> str:
    """Return why it is no TOML, without what is in it: that may be a secret."""
    if isinstance(error, tomllib.TOMLDecodeError):
        place = str(error).rpartition("(")[2].rstrip(")")
        return f"look {place}" if place.startswith("at ") else "look at its end"
    return "it is not in UTF-8"


def _problem(source: str, what: str) -> Wishes:
    """Return nothing but a problem."""
    return Wishes(sources=(source,), problems=(f"{source} {what}",))


def _folders(start: Path, home: Path | None) -> list[Path]:
    """Return the folders to look through, the nearest first."""
    start = start.absolute()
    above = [start, *start.parents]
    for number, folder in enumerate(above):
        if folder == home or (folder / ".git").exists():
            return above[: number + 1]
    return [start]
