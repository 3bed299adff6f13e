"""What stands in the cell: pip's requirement syntax, line by line."""

from __future__ import annotations

import errno
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from colabmagic.cuda.errors import RequirementError
from colabmagic.cuda.packages.line import SCHEME, read_line
from colabmagic.cuda.packages.scrub import scrub
from colabmagic.cuda.packages.wish import NoRequirement, Option, Wish
from colabmagic.cuda.planning.plan import Problem
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COMMENT = re.compile(r"(^|(?<!\s)\s+)#.*$")
_MOST_PROBLEMS = 20  # that are told
_DEEPEST = 20  # of files that name files
_LONGEST_SHOWN = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The cell, read.

    Attributes
    ----------
    requirements
        In the order of the cell.
    options
        For all of them.
    problems
        Lines that are neither.
    """

    requirements: tuple[Wish, ...] = ()
    options: tuple[Option, ...] = ()
    problems: tuple[Problem, ...] = ()

    def check(self) -> None:
        """Refuse a body with a line that pip would not understand.

        Raises
        ------
        RequirementError
            With the first such line, and what to type.
        """
        for each in self.problems:
            raise RequirementError(
                each.what, seen=each.seen or None, hint="\n".join(each.fix)
            )


def read_file(path: str) -> str:
    """Return the text of a file of requirements.

    Raises
    ------
    OSError, UnicodeError
        It cannot be read, or is no file: a pipe would be waited for.
    """
    file = Path(path)
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise OSError(errno.EINVAL, "not a file")
    return file.read_text(encoding="utf-8")


def parse_body(text: str, *, read: Callable[[str], str] = read_file) -> Body:
    """Read the body of a cell.

    Parameters
    ----------
    text
        Lines of pip's requirement syntax; comments, continued lines, and files named by
        ``-r`` are followed. Several requirements in a line, and a pasted ``pip
        install``, are refused with the lines to type.
    read
        Returns the text of a file that ``-r`` names.

    Returns
    -------
    Body
        What is wrong with it is in `Body.problems`; nothing is raised.
    """
    return _parse(text, "", read, ())


def _parse(
    text: str, where: str, read: Callable[[str], str], above: tuple[str, ...]
) -> Body:
    """Read one text; `above` are the files that led to it."""
    wishes: list[Wish] = []
    options: list[Option] = []
    problems: list[Problem] = []
    for number, line in logical_lines(text):
        if len(problems) >= _MOST_PROBLEMS:
            break
        try:
            found, its_options = read_line(line, number, where)
        except NoRequirement as refused:
            problems.append(_problem(line, number, where, refused))
            continue
        wishes += found
        for option in its_options:
            try:
                if option.name != "--requirement":
                    options.append(_anchored(option, where))
                    continue
                more = _included(option.value or "", where, read, above)
            except NoRequirement as refused:
                problems.append(_problem(line, number, where, refused))
                continue
            wishes += more.requirements
            options += more.options
            problems += more.problems
    return Body(
        requirements=tuple(wishes), options=tuple(options), problems=tuple(problems)
    )


def _anchored(option: Option, where: str) -> Option:
    """Return an option whose file is found from anywhere: pip gets another folder."""
    name = option.value or ""
    if option.name != "--constraint" or SCHEME.match(name):
        return option
    path = _path(name, where)
    if not path.exists():
        raise _unreadable(path, "there is no such file")
    return Option(name=option.name, value=os.path.realpath(path))


def _path(name: str, where: str) -> Path:
    """Return the file that a line names: beside the file that the line stands in."""
    if "\0" in name:
        raise NoRequirement("no file has such a name", "# take this line out")
    path = Path(name.removeprefix("file://"))
    try:
        path = path.expanduser()
    except RuntimeError:
        raise _unreadable(path, "it is not known where ~ leads") from None
    return Path(where).parent / path if where else path


def _unreadable(path: Path, reason: str) -> NoRequirement:
    """Return that a file that a line names cannot be read."""
    return NoRequirement(
        f"{path} cannot be read: {reason}", f"!ls -l {shlex.quote(str(path))}"
    )


def _included(
    name: str, where: str, read: Callable[[str], str], above: tuple[str, ...]
) -> Body:
    """Read a file that a line names."""
    if SCHEME.match(name) and not name.startswith("file:"):
        raise NoRequirement(
            "a file on a server is not looked into, so its torch would not be noticed",
            f"!curl -fLO {shlex.quote(scrub(name))}",
            f"-r {name.rstrip('/').rpartition('/')[2]}",
        )
    path = _path(name, where)
    real = os.path.realpath(path)
    if real in above or len(above) >= _DEEPEST:
        raise NoRequirement("the files name each other", "# take this line out")
    try:
        text = read(str(path))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise _unreadable(path, reason) from None
    return _parse(text, str(path), read, (*above, real))


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with the number of their first one, as pip joins and strips them."""
    pending: list[str] = []
    first = 1
    for number, raw in enumerate(text.splitlines(), 1):
        if not pending:
            first = number
        is_comment = raw.lstrip().startswith("#")
        if raw.endswith("\\") and not is_comment:
            pending.append(raw[:-1])
            continue
        pending.append(" " + raw if is_comment else raw)
        yield from _stripped(first, pending)
        pending = []
    yield from _stripped(first, pending)


def _stripped(number: int, parts: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the joined line unless nothing but a comment is left."""
    line = _COMMENT.sub("", "".join(parts)).strip()
    if line:
        yield number, line


def _problem(line: str, number: int, where: str, refused: NoRequirement) -> Problem:
    """Return what is wrong with a line."""
    place = f"line {number}" + (f" of {where}" if where else "")
    shown = clean(scrub(line))
    if len(shown) > _LONGEST_SHOWN:
        shown = shown[:_LONGEST_SHOWN] + "…"
    return Problem(
        code=RequirementError.code,
        what=f"{place} is no requirement of pip: {shown}",
        seen=clean(scrub(refused.seen)),
        fix=tuple(clean(scrub(each)) for each in refused.fix),
    )
