"""``auth``: the path that Colab takes today, by the page; credentials are a file here."""

from __future__ import annotations

import os

from . import _machine, _message
from . import errors as _errors

__all__ = ["authenticate_user"]


def _check_adc() -> bool:
    """Tell whether somebody is logged in."""
    return _machine.at("/content/.adc").exists()


def authenticate_user(
    clear_output: bool = True,  # noqa: FBT001, FBT002 (the real signature)
    project_id: str | None = None,
) -> None:
    """Have the page ask the user; without a time limit, as the real one."""
    del clear_output, project_id
    if os.environ.get("VERTEX_PRODUCT") == "COLAB_ENTERPRISE":
        print(  # noqa: T201
            "WARNING: google.colab.auth.authenticate_user() is not supported in"
            " Colab Enterprise."
        )
        return
    if _machine.at("/var/colab/mp").exists():
        raise NotImplementedError(__name__ + " is unsupported in this environment.")
    if _check_adc():
        return
    _message.blocking_request(
        "request_auth", request={"authType": "auth_user_ephemeral"}, timeout_sec=None
    )
    if not _machine.at("/content/no-adc").exists():
        _machine.at("/content/.adc").touch()
    if not _check_adc():
        raise _errors.AuthorizationError("Failed to fetch user credentials")
