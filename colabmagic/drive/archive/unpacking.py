"""Unpack an archive in a thread of its own, while it comes or afterwards."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final

from colabmagic.drive.archive import partial
from colabmagic.drive.archive.archives import unpack
from colabmagic.drive.archive.members import MAX_RATIO, Links, Target
from colabmagic.drive.errors import MissingPackageError, TargetFullError

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.report.progress import Progress

_TICK_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may come out of an archive; see `colabmagic.drive.archive.members.Target`."""

    max_ratio: float = MAX_RATIO
    max_bytes: int | None = None
    links: Links = "refuse"


@dataclass(eq=False)
class Unpacking:
    """Unpacks an archive beside the folder that it is to be.

    Parameters
    ----------
    name
        Of the archive.
    size
        Of the archive, in bytes.
    folder
        Where its content will be.
    limits
        What may come out.

    Attributes
    ----------
    made
        The folder that is written; None before and after.
    """

    name: str
    size: int
    folder: Path
    limits: Limits
    made: Path | None = None
    _target: Target | None = None
    _stream: IO[bytes] | None = None
    _thread: threading.Thread | None = None
    _errors: list[BaseException] = field(default_factory=list)

    def begin(self, stream: IO[bytes]) -> None:
        """Begin to unpack, into a fresh folder.

        Parameters
        ----------
        stream
            The archive; it is closed at the end.
        """
        self._stream = stream
        self.made = partial.beside(self.folder)
        self._target = Target(
            self.made, self.size, max_ratio=self.limits.max_ratio,
            max_bytes=self.limits.max_bytes, links=self.limits.links,
        )  # fmt: skip
        self._thread = threading.Thread(
            target=self._work,
            args=(stream, self._target),
            name="colabmagic-unpack",
            daemon=True,
        )
        self._thread.start()

    def _work(self, stream: IO[bytes], target: Target) -> None:
        """Unpack; what goes wrong is raised where somebody waits for it."""
        try:
            with stream, target:
                unpack(self.name, stream, target)
        except BaseException as error:  # noqa: BLE001 (raised again by `result`)
            self._errors.append(error)

    def check(self) -> None:
        """Raise what more bytes cannot mend; other errors may come of wrong bytes."""
        for error in self._errors:
            if isinstance(error, TargetFullError | MissingPackageError):
                raise error

    def abandon(self) -> None:
        """Stop, and remove what was written; the download must have ended or all be here."""
        if self._target is not None:
            self._target.stop()
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join()
        elif self._stream is not None:
            self._stream.close()
        if self.made is not None:
            partial.remove(self.made)
        self.made = self._target = self._thread = self._stream = None
        self._errors.clear()

    def result(self, progress: Progress) -> Target:
        """Wait for the end; return what was written, or raise what went wrong.

        Parameters
        ----------
        progress
            Is told in this thread how far it is.
        """
        assert self._thread is not None
        assert self._target is not None
        done = 0
        while True:
            self._thread.join(_TICK_S)
            ended = not self._thread.is_alive()
            position = self._position(ended=ended)
            if position > done:
                progress.advance(position - done)
                done = position
            if ended:
                break
        for error in self._errors:
            raise error
        return self._target

    def _position(self, *, ended: bool) -> int:
        """Return how much of the archive is unpacked, in its bytes."""
        if ended:
            return 0 if self._errors else self.size
        assert self._target is not None
        assert self._stream is not None
        if self._target.announced:
            share = self._target.written_bytes / self._target.announced
            return min(self.size, int(self.size * share))
        try:
            return min(self.size, self._stream.tell())
        except ValueError:  # it has just been closed
            return self.size
