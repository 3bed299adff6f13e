"""What the thread has to say: to the user, to the status, and to the webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.keepalive.world import World

Value = TypeVar("Value")

_MOST_NOTES: Final = 20


class Teller:
    """Says things; who shows them may fail, and the beats go on.

    Parameters
    ----------
    world
        To whom.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._notes: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What the status shows: also what could not be looked at, and the posts."""
        problems = self.guarded(self._world.problems, "") or ()
        notifier = self._world.notifier
        posts = () if notifier is None else tuple(notifier.deliveries)
        return (*self._notes, *problems, *(each.text for each in posts))

    def say(self, text: str, *, post: bool = False) -> None:
        """Show a sentence, keep it for the status, and post it where that is wanted.

        Parameters
        ----------
        text
            The sentence.
        post
            Whether it goes to the webhook, too.
        """
        self.note(text)
        self.show(text)
        if post:
            self.post(text)

    def show(self, text: str) -> None:
        """Show a sentence to the user."""
        self.guarded(lambda: self._world.tell(text), "")

    def note(self, text: str) -> None:
        """Keep a sentence for the status."""
        if len(self._notes) < _MOST_NOTES and text not in self._notes:
            self._notes.append(text)

    def post(self, text: str) -> None:
        """Send a sentence to the webhook, if there is one."""
        notifier = self._world.notifier
        if notifier is not None:
            said = f"colabmagic keepalive: {text}"
            self.guarded(lambda: notifier.post(said), "a post could not be begun")

    def guarded(self, ask: Callable[[], Value], note: str) -> Value | None:
        """Ask something that may fail; return None where it does.

        Parameters
        ----------
        ask
            Others' code.
        note
            What the status says then; empty for nothing.
        """
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 (others' code; the beats go on)
            if note:
                self.note(f"{note}: {type(error).__name__}")
            return None
