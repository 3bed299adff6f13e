"""Defaults in a file next to the notebook, or on Drive."""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.host.child import ask, program
from colabmagic.setup.wishes import Wishes, read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OWN: Final = "colabmagic.toml"
PROJECT: Final = "pyproject.toml"
ANSWER_S: Final = 3.0  # so long Drive may take to show a file
_NAME: Final = "colabmagic"
_TABLE: Final = f"tool.{_NAME}"
_MOST_BYTES: Final = 10**6
_MOST_LETTERS: Final = 80
_LIKE: Final = 0.85  # so much a heading is like ours that was meant to be it
_LOST: Final = "\ufffd"  # what a child's text has where bytes were no UTF-8
_ABSENT: Final = frozenset({"No such file or directory", "Not a directory"})


def _never(_: Path) -> bool:
    """Say of each folder that it is on a disk of this machine."""
    return False


def nearby(
    start: Path,
    home: Path | None = None,
    *,
    may_hang: Callable[[Path], bool] = _never,
) -> Wishes:
    """Return what the nearest file asks for; nothing where there is none.

    Parameters
    ----------
    start
        The folder of the notebook. Those above it are looked through up to the root of
        its repository, or the user's home; where it lies in neither, only itself: what is
        further up may belong to others.
    home
        The user's home.
    may_hang
        Tells of a folder whether who touches it may never come back, as on Drive; a
        process of its own does that then.
    """
    start = start.absolute()
    by_child = may_hang(start)
    for folder in _folders(start, home, by_child=by_child):
        for name in (OWN, PROJECT):
            found = read(folder / name, by_child=by_child)
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
    found = read(own / OWN, source=f"MyDrive/{OWN}", by_child=True)
    return found or Wishes()


def read(
    path: Path, source: str | None = None, *, by_child: bool = False
) -> Wishes | None:
    """Return what a file asks for; None where it is not there, or is not about us.

    Parameters
    ----------
    path
        The file.
    source
        Its name for the user; its own where left out.
    by_child
        Whether a process of its own touches it, for it may hang.
    """
    name = source or path.name
    try:
        data = _read_by_child(path) if by_child else _read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        why = error.strerror or type(error).__name__
        return _problem(name, f"cannot be read ({why[:_MOST_LETTERS]})")
    is_ours = path.name == OWN
    if not is_ours and _NAME.encode() not in data:  # of whatever kind it is
        return None
    return _parsed(data, name, is_ours=is_ours)


def _read(path: Path) -> bytes:
    """Return the beginning of a file on this machine's disk.

    Raises
    ------
    OSError
        It is not there, cannot be read, or is something else.
    """
    # Opened plainly, a pipe of that name waits for somebody who writes.
    flags = getattr(os, "O_NONBLOCK", 0)
    with open(
        path, "rb", opener=lambda name, mode: os.open(name, mode | flags)
    ) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is no file")
        return file.read(_MOST_BYTES + 1)


def _read_by_child(path: Path) -> bytes:
    """Return the same of a file that may hang.

    Raises
    ------
    OSError
        As for `_read`; or nobody answers in time.
    """
    head = program("head")
    if head is None:  # no system on which Drive is a folder
        return _read(path)
    argv = [head, "-c", f"{_MOST_BYTES + 1}", "--", f"{path}"]
    answer = ask(argv, ANSWER_S, key=f"{path}")
    if answer.returncode is None:
        raise TimeoutError(0, f"no answer within {ANSWER_S:g} s")
    if answer.returncode:
        said = answer.stderr.strip().rpartition(": ")[2]
        raise FileNotFoundError if said in _ABSENT else OSError(0, said)
    if _LOST in answer.stdout:
        raise OSError(0, "it is not in UTF-8")
    return answer.stdout.encode()


def _parsed(data: bytes, source: str, *, is_ours: bool) -> Wishes | None:
    """Return what the text of a file asks for."""
    if len(data) > _MOST_BYTES:
        return _problem(source, "is too long")
    try:
        content = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # of TOML, UTF-8, or int()
        return _problem(source, f"is no TOML: {_words(error)}")
    strays = tuple(_strays(content))
    table = _table(content, is_ours=is_ours)
    if table is None and not strays:
        return None
    if not isinstance(table, dict | None):
        return _problem(source, f"[{_TABLE}] is no table")
    found = read_table(table or {}, source)
    told = (f"{source}: [{name}] is not read; write [{_TABLE}]" for name, _ in strays)
    return replace(found, problems=(*found.problems, *told))


def _strays(content: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield headings that were meant to be ours, each with its key at the top."""
    tool = content.get("tool")
    under = tool if isinstance(tool, dict) else {}
    for above, names in (("", content), ("tool.", under)):
        tables = [name for name, value in names.items() if isinstance(value, dict)]
        for name in difflib.get_close_matches(_NAME, tables, n=3, cutoff=_LIKE):
            if f"{above}{name}" != _TABLE:
                yield f"{above}{name}", "tool" if above else name


def _table(content: dict[str, Any], *, is_ours: bool) -> object | None:
    """Return our part of a file; in a file of ours the heading may be left out."""
    tool = content.get("tool")
    found: object | None = tool.get(_NAME) if isinstance(tool, dict) else None
    if not is_ours or not isinstance(found, dict | None):
        return found
    # Who adds the heading later leaves keys above it.
    told = {key for _, key in _strays(content)}
    known = {"tool"} if found is not None else set()
    bare = {key: content[key] for key in content if key not in told | known}
    return {**bare, **(found or {})}


def _words(error: ValueError | RecursionError) -> str:
    """Return why it is no TOML, without what is in it: that may be a secret."""
    if isinstance(error, tomllib.TOMLDecodeError):
        place = str(error).rpartition("(")[2].rstrip(")")
        return f"look {place}" if place.startswith("at ") else "look at its end"
    if isinstance(error, RecursionError):
        return "its brackets are nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return "it is not in UTF-8"
    return "a number in it is too long"


def _problem(source: str, what: str) -> Wishes:
    """Return nothing but a problem."""
    return Wishes(problems=(f"{source} {what}",))  # no default comes from it


def _folders(start: Path, home: Path | None, *, by_child: bool) -> list[Path]:
    """Return the folders to look through, the nearest first."""
    above = [start, *start.parents]
    homes = set() if home is None else {home, Path(os.path.realpath(home))}
    roots = _repositories(above, by_child=by_child)
    for number, folder in enumerate(above):
        if folder in homes or folder in roots:
            return above[: number + 1]
    return [start]


def _repositories(folders: list[Path], *, by_child: bool) -> set[Path]:
    """Return those that are the root of a repository."""
    marks = [folder / ".git" for folder in folders]
    shows = program("stat") if by_child else None
    if shows is None:
        # `exists` raises where a folder above is not for everybody.
        return {mark.parent for mark in marks if os.path.lexists(mark)}
    # One process for all: each may take its whole time.
    answer = ask([shows, "--format=%n", "--", *map(str, marks)], ANSWER_S)
    names = set(answer.stdout.splitlines())
    return {mark.parent for mark in marks if str(mark) in names}
