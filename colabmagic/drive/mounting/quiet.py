"""Hear what one thread prints, and leave all others alone."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Split:
    """Stands for a stream: text of one thread is kept, that of others passes through."""

    def __init__(self, stream: Any, heard: list[str]) -> None:  # noqa: ANN401 (any stream)
        self._stream = stream
        self._heard = heard
        self._thread: int | None = threading.get_ident()

    def write(self, text: str) -> int:
        """Keep the text, or pass it on."""
        if threading.get_ident() != self._thread:
            return int(self._stream.write(text) or 0)
        self._heard.append(text)
        return len(text)

    def release(self) -> None:
        """Pass everything on from now: somebody may still hold this stream."""
        self._thread = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (the stream's)
        return getattr(self._stream, name)


@contextlib.contextmanager
def heard_stdout() -> Iterator[list[str]]:
    """Yield a list that gets what the block prints, instead of the screen."""
    heard: list[str] = []
    before = sys.stdout
    split = _Split(before, heard)
    sys.stdout = split
    try:
        yield heard
    finally:
        split.release()
        if sys.stdout is split:
            sys.stdout = before
