"""What stands in the cell: pip's requirement syntax, line by line."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from colabmagic.cuda.errors import RequirementError
from colabmagic.cuda.packages.options import (
    LINE_OPTIONS,
    find_option,
    takes_address,
)
from colabmagic.cuda.packages.scrub import scrub
from colabmagic.cuda.planning.plan import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from packaging.requirements import Requirement

_COMMENT = re.compile(r"(^|\s+)#.*$")
_PIP_CALL = re.compile(
    r"^[!%]?\s*(?:python[\d.]*\s+-m\s+)?(?:uv\s+)?pip3?\s+install\s+"
)
_SCHEME = re.compile(
    r"^(?:https?|file|ftp|(?:git|hg|svn|bzr)(?:\+\w+)?)://|^git\+", re.IGNORECASE
)
_ARCHIVE = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz")
_DEEPEST = 20  # of files that name files
_LONGEST_SHOWN = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One requirement.

    Attributes
    ----------
    text
        As pip is to get it, hashes included; it may hold a password.
    name
        Normalised as package indexes do it; None: only pip can tell (a path, a URL).
    number
        Line of the cell, from 1.
    where
        File that it stands in; empty: the cell.
    """

    text: str = field(repr=False)
    name: str | None
    number: int
    where: str = ""
    requirement: Requirement | None = field(default=None, repr=False)
    editable: bool = False

    @property
    def shown(self) -> str:
        """Return the text without passwords."""
        return scrub(self.text)

    @property
    def is_pinned_to_file(self) -> bool:
        """Tell whether a URL or a path says where it comes from."""
        return self.requirement is None or self.requirement.url is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of pip, with its value.

    Attributes
    ----------
    name
        The long form, "--extra-index-url".
    value
        None where it takes none; it may hold a password.
    """

    name: str
    value: str | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """Return it as pip reads it in a file."""
        return self.name if self.value is None else f"{self.name} {self.value}"

    @property
    def shown(self) -> str:
        """Return it without passwords."""
        return scrub(self.text)


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


class _NoRequirement(Exception):  # noqa: N818 (never leaves this module)
    """A line is none; with what was seen and what to type."""

    def __init__(self, seen: str, *fix: str) -> None:
        super().__init__(seen)
        self.seen, self.fix = seen, fix


def read_file(path: str) -> str:
    """Return the text of a file of requirements."""
    return Path(path).expanduser().read_text(encoding="utf-8")


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
        try:
            found, its_options = _read_line(line, number, where)
        except _NoRequirement as refused:
            problems.append(_problem(line, number, where, refused))
            continue
        wishes += found
        for option in its_options:
            if option.name != "--requirement":
                options.append(option)
                continue
            try:
                more = _included(option.value or "", where, read, above)
            except _NoRequirement as refused:
                problems.append(_problem(line, number, where, refused))
                continue
            wishes += more.requirements
            options += more.options
            problems += more.problems
    return Body(
        requirements=tuple(wishes), options=tuple(options), problems=tuple(problems)
    )


def _included(
    name: str, where: str, read: Callable[[str], str], above: tuple[str, ...]
) -> Body:
    """Read a file that a line names."""
    if _SCHEME.match(name) and not name.startswith("file:"):
        raise _NoRequirement(
            "a file on a server is not looked into, so its torch would not be noticed",
            f"!curl -fLO {shlex.quote(scrub(name))}",
            f"-r {name.rstrip('/').rpartition('/')[2]}",
        )
    path = Path(name.removeprefix("file://")).expanduser()
    if where and not path.is_absolute():
        path = Path(where).parent / path
    if str(path) in above or len(above) >= _DEEPEST:
        raise _NoRequirement("the files name each other", "# take this line out")
    try:
        text = read(str(path))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise _NoRequirement(
            f"{path} cannot be read: {reason}", f"!ls -l {shlex.quote(str(path))}"
        ) from None
    return _parse(text, str(path), read, (*above, str(path)))


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


def _problem(line: str, number: int, where: str, refused: _NoRequirement) -> Problem:
    """Return what is wrong with a line."""
    place = f"line {number}" + (f" of {where}" if where else "")
    shown = scrub(line)
    if len(shown) > _LONGEST_SHOWN:
        shown = shown[:_LONGEST_SHOWN] + "…"
    return Problem(
        code=RequirementError.code,
        what=f"{place} is no requirement of pip: {shown}",
        seen=scrub(refused.seen),
        fix=tuple(scrub(each) for each in refused.fix),
    )


def _read_line(line: str, number: int, where: str) -> tuple[list[Wish], list[Option]]:
    """Return the requirements (one at most) and the options of a line."""
    if call := _PIP_CALL.match(line):
        rest = line[call.end() :]
        raise _NoRequirement(
            "the cell holds only what would follow `pip install`", *_one_a_line(rest)
        )
    if line.startswith("-"):
        return _read_options(line, number, where)
    requirement, marks = _split_options(line)
    wish = _read_requirement(requirement, number, where)
    its_own, options = _sort_options(_options_of(marks))
    if its_own:
        wish = replace(wish, text=" ".join([wish.text, *its_own]))
    return [wish], options


def _one_a_line(text: str) -> tuple[str, ...]:
    """Return the parts of a command line, one a line, as they are to be typed."""
    parts = _words(text)
    lines: list[str] = []
    while parts:
        part = parts.pop(0)
        option = find_option(part.partition("=")[0]) if part.startswith("-") else None
        if option is not None and option.takes_value and "=" not in part and parts:
            part = f"{part} {parts.pop(0)}"
        lines.append(part)
    return tuple(lines)


def _words(text: str) -> list[str]:
    """Split a line as a shell does; a lone quote is a character."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _split_options(line: str) -> tuple[str, list[str]]:
    """Split a requirement from the options behind it."""
    words = line.split(" ")
    for index, word in enumerate(words):
        if index and re.match(r"-{1,2}[A-Za-z]", word):
            return " ".join(words[:index]).strip(), _words(" ".join(words[index:]))
    return line, []


def _sort_options(options: list[Option]) -> tuple[list[str], list[Option]]:
    """Split options into those of one requirement and those of all."""
    its_own = [
        f"{each.name}={shlex.quote(each.value or '')}"
        for each in options
        if each.name in LINE_OPTIONS
    ]
    return its_own, [each for each in options if each.name not in LINE_OPTIONS]


def _read_options(
    line: str, number: int, where: str
) -> tuple[list[Wish], list[Option]]:
    """Return what a line of options means; ``-e`` makes a requirement."""
    options = _options_of(_words(line))
    wishes = [
        Wish(
            text=f"-e {each.value}",
            name=_egg(each.value or ""),
            number=number,
            where=where,
            editable=True,
        )
        for each in options
        if each.name == "--editable"
    ]
    return wishes, [each for each in options if each.name != "--editable"]


def _egg(text: str) -> str | None:
    """Return the name that a URL ends with, if it does."""
    found = re.search(r"#(?:.*&)?egg=([\w.-]+)", text)
    return _normal(found[1]) if found else None


def _options_of(words: list[str]) -> list[Option]:
    """Return options with their values.

    Raises
    ------
    _NoRequirement
        Pip does not know one, or its value is missing or makes no sense.
    """
    found: list[Option] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        option = find_option(name)
        if option is None and re.match(r"-[a-z]\S", word) and not equals:
            option, value, equals = find_option(word[:2]), word[2:], "="  # -rfile
        if option is None:
            if not word.startswith("-"):
                raise _NoRequirement(
                    "a requirement stands on a line of its own",
                    *_one_a_line(shlex.join(words)),
                )
            raise _NoRequirement(
                f"pip has no option {name} in a file of requirements",
                "# see: !pip install --help",
            )
        if not option.takes_value:
            found.append(Option(name=option.name))
            continue
        if not equals:
            if not rest:
                raise _NoRequirement(
                    f"{option.name} wants a value", f"{option.name} VALUE"
                )
            value = rest.pop(0)
        if option.name == "--extra-index-url" and not takes_address(value):
            raise _NoRequirement(
                f"pip reads {name} as {option.name}, and {value} is no address",
                f"PACKAGE[{value}]",
                f"-e .[{value}]",
                "--extra-index-url https://HOST/simple",
            )
        found.append(Option(name=option.name, value=value))
    return found


def _normal(name: str) -> str:
    """Return a name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read_requirement(text: str, number: int, where: str) -> Wish:
    """Return one requirement.

    Raises
    ------
    _NoRequirement
        It is none.
    """
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        if _is_place(text):
            name = _name_of_file(text)
            return Wish(text=text, name=name, number=number, where=where)
        raise _why_not(text, str(error)) from None
    return Wish(
        text=text,
        name=_normal(requirement.name),
        number=number,
        where=where,
        requirement=requirement,
    )


def _is_place(text: str) -> bool:
    """Tell whether a text is a URL or a path, which pip takes without a name."""
    path = text.partition("[")[0].partition(" ; ")[0]
    return bool(
        _SCHEME.match(text)
        or path.startswith((".", "/", "~"))
        or (path.endswith(_ARCHIVE) and " " not in path)
    )


def _name_of_file(text: str) -> str | None:
    """Return the package of a wheel's URL or path, or of a URL that says it."""
    file = text.partition("#")[0].partition("?")[0].rpartition("/")[2]
    if file.endswith(".whl"):
        return _normal(file.partition("-")[0])
    return _egg(text)


def _why_not(text: str, error: str) -> _NoRequirement:
    """Return what is wrong with a text, and what may have been meant."""
    words = text.split()
    if re.search(r"(?<![=<>!~])=(?![=])", text) and "==" not in text:
        return _NoRequirement("a version is pinned by ==", text.replace("=", "=="))
    if "," in text and not re.search(r"[<>=~!]", text):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return _NoRequirement("one requirement a line", *parts)
    if len(words) > 1 and all(re.match(r"[A-Za-z]", word) for word in words):
        return _NoRequirement("one requirement a line", *words)
    name = re.match(r"[A-Za-z][\w.-]*", text)
    example = name[0] if name else "torch"
    reason = error.splitlines()[0] if error else "it does not begin with a name"
    return _NoRequirement(reason, example, f"{example}==VERSION")
