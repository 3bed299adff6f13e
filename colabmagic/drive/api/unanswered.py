"""Why no answer came: from the libraries' errors to one of ours, without what is secret."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError

from colabmagic.drive.account.hints import LOGIN
from colabmagic.drive.api.refusals import leads_elsewhere
from colabmagic.drive.errors import (
    ConnectionFailedError,
    DriveError,
    GrantExpiredError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST: Final = re.compile(r"host='([\w.-]{1,100})'")  # as urllib3 writes it
LEADS_ELSEWHERE: Final = "leads elsewhere"  # in google-auth's error, before the status
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
        seen="what is set as its proxy is none that can be used",
        hint="look at HTTPS_PROXY and ALL_PROXY: http://HOST:PORT; without a proxy: unset"
        " them, and run the cell again",
        names=frozenset({"InvalidProxyURL", "ProxySchemeUnknown"}),
    ),
    _Why(
        seen="the file of certificates that is set is not there",
        hint="look at REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, or unset them, and run the"
        " cell again",
        marks=("TLS CA certificate",),
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
    if isinstance(error, TransportError) and error.args[:1] == (LEADS_ELSEWHERE,):
        return leads_elsewhere(int(error.args[1]))
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
