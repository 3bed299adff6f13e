"""``--sync``: prove that what was written under a mount is on Google's servers.

Drive for desktop uploads when it likes and tells nobody. So each file that was written
since the mount is compared with the server by size and MD5, through the API; what is not
there is waited for, and then uploaded by ourselves.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.errors import (
    DriveError,
    DriveFileNotFoundError,
    MountHungError,
)
from colabmagic.drive.state_report import SyncedFile, SyncReport
from colabmagic.host.stream import stream
from colabmagic.report.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.client import Drive
    from colabmagic.report.progress import Progress

SCAN_S: Final = 120.0
WAIT_S: Final = 20.0  # for Drive's own upload, before ours
_EVERY_S: Final = 2.0
_LATE_S: Final = 30.0  # without a sign of life, beyond the time of the scan: it hangs
_MOST_FILES: Final = 5_000
_PROGRAM: Final = Path(__file__).with_name("written.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was found under the mount.

    Attributes
    ----------
    files
        Each with its path below the mount, its size and MD5, or an error.
    complete
        Whether everything was looked through.
    """

    files: tuple[dict[str, Any], ...]
    complete: bool


def find_written(root: Path, since_s: float, *, scan_s: float = SCAN_S) -> Written:
    """Find what was written under a folder, in a process of its own.

    Parameters
    ----------
    root
        The mount.
    since_s
        Unix time.
    scan_s
        How long to look, in seconds; a file that has been begun is read to its end.

    Raises
    ------
    MountHungError
        The folder stopped to answer.
    """
    files: list[dict[str, Any]] = []
    ends: list[bool] = []

    def hear(line: str) -> None:
        told = json.loads(line)
        if "path" in told:
            files.append(told)
        elif "complete" in told:
            ends.append(bool(told["complete"]))

    argv = [sys.executable, "-I", "-S", str(_PROGRAM), str(root), str(since_s)]
    outcome = stream(
        [*argv, str(scan_s), str(_MOST_FILES)],
        timeout_s=scan_s + _LATE_S,
        on_line=hear,
        lines_give_time=True,  # a checkpoint of many gigabytes takes longer to read
    )
    if not ends:
        reason = outcome.stderr.strip().rpartition("\n")[2] or outcome.error or "no end"
        raise MountHungError(
            f"{root} could not be looked through",
            seen="it stopped to answer" if outcome.timed_out else reason[:160],
            hint="%mount_drive --status, then %mount_drive --force and --sync again",
        )
    return Written(files=tuple(files), complete=ends[-1])


def sync(  # noqa: PLR0913 (by keyword)
    root: Path,
    since_s: float,
    drive: Drive | None,
    *,
    why_not: str = "",
    wait_s: float = WAIT_S,
    scan_s: float = SCAN_S,
    progress: Progress = SILENT,
    sleep: Callable[[float], object] = time.sleep,
) -> SyncReport:
    """Compare what was written under a mount with the server; upload what is missing.

    Parameters
    ----------
    root
        The mount: ``MyDrive`` is in it.
    since_s
        When it was mounted, as Unix time.
    drive
        The API; None where there are no credentials for it.
    why_not
        Then the reason.
    wait_s
        How long Drive's own upload is waited for, before ours.
    scan_s
        How long to look for files.
    progress
        Shows how far it is.
    sleep
        Waits so many seconds.

    Returns
    -------
    SyncReport
        With the state of each file.
    """
    began = time.monotonic()
    progress.start("look for files that were written")
    try:
        written = find_written(root, since_s, scan_s=scan_s)
        notes = []
        if not written.complete:
            notes.append(
                f"not all folders were looked through: that took longer than {scan_s:.0f} s "
                f"or were more than {_MOST_FILES:,} files"
            )
        if drive is None:
            notes += [
                "without credentials for the API nothing can be proven: " + why_not,
                "%mount_drive --sync --creds FILE proves it",
                "%mount_drive --unmount makes Drive upload all, and waits for it",
            ]
            files = [_unproven(each) for each in written.files]
        else:
            files = _prove(root, written.files, drive, wait_s, progress, sleep)
            if any(each.state == "uploaded" for each in files):
                notes.append(
                    "if Drive's own upload of a file comes later, there may be two of its "
                    "name, both right"
                )
    finally:
        progress.finish()
    return SyncReport(
        path=root, files=tuple(files), seconds=time.monotonic() - began,
        complete=written.complete, notes=tuple(notes),
    )  # fmt: skip


def _prove(  # noqa: PLR0913, PLR0917 (one call)
    root: Path,
    written: tuple[dict[str, Any], ...],
    drive: Drive,
    wait_s: float,
    progress: Progress,
    sleep: Callable[[float], object],
) -> list[SyncedFile]:
    """Ask the server for each file until it has it, or the wait is over; then upload."""
    proven: dict[str, SyncedFile] = {}
    end = time.monotonic() + wait_s
    progress.start("compare with the server", len(written))
    while True:
        for each in written:
            if each["path"] not in proven and (state := _compare(each, drive)):
                proven[each["path"]] = state
                progress.advance()
        left = end - time.monotonic()
        if len(proven) == len(written) or left <= 0:
            break
        sleep(min(_EVERY_S, left))
    missing = [each for each in written if each["path"] not in proven]
    progress.start("upload", sum(each["size"] for each in missing))
    for each in missing:
        proven[each["path"]] = _upload(root, each, drive, progress)
    return [proven[each["path"]] for each in written]


def _compare(each: dict[str, Any], drive: Drive) -> SyncedFile | None:
    """Return the state of a file; None if the server has not these bytes."""
    if "error" in each:
        return _state(each, "failed", f"it cannot be read: {each['error']}")
    try:
        there = drive.stat(each["path"], newest=True)
    except DriveError as error:
        if error.retryable or isinstance(error, DriveFileNotFoundError):
            return None
        return _state(each, "unproven", error.what)
    same = there.md5 == each["md5"] and there.size == each["size"]
    return _state(each, "there") if same else None


def _upload(
    root: Path, each: dict[str, Any], drive: Drive, progress: Progress
) -> SyncedFile:
    """Upload a file ourselves."""
    try:
        done = drive.upload(
            root / each["path"], each["path"], progress=progress.advance
        )
    except DriveError as error:
        return _state(each, "failed", f"{error.what}; try: {error.hint}")
    return _state({**each, "size": done.size, "md5": done.md5}, "uploaded")


def _state(each: dict[str, Any], state: str, why: str = "") -> SyncedFile:
    """Return the state of a file."""
    return SyncedFile(
        path=each["path"], size=each.get("size", 0), md5=each.get("md5", ""),
        state=state, why=why,
    )  # fmt: skip


def _unproven(each: dict[str, Any]) -> SyncedFile:
    """Return the state of a file about which nobody could be asked."""
    if "error" in each:
        return _state(each, "failed", f"it cannot be read: {each['error']}")
    return _state(each, "unproven")
