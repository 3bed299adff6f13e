"""What of a file has come, on disk and in order, and what is still to come.

The bytes are in ``.NAME.colabmagic-part``; that name with ``.json`` notes which ranges are
complete, and how far the others have come (``7``, ``8 271581184``). Who reads the file
while it comes (`Journal.stream`) sees only bytes that are never written again, in their
order, and waits for those that are missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final, cast

from colabmagic.drive.errors import TargetFullError
from colabmagic.drive.transfer import beside
from colabmagic.drive.transfer.arriving import Stream
from colabmagic.drive.transfer.locks import locked, refuse_full, unwritable
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.api.files import RemoteFile

_WAIT_S: Final = 0.5  # then it is looked again: a wait without end does not hear Ctrl-C
_NOTED_BYTES: Final = 2**20  # so often is noted how far a range has come,
_NOTED_S: Final = 0.02  # and so often where they come slowly


@dataclass(eq=False)
class Journal:
    """Which ranges of a file are complete on disk.

    Parameters
    ----------
    part
        The file that they are in.
    size
        Of the whole, in bytes.
    part_bytes
        Of each range.
    done
        Numbers of ranges that are complete.
    """

    part: Path
    size: int
    part_bytes: int
    done: set[int]
    _data: int = -1
    _log: Any = None
    _reached: dict[int, int] = field(default_factory=dict)
    _noted: dict[int, int] = field(default_factory=dict)
    _noted_at: dict[int, float] = field(default_factory=dict)
    _front: int = 0
    _ended: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @classmethod
    def open(cls, target: Path, remote: RemoteFile, part_bytes: int) -> Journal:
        """Return the journal of a target, continued if it is of the same content.

        Parameters
        ----------
        target
            Where the file will be.
        remote
            What is downloaded.
        part_bytes
            Of each range, if it is begun anew.

        Raises
        ------
        TargetFullError
            There is no room, or another process is at it.
        """
        size = remote.size or 0
        place, mode = _placed(target)
        journal = cls(beside.hidden(place, beside.PART), size, part_bytes, set())
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            journal._data = locked(journal.part)
            identity = {"id": remote.id, "md5": remote.md5, "size": size}
            journal._continue(identity)
            if mode is not None:  # who may not read the old one may not read this
                _set_mode(journal._data, mode | stat.S_IRUSR | stat.S_IWUSR)
            held = os.fstat(journal._data).st_blocks * 512
            refuse_full(place, size - held)
            journal._begin(identity)
            os.ftruncate(journal._data, size)
        except BlockingIOError:
            raise TargetFullError(
                f"{clean(target.name)} is being downloaded by another process",
                seen=clean(str(journal.part)),
                hint="wait for it, or choose another folder",
            ) from None
        except OSError as error:
            journal._give_up()
            raise unwritable(target, error) from None
        except BaseException:  # also Ctrl-C: what stays open stays locked
            journal._give_up()
            raise
        return journal

    def _give_up(self) -> None:
        """Close what was opened; a file of ours that has nothing in it goes."""
        with contextlib.suppress(OSError, TargetFullError):
            if self._data >= 0 and self._is_empty():
                self.discard()
        self.close()

    def _is_empty(self) -> bool:
        """Tell whether nothing is in it; raise for what no download has made."""
        status = os.fstat(self._data)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise self._not_ours()
        return not status.st_size

    def _not_ours(self) -> TargetFullError:
        """Return the error for a file that no download has made."""
        return TargetFullError(
            f"{clean(str(self.part))} is there already, and is no download of ours",
            hint="move it away, or choose another folder",
        )

    def __del__(self) -> None:
        """Close what an interrupt has left open."""
        self.close()

    def _continue(self, identity: dict[str, Any]) -> None:
        """Read which ranges an earlier run has completed, if of the same content."""
        if self._is_empty():
            return
        known, rest = _read_log(self._log_path())
        if known is None:
            raise self._not_ours()
        if os.fstat(self._data).st_size != self.size:
            return  # another file
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            part_bytes = int(known.pop("part_bytes"))
            if known == identity and part_bytes > 0:
                self.part_bytes = part_bytes
                self.done = {int(line) for line in rest if line.isdecimal()}
                for line in rest:
                    number, _, offset = line.partition(" ")
                    if offset:
                        self._take_up(int(number), int(offset))

    def _take_up(self, number: int, offset: int) -> None:
        """Go on with a range where an earlier run has stopped."""
        start = number * self.part_bytes
        if number not in self.done and start < offset < start + self.part_bytes:
            self._reached[number] = self._noted[number] = min(offset, self.size)

    def _begin(self, identity: dict[str, Any]) -> None:
        """Write the journal anew, as a whole, and leave it open."""
        log = self._log_path()
        lines = [json.dumps({**identity, "part_bytes": self.part_bytes})]
        lines += [str(number) for number in sorted(self.done)]
        lines += [f"{number} {offset}" for number, offset in self._noted.items()]
        fresh = log.with_name(log.name + ".new")
        self._log = os.fdopen(beside.fresh_file(fresh), "a", encoding="utf-8")
        try:
            self._log.write("\n".join(lines) + "\n")
            self._log.flush()
            fresh.replace(log)
        except BaseException:  # also Ctrl-C
            fresh.unlink(missing_ok=True)
            raise

    def missing(self) -> list[tuple[int, int, int]]:
        """Return number, start and end of the ranges that are not complete."""
        starts = range(0, self.size, self.part_bytes)
        return [
            (
                number,
                self._reached.get(number, start),
                min(start + self.part_bytes, self.size),
            )
            for number, start in enumerate(starts)
            if number not in self.done
        ]

    def write(self, data: bytes, offset: int) -> None:
        """Put bytes into their place; a range that is full is complete.

        Parameters
        ----------
        data
            The bytes.
        offset
            In the file. In each range they must follow those before.
        """
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._data, view, offset)
                self._reach(offset, offset + written)
                view, offset = view[written:], offset + written
        except OSError as error:
            raise unwritable(self.part, error) from None

    def _reach(self, start: int, end: int) -> None:
        """Note how far ranges have come."""
        with self._changed:
            while start < end:
                number = start // self.part_bytes
                full = min((number + 1) * self.part_bytes, self.size)
                start = min(full, end)
                self._reached[number] = start
                if start == full:
                    self.done.add(number)
                    self._note(f"{number}")
                elif self._is_due(number, start):
                    self._note(f"{number} {start}")
            self._changed.notify_all()

    def _is_due(self, number: int, reached: int) -> bool:
        """Tell whether it is to be noted how far a range has come; the lock is held."""
        now = time.monotonic()
        fresh = reached - self._noted.get(number, number * self.part_bytes)
        due = now - self._noted_at.get(number, 0.0) >= _NOTED_S
        if not due and fresh < _NOTED_BYTES:
            return False
        self._noted[number], self._noted_at[number] = reached, now
        return True

    def _note(self, line: str) -> None:
        """Add a line to the journal; the lock is held."""
        try:
            self._log.write(line + "\n")
            self._log.flush()
        except OSError as error:
            raise unwritable(self.part, error) from None

    def arrived(self) -> int:
        """Return how many bytes are there from the beginning on, without a gap."""
        with self._changed:
            return self._arrived()

    def _arrived(self) -> int:
        """Return it; the lock is held."""
        while self._front in self.done:
            self._front += 1
        start = self._front * self.part_bytes
        return min(self._reached.get(self._front, start), self.size)

    def read(self, offset: int, buffer: memoryview) -> int:
        """Read bytes that have arrived into memory; return how many.

        Parameters
        ----------
        offset
            In the file.
        buffer
            Is filled.
        """
        try:
            return os.preadv(self._data, [buffer], offset)
        except OSError as error:
            raise unwritable(self.part, error) from None

    def stream(self) -> IO[bytes]:
        """Return a file of the bytes in order, which waits for those to come.

        It may be read in another thread, and after this journal is closed. Where the
        download ends early, its readers get an error.
        """
        return cast("IO[bytes]", Stream(self, os.dup(self._data)))

    def wait_for(self, offset: int, seconds: float) -> None:
        """Wait until some more, or all up to an offset, has arrived; or for a time.

        Parameters
        ----------
        offset
            In the file.
        seconds
            At most.
        """
        with self._changed:
            if self._arrived() < min(offset, self.size):
                self._changed.wait(seconds)

    def wait_beyond(self, offset: int) -> int:
        """Return how many bytes have arrived, as soon as these are more than some.

        Raises
        ------
        EOFError
            No more will come.
        """
        with self._changed:
            while (arrived := self._arrived()) <= offset < self.size:
                if self._ended:
                    raise EOFError("the download has ended before the file was whole")
                self._changed.wait(_WAIT_S)
            return arrived

    def close(self) -> None:
        """Close the files; they stay for a later run."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._log is not None:
            with contextlib.suppress(OSError):  # a line that finds no room, once more
                self._log.close()
            self._log = None
        if self._data >= 0:
            os.close(self._data)
            self._data = -1

    def publish(self, target: Path) -> None:
        """Give the file its name."""
        place, mode = _placed(target)
        if mode is not None:
            _set_mode(self._data, mode)
        try:
            self.part.replace(place)
        except OSError as error:
            raise unwritable(target, error) from None
        self._log_path().unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget what came: it was wrong."""
        self.part.unlink(missing_ok=True)  # first: without its journal it is nobody's
        self._log_path().unlink(missing_ok=True)

    def _log_path(self) -> Path:
        """Return where the journal is."""
        return self.part.with_name(self.part.name + ".json")


def _placed(target: Path) -> tuple[Path, int | None]:
    """Return where a file will be, and the mode of the one that is there."""
    try:
        return beside.place_of(target)
    except TargetFullError:
        raise
    except OSError as error:
        raise unwritable(target, error) from None


def _set_mode(descriptor: int, mode: int) -> None:
    """Say who may read a file, where the file system knows of that."""
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, mode)


def _read_log(path: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Return what a journal is of, and its lines; None if it is none of ours."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if stat.S_ISREG(path.lstat().st_mode):
            text = path.read_text("utf-8")
            first, *rest = text.rpartition("\n")[0].split("\n")  # the last may be cut
            known = json.loads(first)
            if isinstance(known, dict) and known.keys() >= {"id", "md5", "part_bytes"}:
                return known, rest
    return None, []
