"""Read a file on Drive in place: few requests, however small the reads are.

Blocks that were fetched stay in memory. Where reading goes on behind a block, the next
one is larger; where it jumps, as in a zip or a checkpoint, it is small again. If all of a
file was read, its MD5 is compared with the server's.
"""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import requests

from colabmagic.drive.api.bodies import arriving
from colabmagic.drive.calls import stoppable
from colabmagic.drive.errors import DriveTransferError, IntegrityError
from colabmagic.drive.transfer.download import refuse_without_bytes
from colabmagic.drive.transfer.ranges import ask, fits
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.api.files import Files, RemoteFile
    from colabmagic.drive.api.http import Transport

_FIRST_BYTES: Final = 2**20
_MOST_BYTES: Final = 32 * 2**20
_WHOLE_BYTES: Final = 4 * 2**20  # a file so small is fetched at once
_REMEMBERED_BYTES: Final = 64 * 2**20
_BUFFER: Final = 64 * 1024
_PIECE: Final = 2**20


def open_ranges(files: Files, remote: RemoteFile) -> io.BufferedReader:
    """Open a file on Drive for reading.

    Parameters
    ----------
    files
        Where it is.
    remote
        What `Files.stat` found.

    Raises
    ------
    NotDownloadableError
        It has no bytes of its own.
    """
    reader = RangeReader(files.transport, remote, lambda: files.by_id(remote.id))
    return io.BufferedReader(reader, _BUFFER)


class RangeReader(io.RawIOBase):
    """Reads a file on Drive range by range, ahead of who reads on.

    Parameters
    ----------
    transport
        Sends the requests.
    remote
        The file.
    look
        Returns it as it is now.
    """

    def __init__(
        self, transport: Transport, remote: RemoteFile, look: Callable[[], RemoteFile]
    ) -> None:
        super().__init__()
        self._transport, self._remote, self._look = transport, remote, look
        self._size = remote.size or 0
        self._at = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()  # by where they start
        self._next, self._length = 0, _FIRST_BYTES
        self._fetched = False
        self._hashed = 0
        self._digest = hashlib.md5(usedforsecurity=False)
        refuse_without_bytes(remote)  # last: what is refused is closed as well

    @property
    def name(self) -> str:
        """Its name on Drive."""
        return self._remote.name

    def __repr__(self) -> str:
        """Say what it reads; credentials are never shown."""
        return f"<RangeReader of {self._remote.name!r}, {self._size:,} bytes>"

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}
        if whence not in base or base[whence] + offset < 0:
            raise ValueError("there is no such place in the file")
        self._at = base[whence] + offset
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (writable memory)
        """Fill a buffer as far as a block goes."""
        if self.closed:
            raise ValueError("the file is closed")
        if self._at >= self._size or not len(buffer):
            return 0
        with stoppable(f"reading {self._remote.name}"):
            start, block = self._block(self._at, len(buffer))
        data = memoryview(block)[self._at - start :][: len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """Forget the blocks."""
        self._blocks.clear()
        super().close()

    def _block(self, at: int, wanted: int) -> tuple[int, bytes]:
        """Return a block that holds a place, and where it starts."""
        for start, block in self._blocks.items():
            if start <= at < start + len(block):
                self._blocks.move_to_end(start)
                return start, block
        start, end = self._span(at, wanted)
        block = fetch(self._transport, self._remote, start, end)
        self._blocks[start] = block
        self._next = end
        if not self._check() and self._fetched:
            self._refuse_changed()
        self._fetched = True
        while sum(map(len, self._blocks.values())) > _REMEMBERED_BYTES:
            oldest = next(iter(self._blocks))
            if oldest == start:
                break
            del self._blocks[oldest]
        return start, block

    def _span(self, at: int, wanted: int) -> tuple[int, int]:
        """Return what to fetch for a place: more, if reading goes on."""
        if self._size <= _WHOLE_BYTES:
            return 0, self._size
        if at == self._next and at:
            self._length = min(self._length * 2, _MOST_BYTES)
        else:
            self._length = _FIRST_BYTES
        length = max(self._length, min(wanted, _MOST_BYTES))
        # What is read near the end, as a directory, is read backwards.
        start = min(at, max(0, self._size - length)) if at != self._next else at
        end = min(self._size, start + length)
        following = [each for each in self._blocks if start < each < end and each > at]
        return start, min([end, *following])

    def _refuse_changed(self) -> None:
        """Raise if a block is perhaps of another revision than those before it."""
        if self._look().md5 != self._remote.md5:
            self._blocks.clear()
            raise IntegrityError(
                f"{clean(self._remote.name)} has changed while it was read",
                hint="open it again",
            )

    def _check(self) -> bool:
        """Hash what follows what was hashed; at the end of the file its MD5 must fit.

        Returns
        -------
        bool
            Whether all was hashed just now, and is right.
        """
        if self._hashed == self._size:
            return False
        while self._hashed < self._size:
            for start, block in self._blocks.items():
                if start <= self._hashed < start + len(block):
                    self._digest.update(memoryview(block)[self._hashed - start :])
                    self._hashed = start + len(block)
                    break
            else:
                return False
            if self._hashed == self._size and (
                self._digest.hexdigest() != self._remote.md5
            ):
                self._blocks.clear()
                self._hashed, self._digest = 0, hashlib.md5(usedforsecurity=False)
                raise IntegrityError(
                    f"{clean(self._remote.name)} did not arrive as it is on Drive",
                    seen="its MD5 is another",
                    hint="open it again: it has changed, or bytes have on the way",
                )
        return True


def fetch(transport: Transport, remote: RemoteFile, start: int, end: int) -> bytes:
    """Return a range of a file; what breaks on the way is asked for again.

    Parameters
    ----------
    transport
        Sends the requests.
    remote
        The file.
    start, end
        Of the range; the byte at its end is the first that does not belong to it.

    Raises
    ------
    DriveError
        It cannot be had.
    """
    seen = ""
    for attempt in range(transport.attempts):
        if attempt:
            transport.waits.wait(attempt - 1)
        with ask(transport, remote, start, end, stream=True) as response:
            seen = response.headers.get("Content-Range", "no Content-Range")
            if not fits(response, start, end, remote.size or 0):
                continue
            try:
                data = _read(response, end - start)
            except (requests.RequestException, OSError) as error:
                seen = type(error).__name__
                continue
        if len(data) == end - start:
            return data
    raise DriveTransferError(
        f"{clean(remote.name)} was not sent as it was asked for",
        seen=clean(seen[:80]),
        hint="open it again: it may have changed",
    )


def _read(response: requests.Response, size: int) -> bytes:
    """Return the body of an answer; of one that is larger than it may be, a little more."""
    pieces, came = [], 0
    for piece in arriving(response, _PIECE):
        pieces.append(piece)
        came += len(piece)
        if came > size:
            break
    return b"".join(pieces)
