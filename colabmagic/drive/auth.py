"""Who asks: credentials for Drive, from where they are.

No client id of ours is shipped: Google's limits are for each project, and one that all
users share is soon used up.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import google.auth
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from colabmagic.drive.errors import NoCredentialsError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

READ: Final = "https://www.googleapis.com/auth/drive.readonly"
WRITE: Final = "https://www.googleapis.com/auth/drive"
_HOME: Final = "COLABMAGIC_HOME"
_GCLOUD: Final = (
    "gcloud auth application-default login --scopes=openid,"
    "https://www.googleapis.com/auth/cloud-platform,https://www.googleapis.com/auth/drive"
)


def token_path() -> Path:
    """Return where a login of ours is kept."""
    home = os.environ.get(_HOME) or os.environ.get("XDG_CONFIG_HOME")
    base = Path(home) if home else Path.home() / ".config"
    return base / "colabmagic" / "drive-token.json"


def find_credentials(given: str | None = None, *, write: bool = True) -> Credentials:
    """Return credentials for Drive.

    Parameters
    ----------
    given
        A file: a service account's key, or what a login has stored; ``adc``: only what
        Google's own tools have set up. Left out: ``GOOGLE_APPLICATION_CREDENTIALS``, then
        our own login, then Google's tools.
    write
        Whether files are to be written; else the right to read is enough.

    Raises
    ------
    NoCredentialsError
        There is none; with what to do.
    """
    scopes = [WRITE if write else READ]
    if given not in {None, "adc"}:
        return _from_file(Path(str(given)).expanduser(), scopes)
    if given is None and not os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        own = token_path()
        if own.exists():
            return _from_file(own, scopes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a project for the bill: Drive has none
            found: Any = google.auth.default(scopes=scopes)[0]
    except (DefaultCredentialsError, GoogleAuthError) as error:
        raise NoCredentialsError(
            "nothing is here to log in to Google with",
            seen=str(error).partition(".")[0][:120],
            hint="%mount_drive --login --client FILE, or --creds FILE, or: " + _GCLOUD,
        ) from None
    return found  # type: ignore[no-any-return]


def _from_file(path: Path, scopes: list[str]) -> Credentials:
    """Return the credentials that a file holds; never what stands in it."""
    try:
        info = json.loads(path.read_text("utf-8"))
        kind = info.get("type")
        if kind == "service_account":
            made: Any = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                info, scopes=scopes
            )
        else:
            made = user_credentials.Credentials.from_authorized_user_info(  # type: ignore[no-untyped-call]
                info, scopes=info.get("scopes")
            )
    except OSError as error:
        raise NoCredentialsError(
            f"{path} cannot be read",
            seen=error.strerror or type(error).__name__,
            hint="look at its name",
        ) from None
    except (ValueError, AttributeError, TypeError, GoogleAuthError) as error:
        raise NoCredentialsError(
            f"{path.name} holds no credentials that can be used",
            seen=type(error).__name__,
            hint="a service account's key, or the file of %mount_drive --login",
        ) from None
    return made  # type: ignore[no-any-return]


def store(credentials: Any, path: Path | None = None) -> Path:  # noqa: ANN401 (google-auth's)
    """Keep a login, for this user alone.

    Parameters
    ----------
    credentials
        Of a user, with a refresh token.
    path
        Left out: where `find_credentials` looks.
    """
    path = path or token_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(
        fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR
    )
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(credentials.to_json())
    fresh.replace(path)
    return path
