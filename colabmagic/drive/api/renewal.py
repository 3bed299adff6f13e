"""A login is renewed by google-auth, and waited for as long as for any other request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from colabmagic.drive.api.lines import Lines, have_known
from colabmagic.drive.api.refusals import unlike_google

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
        """Send one."""
        options.setdefault("timeout", self.timeout)
        return super().__call__(*args, **options)  # type: ignore[no-untyped-call]


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
        session.auth = unchanged
        have_known(session, lines or Lines())
        request = _Bounded(session)
        request.timeout = (min(CONNECT_TIMEOUT_S, read_timeout_s), read_timeout_s)
        try:
            credentials.refresh(request)  # type: ignore[no-untyped-call]
        except (GoogleAuthError, requests.RequestException):
            raise
        except _STRANGE as error:
            strange = type(error).__name__
        else:
            return
    raise unlike_google(f"{strange} while the login was renewed")


def unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no login to a request: as its ``auth``, it keeps that of ``~/.netrc`` out.

    Parameters
    ----------
    request
        It is returned.
    """
    return request
