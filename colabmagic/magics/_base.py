"""Arguments of magics, parsed for all of them, with one line where they are wrong."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from IPython.core.error import UsageError
from IPython.utils.process import arg_split  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_NUMBER = re.compile(r"-\d+(\.\d*)?")
_COMMENT = re.compile(r"(?:^|\s)#")
_QUOTES = "\"'"
_LONGEST_USAGE = 100
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_NUMBERS: Final[Mapping[Any, str]] = MappingProxyType(
    {int: "a whole number", float: "a number"}
)
_LIKE = 0.85  # so much an option is like another that begins differently


def parse(
    magic: Callable[..., Any],
    line: str,
    *,
    cell: bool = False,
    meant: Mapping[str, str] = _NONE,
) -> argparse.Namespace:
    """Parse the argument line of a magic that is decorated with ``magic_arguments``.

    Parameters
    ----------
    magic
        The magic's method.
    line
        The rest of the line; values with blanks stand in quotes, which are taken off.
    cell
        Whether it is written with two percent signs.
    meant
        What people write who do not know the options, and what they mean by it.

    Raises
    ------
    UsageError
        One line: what is wrong, and the nearest form that is right.
    """
    wrapper = _Arguments(magic, "%%" if cell else "%", meant)
    return wrapper.parse(line)


def usage_of(magic: Callable[..., Any], *, cell: bool = False) -> str:
    """Return how a magic is written, on one line.

    Parameters
    ----------
    magic
        The magic's method.
    cell
        Whether it is written with two percent signs.
    """
    return _Arguments(magic, "%%" if cell else "%").usage()


def split_after(
    magic: Callable[..., Any], line: str, positionals: int
) -> tuple[str, list[str]]:
    """Part a line behind the magic's own words, as ``train.py --epochs 3`` follows them.

    Parameters
    ----------
    magic
        The magic's method.
    line
        The rest of the line.
    positionals
        How many words that are no options belong to the magic; what ends with ``.py``
        never does.

    Returns
    -------
    tuple of str and list of str
        The magic's own part, and the words behind it without their quotes.
    """
    return _Arguments(magic, "%").split_after(line, positionals)


def runs_of(magic: Callable[..., Any], line: str) -> list[tuple[str, list[str]]]:
    """Return the words that follow each option, up to the next one, as they are written.

    Parameters
    ----------
    magic
        The magic's method.
    line
        The rest of the line; `parse` takes it.

    Returns
    -------
    list of tuple
        An option and what follows it; the empty option for what stands before all.
    """
    return _Arguments(magic, "%").runs(line)


class _Arguments:
    """The parser of one magic, and what to say when it refuses a line."""

    def __init__(
        self, magic: Callable[..., Any], signs: str, meant: Mapping[str, str] = _NONE
    ) -> None:
        self._meant = meant
        self._parser: argparse.ArgumentParser = magic.parser  # type: ignore[attr-defined]
        self._parser.allow_abbrev = False
        self._parser.exit_on_error = False
        self._name = f"{signs}{magic.__name__}"
        self._options = self._parser._option_string_actions  # noqa: SLF001 (no other way)

    def parse(self, line: str) -> argparse.Namespace:
        """Return the values, or refuse the line."""
        words = self._with_values(self._split(line))
        self._check_options(words)
        try:
            values, left = self._parser.parse_known_args([_unquoted(w) for w in words])
        except argparse.ArgumentError as error:
            self._refuse_argument(error, words)
        except UsageError as error:
            self._refuse(_lower_first(str(error)))
        if left:
            self._refuse_left(left[0], words)
        return values

    def runs(self, line: str) -> list[tuple[str, list[str]]]:
        """Return the words after each option; see the function of this name."""
        return self._runs(self._split(line))

    def _runs(self, words: Iterable[str]) -> list[tuple[str, list[str]]]:
        """Part words at the options."""
        found: list[tuple[str, list[str]]] = [("", [])]
        for word in words:
            option, sign, value = word.partition("=")
            if option in self._options:
                found.append((option, [value] if sign else []))
            else:
                found[-1][1].append(word)
        return found

    def _refuse_left(self, left: str, words: list[str]) -> NoReturn:
        """Say what a word could be that no argument takes."""
        message = f"{left!r} is one word too many"
        for option, run in self._runs(words):
            bare = [_unquoted(word) for word in run]
            if left not in bare or len(run) < 2:  # noqa: PLR2004 (what can be joined)
                continue
            action = self._options.get(option) or self._positional()
            if not option and f"--{bare[0]}" in self._options:
                meant = (f"--{w}" if f"--{w}" in self._options else w for w in run)
                self._refuse(f"{message}; did you mean {' '.join(meant)}")
            takes_path = option or (action is not None and _metavar(action) == "PATH")
            if takes_path and action is not None and action.nargs in {None, "?"}:
                joined = f'{option} "{" ".join(bare)}"'.strip()
                self._refuse(f"{message}; one value with blanks needs quotes: {joined}")
        self._refuse(message)

    def _positional(self) -> argparse.Action | None:
        """Return the first argument that is no option."""
        actions = self._parser._actions  # noqa: SLF001 (no other way)
        return next((each for each in actions if not each.option_strings), None)

    def split_after(self, line: str, positionals: int) -> tuple[str, list[str]]:
        """Part a line; see the function of this name."""
        words = self._split(line)
        takes_value = False
        for number, word in enumerate(words):
            if takes_value:
                takes_value = False
            elif word.startswith("-"):
                action = self._options.get(word)
                takes_value = action is not None and action.nargs != 0
                if takes_value and action.nargs == "?":  # type: ignore[union-attr]
                    takes_value = _is_count(words[number + 1 : number + 2])
            elif positionals == 0 or _unquoted(word).endswith(".py"):
                rest = [_unquoted(each) for each in words[number:]]
                return " ".join(words[:number]), rest
            else:
                positionals -= 1
        return " ".join(words), []

    def usage(self) -> str:
        """Return name, arguments and options; where they are many, how to see them."""
        words, options = [self._name], []
        for action in self._parser._actions:  # noqa: SLF001 (no other way)
            shown = _shown(action)
            if action.option_strings:
                options.append(f"[{shown}]")
            else:
                words.append(f"[{shown}]" if action.nargs in {"?", "*"} else shown)
        full = " ".join([*words, *options])
        if len(full) <= _LONGEST_USAGE:
            return full
        return " ".join([*words, f"[options]; they are listed by {self._name}?"])

    def _with_values(self, words: list[str]) -> list[str]:
        """Write out the value of an option that stands alone, and takes a number.

        The word after it is a device, or another option.
        """
        full = []
        for number, word in enumerate(words):
            action = self._options.get(word)
            alone = not _is_count(words[number + 1 : number + 2])
            # Where there are no other words to be mistaken for it, argparse knows.
            alone = alone and self._positional() is not None
            if action is not None and action.nargs == "?" and alone:
                full.append(f"{word}={action.const}")
            else:
                full.append(word)
        return full

    def _split(self, line: str) -> list[str]:
        """Split a line at blanks outside quotes, up to a comment."""
        code = _COMMENT.split(line, maxsplit=1)[0]
        words: list[str] | None = None
        for text in (code, line):  # either may have a quote that the other closes
            with contextlib.suppress(ValueError):
                words = list(arg_split(text, posix=False, strict=True))
        if words is None:
            marks = (mark for mark in _QUOTES if line.count(mark) % 2)
            meant = self._closed(line, min(marks, key=line.find, default="'"))
            self._refuse(f"a quote is not closed; did you mean {self._name} {meant}")
        comments = (n for n, word in enumerate(words) if word.startswith("#"))
        return words[: next(comments, len(words))]

    def _closed(self, line: str, mark: str) -> str:
        """Close a quote before the next option, or at the end of the line."""
        names = "|".join(map(re.escape, sorted(self._options, key=len, reverse=True)))
        parts = re.split(rf"(\s+(?=(?:{names})(?:[\s=]|$)))", line)
        closed = "".join(part + mark * (part.count(mark) % 2) for part in parts)
        with contextlib.suppress(ValueError):
            arg_split(closed, posix=False, strict=True)
            return closed
        return line + mark

    def _check_options(self, words: Iterable[str]) -> None:
        """Refuse unknown and abbreviated options, which argparse would guess at."""
        for word in words:
            if word == "--":
                return
            option = word.partition("=")[0]
            is_option = option.startswith("-") and len(option) > 1
            if (
                is_option
                and option not in self._options
                and not _NUMBER.fullmatch(word)
            ):
                self._refuse(f"there is no option {option}{self._near_option(option)}")

    def _near_option(self, option: str) -> str:
        """Return a question after the option that was meant, or nothing."""
        if option in {"-h", "--help"}:
            return f"; for help type {self._name}?"
        for action in self._parser._actions:  # noqa: SLF001 (no other way)
            if not action.option_strings and action.dest == option.lstrip("-"):
                return f"; write {self._name} {_metavar(action)}, without a dash"
        known = [name for name in self._options if name.startswith("--")]
        bare = "--" + option.lstrip("-").lower().replace("_", "-")
        if bare in self._meant:
            return f"; did you mean {self._meant[bare]}"
        near = [name for name in known if name.startswith(bare)]
        alike = [name for name in known if name[2] == bare[2:3]]
        near = near or difflib.get_close_matches(bare, alike, n=1)
        near = near or difflib.get_close_matches(bare, known, n=1, cutoff=_LIKE)
        return f"; did you mean {near[0]}" if near else ""

    def _refuse_argument(
        self, error: argparse.ArgumentError, words: list[str]
    ) -> NoReturn:
        """Say which values an argument takes, and which was probably meant."""
        action = self._action(error.argument_name)
        if action is None:
            self._refuse(_lower_first(error.message))
        name = action.option_strings[-1] if action.option_strings else _metavar(action)
        choices = [str(choice) for choice in action.choices or ()]
        given = self._given(action, words)
        if action.nargs == 0:
            self._refuse(f"{name} takes no value; write {name} alone")
        if isinstance(action.nargs, int) and action.nargs > 1:
            self._refuse(
                f"{name} needs {action.nargs} values: {name} {_metavar(action)}"
            )
        if action.option_strings and given is None:
            self._refuse(
                f"{name} needs a value: {_one_of(choices) or _metavar(action)}"
            )
        if choices and given is not None:
            near = [each for each in choices if each.startswith(given.lower())]
            near = near if len(near) == 1 else []  # stat is the beginning of status
            near = near or difflib.get_close_matches(
                given.lower(), choices, n=1, cutoff=0.5
            )
            if "device" in choices and given.lower() in {"gpu", "cuda"}:
                near = ["device"]  # what the letters are nearest to is the opposite
            before = name if action.option_strings else self._name
            meant = f"; did you mean {before} {near[0]}" if near else ""
            if not action.option_strings and given.lower() in self._meant:
                meant = f"; did you mean {self._meant[given.lower()]}"
            self._refuse(f"{name} takes {_one_of(choices)}, not {given!r}{meant}")
        if action.type in _NUMBERS and given is not None:
            self._refuse(f"{name} takes {_NUMBERS[action.type]}, not {given!r}")
        self._refuse(f"{name}: {_lower_first(error.message)}")

    def _action(self, name: str | None) -> argparse.Action | None:
        """Return the argument that argparse calls by this name."""
        for action in self._parser._actions if name else ():  # noqa: SLF001 (no other way)
            if name in {"/".join(action.option_strings), action.metavar, action.dest}:
                return action
        return None

    def _given(self, action: argparse.Action, words: list[str]) -> str | None:
        """Return the value that was typed for an option."""
        for number, word in enumerate(words):
            option, sign, value = word.partition("=")
            if option in action.option_strings:
                if sign:
                    return _unquoted(value)
                following = words[number + 1 : number + 2]
                return _unquoted(following[0]) if following else None
        return None if action.option_strings else self._not_a_choice(action, words)

    def _not_a_choice(self, action: argparse.Action, words: list[str]) -> str | None:
        """Return the first word that is none of a positional argument's choices."""
        choices = [str(choice) for choice in action.choices or ()]
        before = [None, *map(self._options.get, words)]  # whose value a word may be
        bare = [
            _unquoted(word)
            for word, option in zip(words, before, strict=False)
            if not word.startswith("-") and (option is None or option.nargs == 0)
        ]
        return next((word for word in bare if word not in choices), None)

    def _refuse(self, message: str) -> NoReturn:
        """Raise the one line that the user sees."""
        text = " ".join(f"{self._name}: {message}".split())
        raise UsageError(f"{text}  (usage: {self.usage()})") from None


def _unquoted(word: str) -> str:
    """Take the quotes off a word, also after ``--option=``."""
    head, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        value = value[1:-1]
    return head + sign + value


def _is_count(words: list[str]) -> bool:
    """Tell whether a word follows, and is meant as a number."""
    return bool(words) and words[0].lstrip("-+")[:1].isdigit()


def _shown(action: argparse.Action) -> str:
    """Return an argument as the usage line shows it."""
    if not action.option_strings:
        return _metavar(action)
    option = action.option_strings[-1]
    if action.nargs == 0:
        return option
    values = "|".join(map(str, action.choices)) if action.choices else _metavar(action)
    return f"{option} [{values}]" if action.nargs == "?" else f"{option} {values}"


def _metavar(action: argparse.Action) -> str:
    """Return the placeholder of a value, or of several."""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    return str(action.metavar or action.dest.upper())


def _one_of(choices: list[str]) -> str:
    """Return ``a, b or c``."""
    head = [", ".join(choices[:-1])] if choices[1:] else []
    return " or ".join([*head, *choices[-1:]])


def _lower_first(text: str) -> str:
    """Return a message so that it can follow a colon."""
    return text[:1].lower() + text[1:]
