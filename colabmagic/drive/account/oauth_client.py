"""The OAuth client of the user: the JSON file that Google Cloud's console gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from colabmagic.drive.account.hints import MAKE_ONE
from colabmagic.drive.account.tokens import (
    LONGEST,
    TOKEN_URI,
    Hidden,
    check_address,
    read_json,
)
from colabmagic.drive.errors import LoginFailedError
from colabmagic.drive.words import quoted

if TYPE_CHECKING:
    from pathlib import Path

_AUTH_URI: Final = "https://accounts.google.com/o/oauth2/auth"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})  # where we listen: no IPv6
_SHOWN: Final = 200  # of a path


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """A client of the user's own.

    Parameters
    ----------
    client_id, client_secret
        As Google gave them; never shown.
    auth_uri, token_uri
        Where a person says yes, and where that becomes a login.
    redirect_uri
        Where the browser may be sent back to; None: to any port of its own machine.
    """

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    auth_uri: str
    token_uri: str
    redirect_uri: str | None = None


def read_client(named: str | Path) -> OAuthClient:
    """Return the client that a file describes.

    Parameters
    ----------
    named
        The JSON of a client for desktop or web; ``~`` is a home.

    Raises
    ------
    LoginFailedError
        It is something else; with what.
    NoCredentialsError
        Its addresses are not safe.
    """

    def unreadable(reason: str) -> LoginFailedError:
        return LoginFailedError(
            f"the client file {str(named)[:_SHOWN]!r} cannot be read",
            seen=reason,
            hint=f"look at its name, or make one: {MAKE_ONE}",
        )

    path, info = read_json(named, unreadable, _no_client)
    name = repr(path.name)
    kind = next((kind for kind in ("installed", "web") if kind in info), None)
    if kind is None:
        raise _not_a_client(info, path)
    if not isinstance(info[kind], Hidden):
        raise LoginFailedError(
            f"{name} is damaged",
            seen=f"its entry {kind!r} holds no entries",
            hint="download it again: " + MAKE_ONE,
        )
    return _client(info[kind], kind, name)


def _client(inner: Hidden, kind: str, name: str) -> OAuthClient:
    """Return the client, or say what it lacks."""
    missing = [
        entry
        for entry in ("client_id", "client_secret")
        if not isinstance(inner.get(entry), str) or not inner[entry].strip()
    ]
    if missing:
        raise LoginFailedError(
            f"{name} lacks {' and '.join(missing)}",
            hint="download it again, and do not edit it: " + MAKE_ONE,
        )
    auth_uri = str(inner.get("auth_uri") or _AUTH_URI)
    token_uri = str(inner.get("token_uri") or TOKEN_URI)
    check_address(auth_uri, "auth_uri", name)
    check_address(token_uri, "token_uri", name)
    return OAuthClient(
        client_id=inner["client_id"],
        client_secret=inner["client_secret"],
        auth_uri=auth_uri,
        token_uri=token_uri,
        redirect_uri=_redirect(inner, name) if kind == "web" else None,
    )


def _redirect(inner: Hidden, name: str) -> str:
    """Return where a client for web may send the browser on its own machine."""
    uris = inner.get("redirect_uris") or ()
    for uri in map(str, uris if isinstance(uris, list) else ()):
        if _leads_here(uri):
            return uri
    raise LoginFailedError(
        f"{name} is a client for web, and may not send the browser back to this machine",
        seen="none of its redirect_uris begins with http://localhost",
        hint="make one for “Desktop app”, or add http://localhost:8765/ to its "
        "authorized redirect URIs and download it again",
    )


def _leads_here(uri: str) -> bool:
    """Tell whether an address leads to a port of this machine."""
    try:
        parts = urlsplit(uri)
        port = parts.port  # raises where it is no number
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname in _LOOPBACK and port != 0


def _no_client(name: str, reason: str) -> LoginFailedError:
    """Return the error for a file that is no client at all."""
    return LoginFailedError(
        f"{name} is no OAuth client",
        seen=reason,
        hint=f"take the file as Google gave it, or make one: {MAKE_ONE}",
    )


def _not_a_client(info: Hidden, path: Path) -> LoginFailedError:
    """Return the error for JSON that is no client, with what it is."""
    name, kind = repr(path.name), str(info.get("type", ""))[:LONGEST]
    use_it = f"%mount_drive --ls MyDrive --creds {quoted(path)}"
    if kind == "service_account":
        return LoginFailedError(
            f"{name} is a service account's key, not an OAuth client: it needs no login",
            seen="its type is “service_account”",
            hint=use_it,
        )
    if kind == "authorized_user" or "refresh_token" in info:
        return LoginFailedError(
            f"{name} is a login already, not an OAuth client",
            seen="it has a refresh token",
            hint=use_it,
        )
    entries = ", ".join(repr(str(entry)[:LONGEST]) for entry in list(info)[:4])
    return _no_client(name, f"no entry “installed” or “web”, but {entries or 'none'}")
