"""Requests to Google: who asks, how often, and what a refusal means."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from colabmagic.drive.api import patience
from colabmagic.drive.api.address import Address
from colabmagic.drive.api.answers import (
    has_object,
    not_whole,
    object_of,
    read_refusal,
    retry_after,
)
from colabmagic.drive.api.bodies import read_bounded
from colabmagic.drive.api.budget import FREE, UnitBudget
from colabmagic.drive.api.forks import notice_forks
from colabmagic.drive.api.lines import Lines, have_known
from colabmagic.drive.api.logs import keep_keys_out
from colabmagic.drive.api.refusals import passing
from colabmagic.drive.api.renewal import (
    CONNECT_TIMEOUT_S,
    READ_TIMEOUT_S,
    bounded,
    renew,
    unchanged,
)
from colabmagic.drive.api.unanswered import failure
from colabmagic.drive.api.waits import Waits
from colabmagic.drive.errors import ConnectionFailedError, DriveError

__all__ = ["API_ROOT", "Transport", "Waits"]

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from google.auth.credentials import Credentials

API_ROOT: Final = "https://www.googleapis.com"
ATTEMPTS: Final = 8
_UNREACHED: Final = 4  # attempts where nobody is there: that seldom mends itself
ANSWER_S: Final = 300.0  # for all pieces of one: 10 MB, which Google exports at most
MOST_BYTES: Final = 64 * 2**20  # of one; a page of a list has some hundred kB
_FOREIGN: Final = 2  # answers that are none of Google's: a page to log in at stays
_RENEWALS: Final = 3  # of a login, for one request
_GOOGLE: Final = ".googleapis.com"
_OK: Final = range(200, 300)


keep_keys_out()


@dataclass(eq=False)
class Transport:
    """Sends requests, in any thread.

    Parameters
    ----------
    credentials
        Any of google-auth.
    api_root
        Where Drive is; Google's own by default.
    attempts
        How often one request is tried.
    waits
        Between two attempts.
    budget
        Quota units.
    read_timeout_s
        Between two pieces of an answer.
    answer_s, most_bytes
        How long an answer may take, and how large it may become; one that is streamed has
        neither limit.

    Attributes
    ----------
    requests_made, retries
        Counted over all threads.
    """

    credentials: Credentials
    api_root: str = API_ROOT
    attempts: int = ATTEMPTS
    waits: Waits = field(default_factory=Waits)
    budget: UnitBudget = field(default_factory=UnitBudget)
    read_timeout_s: float = READ_TIMEOUT_S
    answer_s: float = ANSWER_S
    most_bytes: int = MOST_BYTES
    requests_made: int = 0
    retries: int = 0
    _idle: deque[AuthorizedSession] = field(default_factory=deque, repr=False)
    _lines: Lines = field(default_factory=Lines, repr=False)
    _logins: int = field(default=0, repr=False)
    _parents: list[deque[AuthorizedSession]] = field(default_factory=list, repr=False)
    _renewal: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Have it told of forks."""
        notice_forks(self)

    def begin_in_child(self) -> None:
        """Open connections of its own: on the parent's come the parent's answers.

        Those are kept, unused: to close them here could wait for a lock that a thread of
        the parent held.
        """
        self._parents.append(self._idle)
        self._idle, self._lines = deque(), Lines()  # to cut the parent's would end them
        self._renewal, self._lock = threading.Lock(), threading.Lock()
        self.budget.begin_in_child()

    def __repr__(self) -> str:
        """Say where it leads; credentials are never shown."""
        return f"<Transport to {self.api_root}>"

    def request(  # noqa: PLR0913 (by keyword)
        self,
        method: str,
        where: str,
        *,
        cost: int = FREE,
        params: Mapping[str, Any] | None = None,
        attempts: int | None = None,
        accepted: Container[int] = (),
        whole: Callable[[requests.Response], bool] | None = None,
        stop: threading.Event | None = None,
        **options: Any,  # noqa: ANN401 (of requests)
    ) -> requests.Response:
        """Send a request until it is answered; a refusal that stays is an error.

        Parameters
        ----------
        method
            Of HTTP.
        where
            A path below the root, or a whole address that the server gave.
        cost
            Quota units.
        params
            Of the query.
        attempts
            How often it is tried; left out: as often as this transport does.
        accepted
            Statuses that are an answer too.
        whole
            Tells whether a success has come in full: headers that are cut off still look
            like an answer.
        stop
            Once it is set, there is no further attempt.
        **options
            For ``requests``: ``json``, ``data``, ``headers``, ``stream``.

        Returns
        -------
        requests.Response
            With a status of 2xx, or one that is accepted.

        Raises
        ------
        DriveError
            What it was, by class.
        """
        count = self.attempts if attempts is None else attempts
        foreign = 0
        for attempt in range(count):
            if attempt:
                self.retried()
            self.budget.take(cost)
            asked: float | None = None
            most, began = count, time.monotonic()
            try:
                response = self.once(method, where, params=params, **options)
            except ConnectionFailedError as failed:
                error: DriveError = failed
                most = count if failed.reached else min(count, _UNREACHED)
            else:
                status = response.status_code
                if status in accepted:
                    return response
                if status in _OK and (whole is None or whole(response)):
                    return response
                with response:
                    asked = retry_after(response)
                    error = (
                        not_whole(response, self.api_root)
                        if status in _OK
                        else read_refusal(response)
                    )
                foreign += getattr(error, "foreign", False)
                most = attempt + 1 if foreign >= _FOREIGN else count
            if not error.retryable or attempt + 1 >= most:
                raise error
            patience.failed(error, began)
            self.waits.wait(attempt, asked, stop)
            if stop is not None and stop.is_set():
                raise error
        raise AssertionError("no attempt was allowed")

    def json(
        self,
        method: str,
        where: str,
        **options: Any,  # noqa: ANN401 (of `request`)
    ) -> dict[str, Any]:
        """Send a request as `request` does, and return the object that it is answered with.

        Parameters
        ----------
        method, where, **options
            Of `request`.
        """
        return object_of(self.request(method, where, whole=has_object, **options))

    def once(
        self,
        method: str,
        where: str | Address,
        **options: Any,  # noqa: ANN401 (of requests)
    ) -> requests.Response:
        """Send a request once and return what comes, whatever it is.

        Parameters
        ----------
        method
            Of HTTP.
        where
            A path below the root, or a whole address that the server gave.
        **options
            For ``requests``, as for `request`.

        Raises
        ------
        ConnectionFailedError
            Nothing came.
        GrantExpiredError
            The credentials are not renewed.
        """
        url, began = self._url(where), time.monotonic()
        try:
            login = self._renewed()
            response = self._sent(method, url, options)
            for _ in range(_RENEWALS):
                if response.status_code != requests.codes.unauthorized:
                    break
                response.close()
                login = self._renewed(refused=login)
                response = self._sent(method, url, options)
        except (requests.RequestException, GoogleAuthError, OSError) as caught:
            failed = failure(caught, url.text)
        else:
            if refused := passing(response.status_code):
                patience.failed(refused, began)
            elif response.status_code != requests.codes.forbidden:
                patience.answered()  # that one may ask to go slower: its text tells
            return response
        patience.failed(failed, began)
        # Not raised where it was caught: the text of that one may hold a token or the key
        # of an upload, and would stay in reach as the context of ours.
        raise failed

    def retried(self) -> None:
        """Count one more attempt."""
        with self._lock:
            self.retries += 1

    def close(self) -> None:
        """Close the connections that nobody uses; the next request opens others."""
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop().close()  # type: ignore[no-untyped-call]

    def cut(self) -> None:
        """End the requests that run in any thread: they fail at once, as if it broke."""
        self._lines.cut()

    def _url(self, where: str | Address) -> Address:
        """Return the whole address; a login goes to no other place than Drive's."""
        if isinstance(where, str):
            if "://" not in where:
                return Address(self.api_root + where)
            where = Address(where)
        root = urlsplit(self.api_root)
        scheme, netloc, host = _origin(where)
        ours = (scheme, netloc) == (root.scheme, root.netloc)
        google = scheme == "https" and host.endswith(_GOOGLE)
        if not (ours or (google and str(root.hostname).endswith(_GOOGLE))):
            raise DriveError(
                "the answer leads away from Drive",
                seen=f"{scheme}://{host}"[:80],
                hint="do not log in over this network",
            )
        return where

    def _sent(
        self, method: str, url: Address, options: Mapping[str, Any]
    ) -> requests.Response:
        """Send a request, and return the answer to it."""
        with self._lock:
            self.requests_made += 1
        with self._session() as session:
            response: requests.Response = session.request(  # type: ignore[no-untyped-call]
                method,
                url.text,
                timeout=(CONNECT_TIMEOUT_S, self.read_timeout_s),
                allow_redirects=False,  # else 308 would be followed
                **{**options, "stream": True},
            )
            if not options.get("stream"):
                read_bounded(response, self.most_bytes, self.answer_s)
        return response

    def _renewed(self, refused: int | None = None) -> int:
        """Renew the login in one thread, if it has run out; return which one it is by now.

        One that the server has refused is renewed unless another thread has done so. The
        token itself is in no variable here: tracebacks may show them.
        """
        if not self.credentials.valid or refused is not None:
            with self._renewal:
                if not self.credentials.valid or refused == self._logins:
                    renew(self.credentials, self.read_timeout_s, self._lines)
                    self._logins += 1
        return self._logins

    @contextlib.contextmanager
    def _session(self) -> Iterator[AuthorizedSession]:
        """Lend a session to one thread at a time; its connections stay open."""
        try:
            session = self._idle.pop()
        except IndexError:
            # It would drop a refusal unread, and each thread would renew. If it renews a
            # login that has run out since we looked, it does as we do.
            renewing = bounded(requests.Session(), self._lines, self.read_timeout_s)
            session = AuthorizedSession(  # type: ignore[no-untyped-call]
                self.credentials,
                refresh_status_codes=(),
                auth_request=renewing,
            )
            session.auth = unchanged
            have_known(session, self._lines)
        try:
            yield session
        finally:
            self._idle.append(session)


def _origin(where: Address) -> tuple[str, str, str]:
    """Return scheme, place and host of an address: these are no secret."""
    try:
        parts = urlsplit(where.text)
    except ValueError:  # whose text shows a part of it
        return "", "", "?"
    return parts.scheme, parts.netloc, str(parts.hostname)
