"""Who waits for Google is told why, if it takes long: silence looks like a hang."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import ConnectionFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from colabmagic.drive.errors import DriveError

SILENT_S: Final = 2.0


class _Listener:
    """Tells each trouble once, before a wait by whose end it will have lasted long."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._since: float | None = None
        self._line = ""
        self._told = ""

    def failed(self, line: str, began: float) -> None:
        """Note a request that has failed; nobody knows yet whether it is sent again."""
        with self._lock:
            self._since = began if self._since is None else self._since
            self._line = line

    def answered(self) -> None:
        """Note that all is well again."""
        with self._lock:
            self._since, self._told = None, ""

    def waiting(self, seconds: float) -> None:
        """Tell what is wrong, if that is due."""
        with self._lock:
            if self._since is None or self._line == self._told:
                return
            if time.monotonic() + seconds - self._since < SILENT_S:
                return
            line = self._told = self._line
        self._tell(line)


_LISTENERS: Final[list[_Listener]] = []


@contextlib.contextmanager
def telling(tell: Callable[[str], object]) -> Iterator[None]:
    """Tell, while a block runs, of each trouble that lasts longer than `SILENT_S`.

    Parameters
    ----------
    tell
        Called with one line, in whichever thread waits.
    """
    listener = _Listener(tell)
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


def failed(error: DriveError, began: float) -> None:
    """Note a request that has failed.

    Parameters
    ----------
    error
        What it was.
    began
        When it was sent, by the monotonic clock.
    """
    seen = f" ({error.seen})" if isinstance(error, ConnectionFailedError) else ""
    for listener in tuple(_LISTENERS):
        listener.failed(f"{error.what}{seen}, trying again", began)


def answered() -> None:
    """Note that a request was answered."""
    for listener in tuple(_LISTENERS):
        listener.answered()


def waiting(seconds: float) -> None:
    """Note that somebody waits before he tries again.

    Parameters
    ----------
    seconds
        How long.
    """
    for listener in tuple(_LISTENERS):
        listener.waiting(seconds)
