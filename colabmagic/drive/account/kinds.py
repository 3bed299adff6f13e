"""Credentials that are no user's: of a service account, and of kinds of google-auth's."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any, Final

import google.auth
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account as accounts

from colabmagic.drive.errors import NoCredentialsError

if TYPE_CHECKING:
    from colabmagic.drive.account.tokens import Hidden

# Of kinds that google-auth reads by itself.
OTHER_KINDS: Final = frozenset(
    {
        "external_account",
        "external_account_authorized_user",
        "gdch_service_account",
        "impersonated_service_account",
    }
)


def service_account(info: Hidden, scopes: tuple[str, ...]) -> Any:  # noqa: ANN401 (google-auth's)
    """Return credentials of a service account; None where its key cannot be read.

    Parameters
    ----------
    info
        What the file holds.
    scopes
        That are asked for.

    Raises
    ------
    KeyError
        Something is missing; with its name.
    """
    for entry in ("client_email", "private_key", "token_uri"):
        if not isinstance(info.get(entry), str) or not info[entry]:
            raise KeyError(entry)
    with contextlib.suppress(
        ValueError, TypeError, GoogleAuthError
    ):  # they know the key
        return accounts.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            info, scopes=scopes
        )
    return None


def damaged(name: str) -> NoCredentialsError:
    """Return the error for a service account's key that was changed on its way.

    Parameters
    ----------
    name
        Of the file or secret.
    """
    return NoCredentialsError(
        f"{name} is a service account's key, and damaged",
        seen="its “private_key” cannot be read",
        hint="take the file as Google gave it, or make a new one: Google Cloud console > "
        "IAM & Admin > Service accounts > Keys > Add key > JSON",
    )


def other(info: Hidden, scopes: tuple[str, ...]) -> Any:  # noqa: ANN401 (of many classes)
    """Return credentials of a kind that only google-auth knows.

    Parameters
    ----------
    info
        What the file holds.
    scopes
        That are asked for.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files from strangers: this is the user's
        return google.auth.load_credentials_from_dict(  # type: ignore[no-untyped-call]
            dict(info), scopes=list(scopes)
        )[0]
