"""What is asked for, part by part; the line goes before settings, and these before files."""

from __future__ import annotations

import contextlib
import difflib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from colabmagic.setup.errors import SetupValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

# In the order in which they are done.
PARTS: Final = ("require", "gpu", "cuda", "drive", "cd", "train", "keepalive")

_YES: Final = frozenset({"gpu", "cuda", "drive", "train", "keepalive"})  # take `true`
_TEXT: Final = frozenset(PARTS) - {"gpu"}
_NUMBER: Final = {"require": (int,), "cuda": (int, float)}
_SECRET: Final = re.compile(
    r"token|secret|passw|api_?key|creds|credential|notify|webhook|client", re.IGNORECASE
)
_ADDRESS: Final = re.compile(r"\w+://")
_WHERE_SECRETS_GO: Final = (
    "keep it in Colab's Secrets (the key at the left), and type "
    "%mount_drive --creds secret:NAME, or %keepalive --notify URL"
)
_KINDS: Final = {
    bool: "true or false", int: "a number", float: "a number", str: "a text",
    list: "a list", dict: "a table",
}  # fmt: skip
_MOST_LETTERS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One part as somebody asks for it.

    Attributes
    ----------
    value
        What goes with it; empty for the part's own default, None: it is left out.
    source
        Who asks: a file's name, the name of a setting; empty for the line.
    error
        Why it cannot be; the part then fails, and no other.
    """

    value: str | None
    source: str = ""
    error: SetupValueError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What one source asks for, or several.

    Attributes
    ----------
    by_part
        What is asked for; a part that nobody speaks of is not in it.
    sources
        The files and settings that were read.
    problems
        What in them means nothing, a line each.
    """

    by_part: Mapping[str, Wish] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def beside(self, weaker: Wishes) -> Wishes:
        """Return both; where both speak of a part, this one counts.

        Parameters
        ----------
        weaker
            Of a file that is further away.
        """
        return Wishes(
            by_part={**weaker.by_part, **self.by_part},
            sources=(*self.sources, *weaker.sources),
            problems=(*self.problems, *weaker.problems),
        )

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return the parts that are to be done, in order."""
        return tuple(
            name
            for name in PARTS
            if name in self.by_part and self.by_part[name].value is not None
        )


def read_table(table: Mapping[str, object], source: str) -> Wishes:
    """Return what a table asks for; its values are never repeated in words.

    Parameters
    ----------
    table
        ``{"drive": True, "train": "auto"}``, as in a file.
    source
        Its name, for the user.
    """
    found = Wishes(sources=(source,) if table else ())
    for key, value in table.items():
        name = str(key)
        if name not in PARTS:
            found = replace(found, problems=(*found.problems, _stray(name, source)))
            continue
        wish = Wish(value="", source=source)
        try:
            wish = replace(wish, value=_value(name, value, source))
        except SetupValueError as error:
            wish = replace(wish, error=error)
        found = replace(found, by_part={**found.by_part, name: wish})
    return found


def _value(name: str, value: object, source: str) -> str | None:
    """Return a value as the line has it; None leaves the part out."""
    if value is False:
        return None
    if value is True and name in _YES:
        return ""
    if isinstance(value, str) and name in _TEXT and value.strip():
        if _ADDRESS.search(value):
            raise SetupValueError(
                f"{source}: {name} is an address, which may hold a secret",
                hint=_WHERE_SECRETS_GO,
            )
        return value.strip()
    numbers = _NUMBER.get(name, ())
    given = _KINDS.get(type(value))
    if isinstance(value, str) and not value.strip():
        given = "an empty text"
    if isinstance(value, numbers) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):  # Python writes none of 5,000 digits
            return f"{value}"
        given = "so long a number"
    raise SetupValueError(
        f"{source}: {name} cannot be {given or 'a date'}",
        hint=f"write {name} = {_form(name)}",
    )


def _form(name: str) -> str:
    """Return what can be written for a part."""
    return {
        "require": '"16GiB"',
        "gpu": "true, or false",
        "cuda": '"12.4", true (that of PyTorch), or false',
        "drive": 'true, a folder such as "/content/drive", or false',
        "cd": '"MyDrive/project"',
        "train": 'true (the best device), "cuda", or false',
        "keepalive": '"4h", true, or false',
    }[name]


def _stray(name: str, source: str) -> str:
    """Say what to do with a key that is none of ours."""
    shown = repr(name[:_MOST_LETTERS])
    if _SECRET.search(name):
        return f"{source}: {shown} does not belong in a file: {_WHERE_SECRETS_GO}"
    near = difflib.get_close_matches(name.lower().lstrip("-"), PARTS, n=1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(PARTS)}"
    return f"{source}: there is no {shown}; {meant}"
