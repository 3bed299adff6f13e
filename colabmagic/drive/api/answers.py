"""What an answer of Google's says beyond its content, or why there is none."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError

from colabmagic.drive.account.hints import LOGIN
from colabmagic.drive.api.refusals import refusal
from colabmagic.drive.errors import ConnectionFailedError, DriveError, GrantExpiredError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST: Final = re.compile(r"host='([\w.-]{1,100})'")  # as urllib3 writes it
_OBJECTS: Final[WeakKeyDictionary[requests.Response, Any]] = WeakKeyDictionary()
_LONGEST_ASKED_S: Final = 300.0  # of a server's Retry-After
_GOES_ON: Final = "it goes on where it stopped"
_OFFLINE: Final = (
    "look at the network, then run the cell again\n"
    "on Kaggle: turn Internet on in the notebook's settings"
)
_DEEPEST: Final = 20  # errors behind an error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Why:
    """Why nothing came, and how the libraries' errors tell it."""

    what: str = "cannot reach {}"
    seen: str
    hint: str = _OFFLINE
    reached: bool = False
    # Classes by name: not each is in all the versions of urllib3 that are in use.
    names: frozenset[str] = frozenset()
    codes: frozenset[int] = frozenset()
    marks: tuple[str, ...] = ()


_BROKE: Final = _Why(
    what="the connection to {} broke",
    seen="it was cut off",
    hint="run the cell again",
    reached=True,
    names=frozenset(
        {
            "BrokenPipeError",
            "ChunkedEncodingError",
            "ConnectionAbortedError",
            "ConnectionResetError",
            "EOFError",
            "IncompleteRead",
            "ProtocolError",
            "RemoteDisconnected",
            "SSLEOFError",
        }
    ),
)
_WHYS: Final = (
    _Why(
        seen="its proxy does not let us through",
        hint="look at HTTPS_PROXY; without a proxy: unset it, and run the cell again",
        names=frozenset({"ProxyError"}),
    ),
    _Why(
        seen="its name is not found: no network, or no DNS",
        names=frozenset({"gaierror", "NameResolutionError"}),
        marks=("Failed to resolve", "Name or service"),
    ),
    _Why(seen="connection refused", codes=frozenset({errno.ECONNREFUSED})),
    _Why(
        seen="no way to it: the network is down",
        codes=frozenset(
            {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
        ),
    ),
    _Why(
        seen="no answer",
        names=frozenset({"ConnectTimeout", "ConnectTimeoutError"}),
        codes=frozenset({errno.ETIMEDOUT}),
    ),
    _Why(
        what="{} does not answer",
        seen="nothing came in time",
        hint="run the cell again",
        reached=True,
        names=frozenset({"ReadTimeout", "ReadTimeoutError", "TimeoutError"}),
    ),
    _BROKE,
)


def failure(error: Exception, url: str) -> DriveError:
    """Return our error for one of the libraries', without what is secret in it.

    Parameters
    ----------
    error
        What ``requests`` or google-auth raised.
    url
        What was asked for.
    """
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
    text = str(error)
    asked = _HOST.search(text)  # a login is renewed elsewhere than Drive is
    host = (asked[1] if asked else urlsplit(url).hostname) or "Google"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return ConnectionFailedError(
            f"{host} does not prove to be Google",
            seen=type(error).__name__,
            hint="look at the clock of this machine (`date`), and ask who runs the network",
        )
    why = _why(error, text)
    what = why.what.format(host)
    failed = ConnectionFailedError(what, seen=why.seen, hint=why.hint)
    failed.reached = why.reached
    return failed


def goes_on(error: DriveError) -> DriveError:
    """Return the error of a transfer, which a second run takes up where it stopped.

    Parameters
    ----------
    error
        What has ended it; one that passes by itself tells so.
    """
    if error.retryable and _GOES_ON not in error.hint:
        first, *more = error.hint.splitlines()
        error.hint = "\n".join([f"{first}: {_GOES_ON}", *more])
    return error


def _why(error: BaseException, text: str) -> _Why:
    """Return why nothing came, by what lies deepest in the libraries' errors."""
    behind = list(_behind(error))
    names = {type(each).__name__ for each in behind}
    codes = {each.errno for each in behind if isinstance(each, OSError)}
    for why in _WHYS:
        if names & why.names or codes & why.codes or any(m in text for m in why.marks):
            return why
    return replace(_BROKE, seen=type(error).__name__)


def _behind(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and those that it was made of."""
    waiting, known = [error], set[int]()
    while waiting and len(known) < _DEEPEST:
        each = waiting.pop()
        if id(each) in known:
            continue
        known.add(id(each))
        yield each
        parts = (each.__cause__, each.__context__, getattr(each, "reason", None))
        waiting += [
            one for one in (*parts, *each.args) if isinstance(one, BaseException)
        ]


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
        hint=f"{LOGIN}\n"
        "so that it lasts: publish the consent screen; in “Testing”, a login ends after 7 days",
    )


def has_object(response: requests.Response) -> bool:
    """Tell whether a JSON object has come in full; `object_of` returns it.

    Parameters
    ----------
    response
        A success.
    """
    try:
        found = response.json()
    except ValueError:
        return False
    _OBJECTS[response] = found
    return isinstance(found, dict)


def object_of(response: requests.Response) -> dict[str, Any]:
    """Return the JSON object of an answer that has been looked at; it is read once.

    Parameters
    ----------
    response
        For which `has_object` was true.
    """
    found: dict[str, Any] = _OBJECTS.pop(response)
    return found


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
