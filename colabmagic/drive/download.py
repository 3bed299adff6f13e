"""Download a file in parallel ranges, so that what is there at the end is what Drive has.

Bytes go to ``NAME.part`` beside the target; a journal notes which ranges are complete, so
that a later run, also after a kill, asks only for the others. The file gets its name
when its MD5 is the server's.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import shutil
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import requests

from colabmagic.drive import budget
from colabmagic.drive.errors import (
    DriveError,
    IntegrityError,
    NotDownloadableError,
    TargetFullError,
)
from colabmagic.drive.files import FILES, Files, RemoteFile
from colabmagic.drive.http import connection_failed
from colabmagic.drive.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.http import Transport

PART_BYTES: Final = 32 * 2**20
WORKERS: Final = 8
_PIECE: Final = 256 * 1024
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_WHOLE_TRIES: Final = 3  # where the file changes meanwhile, or bytes were wrong


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
        In hexadecimal digits; the server's and ours are the same.
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
        Bytes of each range.
    acknowledge_abuse
        Take it although Google holds it for harmful.
    progress
        Called with a number of bytes that have come, in any thread.

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
    if (
        remote.is_folder
        or remote.is_document
        or remote.md5 is None
        or remote.size is None
    ):
        raise NotDownloadableError(
            f"{remote.name} has no bytes of its own",
            seen=remote.mime_type,
            hint="a folder: each file of it; a Google document: File > Download in its page",
        )
    fetched = 0
    for _ in range(_WHOLE_TRIES):
        journal = Journal.open(target, remote, part_bytes)
        job = _Download(
            transport, remote, journal, workers, acknowledge_abuse, progress or _ignore
        )
        try:
            md5 = job.run()
        finally:
            fetched += job.fetched
            journal.close()
        if md5 == remote.md5:
            journal.publish(target)
            return Transferred(
                path=str(target),
                size=remote.size or 0,
                fetched_bytes=fetched,
                md5=md5,
                seconds=time.monotonic() - began,
                requests=transport.requests_made - before[0],
                retries=transport.retries - before[1],
            )
        journal.discard()
        remote = files.by_id(remote.id)  # it may have changed meanwhile
    raise IntegrityError(
        f"{remote.name} did not arrive as it is on Drive, {_WHOLE_TRIES} times",
        seen=f"MD5 {md5} here, {remote.md5} there",
        hint="run the cell again; if it stays so, the disk or the network changes bytes",
    )


def _ignore(_: int) -> None:
    """Show nothing."""


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
        Numbers of ranges.
    """

    part: Path
    size: int
    part_bytes: int
    done: set[int]
    _data: int = -1
    _log: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
        """
        part = target.with_name(target.name + ".part")
        log = target.with_name(target.name + ".part.json")
        identity = {
            "id": remote.id,
            "md5": remote.md5,
            "size": remote.size,
            "part_bytes": part_bytes,
        }
        done: set[int] = set()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            first, *rest = log.read_text("utf-8").splitlines()
            known = json.loads(first)
            if {**known, "part_bytes": 0} == {
                **identity,
                "part_bytes": 0,
            } and part.exists():
                identity = known
                for line in rest:
                    if line.isdecimal():  # the last one may be cut
                        done.add(int(line))
        size = remote.size or 0
        journal = cls(part, size, int(identity["part_bytes"] or part_bytes), done)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            journal._data = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            missing = size - os.fstat(journal._data).st_blocks * 512
            free = shutil.disk_usage(target.parent).free
            if missing > free:
                raise _full(target, missing, free)
            os.ftruncate(journal._data, size)
            text = (
                json.dumps(identity)
                + "\n"
                + "".join(f"{each}\n" for each in sorted(done))
            )
            fresh = log.with_name(log.name + ".new")
            fresh.write_text(text, "utf-8")
            fresh.replace(log)
            journal._log = log.open("a", encoding="utf-8")
        except OSError as error:
            journal.close()
            raise _unwritable(target, error) from None
        return journal

    def missing(self) -> list[tuple[int, int, int]]:
        """Return number, start and end of the ranges that are not complete."""
        starts = range(0, self.size, self.part_bytes)
        return [
            (number, start, min(start + self.part_bytes, self.size))
            for number, start in enumerate(starts)
            if number not in self.done
        ]

    def write(self, data: bytes, offset: int) -> None:
        """Put bytes into their place."""
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._data, view, offset)
                view, offset = view[written:], offset + written
        except OSError as error:
            raise _unwritable(self.part, error) from None

    def complete(self, number: int) -> None:
        """Note that a range is complete."""
        with self._lock:
            self.done.add(number)
            self._log.write(f"{number}\n")
            self._log.flush()

    def md5(self) -> str:
        """Return the MD5 of the whole file."""
        digest = hashlib.md5(usedforsecurity=False)
        offset = 0
        while data := os.pread(self._data, 2**22, offset):
            digest.update(data)
            offset += len(data)
        return digest.hexdigest()

    def close(self) -> None:
        """Close the files; they stay for a later run."""
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._data >= 0:
            os.close(self._data)
            self._data = -1

    def publish(self, target: Path) -> None:
        """Give the file its name."""
        try:
            self.part.replace(target)
        except OSError as error:
            raise _unwritable(target, error) from None
        self._log_path().unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget what came: it was wrong."""
        self._log_path().unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def _log_path(self) -> Path:
        """Return where the journal is."""
        return self.part.with_name(self.part.name + ".json")


@dataclass(eq=False)
class _Download:
    """One run over the ranges that are missing."""

    transport: Transport
    remote: RemoteFile
    journal: Journal
    workers: int
    acknowledge_abuse: bool
    progress: Callable[[int], object]
    fetched: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> str:
        """Fetch all ranges; return the MD5 of the file."""
        missing = self.journal.missing()
        came = self.journal.size - sum(end - start for _, start, end in missing)
        self.progress(came)
        with concurrent.futures.ThreadPoolExecutor(
            max_workers=max(1, min(self.workers, len(missing) or 1)),
            thread_name_prefix="colabmagic-drive",
        ) as pool:
            futures = [pool.submit(self._part, *each) for each in missing]
            try:
                for each in concurrent.futures.as_completed(futures):
                    each.result()
            except BaseException:  # also Ctrl-C: the others end at their next piece
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return self.journal.md5()

    def _part(self, number: int, start: int, end: int) -> None:
        """Fetch one range; if it cannot be had, the others need not be asked for."""
        try:
            self._fetch(number, start, end)
        except BaseException:  # whatever it is: the whole download has failed
            self._stop.set()
            raise

    def _fetch(self, number: int, start: int, end: int) -> None:
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
                    raise failure
                self.transport.waits.wait(failures - 1)
        if not self._stop.is_set():
            self.journal.complete(number)

    def _answer(self, start: int, end: int) -> int:
        """Ask for a range once; return how many bytes came."""
        transport = self.transport
        params = {"alt": "media", "supportsAllDrives": "true"}
        if self.acknowledge_abuse:
            params["acknowledgeAbuse"] = "true"
        response = transport.request(
            "GET",
            f"{FILES}/{self.remote.id}",
            cost=budget.DOWNLOAD,
            params=params,
            headers={
                "Range": f"bytes={start}-{end - 1}",
                "Accept-Encoding": "identity",
            },
            stream=True,
        )
        with response:
            whole = response.status_code == requests.codes.ok
            if whole and (start, end) != (0, self.journal.size):
                return 0  # it ignored the range
            if not whole and not _is_range(response, start, end, self.journal.size):
                return 0
            if response.status_code not in {requests.codes.ok, requests.codes.partial}:
                raise refusal(response)
            return self._store(response, start, end)

    def _store(self, response: requests.Response, start: int, end: int) -> int:
        """Write what comes; return how many bytes came before it ended or broke."""
        position = start
        with contextlib.suppress(requests.RequestException, OSError):
            for piece in response.iter_content(_PIECE):
                if position + len(piece) > end:
                    return 0  # more than was asked for: not to be trusted
                self.journal.write(piece, position)
                position += len(piece)
                with self._lock:
                    self.fetched += len(piece)
                self.progress(len(piece))
                if self._stop.is_set():
                    break
        return position - start


def _is_range(response: requests.Response, start: int, end: int, size: int) -> bool:
    """Tell whether an answer says that it is what was asked for."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return match is not None and match.groups() == (str(start), str(end - 1), str(size))


def _full(target: Path, wanted: int, free: int) -> TargetFullError:
    """Return the error for a disk without room."""
    return TargetFullError(
        f"there is no room for {target.name}",
        seen=f"{wanted:,} bytes wanted, {free:,} free in {target.parent}",
        hint="free some, or another folder",
    )


def _unwritable(target: Path, error: OSError) -> DriveError:
    """Return the error for a file that cannot be written."""
    return TargetFullError(
        f"{target} cannot be written",
        seen=f"{error.strerror or type(error).__name__}",
        hint="free room on the disk, or choose another folder",
    )
