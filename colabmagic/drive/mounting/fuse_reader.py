"""Read a file on Drive piece by piece, ahead of who reads it in order."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import IntegrityError
from colabmagic.drive.transfer.ranges import ask

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from colabmagic.drive.api.files import Files, RemoteFile

_FIRST_BYTES: Final = 2**20
_MOST_BYTES: Final = 8 * 2**20
_AHEAD: Final = 4  # pieces, each over a connection of its own
_KEPT: Final = 7
_TRIES: Final = 3
_CHECKED: Final = "run it again; if it stays so, the file changes all the time"


@dataclass
class _Piece:
    """A range of the file that is fetched, or was."""

    start: int
    end: int
    data: Future[bytes]


class Reader:
    """Reads ranges of one file; whoever reads in order finds the next pieces there.

    Read from beginning to end, the whole is compared with Drive's MD5 before the last
    bytes are given out.

    Parameters
    ----------
    files
        Where it is.
    remote
        The file.
    workers
        Fetch pieces.
    """

    def __init__(
        self, files: Files, remote: RemoteFile, workers: ThreadPoolExecutor
    ) -> None:
        self._files, self._remote, self._workers = files, remote, workers
        self._size = remote.size or 0
        self._pieces: deque[_Piece] = deque()
        self._next_bytes = _FIRST_BYTES
        self._lock = threading.Lock()
        self._hash = hashlib.md5(usedforsecurity=False)
        self._hashed = 0
        self._wrong = False

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the file; fewer only at its end.

        Parameters
        ----------
        offset, size
            The range.

        Raises
        ------
        DriveError
            They cannot be had.
        """
        end = min(offset + size, self._size)
        got = []
        while offset < end:
            with self._lock:
                piece = self._piece(offset)
                self._fetch_ahead(piece)
            try:
                data = piece.data.result()
            except Exception:  # also that `close` has cancelled it
                with self._lock, contextlib.suppress(ValueError):
                    self._pieces.remove(piece)  # the next read asks anew
                raise
            with self._lock:
                self._check(piece, data)
            got.append(data[offset - piece.start : end - piece.start])
            offset += len(got[-1])
        return b"".join(got)

    def close(self) -> None:
        """Fetch no more."""
        with self._lock:
            for piece in self._pieces:
                piece.data.cancel()
            self._pieces.clear()

    def _piece(self, offset: int) -> _Piece:
        """Return the piece that holds a place; begin to fetch it if there is none."""
        for piece in self._pieces:
            if piece.start <= offset < piece.end:
                return piece
        end = max((piece.end for piece in self._pieces), default=0)
        if not end <= offset < end + _FIRST_BYTES:  # a jump: nobody reads in order
            self._next_bytes = _FIRST_BYTES
            return self._begin(offset - offset % _FIRST_BYTES)
        piece = self._begin(end)
        return piece if offset < piece.end else self._begin(piece.end)

    def _fetch_ahead(self, piece: _Piece) -> None:
        """Begin to fetch what follows, where reading has come from the piece before."""
        if piece.start and not any(each.end == piece.start for each in self._pieces):
            return
        end = piece.end
        for _ in range(_AHEAD):
            follows = next((each for each in self._pieces if each.start == end), None)
            if follows is None and end < self._size:
                follows = self._begin(end)
            if follows is None:
                return
            end = follows.end

    def _begin(self, start: int) -> _Piece:
        """Begin to fetch a piece; the longer one reads in order, the larger it is."""
        end = min(start + self._next_bytes, self._size)
        self._next_bytes = min(_MOST_BYTES, self._next_bytes * 2)
        piece = _Piece(start, end, self._workers.submit(self._fetch, start, end))
        self._pieces.append(piece)
        while len(self._pieces) > _KEPT:
            self._pieces.popleft()  # somebody may still wait for it
        return piece

    def _fetch(self, start: int, end: int) -> bytes:
        """Fetch a range; what the server sends must be what was asked for."""
        seen = ""
        for _ in range(_TRIES):
            response = ask(self._files.transport, self._remote, start, end)
            data: bytes = response.content
            seen = response.headers.get("Content-Range", "no Content-Range")
            expected = f"bytes {start}-{end - 1}/{self._size}"
            if seen == expected and len(data) == end - start:
                return data
        raise IntegrityError(
            f"{self._remote.name} was not sent as it was asked for",
            seen=f"{seen}, {len(data)} bytes",
            hint=_CHECKED,
        )

    def _check(self, piece: _Piece, data: bytes) -> None:
        """Compare with Drive's MD5 when all has been read in order."""
        if self._wrong:
            raise self._differs()
        if piece.start != self._hashed or self._remote.md5 is None:
            return
        self._hash.update(data)
        self._hashed = piece.end
        if self._hashed == self._size and self._hash.hexdigest() != self._remote.md5:
            self._wrong = True
            raise self._differs()

    def _differs(self) -> IntegrityError:
        """Return the error for bytes that are not those on Drive."""
        return IntegrityError(
            f"{self._remote.name} did not arrive as it is on Drive",
            seen=f"MD5 {self._hash.hexdigest()} here, {self._remote.md5} there",
            hint=_CHECKED,
        )
