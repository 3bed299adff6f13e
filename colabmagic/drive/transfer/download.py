"""Download a file in parallel ranges, so that what is there at the end is what Drive has.

Bytes go to a hidden file beside the target; a journal notes which ranges are complete, so
that a later run, also after a kill, asks only for the others. The file gets its name
when its MD5 is the server's. Who wants to can read it while it comes.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

import requests

from colabmagic.drive.api.bodies import arriving
from colabmagic.drive.api.unanswered import connection_failed, goes_on
from colabmagic.drive.errors import (
    DriveError,
    IntegrityError,
    NotDownloadableError,
)
from colabmagic.drive.transfer import checksum
from colabmagic.drive.transfer.journal import Journal
from colabmagic.drive.transfer.ranges import (
    FAST,
    TICK_S,
    Pace,
    ask,
    fits,
    part_size,
    total_of,
)
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from colabmagic.drive.api.files import Files, RemoteFile
    from colabmagic.drive.api.http import Transport

PART_BYTES: Final = 32 * 2**20
WORKERS: Final = 8
_PIECE: Final = 2**18
_PIECE_ALONE: Final = 2**20  # of the only connection: the less is done for each MiB
_TICK_S: Final = 0.05  # so often is told how much has come
_WHOLE_TRIES: Final = 3  # where the file changes meanwhile, or bytes were wrong


class Reader(Protocol):
    """Who reads a file while it comes; all is called in the thread that downloads."""

    def begin(self, stream: IO[bytes]) -> None:
        """Begin to read, in a thread of its own; again, if the first bytes were wrong."""

    def check(self) -> None:
        """Raise what makes the rest of the download useless."""

    def abandon(self) -> None:
        """Stop, and throw away what was made: the bytes were wrong, or do not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred:
    """What a transfer did.

    Attributes
    ----------
    path
        Where the bytes are now: a local path, or one on Drive.
    size
        Bytes.
    fetched_bytes
        Bytes that went over the line in this run.
    md5
        In hexadecimal digits, as the server has it; what is here was compared with it, or
        with the server's SHA-256.
    seconds
        How long it took.
    requests, retries
        How many there were.
    """

    path: str
    size: int
    fetched_bytes: int
    md5: str
    seconds: float
    requests: int
    retries: int


def download(  # noqa: PLR0913 (by keyword)
    files: Files,
    remote: RemoteFile,
    target: Path,
    *,
    workers: int = WORKERS,
    part_bytes: int = PART_BYTES,
    acknowledge_abuse: bool = False,
    progress: Callable[[int], object] | None = None,
    arrived: Reader | None = None,
) -> Transferred:
    """Download a file; nothing lies under the name of the target before it is right.

    Parameters
    ----------
    files
        Where it is.
    remote
        What `Files.stat` found.
    target
        The local path; a file that is there is replaced at the end.
    workers
        Connections at a time.
    part_bytes
        Most bytes of a request; those for small files are smaller, for all workers to
        have some.
    acknowledge_abuse
        Take it although Google holds it for harmful.
    progress
        Called with a number of bytes that have come, in the calling thread; below zero
        if they were wrong and come again. What it raises ends the download; what has
        come is kept for the next run.
    arrived
        Reads the bytes in their order while they come. It has read the right ones if
        this function returns; it may not be at their end then.

    Returns
    -------
    Transferred
        What was done.

    Raises
    ------
    DriveError
        It is not there; run again, it goes on where it stopped.
    """
    began = time.monotonic()
    transport = files.transport
    before = (transport.requests_made, transport.retries)
    if part_bytes < 1:
        raise ValueError(f"part_bytes is 1 or more, not {part_bytes!r}")
    refuse_without_bytes(remote)
    fetched = 0
    part = min(part_bytes, part_size(remote.size or 0, max(1, workers)))
    for _ in range(_WHOLE_TRIES):
        digest, wanted = checksum.expected(remote)
        job = _Download(
            transport, remote, Journal.open(target, remote, part), workers, part_bytes,
            acknowledge_abuse, progress or _ignore, digest, arrived,
        )  # fmt: skip
        found = "none"
        try:
            with contextlib.suppress(IntegrityError):  # it is another file by now
                found = job.run()
            if found == wanted:
                job.journal.publish(target)
                return Transferred(
                    path=str(target),
                    size=remote.size or 0,
                    fetched_bytes=fetched + job.fetched,
                    md5=remote.md5 or "",
                    seconds=time.monotonic() - began,
                    requests=transport.requests_made - before[0],
                    retries=transport.retries - before[1],
                )
            if arrived is not None:
                arrived.abandon()
            job.progress(-job.journal.size)
            job.journal.discard()
        finally:
            fetched += job.fetched
            job.journal.close()
        remote = files.by_id(remote.id)  # it may have changed meanwhile
    raise IntegrityError(
        f"{clean(remote.name)} did not arrive as it is on Drive, {_WHOLE_TRIES} times",
        seen=f"{digest.name.upper()} {found} here, {wanted} there",
        hint="run the cell again; if it stays so, the disk or the network changes bytes",
    )


def refuse_without_bytes(remote: RemoteFile) -> None:
    """Raise for what cannot be downloaded: a folder, a Google document.

    Parameters
    ----------
    remote
        What was found.

    Raises
    ------
    NotDownloadableError
        It has no bytes of its own.
    """
    if remote.is_folder or remote.is_document or None in {remote.md5, remote.size}:
        raise NotDownloadableError(
            f"{clean(remote.name)} has no bytes of its own",
            seen=clean(remote.mime_type),
            hint="a folder: each file of it; a Google document: File > Download in its page",
        )


def _ignore(_: int) -> None:
    """Show nothing."""


@dataclass(eq=False)
class _Download:
    """One run over the ranges that are missing."""

    transport: Transport
    remote: RemoteFile
    journal: Journal
    workers: int
    most_bytes: int
    acknowledge_abuse: bool
    progress: Callable[[int], object]
    digest: Any
    reader: Reader | None = None
    fetched: int = 0
    _told: int = 0
    _hashed: int = 0
    _buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_PIECE)))
    _todo: deque[tuple[int, int]] = field(default_factory=deque)
    _wide: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> str:
        """Fetch all ranges; return the checksum of the file."""
        missing = self.journal.missing()
        came = self.journal.size - sum(end - start for _, start, end in missing)
        self.progress(came)
        if self.reader is not None:
            self.reader.begin(self.journal.stream())
        self._todo.extend((start, end) for _, start, end in missing)
        count = max(1, min(self.workers, len(missing) or 1))
        with concurrent.futures.ThreadPoolExecutor(
            max_workers=count, thread_name_prefix="colabmagic-drive"
        ) as pool:
            waiting = {pool.submit(self._work, number) for number in range(count)}
            try:
                self._follow(waiting)
            except BaseException as error:  # the others end at their next piece
                self._stop.set()
                self._wide.set()
                while not isinstance(error, Exception) and waiting:  # Ctrl-C: at once
                    self.transport.cut()
                    waiting = concurrent.futures.wait(waiting, _TICK_S).not_done
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        self._tell()
        self._hash()
        return str(self.digest.hexdigest())

    def _follow(self, working: set[Future[None]]) -> None:
        """Hash what has arrived, and say how much it is: in the calling thread."""
        pace = Pace()
        told = 0.0
        while working:
            if self._wide.is_set() or self._hashed == self.journal.size:
                concurrent.futures.wait(
                    working, _TICK_S, concurrent.futures.FIRST_COMPLETED
                )
            else:
                self.journal.wait_for(self._hashed + _PIECE, TICK_S)
                if pace.is_slow(self.fetched):
                    self._wide.set()
            done = {each for each in working if each.done()}
            working -= done
            for each in done:
                each.result()
            self._hash()
            if done or time.monotonic() - told >= _TICK_S:
                told = time.monotonic()
                self._tell()

    def _work(self, number: int) -> None:
        """Fetch one range after the other; all but the first worker begin when told."""
        if number:
            self._wide.wait()
        fast = False
        while not self._stop.is_set():
            start, end = self._take(fast=fast)
            if start == end:
                self._wide.set()
                return
            began = time.monotonic()
            self._range(start, end)
            fast = end - start >= FAST * (time.monotonic() - began)

    def _take(self, *, fast: bool) -> tuple[int, int]:
        """Return the range to fetch next: the longer, the more is left for each worker."""
        with self._lock:
            if not self._todo:
                return 0, 0
            start, end = self._todo.popleft()
            wide = self._wide.is_set()
            share = len(self._todo) // (2 * self.workers if wide else 1)
            for _ in range(share if wide or fast else 0):
                after, further = self._todo[0]
                if after != end or further - start > self.most_bytes:
                    break
                end = further
                self._todo.popleft()
            return start, end

    def _tell(self) -> None:
        """Say how much has come."""
        with self._lock:
            more, self._told = self.fetched - self._told, self.fetched
        if more:
            self.progress(more)
        if self.reader is not None:
            self.reader.check()

    def _hash(self) -> None:
        """Hash what has arrived in order."""
        arrived = self.journal.arrived()
        while self._hashed < arrived:
            wanted = self._buffer[: arrived - self._hashed]
            count = self.journal.read(self._hashed, wanted)
            if not count:
                return  # somebody has made the file shorter: its sum will be wrong
            self.digest.update(wanted[:count])
            self._hashed += count

    def _range(self, start: int, end: int) -> None:
        """Fetch one range; if it cannot be had, the others need not be asked for."""
        try:
            self._fetch(start, end)
        except BaseException:  # whatever it is: the whole download has failed
            self._stop.set()
            self._wide.set()
            raise

    def _fetch(self, start: int, end: int) -> None:
        """Fetch one range; what a broken answer has brought is kept."""
        position, failures = start, 0
        while position < end:
            if self._stop.is_set():
                return
            failure: DriveError = connection_failed(EOFError(), self.transport.api_root)
            came = 0
            try:
                came = self._answer(position, end)
            except DriveError as error:
                if not error.retryable:
                    raise
                failure = error
            position += came
            if came:
                failures = 0
            if position < end:
                failures += 1
                if failures >= self.transport.attempts:
                    raise goes_on(failure)
                self.transport.waits.wait(failures - 1, stop=self._stop)

    def _answer(self, start: int, end: int) -> int:
        """Ask for a range once; return how many bytes came."""
        response = ask(
            self.transport, self.remote, start, end,
            acknowledge_abuse=self.acknowledge_abuse, stream=True, stop=self._stop,
        )  # fmt: skip
        with response:
            if total_of(response) not in {None, str(self.journal.size)}:
                raise IntegrityError("the file has changed", hint="run it again")
            if not fits(response, start, end, self.journal.size):
                return 0  # as where the range was ignored
            return self._store(response, start, end)

    def _store(self, response: requests.Response, start: int, end: int) -> int:
        """Write what comes; return how many bytes came before it ended or broke.

        What is written once is never written again: it may have been read already.
        """
        position = start
        with contextlib.suppress(requests.RequestException, OSError):
            for piece in arriving(
                response, _PIECE if self._wide.is_set() else _PIECE_ALONE
            ):
                if position + len(piece) > end:
                    break  # more than was asked for
                self.journal.write(piece, position)
                position += len(piece)
                with self._lock:
                    self.fetched += len(piece)
                if self._stop.is_set():
                    break
        return position - start
