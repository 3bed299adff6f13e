"""A login is renewed by google-auth, and waited for as long as for any other request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import requests
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import Request

from colabmagic.drive.api.lines import Lines, have_known
from colabmagic.drive.api.refusals import ELSEWHERE, unlike_google
from colabmagic.drive.api.unanswered import LEADS_ELSEWHERE

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 20.0  # between two pieces of an answer
_STRANGE: Final = (  # what google-auth raises where an answer has another form
    ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError,
)  # fmt: skip


class _Bounded(Request):
    """Sends google-auth's requests, which would be waited for for two minutes."""

    timeout: tuple[float, float]

    def __call__(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 (as it is there)
        """Send one, to no other place than the one it is for: there is a secret in it."""
        options.setdefault("timeout", self.timeout)
        answer: Any = super().__call__(*args, **options, allow_redirects=False)  # type: ignore[no-untyped-call]
        if answer.status in ELSEWHERE:
            raise TransportError(LEADS_ELSEWHERE, answer.status)  # type: ignore[no-untyped-call]
        return answer


def renew(
    credentials: Credentials,
    read_timeout_s: float = READ_TIMEOUT_S,
    lines: Lines | None = None,
) -> None:
    """Renew a login.

    Parameters
    ----------
    credentials
        Any of google-auth.
    read_timeout_s
        Between two pieces of the answer.
    lines
        Can end it from another thread.

    Raises
    ------
    GoogleAuthError, requests.RequestException
        It is not renewed; their text may hold a token.
    ServerFailedError
        What answers is not Google.
    """
    with requests.Session() as session:
        request = bounded(session, lines or Lines(), read_timeout_s)
        try:
            credentials.refresh(request)  # type: ignore[no-untyped-call]
        except (GoogleAuthError, requests.RequestException):
            raise
        except _STRANGE as error:
            strange = type(error).__name__
        else:
            return
    raise unlike_google(f"{strange} while the login was renewed")


def bounded(session: requests.Session, lines: Lines, read_timeout_s: float) -> Request:
    """Return what sends google-auth's requests: bounded, and never to another place.

    Parameters
    ----------
    session
        They go over it; it has opened no connection yet.
    lines
        Can end them from another thread.
    read_timeout_s
        Between two pieces of an answer.
    """
    session.auth = unchanged
    have_known(session, lines)
    request = _Bounded(session)
    request.timeout = (min(CONNECT_TIMEOUT_S, read_timeout_s), read_timeout_s)
    return request


def unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no login to a request: as its ``auth``, it keeps that of ``~/.netrc`` out.

    Parameters
    ----------
    request
        It is returned.
    """
    return request
