"""The words of explanations: a language is one file in ``messages``."""

from __future__ import annotations

import functools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENGLISH: Final = "en"
FOLDER: Final = Path(__file__).with_name("messages")
_VARIABLES: Final = ("COLABMAGIC_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
_PLACE = re.compile(r"\{(\w+)\}")
_TYPED: Final = "> "  # before a step that is to be typed as it stands


@dataclass(frozen=True, slots=True)
class Message:
    """What is said about one cause.

    Attributes
    ----------
    cause
        One sentence with places in braces.
    fix
        What to do, one step an entry.
    """

    cause: str
    fix: tuple[str, ...]

    def cause_with(self, values: Mapping[str, str]) -> str:
        """Return the sentence with its places filled."""
        return fill(self.cause, values)

    def fix_with(self, values: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
        """Yield each step, and whether it is to be typed as it stands."""
        for step in self.fix:
            yield fill(step.removeprefix(_TYPED), values), step.startswith(_TYPED)


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    Attributes
    ----------
    name
        Its name in itself.
    joint
        What stands between two sentences on one line.
    places
        How a place in the user's code is called.
    titles
        For each code a few words.
    messages
        For each message its words.
    """

    name: str
    joint: str
    places: dict[str, str]
    titles: dict[str, str]
    messages: dict[str, Message]


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into the places of a template; what they hold is never a place."""
    return _PLACE.sub(lambda match: values[match[1]], template)


def places(template: str) -> set[str]:
    """Return the names of the places in a template."""
    return set(_PLACE.findall(template))


@functools.cache
def available() -> tuple[str, ...]:
    """Return the languages that have a file."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


@functools.cache
def load(language: str) -> Language:
    """Return the words of one language."""
    data = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    messages = {
        key: Message(entry["cause"], tuple(entry["fix"]))
        for key, entry in data["messages"].items()
    }
    return Language(
        data["name"], data["joint"], data["places"], data["titles"], messages
    )


def preferred() -> tuple[str, ...]:
    """Return the languages besides English that the environment asks for."""
    for variable in _VARIABLES:
        value = os.environ.get(variable, "")
        if value:
            return chosen(value)
    return ()


def chosen(text: str) -> tuple[str, ...]:
    """Return the language that a text such as ``zh_CN.UTF-8`` means, if it is there."""
    language = re.split(r"[_.@-]", text.strip().lower())[0]
    return (language,) if language in available() and language != ENGLISH else ()
