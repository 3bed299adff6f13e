"""A login of the user's own, once: consent in the browser, then a file that is kept.

The flow is that for installed programs (RFC 8252): the browser is sent back to a port of
this machine, with state and PKCE. Where no browser can reach this machine, the user
copies the address to which it was sent.

It is written here, not taken from requests-oauthlib: at DEBUG that logs the code, the
verifier, the client's secret and the tokens, and an ``http`` server for tests needs an
environment variable that holds for the whole process.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import sys
import webbrowser
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

import requests
from google.oauth2.credentials import Credentials

from colabmagic.drive.account.auth import OWN_FILES, READ, WRITE
from colabmagic.drive.account.hints import LOGIN, LOGIN_ELSEWHERE
from colabmagic.drive.account.oauth_client import OAuthClient, read_client
from colabmagic.drive.account.pasted import taken_apart, wrong_with
from colabmagic.drive.account.redirect import Redirect, wait_for_redirect
from colabmagic.drive.account.tokens import Hidden, in_short, store, token_path
from colabmagic.drive.api.renewal import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, unchanged
from colabmagic.drive.api.unanswered import connection_failed
from colabmagic.drive.errors import (
    ConsentDeclinedError,
    DriveError,
    InsufficientScopeError,
    LoginFailedError,
    ServerFailedError,
)
from colabmagic.host.detect import detect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_POSSIBLE: Final = range(65536)
_PORTS: Final = range(49152, 65536)  # that no program has for its own
_ANSWERS: Final = 3  # addresses that are pasted wrong
_WORD: Final = re.compile(r"[a-z_]{1,40}")  # an error's name in OAuth
_ELSEWHERE: Final = ("SSH_CONNECTION", "SSH_TTY", "JUPYTERHUB_USER", "CODESPACES")


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One try: what must come back, and what proves that it was us who asked."""

    client: OAuthClient
    redirect_uri: str
    scope: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)

    @property
    def url(self) -> str:
        """Return the address of the page that asks; nothing in it is secret."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
        joint = "&" if urlsplit(self.client.auth_uri).query else "?"
        return self.client.auth_uri + joint + urlencode(
            {
                "response_type": "code",
                "client_id": self.client.client_id,
                "redirect_uri": self.redirect_uri,
                "scope": self.scope,
                "state": self.state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
                "access_type": "offline",  # a refresh token
                "prompt": "consent",  # also at the second login
            }
        )  # fmt: skip

    def accepts(self, answer: Hidden) -> bool:
        """Tell whether an answer belongs to this try."""
        return hmac.compare_digest(
            str(answer.get("state", "")).encode(), self.state.encode()
        )


def login(  # noqa: PLR0913 (by keyword, and each an option)
    client_file: str | Path,
    *,
    show: Callable[[str], object],
    ask: Callable[[str], str] | None = None,
    open_browser: bool = True,
    timeout_s: float = 300,
    out: Path | None = None,
    write: bool = True,
    port: int = 0,
    env: Mapping[str, str] | None = None,
) -> Path:
    """Log in to Google with an OAuth client of the user's own, and keep the login.

    Parameters
    ----------
    client_file
        JSON of a client for desktop or web, from Google Cloud's console.
    show
        Shows lines to the user: the address of Google's page, and what to do.
    ask
        Asks the user for the address to which the browser was sent, where it cannot
        reach this machine; left out: it is waited for on this machine.
    open_browser
        Whether a browser may be opened here. Without one, and with `ask`, the address
        is asked for.
    timeout_s
        How long the browser is waited for.
    out
        Where the login is kept; left out: where it is found without being named.
    write
        Whether it is to be good for writing too.
    port
        Of this machine, for the browser to come back to; 0: any that is free.
    env
        Environment variables; those of the process where left out.

    Returns
    -------
    Path
        Where the login is kept, with mode 0600.

    Raises
    ------
    ConsentDeclinedError
        The user, or Google, said no.
    InsufficientScopeError
        The box for Drive was left unticked.
    LoginFailedError
        The file is no client, there is no such port, nothing came back in time, or it was
        something else.
    """
    client = read_client(client_file)
    if port not in _POSSIBLE:
        raise LoginFailedError(
            f"there is no port {port}",
            hint="--port N: a number up to 65535; left out, any that is free is taken",
        )
    scope = WRITE if write else READ
    target = out or token_path(env)
    interrupted, reason = False, ""
    try:
        browser = open_browser and (ask is None or browser_is_here(env))
        consent = _Consent(client, scope, show, timeout_s, port)
        attempt, answer = consent.had(ask, open_browser=browser)
        _check_consent(answer)
        credentials = _exchange(attempt, answer)
        reason = _keep(credentials, target)
    except KeyboardInterrupt:  # whose traceback knows what is secret
        interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    if reason:
        raise LoginFailedError(
            f"the login cannot be kept at {str(target)!r}",
            seen=reason,
            hint=f"name a place that can be written: {LOGIN_ELSEWHERE}",
        )
    return target


def _keep(credentials: Credentials, target: Path) -> str:
    """Keep the login; return why that failed, or nothing."""
    try:
        store(credentials, target)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def browser_is_here(env: Mapping[str, str] | None = None) -> bool:
    """Tell whether a browser on this machine is likely to be the user's.

    Parameters
    ----------
    env
        Environment variables; those of the process where left out.
    """
    env = os.environ if env is None else env
    if detect(env).is_managed or any(env.get(name) for name in _ELSEWHERE):
        return False
    if sys.platform.startswith("linux"):
        return bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))
    return True


# --- consent ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Consent:
    """How the user is asked for his consent, and the answer of Google's page had."""

    client: OAuthClient
    scope: str
    show: Callable[[str], object]
    timeout_s: float
    port: int

    def had(
        self, ask: Callable[[str], str] | None, *, open_browser: bool
    ) -> tuple[_Attempt, Hidden]:
        """Return the answer, by the first way that works."""
        if ask is None:
            return self._by_redirect(open_browser=open_browser)
        if open_browser:
            try:
                return self._by_redirect(open_browser=True)
            except LoginFailedError as error:
                self.show(f"{error.what}; there is another way.")
        return self._by_paste(ask)

    def _by_redirect(self, *, open_browser: bool) -> tuple[_Attempt, Hidden]:
        """Let the browser bring the answer to a port of this machine."""
        with Redirect(self.client.redirect_uri, self.port) as redirect:
            attempt = _Attempt(self.client, redirect.uri, self.scope)
            self.show(
                "Open this page in a browser on this machine, and allow Drive:\n"
                f"{attempt.url}"
            )
            if open_browser:
                webbrowser.open(attempt.url)
            return attempt, wait_for_redirect(redirect, attempt.accepts, self.timeout_s)

    def _by_paste(self, ask: Callable[[str], str]) -> tuple[_Attempt, Hidden]:
        """Let the user copy the address to which the browser was sent."""
        port = self.port or secrets.choice(_PORTS)
        uri = self.client.redirect_uri or f"http://127.0.0.1:{port}/"
        attempt = _Attempt(self.client, uri, self.scope)
        self.show(
            "1. Open this page in your browser, and allow Drive:\n"
            f"{attempt.url}\n"
            "2. The browser then shows a page that cannot be reached: that is right.\n"
            f"   Copy its whole address, which begins with {attempt.redirect_uri}"
        )
        seen = ""
        for _ in range(_ANSWERS):
            answer = taken_apart(
                lambda: ask("The whole address (it is not shown as you paste it): ")
            )
            seen = wrong_with(answer, attempt.accepts)
            if not seen:
                return attempt, answer
            self.show(f"This is not it: {seen}. Once more:")
        raise LoginFailedError(
            f"{_ANSWERS} times something was pasted that does not end this login",
            seen=f"the last time: {seen}",
            hint=f"{LOGIN}\nallow Drive on the page shown then, and copy the whole "
            "address after that",
        )


def _check_consent(answer: Hidden) -> None:
    """Raise where the answer is no."""
    error = answer.get("error")
    if error is None:
        return
    seen = _name(error)
    if seen == "access_denied":
        raise ConsentDeclinedError(
            "Drive was not allowed",
            seen=seen,
            hint=f"{LOGIN}\nand choose Continue; with a consent screen in “Testing”, add your "
            "account to its test users first",
        )
    raise LoginFailedError(
        "Google did not log you in",
        seen=seen,
        hint="look at the client in Google Cloud's console: "
        "its type must be “Desktop app”, and the Drive API must be enabled",
    )


# --- the code becomes a login -----------------------------------------------------


def _exchange(attempt: _Attempt, answer: Hidden) -> Credentials:
    """Return the login that Google gives for the code."""
    client = attempt.client
    trouble: DriveError | None = None
    reply: object = None
    status = 0
    try:
        response = requests.post(
            client.token_uri,
            data=Hidden(
                grant_type="authorization_code",
                code=answer.get("code", ""),
                redirect_uri=attempt.redirect_uri,
                client_id=client.client_id,
                client_secret=client.client_secret,
                code_verifier=attempt.verifier,
            ),
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            allow_redirects=False,
            auth=unchanged,
        )
        status = response.status_code
        reply = response.json(object_hook=Hidden)
    except (ValueError, RecursionError):  # no JSON
        trouble = ServerFailedError(
            "Google's answer to the login cannot be read",
            seen=f"HTTP {status}",
            hint=f"{LOGIN}\nin a few minutes",
        )
    except (requests.RequestException, OSError) as error:
        trouble = connection_failed(error, client.token_uri)
    if trouble is not None:
        raise trouble  # here: what was caught above knows what is secret
    if not isinstance(reply, Hidden) or status != HTTPStatus.OK:
        raise _refused(reply if isinstance(reply, Hidden) else Hidden(), status)
    return _credentials(attempt, reply)


def _refused(reply: Hidden, status: int) -> DriveError:
    """Return the error for a code that Google does not take."""
    seen = _name(reply.get("error", ""))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerFailedError(
            "Google's server failed at the login",
            seen=f"HTTP {status}",
            hint=f"{LOGIN}\nin a few minutes",
        )
    hints = {
        "invalid_grant": f"{LOGIN}\nagain: a code serves once, for a few minutes",
        "invalid_client": "download the client's JSON again: its secret was changed, "
        "or the client was deleted",
        "redirect_uri_mismatch": "make a client for “Desktop app” and take its JSON",
    }
    return LoginFailedError(
        "Google does not turn this consent into a login",
        seen=f"HTTP {status} {seen}",
        hint=hints.get(seen, f"{LOGIN}\nwith the client's JSON downloaded again"),
    )


def _credentials(attempt: _Attempt, reply: Hidden) -> Credentials:
    """Return the login, or say what it lacks."""
    granted = str(reply.get("scope") or attempt.scope).split()
    if not {attempt.scope, WRITE, OWN_FILES} & set(granted):
        raise InsufficientScopeError(
            "the login came without the right to use Drive",
            seen=f"allowed: {in_short(granted) or 'nothing'}",
            hint=f"{LOGIN}\nand tick the box for Google Drive in Google's window",
        )
    if not reply.get("refresh_token"):
        raise LoginFailedError(
            "Google gave a login for one hour only",
            seen="no refresh token",
            hint=f"{LOGIN}\n"
            "but first remove the app at https://myaccount.google.com/permissions",
        )
    client = attempt.client
    return Credentials(  # type: ignore[no-untyped-call]
        None,
        refresh_token=reply["refresh_token"],
        token_uri=client.token_uri,
        client_id=client.client_id,
        client_secret=client.client_secret,
        scopes=granted,
    )


def _name(error: object) -> str:
    """Return an error's name, if it looks like one: the answer is from outside."""
    text = str(error)
    return text if _WORD.fullmatch(text) else "an error without a name"
