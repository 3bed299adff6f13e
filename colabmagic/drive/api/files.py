"""Paths on Drive: names, ids, folders, shortcuts and shared drives."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from colabmagic.drive.api import budget
from colabmagic.drive.api.folders import folder_in, target_of
from colabmagic.drive.api.items import Items
from colabmagic.drive.api.listing import shared_drives
from colabmagic.drive.api.paths import (
    MY_DRIVE,
    SHARED,
    above,
    parts_of,
    without_begin,
)
from colabmagic.drive.api.remote import (
    EXPORTS,
    FILES,
    FOLDER,
    SHORTCUT,
    RemoteFile,
    root_of,
)
from colabmagic.drive.api.twins import ambiguous, settled
from colabmagic.drive.errors import (
    AmbiguousPathError,
    DriveFileNotFoundError,
    DrivePathError,
    NotDownloadableError,
)
from colabmagic.drive.words import quoted
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXPORTS", "FILES", "FOLDER", "SHORTCUT", "Files", "RemoteFile"]

_MOST_FOLDERS: Final = 10_000  # remembered
_REMEMBERED_S: Final = 60.0
_MANY: Final = 3
_NOT_POSSIBLE: Final = 400  # the status for a format that is not offered


@dataclass(eq=False)
class Files(Items):
    """Finds files by path.

    Parameters
    ----------
    transport
        Sends the requests.
    drive_id
        A shared drive: paths that name no root begin there.
    remembered_s
        How long a folder on the way of a path is taken to be where it was.
    """

    drive_id: str | None = None
    remembered_s: float = _REMEMBERED_S
    _folders: OrderedDict[tuple[str, str], tuple[float, RemoteFile]] = field(
        default_factory=OrderedDict, init=False, repr=False
    )
    _making: threading.Lock = field(
        default_factory=threading.Lock, init=False, repr=False
    )

    def begin_in_child(self) -> None:
        """Take a further lock of its own in a forked process."""
        super().begin_in_child()
        self._making = threading.Lock()

    def stat(self, path: str, *, newest: bool = False) -> RemoteFile:
        """Return what a path leads to; shortcuts are followed.

        Parameters
        ----------
        path
            As ``MyDrive/a/b`` or ``Shareddrives/team/a``. With ``/`` at its end: of a file
            and a folder of one name, the folder.
        newest
            Of several files of the same name take the one that changed last.

        Raises
        ------
        DriveFileNotFoundError
            It leads nowhere.
        AmbiguousPathError
            Several have the name.
        """
        used: list[tuple[str, str]] = []
        try:
            return self._walk(path, used, newest=newest)
        except DriveFileNotFoundError:
            if not used:
                raise
        with self._lock:  # a folder may have been moved since: look anew
            for key in used:
                self._folders.pop(key, None)
        return self._walk(path, [], newest=newest)

    def _walk(
        self, path: str, used: list[tuple[str, str]], *, newest: bool
    ) -> RemoteFile:
        """Return what a path leads to; note which folders were remembered on the way."""
        current, names = self._begin(path)
        for number, name in enumerate(names, 1):
            so_far = _so_far(path, names, number)
            last = number == len(names)
            so_far += "/" if last and path.endswith("/") else ""
            known = None if last else self._remembered(current, name)
            if known is not None:
                used.append((current.id, name))
            current = known or self._child(
                current, name, so_far, last=last, newest=newest
            )
            if not last and not current.is_folder:
                raise DriveFileNotFoundError(
                    f"{clean(so_far)} is no folder",
                    seen=clean(current.mime_type),
                    hint=f"%mount_drive --ls {quoted(path.rpartition('/')[0])}",
                )
        return current

    def ls(self, path: str) -> Iterator[RemoteFile]:
        """Yield what lies in a folder, in the order of Google's.

        Parameters
        ----------
        path
            Of a folder; a file yields itself; ``Shareddrives`` yields the shared drives.
        """
        if path.strip("/") in SHARED:
            yield from shared_drives(self.transport)
            return
        try:
            folder = self.stat(path)
        except AmbiguousPathError as error:  # of a list, the newest makes no sense
            raise AmbiguousPathError(
                error.what, seen=error.seen, hint=_to_list(path)
            ) from None
        if not folder.is_folder:
            yield folder
            return
        yield from self.children(folder)

    def refuse(self, path: str) -> None:
        """Raise for a path that cannot be on Drive; nothing is asked.

        Parameters
        ----------
        path
            As for `stat`.
        """
        if not SHARED.intersection(parts_of(path)[:1]):
            self._begin(path)

    def folder(self, path: str) -> RemoteFile:
        """Return a folder, made with those above it if it is not there.

        Shortcuts are followed.

        Parameters
        ----------
        path
            As for `stat`.

        Raises
        ------
        DrivePathError
            A file has the name.
        AmbiguousPathError
            Several folders have it.
        """
        current, names = self._begin(path)
        for number, name in enumerate(names, 1):
            with self._making:  # two threads must not make it twice
                current = folder_in(self, current, name, _so_far(path, names, number))
        return current

    def export(self, path: str, kind: str, *, newest: bool = False) -> bytes:
        """Return a Google document in another format; Google makes 10 MB at most.

        Parameters
        ----------
        path
            As for `stat`.
        kind
            An ending, as ``pdf``, ``docx``, ``xlsx``, ``csv``; or a MIME type.
        newest
            As for `stat`.

        Raises
        ------
        NotDownloadableError
            It is no Google document, or not one that can be had so.
        """
        found = self.stat(path, newest=newest)
        mime_type = EXPORTS.get(kind.lstrip(".").lower(), kind)
        if not found.is_document:
            raise NotDownloadableError(
                f"{found.name!r} is no Google document",
                seen=clean(found.mime_type),
                hint="download it as it is",
            )
        response = self.transport.request(
            "GET",
            f"{FILES}/{found.id}/export",
            cost=budget.DOWNLOAD,
            params={"mimeType": mime_type},
            accepted={_NOT_POSSIBLE},
            whole=lambda response: "Content-Type" in response.headers,
        )
        if response.status_code == _NOT_POSSIBLE:
            raise NotDownloadableError(
                f"Google does not make {kind!r} of {found.name!r}",
                seen=clean(found.mime_type),
                hint="one of: " + ", ".join(EXPORTS),
            )
        return response.content

    def _begin(self, path: str) -> tuple[RemoteFile, list[str]]:
        """Return the root of a path, and the names below it."""
        parts = parts_of(path)
        if ".." in parts:
            raise DrivePathError(
                f"{path!r} goes up", hint="write the path from MyDrive/ on, without .."
            )
        if parts and parts[0] in MY_DRIVE:
            return RemoteFile(id="root", name="MyDrive", mime_type=FOLDER), parts[1:]
        if len(parts) > 1 and parts[0] in SHARED:
            return self._shared_drive(parts[1]), parts[2:]
        if self.drive_id is not None and (not parts or parts[0] not in SHARED):
            return root_of(self.drive_id, self.drive_id), parts
        raise without_begin(path)

    def _shared_drive(self, name: str) -> RemoteFile:
        """Return the root folder of a shared drive."""
        known = list(shared_drives(self.transport))
        found = [each for each in known if each.name == name]
        if len(found) == 1:
            return found[0]
        kind = AmbiguousPathError if found else DriveFileNotFoundError
        some = ", ".join(repr(each.name) for each in known[:_MANY]) or "none"
        raise kind(
            f"{len(found) or 'no'} shared drives are called {name!r}",
            seen=f"there are: {some}",
            hint="%mount_drive --ls Shareddrives\nof two with one name: --drive ID",
        )

    def _child(
        self, folder: RemoteFile, name: str, path: str, *, last: bool, newest: bool
    ) -> RemoteFile:
        """Return the one file of a name in a folder."""

        def look() -> list[RemoteFile]:
            found = self.named(folder, name)
            return found if last else [e for e in found if e.leads_on] or found

        found = settled(look, self.transport.waits, 0 if newest else 1)
        if not found:
            missing = DriveFileNotFoundError(
                f"{clean(path.rstrip('/'))} is not there",
                hint="look at upper and lower case, and at the account that you use",
            )
            missing.place = (folder, path)
            raise missing
        if len(found) > 1 and path.endswith("/"):
            found = [each for each in found if each.is_folder] or found
        if len(found) > 1 and not newest:
            raise ambiguous(path, found)
        one = target_of(self, found[0], path)
        if one.is_folder:
            with self._lock:
                self._folders[folder.id, name] = (time.monotonic(), one)
                self._folders.move_to_end((folder.id, name))
                while len(self._folders) > _MOST_FOLDERS:
                    self._folders.popitem(last=False)
        return one

    def _remembered(self, folder: RemoteFile, name: str) -> RemoteFile | None:
        """Return a folder that was there a moment ago."""
        with self._lock:
            then, known = self._folders.get((folder.id, name), (0.0, None))
        return known if time.monotonic() - then < self.remembered_s else None


def _so_far(path: str, names: list[str], count: int) -> str:
    """Return a path up to one of the names below its root, written as the whole is."""
    return "/".join([*above(path, names), *names[:count]])


def _to_list(path: str) -> str:
    """Return what to do for a list of one of several."""
    rename = "rename or delete all but one on drive.google.com"
    if path.endswith("/"):
        return rename
    return (
        f"the folder of that name: %mount_drive --ls {quoted(path + '/')}\nor {rename}"
    )
