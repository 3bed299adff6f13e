"""``%mount_drive --doctor``: what is wrong with Drive here, and what mends it.

Nothing is changed, nobody is asked, and a check that cannot be made hurts no other.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from colabmagic.drive.account import auth, tokens
from colabmagic.drive.api import budget
from colabmagic.drive.api.answers import failure, number_at, object_at, text_at
from colabmagic.drive.api.http import API_ROOT, Transport, unchanged
from colabmagic.drive.errors import DriveError, NoCredentialsError
from colabmagic.drive.trouble.catalogue import explain, finding
from colabmagic.host.detect import detect
from colabmagic.host.facts import HostKind
from colabmagic.report.document import Document
from colabmagic.report.model import Finding, Report, Severity, Table
from colabmagic.report.plain import to_plain
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from colabmagic.host.facts import HostFacts

SCHEMA: Final = 1
_ROOT_VARIABLE: Final = "COLABMAGIC_DRIVE_API_ROOT"
_ANSWER_S: Final = 10.0
_LOG_S: Final = 12 * 3600.0
_LOW_BYTES: Final = 5_000_000_000
_NEARLY: Final = 0.95
_ENDS_S: Final = 3600.0
_MANY: Final = 3
_MOUNT_CODES: Final = {
    "DEAD": "mount-dead",
    "HUNG": "mount-hung",
    "FAILING": "mount-io-error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport(Document):
    """The answer of `examine`.

    Parameters
    ----------
    checks
        What was looked at, and what was seen.
    findings
        What is wrong, the worst first.
    elapsed_s
        How long it took.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.drive-doctor+json"

    checks: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    elapsed_s: float | None = None

    @property
    def ok(self) -> bool:
        """Tell whether nothing is broken."""
        return not any(one.severity is Severity.ERROR for one in self.findings)

    def view(self) -> Report:
        """Return what a person sees."""
        count = sum(one.severity is not Severity.INFO for one in self.findings)
        things = "1 THING" if count == 1 else f"{count} THINGS"
        return Report(
            title="Drive doctor",
            verdict=f"{things} TO MEND" if count else "NOTHING WRONG WAS FOUND",
            findings=self.findings,
            tables=(
                Table(caption="Looked at", columns=("What", "Seen"), rows=self.checks),
            ),
            elapsed_s=self.elapsed_s,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "findings": to_plain(self.findings),
            "checks": dict(self.checks),
        }

    def __repr__(self) -> str:
        """Return the answer, short enough for a debugger."""
        return f"<DoctorReport: {', '.join(one.code for one in self.findings) or 'ok'}>"


@dataclass(eq=False, kw_only=True)
class _Patient:
    """What is looked at, by what, and what was seen so far."""

    credentials: Any = field(repr=False)
    api_root: str | None
    env: Mapping[str, str] = field(repr=False)
    sysroot: Path
    folder: Path
    host: HostFacts
    mounts: Callable[[], Sequence[Any]] | None
    probe: Callable[[Path], Any] | None
    pending: Callable[[Path], Sequence[Path]] | None
    log: Callable[[], Any] | None
    left_s: Callable[[], object] | None
    checks: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def saw(self, what: str, seen: str, *found: Finding) -> None:
        """Note what was seen, and what is wrong with it."""
        self.checks.append((what, seen))
        self.findings += found


def examine(  # noqa: PLR0913 (by keyword: what is looked at, and by what)
    *,
    credentials: Any = None,  # noqa: ANN401 (a name, or google-auth's)
    error: DriveError | None = None,
    api_root: str | None = None,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    sysroot: Path = Path("/"),
    mounts: Callable[[], Sequence[Any]] | None = None,
    probe: Callable[[Path], Any] | None = None,
    pending: Callable[[Path], Sequence[Path]] | None = None,
    log: Callable[[], Any] | None = None,
    left_s: Callable[[], object] | None = None,
) -> DoctorReport:
    """Look for each known cause of trouble with Drive; never raises.

    Parameters
    ----------
    credentials
        As for `colabmagic.drive.connect`.
    error
        To be explained; left out: the last one that a cell has ended with, if it is one
        of Drive's.
    api_root
        Where Drive is; Google's own by default.
    folder
        Where data is staged; left out: ``/content``, or here.
    env, sysroot
        Environment variables, and where the file system begins.
    mounts, probe, pending, log, left_s
        What finds mounts, tries one, lists what is not uploaded under it, reads the log of
        Colab's program, and knows how long the machine lives; left out: ours.
    """
    started = time.monotonic()
    chosen = os.environ if env is None else env
    content = sysroot / "content"
    patient = _Patient(
        credentials=credentials, api_root=api_root, env=chosen, sysroot=sysroot,
        folder=folder or (content if content.is_dir() else Path.cwd()),
        host=detect(chosen, sysroot), mounts=mounts, probe=probe, pending=pending, log=log,
        left_s=left_s,
    )  # fmt: skip
    last = getattr(sys, "last_value", None) if error is None else error
    if isinstance(last, DriveError):
        patient.saw("last error", type(last).__name__, explain(last))
    for what, check in _CHECKS.items():
        try:
            check(patient)
        except DriveError as refused:
            patient.saw(what, "refused", explain(refused))
        except Exception as trouble:  # noqa: BLE001 (a doctor must not fall ill)
            seen = f"{what}: {type(trouble).__name__}"
            patient.saw(what, "not known", finding("check-failed", seen))
    return DoctorReport(
        checks=tuple(patient.checks),
        findings=_sorted(patient.findings),
        elapsed_s=time.monotonic() - started,
    )


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return each finding once, the worst first."""
    order = list(Severity)
    once = dict.fromkeys(findings)
    return tuple(sorted(once, key=lambda one: order.index(one.severity)))


# --- one check each ---------------------------------------------------------------


def _host(patient: _Patient) -> None:
    """Say where this is."""
    found = []
    if patient.host.variant == "enterprise":
        found.append(finding("enterprise", "VERTEX_PRODUCT"))
    patient.saw("host", patient.host.name, *found)


def _login(patient: _Patient) -> None:
    """Find credentials, and try them."""
    own = tokens.token_path(patient.env)
    if tokens.is_open_to_others(own):
        step = f"!chmod 600 {str(own)!r}"
        patient.findings.append(finding("token-open", str(own), fix=(step,)))
    try:
        login, source = _credentials(patient)
    except NoCredentialsError as error:
        if patient.host.kind is HostKind.COLAB and patient.credentials is None:
            patient.saw("login", "none yet: Colab asks you when it is needed")
            return
        patient.saw("login", "none that can be used", explain(error))
        return
    except DriveError as error:
        patient.saw("login", "not good for this", explain(error))
        return
    patient.saw("login", source)
    _reach(patient, login)


def _credentials(patient: _Patient) -> tuple[Any, str]:
    """Return credentials and where they are from; nobody is asked."""
    given = patient.credentials
    if given is not None and not isinstance(given, str):
        return given, "given as an object"
    found = auth.locate(
        given,
        write=False,  # a login for reading is no illness
        env=patient.env,
        sysroot=patient.sysroot,
        interactive=False,
    )
    scopes = [scope.rpartition("/")[2] for scope in found.scopes or ()]
    rights = ", ".join(scopes[:_MANY]) or "rights not known"
    return found.credentials, f"{found.kind}, from {found.source} ({rights})"


def _reach(patient: _Patient, login: Any) -> None:  # noqa: ANN401 (google-auth's)
    """Ask Google who this is, and how full the Drive is."""
    root = patient.api_root or patient.env.get(_ROOT_VARIABLE) or API_ROOT
    tokens.check_address(root, _ROOT_VARIABLE, "the address of Drive")
    transport = Transport(login, root.rstrip("/"), attempts=1, read_timeout_s=_ANSWER_S)
    started = time.monotonic()
    try:
        _renew(login)
        about = transport.json(
            "GET",
            "/drive/v3/about",
            cost=budget.GET,
            params={"fields": "user(emailAddress),storageQuota"},
        )
        account = _masked(text_at(object_at(about, "user"), "emailAddress", ""))
        quota = object_at(about, "storageQuota")
        limit = number_at(quota, "limit")
        used = number_at(quota, "usage") or 0
        trash = number_at(quota, "usageInDriveTrash") or 0
    except DriveError as error:
        patient.saw("Google", "does not give Drive", explain(error))
        return
    took = time.monotonic() - started
    patient.saw("Google", f"answers {account} in {took * 1000:.0f} ms")
    _storage(patient, used, trash, limit)


def _renew(login: Any) -> None:  # noqa: ANN401 (google-auth's)
    """Renew a login, without the two minutes that google-auth would wait."""
    failed = None
    try:
        if not login.valid:
            with requests.Session() as session:
                session.auth = unchanged
                login.refresh(_Hasty(session))
    except (requests.RequestException, GoogleAuthError, OSError) as caught:
        failed = failure(
            caught, str(getattr(login, "token_uri", "") or tokens.TOKEN_URI)
        )
    if failed is not None:
        raise failed  # here: what was caught may know a token


class _Hasty(Request):
    """Sends google-auth's requests, and waits for a short time."""

    def __call__(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 (as it is there)
        """Send one."""
        options.setdefault("timeout", _ANSWER_S)
        return super().__call__(*args, **options)  # type: ignore[no-untyped-call]


def _masked(address: str) -> str:
    """Return an address of mail so that its owner knows it, and nobody else."""
    name, sign, domain = address.partition("@")
    return f"{name[:1]}…@{domain}" if name and sign else "an account without a name"


def _storage(patient: _Patient, used: int, trash: int, limit: int | None) -> None:
    """Say how full the Drive is."""
    shown = f"{in_words(used)} used, {in_words(trash)} of it in the trash"
    if limit is None:
        patient.saw("storage", f"{shown}, no limit")
        return
    found = []
    if used >= limit:
        found.append(finding("storage-quota", f"{shown}, limit {in_words(limit)}"))
    elif used >= limit * _NEARLY:
        found.append(finding("drive-nearly-full", f"{shown}, limit {in_words(limit)}"))
    patient.saw("storage", f"{shown}, limit {in_words(limit)}", *found)


def _mounted(patient: _Patient) -> None:
    """Try each mount of Drive's, from another process."""
    if patient.mounts is None:
        from colabmagic.drive.watching.mounts import drive_mounts  # noqa: PLC0415 (rarely asked)

        patient.mounts = drive_mounts
    if patient.probe is None:
        from colabmagic.drive.watching.probe import probe  # noqa: PLC0415 (as above)

        patient.probe = probe
    points = patient.mounts()
    if not points:
        patient.saw("mount", "none")
    for point in points:
        tried = patient.probe(point.path)
        found = []
        if code := _MOUNT_CODES.get(tried.health.name):
            found.append(finding(code, f"{point.path}: {tried.seen}"))
        state = tried.health.name.lower()
        patient.saw(f"mount {point.path}", state, *found)
        if not found and point.kind == "fuse.drive":
            _not_uploaded(patient, point.path / "MyDrive")


def _not_uploaded(patient: _Patient, root: Path) -> None:
    """Look for files that are not on the server yet."""
    if patient.pending is None:
        from colabmagic.drive.mounting.pending import pending_writes  # noqa: PLC0415 (as above)

        patient.pending = pending_writes
    waiting = list(patient.pending(root))
    found = []
    if waiting:
        names = ", ".join(repr(path.name) for path in waiting[:_MANY])
        found.append(finding("writes-pending", f"{len(waiting)} files: {names}"))
    patient.saw("not uploaded yet", str(len(waiting)), *found)


def _log(patient: _Patient) -> None:
    """Read what Colab's program has written in the last hours."""
    if patient.log is None:
        if patient.host.kind is not HostKind.COLAB:
            return
        from colabmagic.drive.mounting.drive_log import read_log  # noqa: PLC0415 (as above)

        def read() -> Any:  # noqa: ANN401 (of another module)
            return read_log(time.time() - _LOG_S)

        patient.log = read
    told = patient.log()
    named = {
        "log-quota": told.quota,
        "log-timed-out": told.timed_out,
        "log-policy": told.policy,
    }
    found = [finding(code, line) for code, line in named.items() if line]
    patient.saw("log of Colab's Drive", "trouble" if found else "no trouble", *found)


def _fuse(patient: _Patient) -> None:
    """Say whether this machine lets programs show folders."""
    device = patient.sysroot / "dev/fuse"
    if device.exists() and os.access(device, os.R_OK | os.W_OK):
        patient.saw("/dev/fuse", "usable")
        return
    reason = "closed to this user" if device.exists() else "missing"
    found = [] if patient.host.kind is HostKind.COLAB else [finding("no-fuse", reason)]
    patient.saw("/dev/fuse", reason, *found)


def _disk(patient: _Patient) -> None:
    """Say how much room there is for staged data."""
    free = shutil.disk_usage(patient.folder).free
    shown = f"{in_words(free)} free at {patient.folder}"
    found = [finding("disk-low", shown)] if free < _LOW_BYTES else []
    patient.saw("local disk", shown, *found)


def _life(patient: _Patient) -> None:
    """Say how long a machine of Colab still lives."""
    if patient.left_s is None:
        if patient.host.kind is not HostKind.COLAB:
            return
        from colabmagic.drive.watching.vm_clock import VmClock  # noqa: PLC0415 (as above)

        patient.left_s = VmClock().left_s
    left = patient.left_s()
    if not isinstance(left, int | float):
        patient.saw("life of the machine", str(left))
        return
    hours, minutes = divmod(int(max(0, left)) // 60, 60)
    shown = f"about {hours} h {minutes} min left of Colab's 12 h"
    found = [finding("vm-ends", shown)] if left < _ENDS_S else []
    patient.saw("life of the machine", shown, *found)


_CHECKS: Final[dict[str, Callable[[_Patient], None]]] = {
    "host": _host,
    "login": _login,
    "mount": _mounted,
    "log": _log,
    "life": _life,
    "/dev/fuse": _fuse,
    "local disk": _disk,
}
