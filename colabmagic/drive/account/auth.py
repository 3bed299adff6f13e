"""Who asks: credentials for Drive, from where they are.

No client id of ours is shipped: Google's limits are for each project, and one that all
users share is soon used up.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import google.auth
from google.auth.exceptions import GoogleAuthError

from colabmagic.drive.account import platform_secret
from colabmagic.drive.account.hints import (
    GCLOUD,
    LOGIN,
    LOGIN_ELSEWHERE,
    TO_LOG_IN,
    TO_USE_GCLOUD,
)
from colabmagic.drive.account.kinds import OTHER_KINDS, damaged, other, service_account
from colabmagic.drive.account.tokens import (
    LONGEST,
    TOKEN_URI,
    Hidden,
    check_address,
    in_short,
    parse,
    read_json,
    scopes_of,
    store,
    tighten,
    token_path,
    unusable,
    user_credentials,
)
from colabmagic.drive.errors import (
    DriveError,
    InsufficientScopeError,
    NoCredentialsError,
)
from colabmagic.drive.words import home, quoted
from colabmagic.host.detect import detect
from colabmagic.host.facts import HostKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.auth.credentials import Credentials

__all__ = ["Found", "find_credentials", "locate", "store", "token_path"]

READ: Final = "https://www.googleapis.com/auth/drive.readonly"
WRITE: Final = "https://www.googleapis.com/auth/drive"
OWN_FILES: Final = "https://www.googleapis.com/auth/drive.file"
SECRET_NAME: Final = "COLABMAGIC_DRIVE"  # noqa: S105 (the name of one)
TO_ADD_ONE: Final = (
    "add it under the key symbol (Colab), Add-ons > Secrets (Kaggle), or as an environment "
    "variable, and let this notebook read it"
)
_GIVEN_FILE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_SHOWN: Final = 200  # of a path
_SECRET: Final = "secret:"  # noqa: S105 (a prefix)
_OWN: Final = "the login of --login"
_OF_GCLOUD: Final = "Google's tools (gcloud)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Credentials, and where they came from.

    Parameters
    ----------
    credentials
        For Google; never shown.
    source
        In words.
    kind
        In words.
    path
        The file, if they are in one.
    scopes
        What they are good for; None where only Google knows.
    """

    credentials: Credentials = field(repr=False)
    source: str
    kind: str
    path: Path | None = None
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where we look, and for what."""

    env: Mapping[str, str] = field(repr=False)  # it may hold secrets
    sysroot: Path
    scopes: tuple[str, ...]
    interactive: bool


def find_credentials(
    given: str | None = None,
    *,
    write: bool | None = None,
    env: Mapping[str, str] | None = None,
) -> Credentials:
    """Return credentials for Drive.

    Parameters
    ----------
    given
        A file: a service account's key, or what a login has stored; ``secret:NAME``: a
        secret of Colab or Kaggle; ``adc``: only what Google's own tools have set up. Left
        out: ``GOOGLE_APPLICATION_CREDENTIALS``, Colab's login, the secret
        ``COLABMAGIC_DRIVE``, our own login, then Google's tools.
    write
        Whether files are to be written, or only read; left out: with all rights that can
        be had, be it only for reading.
    env
        Environment variables; those of the process where left out.

    Raises
    ------
    NoCredentialsError
        There is none; with what to do.
    InsufficientScopeError
        They are known not to be good for this.
    """
    return locate(given, write=write, env=env).credentials


def locate(
    given: str | None = None,
    *,
    write: bool | None = None,
    env: Mapping[str, str] | None = None,
    sysroot: str | Path = "/",
    interactive: bool = True,
) -> Found:
    """Return credentials with where they were found; options as for `find_credentials`.

    Parameters
    ----------
    given, write, env
        As for `find_credentials`.
    sysroot
        Where the file system begins; tests give a folder of their own.
    interactive
        Whether Colab may ask the user, and a login that others can read is closed.
    """
    place = _Place(
        os.environ if env is None else env,
        Path(sysroot),
        (READ if write is False else WRITE,),
        interactive,
    )
    found = _search(place) if given is None else _given(given, place)
    _check_scope(found, write=write)
    return found


def _given(given: str, place: _Place) -> Found:
    """Return what the user has named."""
    if given == "adc":
        return _google_tools(place, TO_USE_GCLOUD)
    if given.startswith(_SECRET):
        name = given.removeprefix(_SECRET)
        found = _from_secret(name, place)
        if found is None:
            raise NoCredentialsError(
                f"there is no secret called {name[:LONGEST]!r}",
                seen=f"asked: {platform_secret.keeper(place.env, place.sysroot)}",
                hint=TO_ADD_ONE,
            )
        return found
    if given.lstrip().startswith("{"):  # and nothing of it may be shown
        raise NoCredentialsError(
            "the name of a file or secret is wanted, not what is in it",
            seen="it begins with {",
            hint=f"{TO_ADD_ONE}; then --creds secret:NAME",
        )
    return _from_file(given, place, "the file that was given")


def _search(place: _Place) -> Found:
    """Return the first that is there, in the order that the documentation tells."""
    if named := place.env.get(_GIVEN_FILE):
        return _from_file(named, place, _GIVEN_FILE)
    host = detect(place.env, place.sysroot)
    refused: DriveError | None = None
    if host.kind is HostKind.COLAB:
        try:
            return _colab(place)
        except DriveError as error:
            refused = error
    # Colab asks the user before it gives a secret away for the first time.
    asks = host.kind is HostKind.COLAB and place.interactive
    if asks or host.kind is HostKind.KAGGLE:
        found = _from_secret(SECRET_NAME, place, quiet=True)
        if found is not None:
            return found
    own = token_path(place.env)
    if os.path.exists(own):  # noqa: PTH110 (False also where we may not look)
        if place.interactive:
            tighten(own)
        return _from_file(own, place, _OWN)
    if refused is not None:
        raise refused
    return _google_tools(place)


def _colab(place: _Place) -> Found:
    """Return Colab's own login; the user may be asked for it."""
    if place.interactive:
        from colabmagic.drive.account import colab_account  # noqa: PLC0415 (on Colab)

        colab_account.authenticate(env=place.env, sysroot=place.sysroot)
    return _default(place, "Colab's login")


def _google_tools(place: _Place, hint: str = TO_LOG_IN) -> Found:
    """Return what gcloud has stored, or what a machine of Google's has."""
    if named := place.env.get(_GIVEN_FILE):
        return _from_file(named, place, _GIVEN_FILE)
    stored = adc_path(place.env)
    if os.path.exists(stored):  # noqa: PTH110 (as above)
        return _from_file(stored, place, _OF_GCLOUD)
    if _has_metadata(place):
        return _default(place, "the machine's own account")
    own = "" if hint == TO_USE_GCLOUD else f"no {token_path(place.env)}, "  # not asked
    raise NoCredentialsError(
        "nothing is here to log in to Google with"
        if own
        else "gcloud has no login here",
        seen=f"no {_GIVEN_FILE}, {own}no {stored}",
        hint=hint,
    )


def adc_path(env: Mapping[str, str]) -> Path:
    """Return where gcloud keeps the login for programs.

    Parameters
    ----------
    env
        Environment variables.
    """
    if folder := env.get("CLOUDSDK_CONFIG"):
        base = Path(folder)
    elif os.name == "nt":
        base = Path(env.get("APPDATA", "C:/")) / "gcloud"
    else:
        base = home() / ".config" / "gcloud"
    return base / "application_default_credentials.json"


def _has_metadata(place: _Place) -> bool:
    """Tell whether a metadata server can be here; to ask for one elsewhere takes seconds."""
    if any(
        place.env.get(name)
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "COLAB_RELEASE_TAG")
    ):
        return True
    with contextlib.suppress(OSError):
        name = (place.sysroot / "sys/class/dmi/id/product_name").read_text("utf-8")
        return name.startswith("Google")
    return False


def _default(place: _Place, source: str) -> Found:
    """Return what google-auth finds by itself."""
    reason = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a project for the bill: Drive has none
            made: Any = google.auth.default(scopes=place.scopes)[0]
    except (GoogleAuthError, OSError) as error:
        reason = type(error).__name__
    if reason:
        raise NoCredentialsError(
            "nothing is here to log in to Google with",
            seen=f"{source}: {reason}",
            hint=TO_LOG_IN,
        )
    return Found(credentials=made, source=source, kind="an account of Google's cloud")


# --- files and secrets ------------------------------------------------------------


def _from_secret(name: str, place: _Place, *, quiet: bool = False) -> Found | None:
    """Return the login in a secret of the platform; None where none of the name is."""
    kept: list[str] = []  # not a name of ours: a traceback may show names
    try:
        kept += filter(None, [platform_secret.read(name, place.env, place.sysroot)])
    except DriveError:
        if not quiet:
            raise
    if not kept:
        return None
    called = f"the secret {name[:LONGEST]!r}"
    info = parse(kept.pop, called)
    keeper = platform_secret.keeper(place.env, place.sysroot)
    return _from_info(info, place, f"a secret of {keeper}", called)


def _from_file(named: str | Path, place: _Place, source: str) -> Found:
    """Return the credentials that a file holds; never what stands in it."""

    def unreadable(reason: str) -> NoCredentialsError:
        return NoCredentialsError(
            f"{str(named)[:_SHOWN]!r} cannot be read",
            seen=reason,
            hint="look at its name and place; without --creds the usual places are tried"
            if source != _GIVEN_FILE
            else f"{_GIVEN_FILE} names it: correct that, or unset it",
        )

    path, info = read_json(named, unreadable)
    return _from_info(info, place, source, repr(path.name), path)


def _from_info(
    info: Hidden, place: _Place, source: str, name: str, path: Path | None = None
) -> Found:
    """Return the credentials that JSON describes."""
    kind = str(info.get("type", "authorized_user"))
    if {"installed", "web"} & info.keys():
        raise NoCredentialsError(
            f"{name} is an OAuth client, not a login",
            seen="its entry “installed” or “web”",
            hint=f"{LOGIN_ELSEWHERE}\nthen keep what is in token.json as the secret"
            if path is None
            else f"%mount_drive --login --client {quoted(path)}",
        )
    for entry in ("token_uri", "token_url"):
        check_address(str(info.get(entry) or TOKEN_URI), entry, name)
    reason, made = "", None
    scopes: tuple[str, ...] | None = None
    try:
        if kind == "service_account":
            words, scopes = "a service account's key", place.scopes
            made = service_account(info, place.scopes)
            if made is None:
                raise damaged(name)
        elif kind == "authorized_user":
            made, scopes = user_credentials(info), scopes_of(info)
            words = "a user's login"
        elif kind in OTHER_KINDS:
            made = other(info, place.scopes)
            words = kind.replace("_", " ")
        else:
            reason = f"its type is {kind[:LONGEST]!r}"
    except KeyError as error:
        reason = f"it has no {str(error.args[0])!r}"
    except (ValueError, TypeError, AttributeError, GoogleAuthError) as error:
        reason = f"its entries are not as Google writes them ({type(error).__name__})"
    if reason or made is None:
        raise unusable(name, reason)
    return Found(credentials=made, source=source, kind=words, path=path, scopes=scopes)


def _check_scope(found: Found, *, write: bool | None) -> None:
    """Refuse credentials that say themselves that they are not good for this."""
    if found.scopes is None:
        return
    good = {WRITE, OWN_FILES} if write else {WRITE, READ, OWN_FILES}
    if good & set(found.scopes):
        return
    may_read = READ in found.scopes
    raise InsufficientScopeError(
        "this login may read Drive, not write"
        if may_read
        else "this login is not for Drive",
        seen=f"{found.source}: {in_short(found.scopes) or 'no scope'}",
        hint=_to_get_more(found),
    )


def _to_get_more(found: Found) -> str:
    """Return how a login is made again, with the right to Drive."""
    if found.source == _OWN:
        return f"{LOGIN}\nand tick the box for Google Drive in Google's window"
    if found.source == _OF_GCLOUD:
        return GCLOUD
    then = (
        f"--creds token.json instead of {quoted(found.path.name)}"
        if found.path
        else ("keep what is in token.json as the secret")
    )
    return f"{LOGIN_ELSEWHERE}\nand tick the box for Google Drive; then {then}"
