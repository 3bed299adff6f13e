"""Who the user is, by Colab's own means: secrets, and a log-in for Google's libraries."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.account.hints import TO_LOG_IN
from colabmagic.drive.errors import DriveAuthError, NoCredentialsError
from colabmagic.drive.mounting import preflight
from colabmagic.drive.mounting.colab_package import part
from colabmagic.drive.mounting.deadline import DeadlinePassed, deadline
from colabmagic.drive.mounting.drive_log import clean
from colabmagic.drive.mounting.mount_failures import (
    class_names,
    consent_failure,
    nobody_answered,
    secret_failure,
)
from colabmagic.drive.mounting.quiet import heard_stdout

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT: Final = Path("/")
_SECRET_TIMEOUT_S: Final = 30.0  # Colab itself waits 10 s, and for its lock without end


def secret(name: str, *, sysroot: Path = _ROOT) -> str | None:
    """Return a secret that the user keeps in Colab; None where there is none.

    Parameters
    ----------
    name
        Of the secret.
    sysroot
        Where the file system begins.

    Raises
    ------
    NoCredentialsError
        It is there, and this notebook does not get it.
    """
    if not (sysroot / "var/colab/hostname").exists():
        return None  # elsewhere the package may be there, with nobody to answer
    try:
        with deadline(_SECRET_TIMEOUT_S):
            found = part("userdata").get(name)
    except ImportError:
        return None
    except (Exception, DeadlinePassed) as error:  # noqa: BLE001 (each gets its words)
        failure = secret_failure(error, name)
    else:
        return str(found)
    if failure is not None:
        raise failure  # from None: Colab's error may know more than may be shown
    return None


def authenticate(
    *,
    timeout_s: float = 300,
    env: Mapping[str, str] = os.environ,
    sysroot: Path = _ROOT,
) -> None:
    """Have Colab ask the user, so that Google's own libraries are logged in.

    Parameters
    ----------
    timeout_s
        For the user's answer: Colab itself would wait for ever.
    env, sysroot
        The environment, and where the file system begins.

    Raises
    ------
    ConsentDeclinedError
        The user said no, or nothing.
    NoCredentialsError
        This is no machine of Colab, or the log-in came to nothing.
    """
    refusal = _refuse_authenticate(env, sysroot)
    if refusal is not None:
        raise refusal
    started = time.monotonic()
    try:
        with heard_stdout(), deadline(timeout_s):
            part("auth").authenticate_user()
    except (Exception, DeadlinePassed) as error:  # noqa: BLE001 (each gets its words)
        elapsed = time.monotonic() - started
        raise _authenticate_failure(error, elapsed) from None


def _refuse_authenticate(
    env: Mapping[str, str], sysroot: Path
) -> DriveAuthError | None:
    """Say why Colab has nobody to log in here, or None."""
    facts = preflight.colab_facts(env, sysroot)
    if facts.enterprise:
        return NoCredentialsError(
            "Colab Enterprise logs nobody in to Drive",
            seen="VERTEX_PRODUCT=COLAB_ENTERPRISE",
            hint="%mount_drive --mode api --creds FILE, of a service account",
        )
    if not facts.hostname:
        return NoCredentialsError(
            "only a machine of Colab can ask you by Colab's means",
            seen="/var/colab/hostname is not there",
            hint=TO_LOG_IN,
        )
    return None


def _authenticate_failure(error: BaseException, elapsed_s: float) -> DriveAuthError:
    """Return our error for one of ``authenticate_user``."""
    names, again = class_names(error), "%mount_drive --mode api"
    if "MessageError" in names:
        return consent_failure(error, again)
    if "DeadlinePassed" in names:
        return nobody_answered(elapsed_s, again)
    return NoCredentialsError(
        "Colab's log-in came to nothing",
        seen=f"{type(error).__name__}: {clean(str(error))}",
        hint=f"{again}\nor name a login: {again} --creds FILE",
    )
