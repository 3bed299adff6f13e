"""What Google's refusals mean: from status and reason to an error of ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from colabmagic.drive.account.hints import LOGIN
from colabmagic.drive.errors import (
    DailyLimitError,
    DownloadQuotaError,
    DriveAuthError,
    DriveError,
    DriveFileNotFoundError,
    GrantExpiredError,
    InsufficientScopeError,
    IntegrityError,
    NotDownloadableError,
    RateLimitedError,
    ServerFailedError,
    SessionLostError,
    StorageQuotaError,
)
from colabmagic.report.text import clean

if TYPE_CHECKING:
    import requests

_LATER: Final = "run the cell again in a few minutes"
_LONGEST: Final = 200
_SWITCH: Final = "https://console.cloud.google.com/apis/library/drive.googleapis.com"
ELSEWHERE: Final = range(300, 400)  # statuses that send us to another place
_PROJECT: Final = re.compile(r"\bproject[ =](\d{1,20})\b")


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a reason means."""

    kind: type[DriveError]
    what: str
    hint: str


_RATE: Final = _Meaning(RateLimitedError, "Google asks to go slower", _LATER)
_SERVER: Final = _Meaning(ServerFailedError, "Google's server failed", _LATER)
_SHORTER: Final = _Meaning(
    IntegrityError,
    "the file became shorter while it was downloaded",
    "run the cell again: it begins anew with what is there now",
)
_MEANINGS: Final = {
    "userRateLimitExceeded": _RATE,
    "rateLimitExceeded": _RATE,
    "backendError": _SERVER,
    "internalError": _SERVER,
    "dailyLimitExceeded": _Meaning(
        DailyLimitError,
        "the Google Cloud project of these credentials has used up its day",
        "go on after midnight Pacific time, or use credentials of another project",
    ),
    "sharingRateLimitExceeded": _Meaning(
        DailyLimitError,
        "too much was shared from this account today",
        "go on tomorrow",
    ),
    "downloadQuotaExceeded": _Meaning(
        DownloadQuotaError,
        "this file was downloaded too often today, by you or others",
        "make a copy in your own Drive and take that, or wait 24 hours",
    ),
    "storageQuotaExceeded": _Meaning(
        StorageQuotaError,
        "the Drive is full",
        "delete files and empty the trash; a service account writes to a shared drive only",
    ),
    "teamDriveFileLimitExceeded": _Meaning(
        StorageQuotaError, "the shared drive is full", "delete files in it"
    ),
    "insufficientPermissions": _Meaning(
        InsufficientScopeError,
        "the login is good, but not for Drive",
        f"{LOGIN}\nand tick the box for Google Drive; with gcloud: %mount_drive --doctor",
    ),
    "insufficientFilePermissions": _Meaning(
        InsufficientScopeError,
        "this account may not do that with this file",
        "ask its owner for the right, or copy it to your own Drive",
    ),
    "appNotAuthorizedToFile": _Meaning(
        InsufficientScopeError,
        "this login sees only files that it has made itself",
        f"{LOGIN}\nand tick the box for all of Google Drive",
    ),
    "accessNotConfigured": _Meaning(
        DriveAuthError,
        "the Drive API is not turned on in the Google Cloud project of these credentials",
        f"enable it, wait 5 minutes, and run the cell again: {_SWITCH}",
    ),
    "domainPolicy": _Meaning(
        DriveAuthError,
        "the organisation of this account forbids apps to use Drive",
        "ask its administrator, or use another account",
    ),
    "cannotDownloadAbusiveFile": _Meaning(
        NotDownloadableError,
        "Google holds this file for harmful",
        "if you trust it: from colabmagic import drive; "
        "drive.connect().download(PATH, LOCAL, acknowledge_abuse=True)",
    ),
    "fileNotDownloadable": _Meaning(
        NotDownloadableError,
        "this is a Google document: it has no bytes of its own",
        'export it: File > Download in its page, or drive.connect().files.export(path, "pdf")',
    ),
    "cannotDownloadFile": _Meaning(
        NotDownloadableError,
        "the owner has forbidden to download this file",
        "ask its owner",
    ),
    "exportSizeLimitExceeded": _Meaning(
        NotDownloadableError,
        "this document is too large to be exported: Google exports 10 MB at most",
        "File > Download in its page",
    ),
    "fileIdInUse": _Meaning(
        DriveError, "a file with this id is there already", "run the cell again"
    ),
    "requestedRangeNotSatisfiable": _SHORTER,
    "notFound": _Meaning(
        DriveFileNotFoundError,
        "there is no such file, or this account may not see it",
        "look at the path, and with which account you are logged in",
    ),
}


def refusal(response: requests.Response) -> DriveError:
    """Return the error for a response that is no success.

    Parameters
    ----------
    response
        Its body is read.
    """
    status = response.status_code
    reason, message = _reason(response)
    meaning = _MEANINGS.get(reason) or _by_status(status)
    seen = f"HTTP {status} {clean(reason)}".rstrip()
    if message:
        seen += f": {clean(message)}"
    hint = meaning.hint
    if hint.endswith(_SWITCH) and (project := _PROJECT.search(message)):
        hint = f"{hint}?project={project[1]}"
    return meaning.kind(meaning.what, seen=seen[:_LONGEST], hint=hint)


def _by_status(status: int) -> _Meaning:
    """Return what a status means where no reason is known."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _RATE
    if status == HTTPStatus.UNAUTHORIZED:
        return _Meaning(GrantExpiredError, "Google does not accept the login", LOGIN)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return _SHORTER
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return _MEANINGS["notFound"]
    if (
        status == HTTPStatus.REQUEST_TIMEOUT
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        return _SERVER
    return _Meaning(DriveError, "Google refused the request", "look at what was seen")


def passing(status: int) -> DriveError | None:
    """Return what a status means that passes by itself; None for all others.

    Parameters
    ----------
    status
        Of HTTP; the text of the answer is not read.
    """
    meaning = _by_status(status)
    if not meaning.kind.retryable:
        return None
    return meaning.kind(meaning.what, seen=f"HTTP {status}", hint=meaning.hint)


def session_lost(error: DriveError) -> SessionLostError:
    """Return the error for an upload that the server does not know any more."""
    return SessionLostError(
        "Google has forgotten the upload that was under way",
        seen=error.seen,
        hint="run the cell again: it begins anew",
    )


def unlike_google(seen: str) -> ServerFailedError:
    """Return the error for an answer that Google does not give.

    Parameters
    ----------
    seen
        What it has that Google's have not, or lacks.
    """
    return ServerFailedError(
        "this answer does not have the form that Google's have",
        seen=seen,
        hint="look whether this network has a proxy, or a page to log in at: open"
        " https://drive.google.com in a browser here; else run the cell again later",
    )


def foreign(seen: str) -> ServerFailedError:
    """Return the error for an answer that somebody else gave.

    Parameters
    ----------
    seen
        What shows it.
    """
    error = unlike_google(seen)
    error.foreign = True
    return error


def leads_elsewhere(status: int) -> ServerFailedError:
    """Return the error for an answer that sends us to another place.

    Parameters
    ----------
    status
        Of HTTP, one of `ELSEWHERE`.
    """
    return foreign(f"HTTP {status}: it leads elsewhere")


def _reason(response: requests.Response) -> tuple[str, str]:
    """Return reason and message as the body gives them; empty where it does not."""
    try:
        error = response.json()["error"]
        details = (error.get("errors") or [{}])[0]
        return str(details.get("reason", "")), str(error.get("message", ""))
    except (
        ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError,
    ):  # fmt: skip
        return "", ""
