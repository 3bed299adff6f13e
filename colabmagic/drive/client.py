"""Drive as a library: list, read, download, upload, stage, save."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from colabmagic.drive.api.about import about
from colabmagic.drive.api.files import Files, RemoteFile
from colabmagic.drive.api.http import Transport
from colabmagic.drive.api.listing import shared_drives
from colabmagic.drive.archive.stage import Staged, stage
from colabmagic.drive.calls import AS_BEFORE, GOES_ON, stoppable, suggesting
from colabmagic.drive.errors import DriveError, DriveFileNotFoundError
from colabmagic.drive.transfer.download import (
    PART_BYTES,
    WORKERS,
    Transferred,
    download,
)
from colabmagic.drive.transfer.reader import open_ranges
from colabmagic.drive.transfer.source import check_source
from colabmagic.drive.transfer.upload import upload
from colabmagic.drive.words import local as local_path
from colabmagic.drive.words import remote as remote_path

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from google.auth.credentials import Credentials

    from colabmagic.drive.archive.pack import Packed


API_ROOT_VARIABLE: Final = "COLABMAGIC_DRIVE_API_ROOT"
_SHARED: Final = frozenset({"Shareddrives", "Shared drives"})


class Drive:
    """A connection to Google Drive; `connect` makes it.

    Parameters
    ----------
    transport
        Sends the requests.
    drive_id
        A shared drive in which paths begin that name no root.
    """

    def __init__(self, transport: Transport, drive_id: str | None = None) -> None:
        self._files = Files(transport, drive_id=drive_id)

    @property
    def files(self) -> Files:
        """Return what finds files by path, with the transport under it."""
        return self._files

    def __repr__(self) -> str:
        """Say where it leads; credentials are never shown."""
        return f"<Drive at {self._files.transport.api_root}>"

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: connections end with their threads."""

    def ls(self, path: str | PurePath = "MyDrive") -> Iterator[RemoteFile]:
        """Yield what lies in a folder.

        Parameters
        ----------
        path
            As ``MyDrive/a`` or ``Shareddrives/team/a``; ``Shareddrives`` alone lists the
            shared drives.
        """
        return self._listed(remote_path(path))

    def _listed(self, path: str) -> Iterator[RemoteFile]:
        """Yield what lies in a folder, of which it is known that it can be a path."""
        with suggesting(self._files), stoppable(f"listing {path}"):
            if path.strip("/") in _SHARED:
                yield from shared_drives(self._files.transport)
            else:
                yield from self._files.ls(path)

    def stat(self, path: str | PurePath, *, newest: bool = False) -> RemoteFile:
        """Return what a path leads to.

        Parameters
        ----------
        path
            As for `ls`.
        newest
            Of several files of the same name take the one that changed last.

        Raises
        ------
        DriveFileNotFoundError, AmbiguousPathError
            It leads nowhere, or to several files.
        """
        with stoppable(f"looking for {path}"):
            return self._files.stat(remote_path(path), newest=newest)

    def open(self, path: str | PurePath) -> io.BufferedReader:
        """Open a file for reading; only the ranges that are read are fetched.

        Parameters
        ----------
        path
            As for `ls`.
        """
        with suggesting(self._files), stoppable(f"opening {path}"):
            return open_ranges(self._files, self.stat(path))

    def download(  # noqa: PLR0913 (by keyword)
        self,
        remote: str | PurePath,
        local: str | Path,
        *,
        workers: int = WORKERS,
        part_bytes: int = PART_BYTES,
        newest: bool = False,
        acknowledge_abuse: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Transferred:
        """Download a file; it gets its name when its MD5 is the server's.

        Parameters
        ----------
        remote
            Path on Drive.
        local
            Path here; a folder takes the file under its own name.
        workers, part_bytes, acknowledge_abuse, progress
            As for `colabmagic.drive.transfer.download.download`.
        newest
            As for `stat`.
        """
        with suggesting(self._files), stoppable(f"download of {remote}", GOES_ON):
            found = self.stat(remote, newest=newest)
            target = local_path(local)
            if os.path.isdir(target) or str(local).endswith("/"):  # noqa: PTH112 (no error)
                target /= PurePosixPath(remote).name
            return download(
                self._files, found, target,
                workers=workers, part_bytes=part_bytes, progress=progress,
                acknowledge_abuse=acknowledge_abuse,
            )  # fmt: skip

    def upload(
        self,
        local: str | Path,
        remote: str | PurePath,
        *,
        progress: Callable[[int], object] | None = None,
    ) -> Transferred:
        """Upload a file; return when the server's MD5 is that of the file.

        Parameters
        ----------
        local
            Path here.
        remote
            Path on Drive; with ``/`` at its end, or that of a folder, the file keeps its
            name. Folders are made.
        progress
            Called with a number of bytes that the server has.
        """
        source, remote = local_path(local), remote_path(remote)
        check_source(source)  # before a folder is made for it
        with stoppable(f"upload of {source.name}", AS_BEFORE):
            folder, name = self._place(source, remote)
            done = upload(self._files, source, folder, name, progress=progress)
        into_folder = remote.endswith("/") or PurePosixPath(remote).name != name
        path = f"{remote.rstrip('/')}/{name}" if into_folder else remote
        return dataclasses.replace(done, path=path)

    save = upload

    def stage(
        self,
        archive: str | PurePath,
        to: str | Path | None = None,
        **options: Any,  # noqa: ANN401 (checked by the function)
    ) -> Staged:
        """Bring an archive here, unpacked; what is here already is not fetched again.

        Parameters
        ----------
        archive
            Path on Drive of a tar or zip.
        to
            The folder; left out: of the archive's name, in ``/content`` on Colab, else here.
        **options
            Of `colabmagic.drive.archive.stage.stage`.
        """
        to = None if to is None else local_path(to)
        archive = remote_path(archive)
        with suggesting(self._files), stoppable(f"staging {archive}", GOES_ON):
            return stage(self._files, archive, to, **options)

    def pack(
        self,
        folder: str | Path,
        remote: str | PurePath,
        **options: Any,  # noqa: ANN401 (checked by the function)
    ) -> Packed:
        """Put a folder on Drive as one archive: many small files at once.

        Parameters
        ----------
        folder
            Path here.
        remote
            Path on Drive, ending in ``.tar``, ``.tar.gz`` or ``.tar.zst``.
        **options
            Of `colabmagic.drive.archive.pack.pack`.
        """
        from colabmagic.drive.archive.pack import pack  # noqa: PLC0415 (rarely asked for)

        with stoppable(f"packing {folder}", AS_BEFORE):
            return pack(self._files, local_path(folder), remote_path(remote), **options)

    def health(self) -> dict[str, Any]:
        """Return who is logged in, and how full the Drive is, in bytes.

        As `colabmagic.drive.api.about.about` does.
        """
        with stoppable("asking who is logged in"):
            return about(self._files.transport)

    def _place(self, source: Path, remote: str) -> tuple[RemoteFile, str]:
        """Return the folder and the name that an upload is for."""
        if remote.endswith("/"):
            return self._files.folder(remote), source.name
        try:
            found = self.stat(remote, newest=True)
        except DriveFileNotFoundError:
            found = None
        if found is not None and found.is_folder:
            return found, source.name
        parent, _, name = remote.rpartition("/")
        return self._files.folder(parent), name


def connect(
    *,
    credentials: Credentials | str | os.PathLike[str] | None = None,
    api_root: str | None = None,
    drive_id: str | None = None,
) -> Drive:
    """Connect to Google Drive; nothing is asked yet.

    Parameters
    ----------
    credentials
        Any of google-auth, or a file, or ``secret:NAME``, or ``adc``; left out: those that
        are here (`colabmagic.drive.account.auth.find_credentials`).
    api_root
        Where Drive is; left out: ``COLABMAGIC_DRIVE_API_ROOT``, else Google's own.
    drive_id
        The id of a shared drive, in which paths begin that name no root.

    Raises
    ------
    NoCredentialsError
        There are none.
    """
    from colabmagic.drive.account.auth import find_credentials  # noqa: PLC0415 (reads files)

    api_root = api_root or os.environ.get(API_ROOT_VARIABLE) or None
    if api_root is not None:
        _refuse_unsafe(api_root)
    if isinstance(credentials, os.PathLike):
        credentials = os.fspath(credentials)
    if isinstance(credentials, str):
        local_path(credentials)  # a file perhaps: an odd name is told as such
    elif credentials is not None and not hasattr(credentials, "before_request"):
        raise TypeError(
            f"credentials are of google-auth, or a text, not {type(credentials).__name__}"
        )
    if credentials is None or isinstance(credentials, str):
        credentials = find_credentials(credentials)
    transport = Transport(credentials)
    if api_root is not None:
        transport.api_root = api_root.rstrip("/")
    return Drive(transport, drive_id)


def _refuse_unsafe(api_root: str) -> None:
    """Refuse an address that would carry the login through the network unencrypted."""
    try:
        parts = urlsplit(api_root)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    if not host or not (
        parts.scheme == "https" or (parts.scheme == "http" and is_here)
    ):
        raise DriveError(
            "this address of Drive is not safe: the login would go out unencrypted",
            seen=f"{parts.scheme or 'no scheme'}://{host}",
            hint=f"an address with https:// in {API_ROOT_VARIABLE} or api_root=",
        )
