"""A file that is still coming: what is here of it, and its hash so far."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.fetching.cache import Cache, write_whole
from colabmagic.cuda.fetching.lock import open_locked
from colabmagic.cuda.fetching.trouble import unwritable

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from pathlib import Path

_PIECE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Validator:
    """What tells whether a server still has the same file.

    Attributes
    ----------
    etag
        Strong ones only; those that begin with ``W/`` promise too little.
    modified
        ``Last-Modified``, as it came.
    """

    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Validator:
        """Return that of an answer."""
        etag = headers.get("ETag", "")
        return cls(
            "" if etag.startswith("W/") else etag, headers.get("Last-Modified", "")
        )

    def __bool__(self) -> bool:
        """Tell whether it can tell anything."""
        return bool(self.etag or self.modified)

    @property
    def if_range(self) -> str:
        """Return what goes with a range."""
        return self.etag or self.modified

    def conflicts(self, other: Validator) -> bool:
        """Tell whether both speak of surely different files."""
        if self.etag and other.etag:
            return self.etag != other.etag
        return bool(
            self.modified and other.modified and self.modified != other.modified
        )


class Partial:
    """The bytes of a file that have come, locked for this process.

    Parameters
    ----------
    cache
        Where it lies.
    key
        What it is called there: the hash that is wanted, or that of the address.
    descriptor
        Of the locked file.
    """

    def __init__(self, cache: Cache, key: str, descriptor: int) -> None:
        self._cache = cache
        self._descriptor = descriptor
        self.path = cache.partial / f"{key}.part"
        self._side = cache.partial / f"{key}.json"
        self.size = 0
        self._digest = hashlib.sha256()
        self.url, self.validator = "", Validator()

    @classmethod
    def open(cls, cache: Cache, key: str, stop: threading.Event) -> Partial | None:
        """Return it with what came before; None once `stop` is set.

        Parameters
        ----------
        cache
            Where it lies.
        key
            See the class.
        stop
            Ends the wait for another process that is fetching the same.

        Raises
        ------
        CudaError
            The disk does not let us.
        """
        try:
            cache.partial.mkdir(parents=True, exist_ok=True)
            descriptor = open_locked(cache.partial / f"{key}.part", stop)
            if descriptor is None:
                return None
            found = cls(cache, key, descriptor)
            found._begin()
        except OSError as error:
            raise unwritable(cache.partial, error) from None
        return found

    def _begin(self) -> None:
        """Hash what is here, and read what is known about it."""
        while piece := os.pread(self._descriptor, _PIECE, self.size):
            self._digest.update(piece)
            self.size += len(piece)
        with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
            side: dict[str, Any] = json.loads(self._side.read_text(encoding="utf-8"))
            self.url = str(side.get("url", ""))
            self.validator = Validator(
                str(side.get("etag", "")), str(side.get("modified", ""))
            )

    def restart(self, url: str, validator: Validator) -> None:
        """Throw away what is here, and note whose bytes are coming now.

        Parameters
        ----------
        url
            The address, as a person may see it.
        validator
            Of the answer.

        Raises
        ------
        CudaError
            The disk does not let us.
        """
        try:
            os.ftruncate(self._descriptor, 0)
            self.size, self._digest = 0, hashlib.sha256()
            self.url, self.validator = url, validator
            side = {"url": url, "etag": validator.etag, "modified": validator.modified}
            write_whole(self._side, json.dumps(side))
        except OSError as error:
            raise unwritable(self.path.parent, error) from None

    def write(self, piece: bytes, *, left: int | None = None) -> None:
        """Append bytes.

        Parameters
        ----------
        piece
            What came.
        left
            Bytes that will come after it, for the error.

        Raises
        ------
        CudaError
            The disk is full; what was written stays.
        """
        view = memoryview(piece)
        try:
            while view:
                count = os.pwrite(self._descriptor, view, self.size)
                self._digest.update(view[:count])
                self.size += count
                view = view[count:]
        except OSError as error:
            raise unwritable(self.path.parent, error, wanted=left) from None

    @property
    def sha256(self) -> str:
        """Return the hash of what is here."""
        return self._digest.hexdigest()

    def publish(self) -> Path:
        """Give it its name in the cache.

        Raises
        ------
        CudaError
            The disk does not let us.
        """
        try:
            os.fsync(self._descriptor)
            place = self._cache.add(self.path, self.sha256)
            self._side.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.path.parent, error) from None
        return place

    def discard(self) -> None:
        """Remove it: its bytes are of no use."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
            self._side.unlink(missing_ok=True)

    def close(self) -> None:
        """Unlock it; an empty one goes."""
        if not self.size:
            self.discard()
        os.close(self._descriptor)
