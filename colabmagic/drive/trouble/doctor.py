"""``%mount_drive --doctor``: what is wrong with Drive here, and what mends it.

Nothing is changed, nobody is asked, and a check that cannot be made hurts no other.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests
from google.auth.exceptions import GoogleAuthError

from colabmagic.drive.account import auth, tokens
from colabmagic.drive.api.about import about
from colabmagic.drive.api.http import API_ROOT, Transport
from colabmagic.drive.api.renewal import renew
from colabmagic.drive.api.unanswered import failure
from colabmagic.drive.client import API_ROOT_VARIABLE
from colabmagic.drive.errors import DriveError, NoCredentialsError
from colabmagic.drive.report import Account, counted
from colabmagic.drive.trouble import last_error
from colabmagic.drive.trouble.catalogue import explain, finding, is_said
from colabmagic.drive.trouble.doctor_report import DoctorReport
from colabmagic.drive.words import home
from colabmagic.host.detect import detect
from colabmagic.host.facts import HostKind
from colabmagic.host.vm_clock import VmClock, duration
from colabmagic.report.model import Finding, Severity
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from colabmagic.host.facts import HostFacts

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
        To be explained; left out: the last one of Drive's that a cell has ended with, if
        Drive has not answered since.
    api_root
        Where Drive is; Google's own by default.
    folder
        Where data is staged; left out: ``/content`` on Colab, or here.
    env, sysroot
        Environment variables, and where the file system begins.
    mounts, probe, pending, log, left_s
        What finds mounts, tries one, lists what is not uploaded under it, reads the log of
        Colab's program, and knows how long the machine lives; left out: ours.
    """
    started = time.monotonic()
    chosen = os.environ if env is None else env
    content, host = sysroot / "content", detect(chosen, sysroot)
    on_colab = host.kind is HostKind.COLAB and content.is_dir()
    patient = _Patient(
        credentials=credentials, api_root=api_root, env=chosen, sysroot=sysroot,
        folder=folder or (content if on_colab else _here()), host=host,
        mounts=mounts, probe=probe, pending=pending, log=log,
        left_s=left_s,
    )  # fmt: skip
    last = last_error.known() if error is None else error
    if last is not None:
        patient.saw("last error", type(last).__name__)
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
        findings=_sorted(patient.findings, explain(last) if last else None),
        elapsed_s=time.monotonic() - started,
    )


def _here() -> Path:
    """Return the working directory, or home if that is gone."""
    try:
        return Path.cwd()
    except OSError:
        return home()


def _sorted(findings: list[Finding], last: Finding | None) -> tuple[Finding, ...]:
    """Return what was found, the worst first; the last error as what a check found too."""
    order = list(Severity)
    found = list(dict.fromkeys(findings))
    if last is not None:
        same = [place for place, one in enumerate(found) if one.code == last.code]
        if same:
            found[same[0]] = _joined(found[same[0]], last)
        else:
            found.insert(0, last)
    return tuple(sorted(found, key=lambda one: order.index(one.severity)))


def _joined(first: Finding, second: Finding) -> Finding:
    """Return two findings of one kind as one."""
    more = (fix for fix in second.fix if not is_said(fix, first.fix))
    return replace(
        first,
        evidence=tuple(dict.fromkeys((*first.evidence, *second.evidence))),
        fix=(*first.fix, *more),
    )


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
    root = patient.api_root or patient.env.get(API_ROOT_VARIABLE) or API_ROOT
    tokens.check_address(root, API_ROOT_VARIABLE, "the address of Drive")
    transport = Transport(login, root.rstrip("/"), attempts=1, read_timeout_s=_ANSWER_S)
    started = time.monotonic()
    try:
        _renew(login)
        account = Account.of(about(transport))
    except DriveError as error:
        patient.saw("Google", "refuses, or is not reached", explain(error))
        return
    took = time.monotonic() - started
    who = account.user or "an account without a name"
    patient.saw("Google", f"answers {who} in {took * 1000:.0f} ms")
    _storage(patient, account)


def _renew(login: Any) -> None:  # noqa: ANN401 (google-auth's)
    """Renew a login, and tell Google's refusal from a network that is down."""
    failed = None
    try:
        if not login.valid:
            renew(login, _ANSWER_S)
    except (requests.RequestException, GoogleAuthError, OSError) as caught:
        failed = failure(
            caught, str(getattr(login, "token_uri", "") or tokens.TOKEN_URI)
        )
    if failed is not None:
        raise failed  # here: what was caught may know a token


def _storage(patient: _Patient, account: Account) -> None:
    """Say how full the Drive is."""
    used, limit = account.used_bytes, account.limit_bytes
    trash = in_words(account.trash_bytes)
    shown = f"{in_words(used)} used, {trash} of it in the trash"
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
        found.append(
            finding("writes-pending", f"{counted(len(waiting), 'file')}: {names}")
        )
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
        patient.left_s = VmClock(patient.env, patient.sysroot).left_s
    left = patient.left_s()
    if not isinstance(left, int | float):
        patient.saw("life of the machine", str(left))
        return
    shown = f"about {duration(left)} left, at the latest"
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
