"""Requests to Google: who asks, how often, and what a refusal means."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession, Request
from requests.adapters import HTTPAdapter

from colabmagic.drive.budget import FREE, UnitBudget
from colabmagic.drive.errors import ConnectionFailedError, DriveError, GrantExpiredError
from colabmagic.drive.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from google.auth.credentials import Credentials

API_ROOT: Final = "https://www.googleapis.com"
ATTEMPTS: Final = 8
CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 20.0  # between two pieces of an answer
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 32.0
_LONGEST_ASKED_S: Final = 300.0  # of a server's Retry-After
_CONNECTIONS: Final = 32  # kept open by a session
_GOOGLE: Final = ".googleapis.com"
_OK: Final = range(200, 300)
_RESUME_INCOMPLETE: Final = 308


class Waits:
    """How long to wait before each further attempt: full jitter, or what the server asks.

    Parameters
    ----------
    first_s, longest_s
        Bounds of the random wait: at first, and in the end.
    sleep
        Waits so many seconds.
    """

    def __init__(
        self,
        first_s: float = _FIRST_WAIT_S,
        longest_s: float = _LONGEST_WAIT_S,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.first_s, self.longest_s, self.sleep = first_s, longest_s, sleep

    def wait(self, attempt: int, asked_s: float | None = None) -> None:
        """Wait after an attempt, counted from 0.

        Parameters
        ----------
        attempt
            Which one has failed.
        asked_s
            The server's ``Retry-After``.
        """
        bound = min(self.longest_s, self.first_s * 2**attempt)
        chosen = random.uniform(0, bound)  # noqa: S311 (jitter)
        self.sleep(chosen if asked_s is None else asked_s + chosen * 0.1)


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
    requests_made: int = 0
    retries: int = 0
    _idle: deque[AuthorizedSession] = field(default_factory=deque, repr=False)
    _renewal: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

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
        **options
            For ``requests``: ``json``, ``data``, ``headers``, ``stream``.

        Returns
        -------
        requests.Response
            With a status of 2xx or 308.

        Raises
        ------
        DriveError
            What it was, by class.
        """
        count = self.attempts if attempts is None else attempts
        for attempt in range(count):
            if attempt:
                self.retried()
            self.budget.take(cost)
            asked: float | None = None
            try:
                response = self.once(method, where, params=params, **options)
            except ConnectionFailedError as failed:
                error: DriveError = failed
            else:
                status = response.status_code
                if status in accepted or status == _RESUME_INCOMPLETE:
                    return response
                if status in _OK and (whole is None or whole(response)):
                    return response
                with response:
                    error, asked = read_refusal(response), retry_after(response)
                if status in _OK:
                    error = connection_failed(EOFError(), self.api_root)
            if not error.retryable or attempt + 1 == count:
                raise error
            self.waits.wait(attempt, asked)
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
        response = self.request(method, where, whole=has_object, **options)
        found: dict[str, Any] = response.json()
        return found

    def once(
        self,
        method: str,
        where: str,
        **options: Any,  # noqa: ANN401 (of requests)
    ) -> requests.Response:
        """Send a request once and return what comes, whatever it is.

        Raises
        ------
        ConnectionFailedError
            Nothing came.
        GrantExpiredError
            The credentials are not renewed.
        """
        url = self._url(where)
        with self._lock:
            self.requests_made += 1
        try:
            self._renew()
            with self._session() as session:
                response: requests.Response = session.request(  # type: ignore[no-untyped-call]
                    method,
                    url,
                    timeout=(CONNECT_TIMEOUT_S, self.read_timeout_s),
                    allow_redirects=False,  # else 308 would be followed
                    **options,
                )
        except (requests.RequestException, GoogleAuthError, OSError) as caught:
            failure = _failure(caught, url)
        else:
            return response
        # Not raised where it was caught: the text of that one may hold a token or the key
        # of an upload, and would stay in reach as the context of ours.
        raise failure

    def retried(self) -> None:
        """Count one more attempt."""
        with self._lock:
            self.retries += 1

    def close(self) -> None:
        """Close the connections that nobody uses; the next request opens others."""
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop().close()  # type: ignore[no-untyped-call]

    def _url(self, where: str) -> str:
        """Return the whole address; a login goes to no other place than Drive's."""
        if "://" not in where:
            return self.api_root + where
        root, given = urlsplit(self.api_root), urlsplit(where)
        ours = (given.scheme, given.netloc) == (root.scheme, root.netloc)
        google = given.scheme == "https" and str(given.hostname).endswith(_GOOGLE)
        if not (ours or (google and str(root.hostname).endswith(_GOOGLE))):
            raise DriveError(
                "the answer leads away from Drive",
                seen=f"{given.scheme}://{given.hostname}"[:80],
                hint="do not log in over this network",
            )
        return where

    def _renew(self) -> None:
        """Renew the login in one thread, if it has run out."""
        if self.credentials.valid:
            return
        with self._renewal:
            if not self.credentials.valid:
                with requests.Session() as session:
                    self.credentials.refresh(Request(session))  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def _session(self) -> Iterator[AuthorizedSession]:
        """Lend a session to one thread at a time; its connections stay open."""
        try:
            session = self._idle.pop()
        except IndexError:
            session = AuthorizedSession(self.credentials)  # type: ignore[no-untyped-call]
            adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)
            session.mount("https://", adapter)
            session.mount("http://", adapter)
        try:
            yield session
        finally:
            self._idle.append(session)


def _failure(error: Exception, url: str) -> DriveError:
    """Return our error for one of the libraries', without what is secret in it."""
    if isinstance(error, GoogleAuthError) and not isinstance(error, TransportError):
        if isinstance(error, RefreshError) and error.retryable:
            return ConnectionFailedError(
                "Google did not renew the login",
                seen=type(error).__name__,
                hint="run the cell again in a minute",
            )
        return _expired(error)
    return connection_failed(error, url)


def connection_failed(error: BaseException, url: str) -> ConnectionFailedError:
    """Return the error for a connection that broke, without what is secret.

    Parameters
    ----------
    error
        What ``requests`` raised.
    url
        What was asked for.
    """
    host, text = urlsplit(url).hostname, str(error)
    what = f"the connection to {host} broke"
    hint = "run the cell again: it goes on where it stopped"
    if "Failed to resolve" in text or "Name or service" in text:
        what = f"{host} is not found"
        hint = "turn the internet on: on Kaggle under Settings of the notebook"
    elif "CERTIFICATE_VERIFY_FAILED" in text:
        what = f"{host} does not prove to be Google"
        hint = (
            "look at the clock of this machine (`date`), and ask who runs the network"
        )
    return ConnectionFailedError(what, seen=type(error).__name__, hint=hint)


def _expired(error: Exception) -> GrantExpiredError:
    """Return the error for credentials that are not renewed."""
    text = str(error)
    reason = "invalid_grant" if "invalid_grant" in text else type(error).__name__
    if "JWT" in text:  # of a service account: it bears the time of this machine
        return GrantExpiredError(
            "Google does not accept the key of the service account",
            seen=f"{reason}: Invalid JWT",
            hint="set the clock of this machine right (`date`); else make a new key",
        )
    return GrantExpiredError(
        "Google does not renew the login any more",
        seen=reason,
        hint="log in again; a consent screen in “Testing” ends each login after 7 days",
    )


def has_object(response: requests.Response) -> bool:
    """Tell whether a JSON object has come in full.

    Parameters
    ----------
    response
        A success.
    """
    try:
        return isinstance(response.json(), dict)
    except ValueError:
        return False


def read_refusal(response: requests.Response) -> DriveError:
    """Return the error for a refusal; if its text does not arrive, by its status alone.

    Parameters
    ----------
    response
        Its body is read, if it has not been.
    """
    try:
        return refusal(response)
    except (requests.RequestException, OSError):
        response._content = b""  # noqa: SLF001 (there is no other way to say so)
    return refusal(response)


def retry_after(response: requests.Response) -> float | None:
    """Return how many seconds the server asks to wait; None where it does not.

    Parameters
    ----------
    response
        With ``Retry-After`` in seconds or as a date, which is compared with the server's
        own clock.
    """
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text), _LONGEST_ASKED_S)
    then = _date(text)
    if then is None:
        return None
    now = _date(response.headers.get("Date", "")) or datetime.now(UTC)
    return min(max(0.0, (then - now).total_seconds()), _LONGEST_ASKED_S)


def _date(text: str) -> datetime | None:
    """Return the moment that a header names."""
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
