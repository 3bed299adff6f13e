"""Requests to Google: who asks, how often, and what a refusal means."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession, Request

from colabmagic.drive.budget import FREE, UnitBudget
from colabmagic.drive.errors import ConnectionFailedError, DriveError, GrantExpiredError
from colabmagic.drive.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from google.auth.credentials import Credentials

API_ROOT: Final = "https://www.googleapis.com"
ATTEMPTS: Final = 8
CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 20.0  # between two pieces of an answer
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 32.0
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
    _own: threading.local = field(default_factory=threading.local, repr=False)
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
                with self._lock:
                    self.retries += 1
            self.budget.take(cost)
            try:
                response = self.once(method, where, params=params, **options)
                status = response.status_code
                if status in _OK or status == _RESUME_INCOMPLETE or status in accepted:
                    return response
                error: DriveError = refusal(response)
                asked = _retry_after(response)
                response.close()
            except ConnectionFailedError as failed:
                error, asked = failed, None
            if not error.retryable or attempt + 1 == count:
                raise error
            self.waits.wait(attempt, asked)
        raise AssertionError("no attempt was allowed")

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
        url = where if "://" in where else self.api_root + where
        with self._lock:
            self.requests_made += 1
        try:
            self._renew()
            response: requests.Response = self._session().request(  # type: ignore[no-untyped-call]
                method,
                url,
                timeout=(CONNECT_TIMEOUT_S, self.read_timeout_s),
                allow_redirects=False,  # else 308 would be followed
                **options,
            )
        except RefreshError as error:
            if error.retryable:
                raise ConnectionFailedError(
                    "Google did not renew the login",
                    seen=type(error).__name__,
                    hint="run the cell again in a minute",
                ) from None
            raise _expired(error) from None
        except (requests.RequestException, TransportError, OSError) as error:
            # Its text has the whole address, which may hold the key of an upload.
            raise connection_failed(error, url) from None
        except GoogleAuthError as error:
            raise _expired(error) from None
        return response

    def _renew(self) -> None:
        """Renew the login in one thread, if it has run out."""
        if self.credentials.valid:
            return
        with self._lock:
            if not self.credentials.valid:
                self.credentials.refresh(Request())  # type: ignore[no-untyped-call]

    def _session(self) -> AuthorizedSession:
        """Return this thread's session."""
        session: AuthorizedSession | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = AuthorizedSession(self.credentials)  # type: ignore[no-untyped-call]
        return session


def connection_failed(error: BaseException, url: str) -> ConnectionFailedError:
    """Return the error for a connection that broke, without what is secret.

    Parameters
    ----------
    error
        What ``requests`` raised.
    url
        What was asked for.
    """
    parts = urlsplit(url)
    return ConnectionFailedError(
        f"the connection to {parts.hostname} broke",
        seen=type(error).__name__,
        hint="run the cell again: it goes on where it stopped",
    )


def _expired(error: Exception) -> GrantExpiredError:
    """Return the error for credentials that are not renewed."""
    reason = "invalid_grant" if "invalid_grant" in str(error) else type(error).__name__
    return GrantExpiredError(
        "Google does not renew the login any more",
        seen=reason,
        hint="log in again; a consent screen in “Testing” ends each login after 7 days",
    )


def _retry_after(response: requests.Response) -> float | None:
    """Return how long the server asks to wait."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), 300.0) if text.isdecimal() else None
