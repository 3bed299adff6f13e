"""The parts one after the other; what fails is noted, and hides no other part."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from colabmagic.errors import ColabMagicError
from colabmagic.setup.outcome import (
    ALREADY,
    DONE,
    FAILED,
    GIVEN_UP,
    LEFT_OUT,
    NOT_RUN,
    OK,
    PartOutcome,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from colabmagic.setup.wishes import Wish, Wishes

_MOST_LETTERS: Final = 300
_LONGEST_COMMAND: Final = (
    40  # a longer one is broken by its column, and cannot be copied
)
_AGAIN: Final = "run this cell again"
_PLAIN: Final = re.compile(r"[^\s'\"{}$#;]+")
_QUOTABLE: Final = re.compile(r"[^\n\r'\"{}$#]+")
_ADDRESS: Final = re.compile(r"(\w+://)(?:[^/\s@]*@)?([^/\s?#'\"]*)\S*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a part has to tell when it went well.

    Attributes
    ----------
    what
        What was done or seen.
    is_new
        Whether something is otherwise than before; None: it only looked.
    todo
        What to type or click now; empty for nothing.
    """

    what: str
    is_new: bool | None = True
    todo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part, as those who know it bring it along.

    Attributes
    ----------
    doing
        What goes on meanwhile: "mounting Drive".
    act
        Does it, with what was asked for; the empty text is its default.
    alone
        What to type to see this part fail by itself.
    needs
        Returns the part without which a value cannot be; None where none is needed.
    """

    doing: str
    act: Callable[[str], Done]
    alone: str
    needs: Callable[[str], str | None] = lambda _: None


@dataclass(eq=False, slots=True, kw_only=True)
class Runner:
    """One call of the setup.

    Parameters
    ----------
    parts
        What can be done, by name.
    wishes
        What is asked for.
    begins
        Told what goes on, and how many parts there are in all.
    gave_up
        Told of a part that the user has interrupted.
    later
        Returns what a file asks for that can be read now, called when a part of this name
        has gone well; what has not run yet by then is done as it says.
    outcomes
        What came of each part so far; filled by `run`.
    interrupt
        The Ctrl-C that has ended all, to be raised when the rest has been shown.
    """

    parts: Mapping[str, Part]
    wishes: Wishes
    begins: Callable[[str, int, int], object] = lambda *_: None
    gave_up: Callable[[str], object] = lambda _: None
    later: Mapping[str, Callable[[], Wishes]] = field(default_factory=dict)
    outcomes: dict[str, PartOutcome] = field(default_factory=dict)
    interrupt: KeyboardInterrupt | None = None

    def run(self) -> tuple[PartOutcome, ...]:
        """Do all of it; return what came of each part.

        The first Ctrl-C gives up the part that runs. A second one ends all: `interrupt`
        is to be raised when the rest has been shown.
        """
        has_given_up = False
        try:
            while (name := self._next()) is not None:
                wish = self.wishes.by_part[name]
                began = time.monotonic()
                try:
                    self._run(name, wish)
                except KeyboardInterrupt as error:
                    if name not in self.outcomes:
                        self._note(name, wish, GIVEN_UP, _said(error) or "by Ctrl-C")
                    if has_given_up:
                        raise
                    has_given_up = True
                    self.gave_up(name)
                seconds = time.monotonic() - began
                self.outcomes[name] = replace(self.outcomes[name], seconds=seconds)
                self._read_later(name)
        except KeyboardInterrupt as error:  # a second one, or one between two parts
            self.stop(error)
        return tuple(self.outcomes.values())

    def stop(self, error: KeyboardInterrupt) -> None:
        """Leave alone what has not run yet; `interrupt` is to be raised.

        Parameters
        ----------
        error
            What stopped it.
        """
        self.interrupt = error
        while (name := self._next()) is not None:
            wish = self.wishes.by_part[name]
            self._note(name, wish, NOT_RUN, "the setup was stopped before it")

    def _read_later(self, name: str) -> None:
        """Take in what can be read now that a part has gone well."""
        if name in self.later and self.outcomes[name].ok:
            self.wishes = self.wishes.beside(self.later[name]())

    def _next(self) -> str | None:
        """Return the first part that is wanted and has not run."""
        left = (name for name in self.wishes.wanted if name not in self.outcomes)
        return next(left, None)

    def _run(self, name: str, wish: Wish) -> None:
        """Do one part."""
        part = self.parts[name]
        assert wish.value is not None
        try:
            needed = None if wish.error is not None else part.needs(wish.value)
            before = self.outcomes.get(needed) if needed is not None else None
            if before is not None and not before.ok:
                self._note(name, wish, LEFT_OUT, f"it needs {needed}")
                return
            self.begins(part.doing, len(self.outcomes) + 1, len(self.wishes.wanted))
            if wish.error is not None:
                self.outcomes[name] = _failed(name, wish, wish.error, part.alone)
                return
            done = part.act(wish.value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 (a part may fail in any way)
            self.outcomes[name] = _failed(name, wish, error, part.alone)
            return
        state = OK if done.is_new is None else DONE if done.is_new else ALREADY
        self._note(name, wish, state, done.what, done.todo)

    def _note(
        self, name: str, wish: Wish, state: str, what: str, todo: str = ""
    ) -> None:
        """Note what came of a part."""
        if state in {GIVEN_UP, NOT_RUN}:
            todo = _again(name, wish)
        elif state == LEFT_OUT:  # by itself it would fail for the same reason
            todo = _AGAIN
        self.outcomes[name] = PartOutcome(
            name=name, state=state, what=what, todo=todo, source=wish.source
        )


def _failed(name: str, wish: Wish, error: BaseException, alone: str) -> PartOutcome:
    """Return how a part failed, in its own three lines where it has them."""
    if isinstance(error, ColabMagicError):
        what, seen, hint = error.what, error.seen or "", error.hint
    else:
        what, seen = "it failed in a way that was not foreseen", one_line(error)
        hint = alone
    return PartOutcome(
        name=name,
        state=FAILED,
        what=_cut(what),
        seen=_cut(seen),
        todo=hint,
        source=wish.source,
        error=type(error).__name__,
    )


def one_line(error: BaseException) -> str:
    """Return an error that nobody has foreseen in words.

    Parameters
    ----------
    error
        Any; also one that cannot tell itself. An address in it is shown without what may
        be a password.
    """
    try:
        said = " ".join(str(error).split())
    except BaseException:  # noqa: BLE001 (others' code)
        said = ""
    name = type(error).__name__
    return _ADDRESS.sub(r"\1\2/…", f"{name}: {said}" if said else name)


def typed(value: str) -> str | None:
    """Return a value as it can stand in the line of a magic; None where it cannot.

    Parameters
    ----------
    value
        From anywhere. IPython would run code in braces, and put in what stands behind a
        dollar sign.
    """
    if _PLAIN.fullmatch(value) and not value.startswith("-"):
        return value
    return f'"{value}"' if _QUOTABLE.fullmatch(value) else None


def _again(name: str, wish: Wish) -> str:
    """Return what to type to have one part."""
    value = typed(wish.value) if wish.value else ""
    command = f"%colab_setup --{name} {value}".rstrip()
    is_long = len(command) > _LONGEST_COMMAND
    return _AGAIN if value is None or is_long else command


def _cut(text: str) -> str:
    """Return a text, without its end where it is too long to be read."""
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"


def _said(error: KeyboardInterrupt) -> str:
    """Return what an interrupted part says of itself."""
    return " ".join(str(each) for each in error.args)
