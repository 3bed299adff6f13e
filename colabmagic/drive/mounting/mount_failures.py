"""Give the errors of ``google.colab`` their cause, and say what helps.

They are known by the names of their classes: the modules that define them are private,
and need not be imported for it.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import (
    ConsentDeclinedError,
    DriveAuthError,
    DriveError,
    MountDeadError,
    MountFailedError,
    MountpointError,
    MountPolicyError,
    MountUnsupportedError,
    NoCredentialsError,
)
from colabmagic.drive.mounting.drive_log import LogFindings, clean
from colabmagic.drive.words import quoted

if TYPE_CHECKING:
    from pathlib import Path

REFUSED: Final = "credential propagation was unsuccessful"
MOUNT_FAILED: Final = "mount failed"
ROOT_TIMED_OUT: Final = "timeout during initial read of root folder"
POLICY: Final = "domain policy has disabled"
ADMIN_PAGE: Final = "https://support.google.com/a/answer/7496409"
_EXTRA_WAIT_S: Final = 30  # google.colab gives its program that much more
_CONSENT: Final = (
    "tick every box in Google's window, with the notebook's own account, "
    "and allow pop-ups and third-party cookies"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A mount that failed: what was asked, and how long it took."""

    path: Path
    timeout_s: float
    elapsed_s: float
    log: LogFindings

    @property
    def command(self) -> str:
        """What to type for another try."""
        return f"%mount_drive {quoted(self.path)}"

    @property
    def longer(self) -> str:
        """What to type for a try with more time."""
        return f"{self.command} --timeout {max(2 * int(self.timeout_s), 900)}"


def class_names(error: BaseException) -> frozenset[str]:
    """Return the names of an error's class and of those above it.

    Parameters
    ----------
    error
        Any.
    """
    return frozenset(kind.__name__ for kind in type(error).__mro__)


def mount_failure(error: BaseException, attempt: Attempt) -> DriveError:
    """Return our error for one of ``google.colab.drive.mount``.

    Parameters
    ----------
    error
        What it raised.
    attempt
        What was asked.
    """
    names, text = class_names(error), str(error)
    if "MessageError" in names:
        return consent_failure(error, attempt.command)
    if names & {"DeadlinePassed", "TIMEOUT", "EOF"}:
        return _never_ended(attempt)
    if isinstance(error, ImportError | NotImplementedError | KeyError):
        return _unsupported(error)
    return _by_words(error, text, attempt)


def _by_words(error: BaseException, text: str, attempt: Attempt) -> DriveError:
    """Tell apart what only the words of an error tell apart."""
    if isinstance(error, OSError) and error.errno == errno.ENOTCONN:
        return MountDeadError(
            "the old mount is in use, so that no new one can take its place",
            seen=f"{attempt.path}: {error.strerror}",
            hint=f"close files under it, %cd /content, then {attempt.command} --force",
        )
    if POLICY in text or (attempt.log.policy and MOUNT_FAILED in text):
        return _forbidden(text, attempt)
    if text.startswith("Mountpoint"):  # it came up since we looked
        return MountpointError(
            f"Colab refuses the folder: {clean(text)}",
            seen=str(attempt.path),
            hint=f"{attempt.command} --move-aside, or another folder",
        )
    if isinstance(error, ValueError) and MOUNT_FAILED in text:
        return _failed(text, attempt)
    return MountFailedError(
        "Drive could not be mounted",
        seen=f"{type(error).__name__}: {clean(text)}{_in_log(attempt.log)}",
        hint=f"{attempt.command}; if it stays so: %mount_drive --doctor",
    )


def _failed(text: str, attempt: Attempt) -> DriveError:
    """Tell apart why Colab says no more than that it failed."""
    log = attempt.log
    if log.quota:
        return MountFailedError(
            "Drive could not be mounted: a limit of Google's is reached",
            seen=f"its log: {log.quota}",
            hint=f"wait (up to 24 hours), then {attempt.command}",
        )
    if log.timed_out:
        return MountFailedError(
            "Drive did not read its first folder in time",
            seen=f"its log: {log.timed_out}",
            hint="it often passes at the second try: "
            f"{attempt.longer}; put many files into subfolders",
        )
    if attempt.elapsed_s >= attempt.timeout_s:
        return nobody_answered(attempt.elapsed_s, attempt.longer)
    stale = (
        "; Colab calls it a time-out, by an old line of its log"
        if ROOT_TIMED_OUT in text
        else ""
    )
    return MountFailedError(
        "Drive's program ended at once",
        seen=f"{MOUNT_FAILED}{stale}{_in_log(log)}",
        hint=f"{attempt.command} again: {_CONSENT}; "
        "if it stays so, Runtime > Disconnect and delete runtime",
    )


def _never_ended(attempt: Attempt) -> DriveError:
    """Return the error for a mount that gave no sign."""
    log = attempt.log
    asked = 2 * attempt.timeout_s + _EXTRA_WAIT_S
    if not log.tail and attempt.elapsed_s >= asked:
        return nobody_answered(attempt.elapsed_s, attempt.longer)
    why = log.quota or log.timed_out
    return MountFailedError(
        "Drive did not come up in time",
        seen=f"{attempt.elapsed_s:.0f} s"
        + (f"; its log: {why}" if why else _in_log(log)),
        hint=f"{attempt.longer}; --mode api works without a mount",
    )


def _forbidden(text: str, attempt: Attempt) -> DriveError:
    """Return the error for an organisation that does not want it."""
    return MountPolicyError(
        "your organisation has turned Drive on machines like this off",
        seen=clean(text) if POLICY in text else f"its log: {attempt.log.policy}",
        hint=f"ask its administrator ({ADMIN_PAGE}), or use another account",
    )


def _unsupported(error: BaseException) -> DriveError:
    """Return the error for a machine, or a Colab, that has no mount."""
    return MountUnsupportedError(
        "this machine has no mount of Colab's",
        seen=f"{type(error).__name__}: {clean(str(error))}",
        hint="%mount_drive --mode api\n(works without a mount)",
    )


def _in_log(log: LogFindings) -> str:
    """Return the end of the log, where it was written since."""
    return f"; its log: {' / '.join(log.tail[-2:])}" if log.tail else ""


def consent_failure(error: BaseException, command: str) -> DriveAuthError:
    """Return our error for a page that answers a question for permission with one.

    Parameters
    ----------
    error
        Colab's ``MessageError``.
    command
        What to type for another try.
    """
    text = str(error)
    if REFUSED in text:
        return ConsentDeclinedError(
            "Google was not allowed to give this notebook your Drive",
            seen=f"{clean(text)}: a box left unticked, another account than the "
            "notebook's, or a window that the browser held back",
            hint=f"{command} again; {_CONSENT}",
        )
    return ConsentDeclinedError(
        "the page could not ask you for permission",
        seen=clean(text),
        hint=f"reload the page, then {command} again; {_CONSENT}",
    )


def nobody_answered(elapsed_s: float, command: str) -> DriveAuthError:
    """Return our error for a question for permission that got no answer.

    Parameters
    ----------
    elapsed_s
        How long was waited.
    command
        What to type for another try.
    """
    return ConsentDeclinedError(
        "nobody answered Google's question for permission",
        seen=f"no answer in {elapsed_s:.0f} s: the window is hidden by a pop-up blocker, "
        "the page is closed, or an old Colab extension of VS Code cannot ask",
        hint=f"{command}\nkeep the page open, allow pop-ups, update the extension",
    )


def secret_failure(error: BaseException, name: str) -> DriveAuthError | None:
    """Return our error for one of ``userdata.get``; None if there is no such secret.

    Parameters
    ----------
    error
        What it raised.
    name
        Of the secret; what it holds is not known here.
    """
    names, shown = class_names(error), clean(name, 80)
    if "SecretNotFoundError" in names:
        return None
    if "NotebookAccessError" in names:
        return NoCredentialsError(
            f"this notebook may not read the secret {shown!r}",
            hint="click the key in the bar on the left, and turn "
            "'Notebook access' on for it",
        )
    if "TimeoutException" in names or "DeadlinePassed" in names:
        return NoCredentialsError(
            f"nobody answered the question for the secret {shown!r}",
            seen="only Colab's own page knows secrets; VS Code and the colab "
            "command do not",
            hint="open the notebook in the browser, or give a file: --creds FILE",
        )
    if isinstance(error, ValueError):
        return NoCredentialsError(
            f"{shown!r} cannot be the name of a secret",
            hint="its name, without spaces: --creds secret:NAME",
        )
    return NoCredentialsError(
        f"the secret {shown!r} cannot be read",
        seen=f"{type(error).__name__}: {clean(str(error))}",
        hint="look at it by the key in the bar on the left; or --creds FILE",
    )
