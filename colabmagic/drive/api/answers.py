"""What an answer of Google's says beyond its content, or why there is none."""

from __future__ import annotations

import errno
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from urllib3.exceptions import HTTPError

from colabmagic.drive.account.hints import LOGIN
from colabmagic.drive.api.refusals import refusal
from colabmagic.drive.errors import (
    ConnectionFailedError,
    DriveError,
    GrantExpiredError,
    ServerFailedError,
)
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST: Final = re.compile(r"host='([\w.-]{1,100})'")  # as urllib3 writes it
_OBJECTS: Final[WeakKeyDictionary[requests.Response, Any]] = WeakKeyDictionary()
_ELSEWHERE: Final = range(300, 400)
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_MOST: Final = 10**18
_PIECE: Final = 2**16
_SHOWN: Final = 60  # of foreign text
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
        seen="its proxy is a SOCKS one, which wants a package",
        hint="%pip install 'requests[socks]'\nthen run the cell again",
        names=frozenset({"InvalidSchema"}),
    ),
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
        "so that it lasts: Google Cloud console > APIs & Services > OAuth consent screen > "
        "Publish app; in “Testing” a login ends after 7 days",
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


def read_bounded(response: requests.Response, most: int, seconds: float) -> None:
    """Read the body of an answer, which may become so large and take so long.

    Parameters
    ----------
    response
        Not read yet.
    most
        Bytes.
    seconds
        From now on.

    Raises
    ------
    ServerFailedError
        It is larger.
    requests.Timeout
        It took longer.
    """
    until = time.monotonic() + seconds
    pieces, size = [], 0
    for piece in _pieces(response):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            response.close()
            raise unlike_google(f"more than {most} bytes")
        if time.monotonic() > until:
            response.close()
            raise requests.Timeout("the answer does not end")
    response._content = b"".join(pieces)  # noqa: SLF001 (there is no other way to say so)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield the body of an answer as it comes: who waits for more may wait for ever."""
    read1 = getattr(response.raw, "read1", None)
    if read1 is None or response._content is not False:  # noqa: SLF001 (a log has read it)
        yield from response.iter_content(_PIECE)
        return
    try:
        while piece := read1(_PIECE, decode_content=True):
            yield piece
    except (HTTPError, OSError) as error:  # of urllib3, whose text may show the address
        broken = type(error).__name__
    else:
        return
    raise requests.ConnectionError(broken)


def has_object(response: requests.Response) -> bool:
    """Tell whether a JSON object has come in full; `object_of` returns it.

    Parameters
    ----------
    response
        A success.
    """
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return False
    _OBJECTS[response] = found
    return isinstance(found, dict)


def not_whole(response: requests.Response, url: str) -> DriveError:
    """Return the error for a success that is none.

    Parameters
    ----------
    response
        Cut off, or not of Google's form: from a proxy, or a page to log in at.
    url
        What was asked for.
    """
    kind, body = response.headers.get("Content-Type", ""), response._content or b""  # noqa: SLF001 (what was read)
    is_json = not kind or kind.startswith("application/json")
    is_cut_off = is_json and not body.rstrip().endswith((b"}", b"]"))
    if is_cut_off and response.status_code != requests.codes.no_content:
        return connection_failed(EOFError(), url)
    seen = f"HTTP {response.status_code} {clean(kind[:_SHOWN])}".rstrip()
    is_page = "html" in kind.casefold()  # Google's own faults have no such form
    return _foreign(seen) if is_page else unlike_google(seen)


def _foreign(seen: str) -> ServerFailedError:
    """Return the error for an answer that somebody else gave."""
    error = unlike_google(seen)
    error.foreign = True
    return error


def text_at(meta: dict[str, Any], name: str, otherwise: str | None = None) -> Any:  # noqa: ANN401
    """Return a text of an object of JSON; what is ``null`` counts as left out.

    Parameters
    ----------
    meta
        The object.
    name
        Of the text.
    otherwise
        Is returned where there is none.

    Raises
    ------
    ServerFailedError
        Something else is there.
    """
    found = meta.get(name)
    if found is None:
        return otherwise
    if not isinstance(found, str):
        raise unlike_google(f"{name} is no text")
    return found


def number_at(meta: dict[str, Any], name: str) -> int | None:
    """Return a number of an object of JSON, which Google writes as text; None if left out.

    Parameters
    ----------
    meta
        The object.
    name
        Of the number.

    Raises
    ------
    ServerFailedError
        Something else is there.
    """
    found = meta.get(name)
    if found is None:
        return None
    text = str(found) if type(found) is int and 0 <= found < _MOST else found
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise unlike_google(f"{name} is no number")
    return int(text)


def object_at(meta: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object within an object of JSON; an empty one if it is left out.

    Parameters
    ----------
    meta
        The outer object.
    name
        Of the inner one.

    Raises
    ------
    ServerFailedError
        Something else is there.
    """
    found = meta.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise unlike_google(f"{name} is no object")
    return found


def list_at(meta: dict[str, Any], name: str, kind: type) -> list[Any]:
    """Return a list of an object of JSON; an empty one if it is left out.

    Parameters
    ----------
    meta
        The object.
    name
        Of the list.
    kind
        Of each that is in it.

    Raises
    ------
    ServerFailedError
        Something else is there.
    """
    found = meta.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(e, kind) for e in found):
        raise unlike_google(f"{name} is no list of its kind")
    return found


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
    if response.status_code in _ELSEWHERE:
        return _foreign(f"HTTP {response.status_code}: it leads elsewhere")
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
