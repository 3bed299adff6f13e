"""Paths on Drive: names, ids, folders, shortcuts and shared drives."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.api import budget
from colabmagic.drive.api.answers import (
    has_object,
    list_at,
    object_of,
    unlike_google,
)
from colabmagic.drive.api.folders import folder_in, target_of
from colabmagic.drive.api.forks import notice_forks
from colabmagic.drive.api.listing import search, shared_drives
from colabmagic.drive.api.paths import (
    MY_DRIVE,
    SHARED,
    above,
    parts_of,
    without_begin,
)
from colabmagic.drive.api.remote import (
    EXPORTS,
    FIELDS,
    FILES,
    FOLDER,
    LISTED,
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

    from colabmagic.drive.api.http import Transport

__all__ = ["EXPORTS", "FILES", "FOLDER", "SHORTCUT", "Files", "RemoteFile"]

_MOST_FOLDERS: Final = 10_000  # remembered
_REMEMBERED_S: Final = 60.0
_MANY: Final = 3
_IDS: Final = 100  # asked for at a time
_NOT_POSSIBLE: Final = 400  # the status for a format that is not offered
_CONFLICT: Final = 409  # an id that is taken


@dataclass(eq=False)
class Files:
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

    transport: Transport
    drive_id: str | None = None
    remembered_s: float = _REMEMBERED_S
    _folders: OrderedDict[tuple[str, str], tuple[float, RemoteFile]] = field(
        default_factory=OrderedDict, repr=False
    )
    _made: OrderedDict[tuple[str, str], str] = field(
        default_factory=OrderedDict, repr=False
    )
    _ids: list[str] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _making: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Have it told of forks."""
        notice_forks(self)

    def begin_in_child(self) -> None:
        """Ask for ids of its own in a forked process: the others are the parent's."""
        self._ids = []
        self._lock, self._making = threading.Lock(), threading.Lock()

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
        root, names = self._begin(path)
        current = root
        for number, name in enumerate(names):
            so_far = "/".join([*above(path, names), *names[: number + 1]])
            last = number + 1 == len(names)
            so_far += "/" if last and path.endswith("/") else ""
            known = None if last else self._remembered(current, name)
            if known is not None:
                used.append((current.id, name))
            current = known or self._child(
                current, name, so_far, last=last, newest=newest
            )
            if not last and not current.is_folder:
                raise DriveFileNotFoundError(
                    f"{so_far} is no folder",
                    seen=clean(current.mime_type),
                    hint=f"%mount_drive --ls {path.rpartition('/')[0]!r}",
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

    def children(self, folder: RemoteFile) -> Iterator[RemoteFile]:
        """Yield what lies in a folder; it is asked for page by page."""
        query = f"'{_quoted(folder.id)}' in parents and trashed = false"
        yield from search(self.transport, query, folder.drive_id, LISTED)

    def by_id(self, file_id: str) -> RemoteFile:
        """Return the file with an id."""
        meta = self.transport.json(
            "GET",
            f"{FILES}/{file_id}",
            cost=budget.GET,
            params={"fields": FIELDS, "supportsAllDrives": "true"},
        )
        return RemoteFile.read(meta)

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
        root, names = self._begin(path)
        current = root
        for number, name in enumerate(names):
            so_far = "/".join([*above(path, names), *names[: number + 1]])
            with self._making:  # two threads must not make it twice
                current = folder_in(self, current, name, so_far)
        return current

    def named(self, folder: RemoteFile, name: str) -> list[RemoteFile]:
        """Return all files of a name in a folder, the newest first."""
        found = self._named(folder, name) or self._made_here(folder, name)
        return sorted(found, key=lambda each: each.modified, reverse=True)

    def note_made(self, folder: RemoteFile, name: str, file_id: str) -> None:
        """Remember a file that was made here: Google's search may not find it at once.

        Parameters
        ----------
        folder, name
            Where it is.
        file_id
            Its id.
        """
        with self._lock:
            self._made[folder.id, name] = file_id
            while len(self._made) > _MOST_FOLDERS:
                self._made.popitem(last=False)

    def _made_here(self, folder: RemoteFile, name: str) -> list[RemoteFile]:
        """Return the file that was made here, if it still is what it was."""
        file_id = self._made.get((folder.id, name))
        if file_id is None:
            return []
        try:
            found = self.by_id(file_id)
        except DriveFileNotFoundError:
            return []
        moved = folder.id not in found.parents and folder.id != "root"
        return [] if found.name != name or found.trashed or moved else [found]

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

    def copy(
        self, remote: RemoteFile, folder: RemoteFile, name: str | None = None
    ) -> RemoteFile:
        """Copy a file on Drive, once: also one whose download quota is used up.

        Parameters
        ----------
        remote
            The file.
        folder
            Where the copy goes.
        name
            Of the copy; left out: the same.
        """
        file_id = self.new_id()
        response = self.transport.request(
            "POST",
            f"{FILES}/{remote.id}/copy",
            cost=budget.WRITE,
            params={"fields": FIELDS, "supportsAllDrives": "true"},
            json={"id": file_id, "name": name or remote.name, "parents": [folder.id]},
            accepted={_CONFLICT},
            whole=has_object,
        )
        if response.status_code == _CONFLICT:  # an attempt that was not heard made it
            return self.by_id(file_id)
        return RemoteFile.read(object_of(response))

    def trash(self, file_id: str) -> None:
        """Put a file into the trash.

        Parameters
        ----------
        file_id
            Its id.
        """
        self.transport.request(
            "PATCH",
            f"{FILES}/{file_id}",
            cost=budget.WRITE,
            params={"fields": "id", "supportsAllDrives": "true"},
            json={"trashed": True},
        )

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
                f"{path.rstrip('/')} is not there",
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

    def _named(self, folder: RemoteFile, name: str) -> list[RemoteFile]:
        """Return all files of a name in a folder."""
        query = (
            f"'{_quoted(folder.id)}' in parents and name = '{_quoted(name)}' "
            "and trashed = false"
        )
        return list(search(self.transport, query, folder.drive_id))

    def new_id(self) -> str:
        """Return an id for a file that is to be made: a second attempt makes no second file."""
        with self._lock:
            if self._ids:
                return self._ids.pop()
        page = self.transport.json(
            "GET", f"{FILES}/generateIds", cost=budget.GET, params={"count": _IDS}
        )
        ids = list_at(page, "ids", str)
        if not ids:
            raise unlike_google("it gives no ids")
        with self._lock:
            self._ids.extend(ids)
            return self._ids.pop()

    def created(self, file_id: str, body: dict[str, Any]) -> RemoteFile:
        """Make a file without content; one that an unheard attempt has made counts."""
        response = self.transport.request(
            "POST",
            FILES,
            cost=budget.WRITE,
            params={"fields": FIELDS, "supportsAllDrives": "true"},
            json=body,
            accepted={_CONFLICT},
            whole=has_object,
        )
        if response.status_code == _CONFLICT:
            return self.by_id(file_id)
        return RemoteFile.read(object_of(response))


def _quoted(text: str) -> str:
    """Return a text for a query."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _to_list(path: str) -> str:
    """Return what to do for a list of one of several."""
    rename = "rename or delete all but one on drive.google.com"
    if path.endswith("/"):
        return rename
    return (
        f"the folder of that name: %mount_drive --ls {quoted(path + '/')}\nor {rename}"
    )
