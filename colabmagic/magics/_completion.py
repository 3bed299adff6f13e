"""Tab after a magic: its options, and the values that its arguments take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.magics._lazy import LazyMagic

_TYPED: Final = re.compile(r"^\s*(?:[\w.]+\s*=\s*)?%{1,2}(?P<name>\w+)\s+(?P<rest>.*)$")


def completes(
    **values: Callable[[], list[str]],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a magic's arguments values to offer; those with ``choices`` need none.

    Parameters
    ----------
    **values
        For an argument's name, a function that lists values.
    """

    def mark(magic: Callable[..., Any]) -> Callable[..., Any]:
        magic.completed_values = values  # type: ignore[attr-defined]
        return magic

    return mark


class Completion:
    """Completion of the arguments of our magics in one shell.

    Parameters
    ----------
    shell
        The shell.
    magics
        The magics by name; filled later.
    """

    def __init__(
        self, shell: InteractiveShell, magics: Mapping[str, LazyMagic]
    ) -> None:
        self._shell = shell
        self._magics = magics
        self._matcher: Callable[..., Any] | None = None
        self._matchers: list[Any] = []

    def install(self) -> None:
        """Add a matcher, of the kind that this IPython has."""
        completer = getattr(self._shell, "Completer", None)
        if completer is None:
            return
        try:
            # The attribute `custom_matchers` is on IPython 7 too: only this name tells.
            from IPython.core.completer import context_matcher  # noqa: PLC0415
        except ImportError:
            # The documented hook, `complete_command`, does not keep Jedi's guesses out
            # of what a kernel answers; a matcher of magics' arguments does.
            self._matcher = self._old_matcher(completer)
            self._matchers = completer.magic_arg_matchers
        else:
            self._matcher = context_matcher(identifier="colabmagic")(
                self._new_matcher()
            )
            self._matchers = completer.custom_matchers
        self._matchers.append(self._matcher)

    def remove(self) -> None:
        """Take the matcher back."""
        if self._matcher in self._matchers:
            self._matchers.remove(self._matcher)
        self._matcher = None

    def candidates(self, text: str) -> tuple[str, list[str]]:
        """Return the word before the cursor, and what it can become.

        Parameters
        ----------
        text
            The line up to the cursor.
        """
        match = _TYPED.match(text)
        magic = self._magics.get(match["name"]) if match else None
        if match is None or magic is None:
            return "", []
        before, word = _last_word(match["rest"])
        fits = _fitting(magic.__wrapped__, before, word)
        return word, [text for text in fits if text.startswith(word)]

    def _new_matcher(self) -> Callable[..., Any]:
        """Return a matcher for IPython 8 and later."""
        from IPython.core.completer import SimpleCompletion  # noqa: PLC0415 (8+ only)

        def colabmagic_arguments(context: Any) -> dict[str, Any]:  # noqa: ANN401
            word, found = self.candidates(context.text_until_cursor)
            return {
                "completions": [
                    SimpleCompletion(text=text, type="param") for text in found
                ],
                "matched_fragment": word,
                "suppress": bool(found),
            }

        return colabmagic_arguments

    def _old_matcher(self, completer: Any) -> Callable[[str], list[str]]:  # noqa: ANN401
        """Return a matcher for IPython 7: it completes the last token, not the word."""

        def colabmagic_arguments(_line: str) -> list[str]:
            text = completer.text_until_cursor
            word, found = self.candidates(text)
            token = completer.splitter.split_line(text)
            kept = len(word) - len(token)
            return [text[kept:] for text in found] if kept >= 0 else []

        return colabmagic_arguments


def _last_word(rest: str) -> tuple[list[str], str]:
    """Return the finished words, and the one under the cursor."""
    words = rest.split()
    if words and not rest[-1].isspace():
        return words[:-1], words[-1]
    return words, ""


def _fitting(magic: Callable[..., Any], before: list[str], word: str) -> list[str]:
    """Return what can stand at the cursor: values of an option, or arguments left."""
    parser: argparse.ArgumentParser | None = getattr(magic, "parser", None)
    if parser is None:
        return []
    actions = parser._actions  # noqa: SLF001 (no other way)
    by_option = {name: action for action in actions for name in action.option_strings}
    option, sign, _ = word.partition("=")
    if sign and option in by_option:
        return [f"{option}={value}" for value in _values(magic, by_option[option])]
    previous = by_option.get(before[-1]) if before else None
    if previous is not None and previous.nargs not in {0, "?"}:
        return _values(magic, previous)
    left = [name for name in by_option if name.startswith("--") and name not in before]
    if word.startswith("-"):
        return left
    given = _positional_count(before, by_option)
    positional = [action for action in actions if not action.option_strings]
    if previous is not None and previous.nargs == "?" and not positional:
        return _values(magic, previous) + left
    values = _values(magic, positional[given]) if given < len(positional) else []
    return values + left


def _positional_count(
    before: list[str], by_option: Mapping[str, argparse.Action]
) -> int:
    """Count the words that are neither options nor their values."""
    count = 0
    is_value: int | str | None = 0
    for word in before:
        action = by_option.get(word)
        is_number = is_value == "?" and word.isdecimal()
        if not is_number and is_value in {0, "?"} and not word.startswith("-"):
            count += 1
        is_value = 0 if action is None else action.nargs
    return count


def _values(magic: Callable[..., Any], action: argparse.Action) -> list[str]:
    """Return the values to offer for an argument."""
    if action.choices:
        return [str(choice) for choice in action.choices]
    listed = getattr(magic, "completed_values", {}).get(action.dest)
    return listed() if listed is not None else []
