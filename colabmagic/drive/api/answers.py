"""What an answer of Google's says beyond its content, or why there is none."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError

from colabmagic.drive.api.refusals import refusal
from colabmagic.drive.errors import (
    ConnectionFailedError,
    DriveError,
    GrantExpiredError,
    ServerFailedError,
)

_HOST: Final = re.compile(r"host='([\w.-]{1,100})'")  # as urllib3 writes it
_OBJECTS: Final[WeakKeyDictionary[requests.Response, Any]] = WeakKeyDictionary()
_LONGEST_ASKED_S: Final = 300.0  # of a server's Retry-After


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
    host = asked[1] if asked else urlsplit(url).hostname
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


def unlike_google(seen: str) -> ServerFailedError:
    """Return the error for an answer that Google does not give.

    Parameters
    ----------
    seen
        What it has that Google's have not, or lacks.
    """
    return ServerFailedError(
        "this answer does not have the form that Google's have",
        seen=seen,
        hint="look whether this network has a proxy, or a page to log in at: open"
        " https://drive.google.com in a browser here; else run the cell again later",
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
