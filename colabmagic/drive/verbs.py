"""The verbs that list and move files: ls, stage, save, pack, sync."""

from __future__ import annotations

import contextlib
import difflib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.archive.steps import step
from colabmagic.drive.errors import DriveError, DrivePathError, MountUnsupportedError
from colabmagic.drive.mounting import folders
from colabmagic.drive.report import WorkReport
from colabmagic.drive.session import STATE, ask_account, client, connected
from colabmagic.drive.state_report import ListReport, SyncReport
from colabmagic.drive.transfer.source import check_source, is_folder, is_there
from colabmagic.drive.words import here, quoted
from colabmagic.drive.words import local as local_path
from colabmagic.report.progress import SILENT
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.drive.client import Drive
    from colabmagic.drive.plan import Access
    from colabmagic.report.progress import Progress

_LIKE: Final = 0.7  # so much a name is like one that is written wrong


def ls(
    path: str, access: Access | None = None, *, progress: Progress = SILENT
) -> ListReport:
    """List a folder on Drive.

    Parameters
    ----------
    path
        As ``MyDrive/a``.
    access
        The API.
    progress
        Shows that it goes on.
    """
    found = []
    with connected(access) as drive, step(progress, "list", path):
        for each in drive.ls(path):
            found.append(each)
            progress.advance()
    found.sort(key=lambda each: (not each.is_folder, each.name))
    return ListReport(path=path, entries=tuple(found))


def stage(
    archive: str,
    to: str | None = None,
    access: Access | None = None,
    *,
    progress: Progress = SILENT,
    **options: Any,  # noqa: ANN401 (checked by the function)
) -> WorkReport:
    """Bring an archive here, unpacked.

    Parameters
    ----------
    archive
        Path on Drive.
    to
        The folder.
    access
        The API.
    progress
        Shows how far it is.
    **options
        Of `colabmagic.drive.archive.stage.stage`.
    """
    with connected(access) as drive, _counted(drive) as counts:
        done = drive.stage(archive, to, progress=progress, **options)
    return WorkReport(
        verb="stage", path=str(done.path), files=done.files, bytes=done.size,
        transferred_bytes=done.fetched_bytes, md5=done.md5, seconds=done.seconds,
        notes=done.notes, requests=counts.requests, retries=counts.retries,
        source=done.source, checked_files=done.checked_files,
    )  # fmt: skip


def save(
    local: str,
    remote: str,
    access: Access | None = None,
    *,
    progress: Progress = SILENT,
) -> WorkReport:
    """Upload a file; return when the server's MD5 is that of the file.

    Parameters
    ----------
    local
        Path here.
    remote
        Path on Drive; a folder with ``/`` at its end.
    access
        The API.
    progress
        Shows how far it is.
    """
    source = local_path(local)
    if is_folder(source):
        raise DrivePathError(
            f"{local} is a folder",
            hint=f'%mount_drive --pack "{local}" "{remote.rstrip("/")}/{source.name}.tar.gz"',
        )
    if not is_there(source):
        raise DrivePathError(
            f"there is no file {clean(local)}",
            seen=_below(local),
            hint=_named_like(source, remote),
        )
    check_source(source)
    size = source.stat().st_size
    with connected(access) as drive, step(progress, "upload", source.name, size):
        done = drive.save(source, remote, progress=progress.advance)
    return WorkReport(
        verb="save", path=done.path, files=1, bytes=done.size,
        transferred_bytes=done.fetched_bytes, md5=done.md5, seconds=done.seconds,
        requests=done.requests, retries=done.retries,
    )  # fmt: skip


def pack(
    folder: str,
    remote: str,
    access: Access | None = None,
    *,
    progress: Progress = SILENT,
) -> WorkReport:
    """Put a folder on Drive as one archive.

    Parameters
    ----------
    folder
        Path here.
    remote
        Path on Drive; its ending says how it is packed.
    access
        The API.
    progress
        Shows how far it is.
    """
    source = local_path(folder)
    if not is_folder(source):
        raise DrivePathError(
            f"there is no folder {clean(folder)}",
            seen=_below(folder),
            hint=f'%mount_drive --save "{folder}" "{PurePosixPath(remote).parent}/"'
            if is_there(source)
            else "look at its name",
        )
    with connected(access) as drive, _counted(drive) as counts:
        done = drive.pack(source, remote, progress=progress)
    return WorkReport(
        verb="pack", path=str(done.path), files=done.files, bytes=done.size,
        transferred_bytes=done.archive_bytes, md5=done.md5, seconds=done.seconds,
        notes=done.notes,
        requests=counts.requests, retries=counts.retries,
    )  # fmt: skip


def sync(
    access: Access | None = None,
    *,
    progress: Progress = SILENT,
    **options: Any,  # noqa: ANN401 (checked by the function)
) -> SyncReport:
    """Prove that what was written under the mount is on Google's servers.

    Parameters
    ----------
    access
        The API.
    progress
        Shows how far it is.
    **options
        Of `colabmagic.drive.sync.sync`.

    Raises
    ------
    DriveMountError
        There is no folder that could be written to.
    """
    from colabmagic.drive.sync import sync as prove  # noqa: PLC0415 (rarely asked for)

    path, since_s = _folder_to_sync()
    drive: Drive | None = None
    why = ""
    try:
        ask_account(access)  # credentials may be there, and not be for Drive
        drive = client(access)
    except DriveError as error:
        if access is not None and access.credentials is not None:
            raise
        why = error.what
    return prove(path, since_s, drive, why_not=why, progress=progress, **options)


def _folder_to_sync() -> tuple[Path, float]:
    """Return the folder, and since when it is mounted."""
    mounted = STATE.mounted
    if mounted is None:
        found = folders.status_of_others()
        if found.path is not None:  # mounted without us: all of this VM's life counts
            return found.path, folders.boot_time()
    if mounted is None or mounted.path is None:
        raise MountUnsupportedError(
            "there is no folder of Drive here, so nothing was written into one",
            seen="not mounted" if mounted is None else "reached by the API",
            hint='%mount_drive --save FILE "MyDrive/runs/"',
        )
    if mounted.report.readonly:
        raise MountUnsupportedError(
            f"{mounted.path} is read-only: nothing was written there",
            hint='%mount_drive --save FILE "MyDrive/runs/"',
        )
    return mounted.path, mounted.since_s


def _named_like(source: Path, remote: str) -> str:
    """Return the line with the file that was probably meant, else to look at the name."""
    try:
        beside = [each.name for each in source.parent.iterdir() if each.is_file()]
    except OSError:
        beside = []
    near = difflib.get_close_matches(source.name, beside, n=1, cutoff=_LIKE)
    if not near:
        return "look at its name"
    meant = quoted(source.with_name(near[0]))
    return f"did you mean %mount_drive --save {meant} {quoted(remote)}"


def _below(path: str) -> str | None:
    """Return from where on a path counts; None for one that is whole."""
    return None if local_path(path).is_absolute() else f"in {clean(str(here()))}"


@dataclass(eq=False, slots=True)
class _Counts:
    """What a verb has cost."""

    requests: int = 0
    retries: int = 0


@contextlib.contextmanager
def _counted(drive: Drive) -> Iterator[_Counts]:
    """Count the requests and retries of a block; they are known at its end."""
    transport, counts = drive.files.transport, _Counts()
    before = transport.requests_made, transport.retries
    yield counts
    counts.requests = transport.requests_made - before[0]
    counts.retries = transport.retries - before[1]
