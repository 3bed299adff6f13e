"""The table of faults: what is injected, what becomes of it, and what must never happen.

``python -m tests.drive.fault_table`` prints it.
"""

from __future__ import annotations

import contextlib
import email.utils
import io
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.oauth2.credentials import Credentials

from colabmagic.drive import errors
from colabmagic.drive.download import download
from colabmagic.drive.files import Files
from colabmagic.drive.http import Transport, Waits
from colabmagic.drive.upload import upload
from tests.fakes.drive import FakeDrive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from colabmagic.drive.errors import DriveError

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
HEADS = (
    "fault", "on", "injected", "detected", "healed", "retries", "bytes lost",
    "wrong bytes undetected", "duplicates", "files outside", "half files", "tokens leaked",
)  # fmt: skip


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


@dataclass(frozen=True)
class Row:
    """What came of a case; the last six are to be zero."""

    name: str
    on: str
    injected: int
    detected: int
    healed: str
    retries: int
    lost: int
    wrong: int
    duplicates: int
    outside: int
    half: int
    leaked: int
    problems: tuple[str, ...] = ()

    @property
    def zeros(self) -> tuple[int, ...]:
        """The six counts that are to be zero."""
        return (
            self.lost, self.wrong, self.duplicates, self.outside, self.half, self.leaked,
        )  # fmt: skip


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


# --- what is done ----------------------------------------------------------------------


def _download(bench: Bench) -> object:
    """Download over a file that is there."""
    remote = bench.files.stat(f"MyDrive/{bench.remote}/data.bin")
    return download(
        bench.files, remote, bench.folder / "data.bin",
        workers=1, part_bytes=PART, progress=bench.progress,
    )  # fmt: skip


def _upload(bench: Bench) -> object:
    """Upload a file."""
    folder = bench.files.folder(f"MyDrive/{bench.remote}")
    return upload(
        bench.files, bench.folder.parent / "ckpt.pt", folder, "ckpt.pt",
        chunk_bytes=CHUNK, progress=bench.progress,
    )  # fmt: skip


def _list(bench: Bench) -> object:
    """List a folder of several pages."""
    return [each.name for each in bench.files.ls(f"MyDrive/{bench.remote}/many")]


WORK: dict[str, Callable[[Bench], object]] = {
    "download": _download,
    "upload": _upload,
    "overwrite": _upload,
    "list": _list,
}


def _lay_out(bench: Bench, case: Case) -> None:
    """Make what a case begins with."""
    store = bench.drive.store
    (bench.folder.parent / "ckpt.pt").write_bytes(BODY)
    if case.on == "download":
        store.add_file("data.bin", DATA, bench.place.id)
        (bench.folder / "data.bin").write_bytes(OLD)
    if case.on == "overwrite":
        store.add_file("ckpt.pt", OLD, bench.place.id)
    if case.on == "list":
        store.add_many(ITEMS, store.add_folder("many", bench.place.id).id)


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

    bench.progress = fill


def _filled(bench: Bench) -> None:
    """Let the disk be full from the beginning."""
    _fill(bench)
    bench.progress(1)


def _read_only(bench: Bench) -> None:
    """Make the disk read-only."""
    _mount(bench.folder, "remount,ro")


def _mount(folder: Path, options: str) -> bool:
    """Put a small file system of its own over a folder; False where that is not allowed."""
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


def _refusals(on: str, match: str) -> Iterator[Case]:
    """Yield what may be asked for again, and what may not."""
    for reason in ("userRateLimitExceeded", "rateLimitExceeded"):
        script = fault("status", match, code=403, reason=reason, times=3)
        yield Case(f"403 {reason}", on, [script])
    for reason, kind in _PERMANENT.items():
        script = fault("status", match, code=403, reason=reason, times=NEVER)
        yield Case(f"403 {reason}", on, [script], kind)
    slow = {"code": 429, "reason": "rateLimitExceeded", "times": 2}
    yield Case("429", on, [fault("status", match, **slow)])
    yield Case(
        "429 Retry-After 7",
        on,
        [fault("status", match, retry_after=7, **slow)],
        at_least_s=14,
    )
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    yield Case(
        "429 Retry-After as a date", on,
        [fault("status", match, retry_after=date, **slow)], at_least_s=60,
    )  # fmt: skip
    for code in (500, 502, 503, 504):
        yield Case(
            f"{code}", on, [fault("status", match, code=code, reason="", times=3)]
        )
    yield Case(
        "503 for ever",
        on,
        [fault("status", match, times=NEVER)],
        errors.ServerFailedError,
    )
    yield Case("401 once", on, [fault("status", match, code=401, reason="authError")])
    yield Case(
        "401 always", on,
        [fault("status", match, code=401, reason="authError", times=NEVER)],
        errors.GrantExpiredError,
    )  # fmt: skip
    yield Case("reset before the answer", on, [fault("reset", match, times=3)])
    yield Case(
        "reset for ever",
        on,
        [fault("reset", match, times=NEVER)],
        errors.ConnectionFailedError,
    )
    yield Case("cut in the headers", on, [fault("cut_headers", match, times=2)])
    yield Case("token expires mid-transfer", on, [fault("revoke_tokens", match)])


def _downloads() -> Iterator[Case]:
    """Yield the faults of downloads."""
    on = "download"
    yield from _refusals(on, MEDIA)
    lost = {"code": 404, "reason": "notFound", "skip": 2, "times": NEVER}
    yield Case(
        "404 mid", on, [fault("status", MEDIA, **lost)], errors.DriveFileNotFoundError
    )
    yield Case(
        "410 mid",
        on,
        [fault("status", MEDIA, **(lost | {"code": 410, "reason": "gone"}))],
        errors.DriveFileNotFoundError,
    )
    yield Case("deleted mid-download", on, (), errors.DriveFileNotFoundError, _gone)
    yield Case("reset in the body", on, [fault("body_reset", MEDIA, times=3)])
    yield Case("truncated", on, [fault("truncate", MEDIA, times=3)])
    yield Case(
        "truncated to nothing", on, [fault("truncate", MEDIA, fraction=0, times=3)]
    )
    yield Case("1 wrong byte", on, [fault("corrupt", MEDIA)])
    yield Case(
        "1 wrong byte, for ever",
        on,
        [fault("corrupt", MEDIA, times=NEVER)],
        errors.IntegrityError,
    )
    yield Case("another range's bytes", on, [fault("shift_range", MEDIA, bytes=PART)])
    yield Case("200 for 206", on, [fault("ignore_range", MEDIA, times=2)])
    yield Case(
        "wrong Content-Range", on, [fault("wrong_content_range", MEDIA, times=2)]
    )
    yield Case(
        "416",
        on,
        [
            fault(
                "status", MEDIA, code=416, reason="requestedRangeNotSatisfiable", skip=1
            )
        ],
    )
    yield Case("stall", on, [fault("stall", MEDIA, seconds=2 * SILENT)])
    yield Case("drip", on, [fault("drip", MEDIA, bytes=8192, seconds=0.01)])
    yield Case("changed mid-download", on, [fault("change_file", MEDIA, skip=2)])
    yield Case("shorter mid-download", on, [fault("shrink_file", MEDIA, skip=2)])
    yield Case(
        "login revoked",
        on,
        [fault("oauth_error", "/token", times=NEVER)],
        errors.GrantExpiredError,
        _expired,
    )
    yield Case(
        "token endpoint 503", on, [fault("status", "/token", times=1)], None, _expired
    )
    jwt = fault(
        "oauth_error",
        "/token",
        times=NEVER,
        description="Invalid JWT: Token must be short-lived",
    )
    yield Case(
        "clock skew, service account", on, [jwt], errors.GrantExpiredError, _expired
    )
    yield Case("clock 3 h behind", on, (), None, lambda bench: _late(bench, 3))
    yield Case("clock 3 h ahead", on, (), None, lambda bench: _late(bench, -3))
    yield Case("disk full before", on, (), errors.TargetFullError, _filled)
    yield Case("disk fills meanwhile", on, (), errors.TargetFullError, _fill)
    yield Case("read-only disk", on, (), errors.TargetFullError, _read_only)


def _uploads() -> Iterator[Case]:
    """Yield the faults of uploads: of a new file, and over one that is there."""
    yield from _refusals("upload", BEGIN)
    for on in ("upload", "overwrite"):
        for when, skip in (("mid", 1), ("last", 2)):
            yield Case(
                f"503 {when} chunk", on, [fault("status", PUT, times=3, skip=skip)]
            )
            yield Case(
                f"reply lost, {when} chunk", on, [fault("lost_reply", PUT, skip=skip)]
            )
        for code in (404, 410):
            yield Case(
                f"session {code}", on, [fault("drop_session", PUT, skip=1, code=code)]
            )
        yield Case("short 308", on, [fault("short_commit", PUT, times=2)])
        yield Case("308 without Range", on, [fault("no_range_header", PUT, times=2)])
        yield Case(
            "1 wrong byte on the way up", on, [fault("corrupt_upload", PUT, skip=1)]
        )
        full = [
            fault("status", PUT, code=403, reason="storageQuotaExceeded", times=NEVER)
        ]
        yield Case("403 storageQuota at a chunk", on, full, errors.StorageQuotaError)
        yield Case("Drive is full", on, (), errors.StorageQuotaError, _limit)
        yield Case("file changes meanwhile", on, (), errors.IntegrityError, _writer)
    on = "upload"
    yield Case(
        "1 wrong byte up, for ever",
        on,
        [fault("corrupt_upload", PUT, times=NEVER)],
        errors.IntegrityError,
    )
    for match in (PUT, "generateIds", LIST):
        yield Case(
            f"cut in the headers, {match.partition(' ')[0]}", on,
            [fault("cut_headers", match, times=2, skip=match == PUT)],
        )  # fmt: skip
    yield Case("reply of the start lost", on, [fault("lost_reply", BEGIN, times=2)])
    yield Case(
        "id exists 409", on, [fault("status", BEGIN, code=409, reason="fileIdInUse")]
    )
    yield Case(
        "lost reply, then session 404", on,
        [fault("lost_reply", PUT, skip=2), fault("drop_session", PUT, skip=2)],
    )  # fmt: skip
    yield Case(
        "429 Retry-After at a chunk",
        on,
        [fault("status", PUT, code=429, reason="rateLimitExceeded", retry_after=9)],
        at_least_s=9,
    )


def _lists() -> Iterator[Case]:
    """Yield the faults of lists."""
    on = "list"
    yield Case("503", on, [fault("status", LIST, times=3, skip=2)])
    yield Case("cut in the headers", on, [fault("cut_headers", LIST, times=3)])
    yield Case("reset in the list", on, [fault("reset", LIST, times=3, skip=2)])
    yield Case(
        "pageToken expired", on, [fault("expire_page_token", "pageToken", skip=1)]
    )
    yield Case("items doubled", on, [fault("duplicate_items", LIST, times=2, skip=1)])
    yield Case(
        "incompleteSearch", on, [fault("incomplete_search", LIST, times=2, skip=2)]
    )
    yield Case(
        "incompleteSearch for ever",
        on,
        [fault("incomplete_search", LIST, times=NEVER, skip=2)],
        errors.ServerFailedError,
    )
    yield Case(
        "items missing",
        on,
        [fault("drop_items", LIST, skip=2)],
        unseen="a list has no count to compare with",
    )


def cases() -> list[Case]:
    """Return all cases."""
    return [*_downloads(), *_uploads(), *_lists()]


# --- trying and judging ----------------------------------------------------------------


def attempt(drive: FakeDrive, case: Case, folder: Path) -> Row | None:
    """Try a case; None where this machine cannot make the trouble.

    Parameters
    ----------
    drive
        Is used for one case after the other.
    case
        What goes wrong.
    folder
        An empty one.
    """
    target = folder / "target"
    target.mkdir()
    small = case.prepare in ON_SMALL_DISK
    if small and not _mount(target, "size=1m"):
        return None
    drive.reset_counters()
    drive.faults.clear()
    drive.store.storage_limit = None
    drive.store.access_tokens[drive.token] = float("inf")
    bench = Bench(drive, target, folder.name)
    try:
        return _tried(bench, case)
    finally:
        drive.faults.clear()
        bench.files.transport.close()
        if small:
            subprocess.run(["umount", "-l", str(target)], check=False)  # noqa: S607


def _tried(bench: Bench, case: Case) -> Row:
    """Run the work under the fault, then again without it, and judge both."""
    _lay_out(bench, case)
    if case.prepare is not None:
        case.prepare(bench)
    bench.drive.faults.load(case.faults)
    with _listening() as log:
        result, error = _run(bench, case)
    injected = sum(bench.drive.faults.injected.values()) or 1
    retries = bench.files.transport.retries
    broken = bench.drive.operations["broken"]
    judged = _judge(bench, case, result, failed=error is not None)
    leaked = _leaks(bench, log.getvalue() + _told(error, result))
    problems = list(_expected(bench, case, error, broken, retries))
    healed = "at once"
    if error is not None:
        healed = "at the next call" if _again(bench, case) else "never"
    if case.unseen:
        healed, judged = f"no: {case.unseen}", (0, 0, *judged[2:])
    if healed == "never":
        problems.append("not even the next call without faults was right")
    return Row(
        case.name, case.on, injected, 0 if case.unseen else injected, healed, retries,
        *judged, leaked, tuple(problems),
    )  # fmt: skip


def _run(bench: Bench, case: Case) -> tuple[object, BaseException | None]:
    """Do the work; return what it gave and what it raised."""
    try:
        return WORK[case.on](bench), None
    except Exception as error:  # noqa: BLE001 (judged afterwards)
        return None, error


def _expected(
    bench: Bench, case: Case, error: BaseException | None, broken: int, retries: int
) -> Iterator[str]:
    """Yield what is not as the case says."""
    if type(error) is not (case.ends or type(None)):
        yield f"ended with {error!r} instead of {case.ends}"
    strikes = any(rule.get("code") == 403 for rule in case.faults)
    if strikes and case.ends is not None and (broken, retries) != (1, 0):
        yield f"what stays refused was asked {broken} times"
    if not case.ends and bench.drive.faults.left:
        yield "the fault did not strike"
    if sum(bench.waited) < case.at_least_s - 2 * bool(case.at_least_s):
        yield f"waited {sum(bench.waited):.1f} s, asked for {case.at_least_s} s"
    yield from bench.drive.violations


def _judge(
    bench: Bench, case: Case, result: object, *, failed: bool
) -> tuple[int, int, int, int, int]:
    """Count what was lost, wrong, doubled, outside and half."""
    if case.on == "list":
        names = result if isinstance(result, list) else []
        missing = 0 if failed else ITEMS - len(set(names))
        return (
            missing,
            missing,
            len(names) - len(set(names)),
            _outside(bench, failed),
            0,
        )
    if case.on == "download":
        target = bench.folder / "data.bin"
        found = target.read_bytes() if target.exists() else b""
        (truth,) = bench.of_name("data.bin") or [DATA]
        copies = 1
    else:
        there = bench.of_name("ckpt.pt")
        copies = len(there)
        found = there[0] if there else b""
        truth = (bench.folder.parent / "ckpt.pt").read_bytes()
    old = b"" if case.on == "upload" else OLD
    right = old if failed else truth
    # An upload over a file whose bytes stay wrong is told, and the old revision is kept.
    told = failed and case.on == "overwrite" and case.ends is errors.IntegrityError
    lost = (
        0
        if told
        else sum(a != b for a, b in zip(found, right, strict=False))
        + max(0, len(right) - len(found))
    )
    wrong = 0 if failed or found == truth else 1
    half = 0 if told or found in (old, truth) else 1
    return lost, wrong, max(0, copies - 1), _outside(bench, failed), half


def _outside(bench: Bench, failed: bool) -> int:  # noqa: FBT001 (inside)
    """Count the files that lie where none belongs, here and there."""
    expected = {"data.bin", "filler"}
    if failed:  # what has come is kept for the next call
        expected |= {"data.bin.part", "data.bin.part.json"}
    here = {each.name for each in bench.folder.iterdir()} - expected
    beside = {each.name for each in bench.folder.parent.iterdir()} - {
        "target",
        "ckpt.pt",
    }
    there = [
        each
        for each in bench.drive.store.children(bench.place.id)
        if each.meta["name"] not in {"data.bin", "ckpt.pt", "many"}
    ]
    root = [
        e for e in bench.drive.store.children(bench.drive.store.ROOT) if not e.is_folder
    ]
    return len(here) + len(beside) + len(there) + len(root)


def _again(bench: Bench, case: Case) -> bool:
    """Tell whether the same call, without faults, ends with the right bytes."""
    drive = bench.drive
    drive.faults.clear()
    drive.store.storage_limit = None
    bench.progress = lambda _: None
    if case.prepare in ON_SMALL_DISK:
        _mount(bench.folder, "remount,rw,size=1m")
        (bench.folder / "filler").unlink(missing_ok=True)
    if case.on == "download" and not bench.of_name("data.bin"):
        drive.store.add_file("data.bin", DATA, bench.place.id)
    bench.files.transport.credentials = bench.login(drive.store.issue_token())
    bench.files.transport.close()
    result, error = _run(bench, case)
    return error is None and not any(_judge(bench, case, result, failed=False))


@contextlib.contextmanager
def _listening() -> Iterator[io.StringIO]:
    """Collect what all loggers say, down to debugging."""
    root, text = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def _told(error: BaseException | None, result: object) -> str:
    """Return all that can be read of an error, and of those behind it, and of a result."""
    texts = [repr(result)]
    todo = [error]
    while todo:
        one = todo.pop()
        if one is not None:
            texts += [
                str(one),
                repr(one),
                repr(vars(one)),
                *traceback.format_exception(one),
            ]
            todo += [one.__cause__, one.__context__]
    return "\n".join(texts)


def _leaks(bench: Bench, text: str) -> int:
    """Count the secrets that a text or a file shows.

    The key of an upload is in the lines of urllib3 for debugging, which name each address.
    """
    store = bench.drive.store
    own = "\n".join(
        line for line in text.splitlines() if not line.startswith("urllib3")
    )
    for path in bench.folder.rglob("*.json"):
        own += path.read_text("utf-8")
    secret = {*SECRETS.values(), *store.access_tokens}
    own += repr(bench.files) + repr(bench.files.transport)
    return sum(each in text or each in own for each in secret) + sum(
        each in own for each in store.sessions
    )


def run_all(folder: Path) -> tuple[list[Row], list[str]]:
    """Try all cases; return the rows, and the names of those that cannot be tried here.

    Parameters
    ----------
    folder
        An empty one.
    """
    rows, skipped = [], []
    with FakeDrive() as drive:
        for number, case in enumerate(cases()):
            own = folder / f"case{number}"
            own.mkdir()
            row = attempt(drive, case, own)
            if row is None:
                skipped.append(f"{case.name}: no file system can be mounted here")
            else:
                rows.append(row)
    return rows, skipped


def as_text(rows: Sequence[Row], skipped: Sequence[str] = ()) -> str:
    """Return the table in Markdown, with the sums.

    Parameters
    ----------
    rows
        Of `run_all`.
    skipped
        What could not be tried.
    """
    table = [HEADS, tuple("---" for _ in HEADS)]
    for row in rows:
        counts = (row.injected, row.detected, row.healed, row.retries, *row.zeros)
        table.append((row.name, row.on, *(str(each) for each in counts)))
    sums = [sum(each) for each in zip(*(row.zeros for row in rows), strict=True)]
    injected, detected = (
        sum(getattr(r, n) for r in rows) for n in ("injected", "detected")
    )
    retries = sum(row.retries for row in rows)
    table.append(
        (f"all {len(rows)}", "", *map(str, (injected, detected, "", retries, *sums)))
    )
    lines = ["| " + " | ".join(each) + " |" for each in table]
    lines += [f"skipped: {each}" for each in skipped]
    return "\n".join(lines)


def main() -> int:
    """Print the table; 1 if a count is not zero, or an outcome not the expected one."""
    with tempfile.TemporaryDirectory() as folder:
        rows, skipped = run_all(Path(folder))
    sys.stdout.write(as_text(rows, skipped) + "\n")
    bad = [row for row in rows if any(row.zeros) or row.problems]
    for row in bad:
        sys.stdout.write(f"{row.name} on {row.on}: {row.zeros} {row.problems}\n")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
