"""Fetch one file into the cache: resumed, hashed while it comes, tried again."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.fetching import trouble
from colabmagic.cuda.fetching.address import redirected, shown
from colabmagic.cuda.fetching.answers import length_of, range_of, why
from colabmagic.cuda.fetching.partial import Partial, Validator
from colabmagic.cuda.fetching.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from colabmagic.cuda.fetching.cache import Cache

_PIECE: Final = 2**18
_REDIRECTS: Final = 10
_WHOLE_TRIES: Final = 2  # where the bytes were wrong: once more from the beginning
_AGAIN: Final = {408, 425, 429, 500, 502, 503, 504}
_OK, _PARTIAL, _NOT_MODIFIED, _BEYOND = 200, 206, 304, 416
_FIRST_ERROR: Final = 400


class Stopped(Exception):  # noqa: N818 (no failure: another thread has one, or Ctrl-C)
    """The download was told to stop."""


class _Again(Exception):  # noqa: N818 (no error yet)
    """The answer was bad in a way that another try may mend."""

    def __init__(self, seen: str, retry_after: str | None = None) -> None:
        super().__init__(seen)
        self.seen, self.retry_after = seen, retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file to fetch.

    Attributes
    ----------
    url
        ``http``, ``https`` or ``file``.
    name
        What a person calls it.
    sha256
        Of its bytes, in hexadecimal digits; None where nobody announces it.
    size
        Bytes; None where nobody announces it.
    """

    url: str
    name: str
    sha256: str | None = None
    size: int | None = None

    @property
    def key(self) -> str:
        """Return what it is called while it comes."""
        if self.sha256 is not None:
            return self.sha256
        return "url-" + hashlib.sha256(self.url.encode()).hexdigest()


@dataclass(eq=False, kw_only=True)
class Downloader:
    """Fetches files into a cache, from several threads.

    Attributes
    ----------
    cache
        Where they go.
    session
        A ``requests.Session``.
    patience
        Time-outs and tries.
    on_bytes
        Told how many bytes came; below zero where they come again. From any thread.
    stop
        Once it is set, everything ends soon; what has come stays.
    fetched
        Bytes that came over the line so far, also those that were wrong.
    """

    cache: Cache
    session: Any
    patience: Patience = field(default_factory=Patience)
    on_bytes: Callable[[int], object] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    fetched: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _live: set[Any] = field(default_factory=set)

    def fetch(self, wanted: Wanted) -> Path:
        """Return the path of a file in the cache; fetch what is missing of it.

        Parameters
        ----------
        wanted
            The file.

        Raises
        ------
        SourceUnreachableError
            The server does not send it.
        ChecksumError
            It sends something else.
        DiskFullError
            It does not fit.
        Stopped
            `stop` was set.
        """
        if (found := self._here(wanted)) is not None:
            return found
        partial = Partial.open(self.cache, wanted.key, self.stop)
        if partial is None:
            raise Stopped
        try:
            if (found := self._here(wanted)) is not None:  # another process was quicker
                partial.discard()
                return found
            if urlsplit(wanted.url).scheme == "file":
                return self._whole(wanted, partial, self._copy)
            return self._whole(wanted, partial, self._download)
        finally:
            partial.close()

    def cut(self) -> None:
        """End all answers that are being read, in whatever thread."""
        import socket  # noqa: PLC0415 (urllib3 has it)

        self.stop.set()
        for response in tuple(self._live):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                line = socket.socket(fileno=_copy_of(response.raw.fileno()))
                with line:
                    line.shutdown(socket.SHUT_RDWR)

    def _here(self, wanted: Wanted) -> Path | None:
        """Return the file if the cache has it; all its bytes count as come."""
        if wanted.sha256 is None:
            return None
        found = self.cache.checked(wanted.sha256)
        if found is not None:
            self.on_bytes(found.stat().st_size)
        return found

    def _whole(
        self,
        wanted: Wanted,
        partial: Partial,
        bring: Callable[[Wanted, Partial], Path | None],
    ) -> Path:
        """Bring all bytes; if they are wrong, once more from the beginning."""
        seen = ""
        for _ in range(_WHOLE_TRIES):
            found = bring(wanted, partial)
            if found is not None:
                return found
            if wanted.sha256 in {None, partial.sha256}:
                if wanted.sha256 is None:
                    self._note(wanted, partial)
                return partial.publish()
            seen = (
                f"its SHA-256 is {partial.sha256[:16]}…, "
                f"and should be {wanted.sha256:.16}…"
            )
            self._restart(partial, wanted.url, Validator())
        partial.discard()
        raise trouble.wrong_bytes(wanted.name, wanted.url, seen)

    def _note(self, wanted: Wanted, partial: Partial) -> None:
        """Remember what lies behind an address without an announced hash."""
        with contextlib.suppress(OSError):
            self.cache.write_note(
                wanted.url,
                {
                    "url": shown(wanted.url),
                    "sha256": partial.sha256,
                    "etag": partial.validator.etag,
                    "modified": partial.validator.modified,
                },
            )

    def _restart(self, partial: Partial, url: str, validator: Validator) -> None:
        """Begin at the first byte."""
        self.on_bytes(-partial.size)
        partial.restart(shown(url), validator)

    def _copy(self, wanted: Wanted, partial: Partial) -> None:
        """Bring a file of this machine."""
        source = Path(unquote(urlsplit(wanted.url).path))
        partial.restart(shown(wanted.url), Validator())
        try:
            size = source.stat().st_size
            self._refuse_full(wanted.name, partial, size)
            with source.open("rb") as stream:
                while piece := stream.read(_PIECE):
                    self._take(partial, piece, size)
        except OSError as error:
            if isinstance(error, CudaError):
                raise
            raise trouble.unreachable(
                wanted.name, wanted.url, error.strerror or type(error).__name__
            ) from None

    def _download(self, wanted: Wanted, partial: Partial) -> Path | None:
        """Bring the bytes that are missing; a path where the cache has the file."""
        same = partial.validator and partial.url == shown(wanted.url)
        if partial.size and wanted.sha256 is None and not same:
            partial.restart(shown(wanted.url), Validator())
        if wanted.size is not None:
            self._refuse_full(wanted.name, partial, wanted.size)
        self.on_bytes(partial.size)
        failures = 0
        while True:
            before = partial.size
            try:
                return self._answer(wanted, partial)
            except _Again as error:
                failures = 1 if partial.size > before else failures + 1
                if failures >= self.patience.attempts:
                    if (known := self._known(wanted)) is not None:
                        return known  # it may be old, but an address has a version
                    raise trouble.unreachable(
                        wanted.name, wanted.url, error.seen
                    ) from None
                wait_s = self.patience.wait_s(failures, error.retry_after)
            if self.stop.wait(wait_s):
                raise Stopped

    def _answer(self, wanted: Wanted, partial: Partial) -> Path | None:
        """Ask once for what is missing."""
        import requests

        note = self.cache.note(wanted.url) if wanted.sha256 is None else {}
        known = self._known(wanted)
        headers = {"Accept-Encoding": "identity"}
        if partial.size:
            headers["Range"] = f"bytes={partial.size}-"
            if partial.validator and partial.url == shown(wanted.url):
                headers["If-Range"] = partial.validator.if_range
        elif known is not None and note.get("etag"):
            headers["If-None-Match"] = str(note["etag"])
        elif known is not None and note.get("modified"):
            headers["If-Modified-Since"] = str(note["modified"])
        try:
            with self._asked(wanted, headers) as response:
                if response.status_code == _NOT_MODIFIED and known is not None:
                    self.on_bytes(known.stat().st_size)
                    return known
                if self._accept(wanted, partial, response):
                    self._read(wanted, partial, response)
        except (requests.RequestException, OSError) as error:
            if isinstance(error, CudaError):
                raise
            if self.stop.is_set():
                raise Stopped from None
            raise _Again(why(error)) from None
        return None

    def _known(self, wanted: Wanted) -> Path | None:
        """Return what an address without an announced hash has brought before."""
        if wanted.sha256 is not None:
            return None
        return self.cache.checked(str(self.cache.note(wanted.url).get("sha256", "-")))

    @contextlib.contextmanager
    def _asked(self, wanted: Wanted, headers: dict[str, str]) -> Iterator[Any]:
        """Ask, follow safe redirects, and give the answer; it can be cut meanwhile."""
        url = wanted.url
        for _ in range(_REDIRECTS):
            response = self.session.get(
                url,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(self.patience.connect_s, self.patience.read_s),
            )
            if not response.is_redirect:
                break
            with response:
                url = redirected(url, response.headers["Location"])
        else:
            raise trouble.unreachable(wanted.name, wanted.url, "redirects in a circle")
        self._live.add(response)
        try:
            with response:
                if self.stop.is_set():
                    raise Stopped
                yield response
        finally:
            self._live.discard(response)

    def _accept(self, wanted: Wanted, partial: Partial, response: Any) -> bool:  # noqa: ANN401 (requests)
        """Look at the head of an answer; tell whether its body is to be read.

        The file begins anew where the server has another one, or knows no ranges.
        """
        status, validator = response.status_code, Validator.of(response.headers)
        if status in _AGAIN:
            raise _Again(
                f"{status} {response.reason or ''}", response.headers.get("Retry-After")
            )
        if status == _BEYOND and partial.size:
            if range_of(response) == (None, partial.size):
                return False  # all of it is here
            self._restart(partial, wanted.url, Validator())
            raise _Again("416: the file on the server is shorter than before")
        if status == _PARTIAL:
            if range_of(response)[0] == partial.size and not (
                partial.url == shown(wanted.url)
                and partial.validator.conflicts(validator)
            ):
                return True
            self._restart(partial, wanted.url, Validator())
            raise _Again("206: a range that was not asked for")
        if status >= _FIRST_ERROR or status != _OK:
            raise trouble.refused(
                wanted.name, wanted.url, status, response.reason or ""
            )
        self._restart(partial, wanted.url, validator)
        return True

    def _read(self, wanted: Wanted, partial: Partial, response: Any) -> None:  # noqa: ANN401 (requests)
        """Take the body; too short a one is asked for again."""
        announced = length_of(response)
        end = partial.size + announced if announced is not None else wanted.size
        if None not in {end, wanted.size} and end != wanted.size:
            sizes = f"it has {end:,} bytes, and should have {wanted.size:,}"
            partial.discard()
            raise trouble.wrong_bytes(wanted.name, wanted.url, sizes)
        if end is not None:
            self._refuse_full(wanted.name, partial, end)
        for piece in _pieces(response):
            if self.stop.is_set():
                raise Stopped
            with self._lock:
                self.fetched += len(piece)
            self._take(partial, piece, end)
        if end is not None and partial.size < end:
            raise _Again(
                f"the connection ended after {partial.size:,} of {end:,} bytes"
            )

    def _take(self, partial: Partial, piece: bytes, end: int | None) -> None:
        """Keep what came, and say so."""
        left = max(0, end - partial.size) if end is not None else None
        partial.write(piece, left=left)
        self.on_bytes(len(piece))

    def _refuse_full(self, name: str, partial: Partial, end: int) -> None:
        """Raise before anything is fetched that cannot fit."""
        left = end - partial.size
        folder = partial.path.parent
        free = shutil.disk_usage(folder).free
        if left > free:
            raise trouble.no_room(name, folder, left, free)


def new_session() -> Any:  # noqa: ANN401 (requests publishes no types)
    """Return a session that says who we are; proxies are those of the environment."""
    import requests

    session = requests.Session()
    session.headers["User-Agent"] = f"colabmagic {session.headers['User-Agent']}"
    return session


def _copy_of(descriptor: int) -> int:
    """Return another descriptor of the same line: closing it closes nothing else."""
    import os  # noqa: PLC0415 (only here)

    return os.dup(descriptor)


def _pieces(response: Any) -> Iterator[bytes]:  # noqa: ANN401 (requests)
    """Yield the body as it came over the line; a hash is of those bytes."""
    import urllib3  # noqa: PLC0415 (requests has it)

    try:
        yield from response.raw.stream(_PIECE, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise ConnectionError(why(error)) from None
