"""The faults of the table: each with what it must end with, and how it is made."""

from __future__ import annotations

import contextlib
import email.utils
import os
import random
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.oauth2.credentials import Credentials

from colabmagic.drive import errors
from colabmagic.drive.api.files import Files
from colabmagic.drive.api.http import Transport, Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from colabmagic.drive.errors import DriveError
    from tests.fakes.drive import FakeDrive

KIB = 1024
PART = 64 * KIB
CHUNK = 256 * KIB
RANDOM = random.Random(5)  # noqa: S311 (no secret)
DATA = RANDOM.randbytes(5 * PART + 77)  # of downloads
BODY = RANDOM.randbytes(2 * CHUNK + 77)  # of uploads: three chunks
OLD = b"what was there before"
ITEMS = 2005
MEDIA, LIST, PUT, BEGIN = (
    "alt=media",
    r"GET /drive/v3/files\?",
    "PUT .*upload_id",
    "POST /upload",
)
SECRETS = {"refresh": "SECRET-refresh", "client": "SECRET-client"}
NEVER = 999
SILENT = 0.4  # seconds without a byte that end a connection


def fault(kind: str, match: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a rule of a fault script."""
    return {"kind": kind, "match": match, **options}


@dataclass(frozen=True)
class Case:
    """A row to be: what goes wrong while what is done.

    Attributes
    ----------
    name
        Of the fault.
    on
        ``download``, ``upload``, ``overwrite`` or ``list``.
    faults
        Script of the server.
    ends
        The error that it must end with; None where it heals by itself.
    prepare
        Makes the trouble that no script can make.
    at_least_s
        How long the server asks to wait, at the least.
    unseen
        Why no client can notice it.
    """

    name: str
    on: str
    faults: Sequence[Mapping[str, Any]] = ()
    ends: type[DriveError] | None = None
    prepare: Callable[[Bench], object] | None = None
    at_least_s: float = 0.0
    unseen: str = ""


@dataclass(eq=False)
class Bench:
    """Where a case is tried: one folder here, one on Drive.

    Attributes
    ----------
    drive
        The server.
    folder
        For what comes.
    remote
        Name of the folder on Drive.
    waited
        Seconds that were waited for, none of which has passed.
    progress
        Called while bytes come or go.
    """

    drive: FakeDrive
    folder: Path
    remote: str
    waited: list[float] = field(default_factory=list)
    progress: Callable[[int], object] = lambda _: None
    truth: bytes = DATA

    def __post_init__(self) -> None:
        """Begin with valid credentials, and what was there before."""
        self.place = self.drive.store.add_folder(self.remote)
        self.credentials = self.login(self.drive.token)
        waits = Waits(0.001, 0.002, sleep=self.waited.append)
        self.files = Files(
            Transport(
                self.credentials, self.drive.url, waits=waits, read_timeout_s=SILENT
            )
        )

    def slow_down(self) -> None:
        """Let bytes come so slowly that something can happen meanwhile."""
        self.drive.bytes_per_second = 1e6

    def login(self, token: str) -> Credentials:
        """Return credentials with secrets that are to be found nowhere."""
        return Credentials(  # type: ignore[no-untyped-call]
            token,
            refresh_token=SECRETS["refresh"],
            client_secret=SECRETS["client"],
            client_id="id",
            token_uri=f"{self.drive.url}/token",
        )

    def of_name(self, name: str) -> list[bytes]:
        """Return the contents of all files of a name in the folder on Drive."""
        return [
            each.blob.read(0, each.blob.size)
            for each in self.drive.store.children(self.place.id)
            if each.meta["name"] == name and each.blob and not each.meta["trashed"]
        ]


# --- trouble that no script makes ------------------------------------------------------


def _expired(bench: Bench) -> None:
    """Let the login be over, and its renewal refused."""
    bench.credentials.token = "stale"  # noqa: S105 (no secret)


def _late(bench: Bench, hours: float) -> None:
    """Let the login be of a machine whose clock is wrong."""
    stale = bench.drive.store.issue_token(-1)
    bench.credentials.token = stale
    bench.credentials.expiry = email.utils.parsedate_to_datetime(
        email.utils.formatdate(time.time() + hours * 3600)
    ).replace(tzinfo=None)


def _gone(bench: Bench) -> None:
    """Delete the file on Drive while it is downloaded."""

    def delete(come: int) -> None:
        left = [e for e in bench.drive.store.children(bench.place.id) if e.blob]
        if come and left:
            bench.drive.store.delete(left[0])

    bench.slow_down()
    bench.progress = delete


def _writer(bench: Bench) -> None:
    """Let somebody write to the file while it is uploaded."""
    path = bench.folder.parent / "ckpt.pt"

    def write(_: int) -> None:
        with path.open("r+b") as file:
            file.write(os.urandom(8))

    bench.progress = write


def _limit(bench: Bench) -> None:
    """Let the Drive be full."""
    bench.drive.store.storage_limit = bench.drive.store.usage + 10


def _fill(bench: Bench) -> None:
    """Let another process fill the disk while bytes come."""

    def fill(come: int) -> None:
        if come:
            with (
                contextlib.suppress(OSError),
                (bench.folder / "filler").open("wb") as out,
            ):
                while True:
                    out.write(bytes(PART))
                    out.flush()

    bench.slow_down()
    bench.progress = fill


def _filled(bench: Bench) -> None:
    """Let the disk be full from the beginning."""
    _fill(bench)
    bench.progress(1)


def _read_only(bench: Bench) -> None:
    """Make the disk read-only."""
    mount(bench.folder, "remount,ro")


def mount(folder: Path, options: str) -> bool:
    """Put a small file system of its own over a folder; False where that is not allowed.

    Parameters
    ----------
    folder
        That exists.
    options
        Of ``mount``.
    """
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


ON_SMALL_DISK = {_fill, _filled, _read_only}

# --- the cases -------------------------------------------------------------------------

_PERMANENT = {
    "dailyLimitExceeded": errors.DailyLimitError,
    "downloadQuotaExceeded": errors.DownloadQuotaError,
    "sharingRateLimitExceeded": errors.DailyLimitError,
    "insufficientPermissions": errors.InsufficientScopeError,
    "cannotDownloadAbusiveFile": errors.NotDownloadableError,
    "storageQuotaExceeded": errors.StorageQuotaError,
}
_SLOW = {"code": 429, "reason": "rateLimitExceeded", "times": 2}
_NO_LOGIN = {"code": 401, "reason": "authError"}
_GONE = {"code": 404, "reason": "notFound", "skip": 2, "times": NEVER}
_NO_RANGE = {"code": 416, "reason": "requestedRangeNotSatisfiable", "skip": 1}
_FULL = {"code": 403, "reason": "storageQuotaExceeded", "times": NEVER}
_JWT = {"times": NEVER, "description": "Invalid JWT: Token must be short-lived"}


def _refusals(on: str, match: str) -> Iterator[Case]:
    """Yield what may be asked for again, and what may not."""
    for reason in ("userRateLimitExceeded", "rateLimitExceeded"):
        script = fault("status", match, code=403, reason=reason, times=3)
        yield Case(f"403 {reason}", on, [script])
    for reason, kind in _PERMANENT.items():
        script = fault("status", match, code=403, reason=reason, times=NEVER)
        yield Case(f"403 {reason}", on, [script], kind)
    for code in (500, 502, 503, 504):
        script = fault("status", match, code=code, reason="", times=3)
        yield Case(f"{code}", on, [script])
    for name, asked, least in (
        ("429", None, 0),
        ("429 Retry-After 7", 7, 14),
        ("429 Retry-After a date", email.utils.formatdate(time.time() + 60), 60),
    ):
        script = fault("status", match, retry_after=asked, **_SLOW)
        yield Case(name, on, [script], at_least_s=least)
    for name, kind, options, ends in (
        ("503 for ever", "status", {"times": NEVER}, errors.ServerFailedError),
        ("401 once", "status", _NO_LOGIN, None),
        (
            "401 always",
            "status",
            {**_NO_LOGIN, "times": NEVER},
            errors.GrantExpiredError,
        ),
        ("reset before the answer", "reset", {"times": 3}, None),
        ("reset for ever", "reset", {"times": NEVER}, errors.ConnectionFailedError),
        ("cut in the headers", "cut_headers", {"times": 2}, None),
        ("token expires mid-transfer", "revoke_tokens", {}, None),
    ):
        yield Case(name, on, [fault(kind, match, **options)], ends)


def _downloads() -> Iterator[Case]:
    """Yield the faults of downloads."""
    yield from _refusals("download", MEDIA)
    not_found, wrong = errors.DriveFileNotFoundError, errors.IntegrityError
    for name, kind, options, ends in (
        ("404 mid", "status", _GONE, not_found),
        ("410 mid", "status", {**_GONE, "code": 410, "reason": "gone"}, not_found),
        ("reset in the body", "body_reset", {"times": 3}, None),
        ("truncated", "truncate", {"times": 3}, None),
        ("truncated to nothing", "truncate", {"fraction": 0, "times": 3}, None),
        ("1 wrong byte", "corrupt", {}, None),
        ("1 wrong byte, for ever", "corrupt", {"times": NEVER}, wrong),
        ("another range's bytes", "shift_range", {"bytes": PART}, None),
        ("200 for 206", "ignore_range", {"times": 2}, None),
        ("wrong Content-Range", "wrong_content_range", {"times": 2}, None),
        ("416", "status", _NO_RANGE, None),
        ("stall", "stall", {"seconds": 2 * SILENT}, None),
        ("drip", "drip", {"bytes": 8192, "seconds": 0.01}, None),
        ("changed mid-download", "change_file", {"skip": 2}, None),
        ("shorter mid-download", "shrink_file", {"skip": 2}, None),
    ):
        yield Case(name, "download", [fault(kind, MEDIA, **options)], ends)
    over, full = errors.GrantExpiredError, errors.TargetFullError
    revoked, jwt = (
        fault("oauth_error", "/token", times=NEVER),
        fault("oauth_error", "/token", **_JWT),
    )
    for name, script, ends, prepare in (
        ("deleted mid-download", None, not_found, _gone),
        ("login revoked, invalid_grant", revoked, over, _expired),
        ("token endpoint 503", fault("status", "/token"), None, _expired),
        ("clock skew, service account", jwt, over, _expired),
        ("clock 3 h behind", None, None, lambda bench: _late(bench, 3)),
        ("clock 3 h ahead", None, None, lambda bench: _late(bench, -3)),
        ("disk full before", None, full, _filled),
        ("disk fills meanwhile, ENOSPC", None, full, _fill),
        ("read-only disk", None, full, _read_only),
    ):
        yield Case(name, "download", [script] if script else [], ends, prepare)


def _uploads() -> Iterator[Case]:
    """Yield the faults of uploads: of a new file, and over one that is there."""
    yield from _refusals("upload", BEGIN)
    full, broke = errors.StorageQuotaError, errors.ConnectionFailedError
    wrong = errors.IntegrityError
    for on in ("upload", "overwrite"):
        for name, kind, options, ends in (
            ("503 mid chunk", "status", {"times": 3, "skip": 1}, None),
            ("503 last chunk", "status", {"times": 3, "skip": 2}, None),
            ("reply lost, mid chunk", "lost_reply", {"skip": 1}, None),
            ("reply lost, last chunk", "lost_reply", {"skip": 2}, None),
            ("reset for ever at a chunk", "reset", {"skip": 1, "times": NEVER}, broke),
            ("cut in the headers, chunk", "cut_headers", {"skip": 1, "times": 2}, None),
            ("session 404", "drop_session", {"skip": 1}, None),
            ("session 410", "drop_session", {"skip": 1, "code": 410}, None),
            ("short 308", "short_commit", {"times": 2}, None),
            ("308 without Range", "no_range_header", {"times": 2}, None),
            ("1 wrong byte on the way up", "corrupt_upload", {"skip": 1}, None),
            ("403 storageQuotaExceeded, chunk", "status", _FULL, full),
        ):
            yield Case(name, on, [fault(kind, PUT, **options)], ends)
        yield Case("Drive is full", on, (), full, _limit)
        yield Case("file changes meanwhile", on, (), wrong, _writer)
    lost_last, dropped = (
        fault("lost_reply", PUT, skip=2),
        fault("drop_session", PUT, skip=2),
    )
    for name, script, ends, least in (
        ("1 wrong byte up, for ever", [fault("corrupt_upload", PUT, times=NEVER)], wrong, 0),
        ("reply of the start lost", [fault("lost_reply", BEGIN, times=2)], None, 0),
        ("id exists, 409", [fault("status", BEGIN, code=409, reason="fileIdInUse")], None, 0),
        ("reply lost, then session 404", [lost_last, dropped], None, 0),
        ("429 Retry-After 9 at a chunk", [fault("status", PUT, retry_after=9, **_SLOW)], None, 18),
        ("cut in the headers, ids", [fault("cut_headers", "generateIds", times=2)], None, 0),
        ("cut in the headers, search", [fault("cut_headers", LIST, times=2)], None, 0),
    ):  # fmt: skip
        yield Case(name, "upload", script, ends, at_least_s=least)


def _lists() -> Iterator[Case]:
    """Yield the faults of lists."""
    failed, later = errors.ServerFailedError, {"skip": 2}
    for name, kind, options, ends in (
        ("503", "status", {"times": 3, **later}, None),
        ("reset", "reset", {"times": 3, **later}, None),
        ("cut in the headers", "cut_headers", {"times": 3}, None),
        ("pageToken expired", "expire_page_token", {"skip": 1}, None),
        ("items doubled", "duplicate_items", {"times": 2, "skip": 1}, None),
        ("incompleteSearch", "incomplete_search", {"times": 2, **later}, None),
        (
            "incompleteSearch for ever",
            "incomplete_search",
            {"times": NEVER, **later},
            failed,
        ),
    ):
        match = "pageToken" if kind == "expire_page_token" else LIST
        yield Case(name, "list", [fault(kind, match, **options)], ends)
    missing = fault("drop_items", LIST, skip=2)
    yield Case(
        "items missing", "list", [missing], unseen="a list has no count to compare with"
    )


def cases() -> list[Case]:
    """Return all cases."""
    return [*_downloads(), *_uploads(), *_lists()]
