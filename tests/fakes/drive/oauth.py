"""Google's consent page and its codes, as far as a program sees them.

The page asks nobody: it sends the browser back at once, with a code, or with the error
that ``deny`` names. A code serves once, to whom it was given, with the verifier of its
challenge (RFC 7636), as Google demands.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

from tests.fakes.drive.messages import Reply

if TYPE_CHECKING:
    from tests.fakes.drive.messages import Request
    from tests.fakes.drive.store import Store

AUTH_PATHS = {"/auth", "/o/oauth2/auth", "/o/oauth2/v2/auth"}
REFRESH_TOKEN = "fake-refresh-token"  # noqa: S105 - of the fake
BAD_REQUEST = 400


class OAuthPages:
    """Consent, and what becomes of it.

    Attributes
    ----------
    deny
        The error that the page sends back, such as ``access_denied``; None for a code.
    granted
        The scopes that the user leaves ticked; None for all that are asked for.
    client_secret
        Of the only client; None for any.
    refresh_token
        What a login gets; None for none, as at Google's second consent without
        ``prompt=consent``.
    """

    def __init__(self, store: Store) -> None:
        self.deny: str | None = None
        self.granted: str | None = None
        self.client_secret: str | None = None
        self.refresh_token: str | None = REFRESH_TOKEN
        self.codes: dict[str, dict[str, str]] = {}
        self._store = store

    def authorize(self, request: Request) -> Reply:
        """Answer the browser that comes with a question of a program."""
        asked = request.params
        missing = {"client_id", "redirect_uri", "response_type", "scope"} - asked.keys()
        if missing or asked["response_type"] != "code":
            return Reply(
                BAD_REQUEST, {"error": "invalid_request", "of": sorted(missing)}
            )
        if self.deny is not None:
            answer = {"error": self.deny}
        else:
            code = "4/code-" + secrets.token_hex(12)
            self.codes[code] = dict(asked)
            answer = {"code": code, "scope": self.granted or asked["scope"]}
        answer["state"] = asked.get("state", "")
        where = asked["redirect_uri"] + "?" + urlencode(answer)
        return Reply(302, {}, [("Location", where)])

    def exchange(self, request: Request, form: dict[str, list[str]]) -> Reply:
        """Answer a program that comes with a code."""
        sent = {name: values[0] for name, values in form.items()}
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":  # the client may show itself so, too (RFC 6749, 2.3.1)
            name, _, secret = base64.b64decode(given).decode().partition(":")
            sent |= {"client_id": unquote(name), "client_secret": unquote(secret)}
        if self.client_secret not in {None, sent.get("client_secret")}:
            return _refusal("invalid_client", 401)
        asked = self.codes.pop(sent.get("code", ""), None)
        if asked is None or asked["client_id"] != sent.get("client_id"):
            return _refusal("invalid_grant")
        if asked["redirect_uri"] != sent.get("redirect_uri"):
            return _refusal("redirect_uri_mismatch")
        if not _fits(asked, sent.get("code_verifier", "")):
            return _refusal("invalid_grant")
        body: dict[str, Any] = {
            "access_token": self._store.issue_token(),
            "expires_in": 3600,
            "token_type": "Bearer",
            "scope": self.granted or asked["scope"],
        }
        offline = asked.get("access_type") == "offline"
        if offline and self.refresh_token is not None:
            body["refresh_token"] = self.refresh_token
        return Reply(200, body)


def _fits(asked: dict[str, str], verifier: str) -> bool:
    """Tell whether a verifier is that of the challenge, if there was one."""
    challenge = asked.get("code_challenge")
    if challenge is None:
        return not verifier
    if asked.get("code_challenge_method") != "S256":
        return challenge == verifier
    digest = hashlib.sha256(verifier.encode()).digest()
    return challenge == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refusal(error: str, status: int = BAD_REQUEST) -> Reply:
    """Return an error in OAuth's form."""
    return Reply(status, {"error": error, "error_description": "No."})
