"""Upload a file so that it is on Drive once, with the right bytes, or not at all.

The id of a new file is asked for first: an attempt whose answer is lost has made that
very file, and a further attempt finds it instead of making a second one.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.api import budget
from colabmagic.drive.api.address import Address
from colabmagic.drive.api.answers import (
    has_object,
    object_of,
    read_refusal,
    retry_after,
)
from colabmagic.drive.api.files import FILES, Files, RemoteFile
from colabmagic.drive.api.refusals import session_lost, unlike_google
from colabmagic.drive.api.twins import first_of, left_behind, settled
from colabmagic.drive.api.unanswered import connection_failed, goes_on
from colabmagic.drive.errors import (
    AmbiguousPathError,
    ConnectionFailedError,
    DriveError,
    DriveFileNotFoundError,
    DrivePathError,
    IntegrityError,
    SessionLostError,
)
from colabmagic.drive.transfer.download import Transferred
from colabmagic.drive.transfer.logins import refuse_login
from colabmagic.drive.transfer.source import Source, open_source
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

CHUNK_BYTES: Final = 16 * 2**20
_FIELDS: Final = (
    "id,name,mimeType,size,md5Checksum,headRevisionId,modifiedTime,createdTime"
)
_SESSIONS: Final = 5
_WHOLE_TRIES: Final = 3  # where bytes were wrong on the other side
_GONE: Final = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_DONE: Final = {HTTPStatus.OK, HTTPStatus.CREATED}
_INCOMPLETE: Final = 308
_RANGE: Final = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_SHOWN: Final = 60  # of foreign text


def upload(  # noqa: PLR0913 (by keyword)
    files: Files,
    source: Path,
    folder: RemoteFile,
    name: str,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    progress: Callable[[int], object] | None = None,
) -> Transferred:
    """Upload a file; return when the server's MD5 is that of the bytes on disk.

    Parameters
    ----------
    files
        Where to.
    source
        The local file.
    folder
        The folder on Drive.
    name
        There; a file of that name in the folder gets a new revision.
    chunk_bytes
        Bytes of each request; a multiple of 256 KiB.
    progress
        Called with a number of bytes that the server has.

    Returns
    -------
    Transferred
        What was done; ``fetched_bytes`` are those that were sent.

    Raises
    ------
    IntegrityError
        The file here changed meanwhile: Drive has what it had before. Or bytes changed on
        the way, each time: a new file is in the trash then, and the content that one had
        before is its revision before this one.
    DriveError
        It is not there; what was there before still is.
    """
    began = time.monotonic()
    transport = files.transport
    before = (transport.requests_made, transport.retries)
    try:
        with open_source(source) as file:
            refuse_login(file.fileno(), source, f"{source.name}/{name}")
            local = Source(file, source.name)
            job = _Upload(files, local, folder, name, chunk_bytes, progress or _ignore)
            failure = job.run_checked()
    except OSError as error:
        if isinstance(error, DriveError):
            raise
        raise DrivePathError(
            f"{str(source)!r} cannot be read to its end",
            seen=error.strerror or type(error).__name__,
            hint="look at the disk that it is on",
        ) from None
    if failure is not None:
        raise failure
    return Transferred(
        path=name,
        size=local.size,
        fetched_bytes=job.sent,
        md5=local.md5,
        seconds=time.monotonic() - began,
        requests=transport.requests_made - before[0],
        retries=transport.retries - before[1],
    )


def _ignore(_: int) -> None:
    """Show nothing."""


@dataclass(eq=False)
class _Upload:
    """One file on its way."""

    files: Files
    source: Source
    folder: RemoteFile
    name: str
    chunk_bytes: int
    progress: Callable[[int], object]
    sent: int = 0
    _reported: int = 0
    _new_id: str | None = None
    _failures: int = 0

    def run_checked(self) -> DriveError | None:
        """Upload it, again where bytes were wrong; return what is wrong in the end."""
        present = self._present()
        new: RemoteFile | None = None  # made here, and not to stay as it is
        try:
            for _ in range(_WHOLE_TRIES):
                is_new = present is None
                present = made = RemoteFile.read(self._run(present))
                if is_new:
                    new = made
                    self.files.note_made(self.folder, self.name, made.id)
                if not self._is_right(made):
                    continue
                first = made if new is None else self._first(made)
                if new is not None and first.id != new.id:  # at once: others look too
                    self.files.trash(new.id)
                new = None
                if self._is_right(first):
                    return None
                present = first
        finally:
            if new is not None:  # what is wrong must not bear the name
                with contextlib.suppress(DriveError):
                    self.files.trash(new.id)
        return IntegrityError(
            f"{clean(self.name)} on Drive is not {clean(self.source.name)}: bytes changed "
            "on the way",
            seen=f"MD5 {clean(str(made.md5))} there, {self.source.md5} here",
            hint="run it again",
        )

    def _is_right(self, there: RemoteFile) -> bool:
        """Tell whether a file on Drive holds what was sent."""
        return (there.md5, there.size) == (self.source.md5, self.source.size)

    def _named(self) -> list[RemoteFile]:
        """Return what has the name already, and is no folder."""
        found = self.files.named(self.folder, self.name)
        return [each for each in found if not each.is_folder]

    def _first(self, made: RemoteFile) -> RemoteFile:
        """Return which file stays: others may have made theirs at the same time."""
        others = [e for e in self._named() if e.target_id is None and not e.is_document]
        first = first_of([made, *others])
        self.files.note_made(self.folder, self.name, first.id)
        return first

    def _present(self) -> RemoteFile | None:
        """Return the file that has the name already."""
        found = settled(self._named, self.files.transport.waits)
        if len(found) > 1 and (left := left_behind(found)):
            for each in left:
                with contextlib.suppress(DriveError):  # it may be another account's
                    self.files.trash(each.id)
            found = self._named()
        if len(found) > 1:
            raise AmbiguousPathError(
                f"{len(found)} files are called {self.name!r} in that folder",
                hint="delete all but one on drive.google.com, or choose another name",
            )
        one = found[0] if found else None
        if one is not None and one.target_id is not None:
            one = self.files.by_id(one.target_id)
        if one is not None and (one.is_document or one.is_folder):
            raise DrivePathError(
                f"{self.name!r} in that folder is no file that can be replaced",
                seen=clean(one.mime_type),
                hint="choose another name",
            )
        return one

    def _run(self, present: RemoteFile | None) -> dict[str, Any]:
        """Upload it as a new file, or as the new content of one; return its resource."""
        if present is None:
            self._new_id = self.files.new_id()
        error: DriveError | None = None
        for _ in range(_SESSIONS):
            self._reported = 0
            self.source.begin()
            started = self._begin(present)
            if isinstance(started, dict):
                return started
            if started is None:  # the id is taken, and by no file that we may see
                self._new_id = self.files.new_id()
                continue
            try:
                return self._send(started)
            except SessionLostError as lost:
                error = lost
                if present is None and (made := self._made()):
                    return made
        raise error or SessionLostError(
            "Google takes none of the ids that it gave", hint="run the cell again"
        )

    def _begin(self, present: RemoteFile | None) -> Address | dict[str, Any] | None:
        """Begin an upload; return its address, or the file if it is there already.

        None if the id is taken.
        """
        # A file that is there keeps its name: it may be the target of a shortcut.
        body: dict[str, Any] = {}
        method, where = "PATCH", f"/upload{FILES}/{present.id if present else ''}"
        if present is None:
            body = {"id": self._new_id, "name": self.name, "parents": [self.folder.id]}
            method, where = "POST", f"/upload{FILES}"
        response = self.files.transport.request(
            method,
            where,
            cost=budget.WRITE,
            params={
                "uploadType": "resumable",
                "fields": _FIELDS,
                "supportsAllDrives": "true",
            },
            json=body,
            headers={"X-Upload-Content-Length": str(self.source.size)},
            accepted={HTTPStatus.CONFLICT} if present is None else (),
            whole=lambda response: "Location" in response.headers,
        )
        if response.status_code == HTTPStatus.CONFLICT:
            return self._made()
        return Address(response.headers["Location"])

    def _made(self) -> dict[str, Any] | None:
        """Return the resource of the file, if an attempt has made it."""
        try:
            return self.files.transport.json(
                "GET",
                f"{FILES}/{self._new_id}",
                cost=budget.GET,
                params={"fields": _FIELDS, "supportsAllDrives": "true"},
            )
        except DriveFileNotFoundError:
            return None

    def _send(self, address: Address) -> dict[str, Any]:
        """Send chunk after chunk; after each trouble the server says what it has."""
        position: int | None = 0
        while True:
            try:
                response = self._asked(address, position)
            except ConnectionFailedError as error:
                self._fail(error)
                position = None
                continue
            if response.status_code in _DONE and has_object(response):
                self._report(self.source.size)
                return object_of(response)
            if response.status_code == _INCOMPLETE:
                position = self._kept(response, position)
                continue
            self._get_over(response)
            position = None

    def _asked(self, address: Address, position: int | None) -> requests.Response:
        """Send the next chunk; where it is not known which that is, ask."""
        if position is None:
            return self._put(address, b"", f"bytes */{self.source.size}")
        return self._chunk(address, position)

    def _kept(self, response: requests.Response, position: int | None) -> int:
        """Return how many bytes the server has; that it took none of a chunk is a trouble."""
        reached = _reached(response)
        self.source.arrived(reached)
        if position is not None and reached <= position and self.source.size:
            self._fail(self._broken())
        else:
            self._failures = 0
        self._report(reached)
        return reached

    def _get_over(self, response: requests.Response) -> None:
        """Wait after an answer that is none; raise what does not pass by itself."""
        if response.status_code in _DONE:  # and without the file: it was cut off
            self._fail(self._broken())
            return
        refused = read_refusal(response)
        if response.status_code in _GONE:
            raise session_lost(refused)
        if not refused.retryable:
            raise refused
        self._fail(refused, retry_after(response))

    def _broken(self) -> ConnectionFailedError:
        """Return the error for a connection that ended too early."""
        return connection_failed(EOFError(), self.files.transport.api_root)

    def _fail(self, error: DriveError, asked: float | None = None) -> None:
        """Wait after a trouble; too many in a row are an error."""
        transport = self.files.transport
        self._failures += 1
        if self._failures >= transport.attempts:
            raise goes_on(error)
        transport.retried()
        transport.waits.wait(self._failures - 1, asked)

    def _chunk(self, address: Address, position: int) -> requests.Response:
        """Send the next chunk."""
        data, size = self.source.chunk(position, self.chunk_bytes), self.source.size
        span = f"{position}-{position + len(data) - 1}" if data else "*"
        self.sent += len(data)
        return self._put(address, data, f"bytes {span}/{size}")

    def _put(self, address: Address, data: bytes, span: str) -> requests.Response:
        """Send bytes, or the question how many are there."""
        return self.files.transport.once(
            "PUT", address, data=data, headers={"Content-Range": span}
        )

    def _report(self, reached: int) -> None:
        """Tell how much more the server has."""
        if reached > self._reported:
            self.progress(reached - self._reported)
            self._reported = reached


def _reached(response: requests.Response) -> int:
    """Return how many bytes the server has of an upload."""
    span = response.headers.get("Range")
    if span is None:
        return 0
    found = _RANGE.fullmatch(span.strip())
    if found is None:
        raise unlike_google(f"a range {clean(span[:_SHOWN])!r}")
    return int(found[1]) + 1
