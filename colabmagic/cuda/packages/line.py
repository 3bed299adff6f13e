"""Read one line of pip's requirement syntax."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from colabmagic.cuda.packages.options import (
    LINE_OPTIONS,
    find_option,
    takes_address,
)
from colabmagic.cuda.packages.record import normal
from colabmagic.cuda.packages.wish import NoRequirement, Option, Wish

SCHEME = re.compile(
    r"^(?:https?|file|ftp|(?:git|hg|svn|bzr)(?:\+\w+)?)://|^git\+", re.IGNORECASE
)
_PIP_CALL = re.compile(
    r"^[!%]?\s*(?:python[\d.]*\s+-m\s+)?(?:uv\s+)?pip3?\s+install(?:\s+|$)"
)
_ARCHIVE = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz")
_MOST_LINES = 20  # that are told to be typed
_LONGEST_SHOWN = 40
_TAKE_OUT = "# take this line out"


def read_line(line: str, number: int, where: str) -> tuple[list[Wish], list[Option]]:
    """Return the requirements (one at most) and the options of a line."""
    if call := _PIP_CALL.match(line):
        rest = line[call.end() :]
        raise NoRequirement(
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
    return _told(lines)


def _told(lines: list[str]) -> tuple[str, ...]:
    """Return lines that are to be typed: the first of many, one where there is none."""
    more = len(lines) - _MOST_LINES
    end = [f"# and {more} more"] if more > 0 else []
    return (*lines[:_MOST_LINES], *end) or (_TAKE_OUT,)


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
    return normal(found[1]) if found else None


def _options_of(words: list[str]) -> list[Option]:
    """Return options with their values.

    Raises
    ------
    NoRequirement
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
                raise NoRequirement(
                    "a requirement stands on a line of its own",
                    *_one_a_line(shlex.join(words)),
                )
            raise NoRequirement(
                f"pip has no option {_short(name)} in a file of requirements",
                "# see: !pip install --help",
            )
        if not option.takes_value:
            found.append(Option(name=option.name))
            continue
        if not equals and rest:
            value = rest.pop(0)
        if not value:
            raise NoRequirement(f"{option.name} wants a value", f"{option.name} VALUE")
        if option.name == "--extra-index-url" and not takes_address(value):
            raise NoRequirement(
                f"pip reads {name} as {option.name}, and {_short(value)} is no address",
                f"PACKAGE[{_short(value)}]",
                f"-e .[{_short(value)}]",
                "--extra-index-url https://HOST/simple",
            )
        found.append(Option(name=option.name, value=value))
    return found


def _read_requirement(text: str, number: int, where: str) -> Wish:
    """Return one requirement.

    Raises
    ------
    NoRequirement
        It is none.
    """
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    place = Wish(text=text, name=_name_of_file(text), number=number, where=where)
    if text.endswith(_ARCHIVE) and not re.search(r"[\s@]", text):
        return place  # a file beside the notebook: its name would do for a package's
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        if _is_place(text):
            return place
        raise _why_not(text, str(error)) from None
    return Wish(
        text=text,
        name=normal(requirement.name),
        number=number,
        where=where,
        requirement=requirement,
    )


def _short(text: str) -> str:
    """Return the beginning of what may be long."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _is_place(text: str) -> bool:
    """Tell whether a text is a URL or a path, which pip takes without a name."""
    path = text.partition("[")[0].partition(" ; ")[0]
    return bool(
        SCHEME.match(text)
        or path.startswith((".", "/", "~"))
        or (path.endswith(_ARCHIVE) and " " not in path)
    )


def _name_of_file(text: str) -> str | None:
    """Return the package of a wheel's URL or path, or of a URL that says it."""
    file = text.partition("#")[0].partition("?")[0].rpartition("/")[2]
    if file.endswith(".whl"):
        return normal(file.partition("-")[0])
    return _egg(text)


def _why_not(text: str, error: str) -> NoRequirement:
    """Return what is wrong with a text, and what may have been meant."""
    words = text.split()
    if turned := re.search(r"=+([<>~!])(?!=)", text):
        right = text.replace(turned[0], f"{turned[1]}=")
        return NoRequirement(f"it is written {turned[1]}=, not {turned[0]}", right)
    if re.search(r"(?<=\w|\s|\])=(?![=])", text) and "==" not in text:
        return NoRequirement("a version is pinned by ==", text.replace("=", "=="))
    if words[0] in {"import", "from"} and len(words) > 1:
        package = words[1].partition(".")[0].strip(",")
        return NoRequirement(
            "Python code goes into the next cell; a line here names a package", package
        )
    if "," in text and not re.search(r"[<>=~!]", text):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return NoRequirement("one requirement a line", *_told(parts))
    if len(words) > 1 and all(re.match(r"[A-Za-z]", word) for word in words):
        return NoRequirement("one requirement a line", *_told(words))
    name = re.match(r"[A-Za-z][\w.-]*", text)
    example = name[0] if name else "torch"
    reason = error.splitlines()[0] if error else "it does not begin with a name"
    return NoRequirement(reason, example, f"{example}==VERSION")
