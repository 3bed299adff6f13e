"""Paths on Drive: names, ids, folders, shortcuts and shared drives."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive import budget
from colabmagic.drive.errors import (
    AmbiguousPathError,
    DriveFileNotFoundError,
    DrivePathError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.drive.http import Transport

FILES: Final = "/drive/v3/files"
FOLDER: Final = "application/vnd.google-apps.folder"
SHORTCUT: Final = "application/vnd.google-apps.shortcut"
_GOOGLE_APPS: Final = "application/vnd.google-apps."
_FIELDS: Final = (
    "id,name,mimeType,size,md5Checksum,headRevisionId,modifiedTime,parents,driveId,"
    "trashed,shortcutDetails"
)
_PAGE: Final = 1000
_EVERYWHERE: Final = {"supportsAllDrives": "true", "includeItemsFromAllDrives": "true"}
_MY_DRIVE: Final = frozenset({"MyDrive", "My Drive"})
_SHARED: Final = frozenset({"Shareddrives", "Shared drives"})
_MOST_FOLDERS: Final = 10_000  # remembered
_MANY: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file or folder on Drive.

    Attributes
    ----------
    id, name
        As Google has them.
    mime_type
        Of the content; folders and Google documents have types of their own.
    size
        Bytes; None for what has none.
    md5
        Of the content, in hexadecimal digits; None for what has none.
    revision
        Of the content.
    modified
        Time of the last change, as RFC 3339.
    drive_id
        Of the shared drive; None in My Drive.
    trashed
        Whether it is in the trash.
    """

    id: str
    name: str
    mime_type: str
    size: int | None = None
    md5: str | None = None
    revision: str | None = None
    modified: str = ""
    drive_id: str | None = None
    trashed: bool = False
    target_id: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, meta: dict[str, Any]) -> RemoteFile:
        """Return the file that a resource of the API describes.

        Parameters
        ----------
        meta
            The resource.
        """
        size = meta.get("size")
        return cls(
            id=meta["id"],
            name=meta.get("name", ""),
            mime_type=meta.get("mimeType", ""),
            size=None if size is None else int(size),
            md5=meta.get("md5Checksum"),
            revision=meta.get("headRevisionId"),
            modified=meta.get("modifiedTime", ""),
            drive_id=meta.get("driveId"),
            trashed=bool(meta.get("trashed")),
            target_id=meta.get("shortcutDetails", {}).get("targetId"),
        )

    @property
    def is_folder(self) -> bool:
        """Whether it can hold others."""
        return self.mime_type == FOLDER

    @property
    def is_document(self) -> bool:
        """Whether it is a Google document, which has no bytes of its own."""
        return self.mime_type.startswith(_GOOGLE_APPS) and self.mime_type not in {
            FOLDER,
            SHORTCUT,
        }


@dataclass(eq=False)
class Files:
    """Finds files by path.

    Parameters
    ----------
    transport
        Sends the requests.
    """

    transport: Transport
    _folders: OrderedDict[tuple[str, str], str] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def stat(self, path: str, *, newest: bool = False) -> RemoteFile:
        """Return what a path leads to; shortcuts are followed.

        Parameters
        ----------
        path
            As ``MyDrive/a/b`` or ``Shareddrives/team/a``.
        newest
            Of several files of the same name take the one that changed last.

        Raises
        ------
        DriveFileNotFoundError
            It leads nowhere.
        AmbiguousPathError
            Several have the name.
        """
        root, names = self._begin(path)
        current = root
        for number, name in enumerate(names):
            so_far = "/".join([path.strip("/").split("/")[0], *names[: number + 1]])
            last = number + 1 == len(names)
            current = self._child(current, name, so_far, last=last, newest=newest)
            if not last and not current.is_folder:
                raise DriveFileNotFoundError(
                    f"{so_far} is no folder",
                    seen=current.mime_type,
                    hint=f"%mount_drive --ls {path.rpartition('/')[0]!r}",
                )
        return current

    def ls(self, path: str) -> Iterator[RemoteFile]:
        """Yield what lies in a folder, in the order of Google's.

        Parameters
        ----------
        path
            Of a folder; a file yields itself.
        """
        folder = self.stat(path)
        if not folder.is_folder:
            yield folder
            return
        yield from self.children(folder)

    def children(self, folder: RemoteFile) -> Iterator[RemoteFile]:
        """Yield what lies in a folder; it is asked for page by page."""
        yield from self._search(
            f"'{_quoted(folder.id)}' in parents and trashed = false"
        )

    def by_id(self, file_id: str) -> RemoteFile:
        """Return the file with an id."""
        response = self.transport.request(
            "GET",
            f"{FILES}/{file_id}",
            cost=budget.GET,
            params={"fields": _FIELDS, "supportsAllDrives": "true"},
        )
        return RemoteFile.read(response.json())

    def folder(self, path: str) -> RemoteFile:
        """Return a folder, made with those above it if it is not there.

        Parameters
        ----------
        path
            As for `stat`.
        """
        root, names = self._begin(path)
        current = root
        for name in names:
            with self._lock:  # two threads must not make it twice
                found = self._named(current, name)
                folders = [each for each in found if each.is_folder]
                if len(folders) > 1:
                    raise _ambiguous(path, folders)
                current = folders[0] if folders else self._make_folder(current, name)
        return current

    def named(self, folder: RemoteFile, name: str) -> list[RemoteFile]:
        """Return all files of a name in a folder, the newest first."""
        found = self._named(folder, name)
        return sorted(found, key=lambda each: each.modified, reverse=True)

    def _begin(self, path: str) -> tuple[RemoteFile, list[str]]:
        """Return the root of a path, and the names below it."""
        parts = [part for part in PurePosixPath(path).parts if part not in {"/", "."}]
        if parts[:2] == ["content", "drive"]:  # as it is mounted on Colab
            parts = parts[2:]
        if ".." in parts:
            raise DrivePathError(
                f"{path!r} goes up", hint="write the path from MyDrive/ on, without .."
            )
        if parts and parts[0] in _MY_DRIVE:
            return RemoteFile(id="root", name="MyDrive", mime_type=FOLDER), parts[1:]
        if len(parts) > 1 and parts[0] in _SHARED:
            return self._shared_drive(parts[1]), parts[2:]
        raise DrivePathError(
            f"{path!r} does not say where it begins",
            hint="MyDrive/…, or Shareddrives/NAME/…",
        )

    def _shared_drive(self, name: str) -> RemoteFile:
        """Return the root folder of a shared drive."""
        token, found, known = None, [], []
        while True:
            params = {"pageSize": 100, "fields": "nextPageToken,drives(id,name)"}
            if token:
                params["pageToken"] = token
            page = self.transport.request(
                "GET", "/drive/v3/drives", cost=budget.LIST, params=params
            ).json()
            for each in page.get("drives", []):
                known.append(each["name"])
                if name in {each["name"], each["id"]}:
                    found.append(each["id"])
            token = page.get("nextPageToken")
            if not token:
                break
        if len(found) == 1:
            return RemoteFile(
                id=found[0], name=name, mime_type=FOLDER, drive_id=found[0]
            )
        kind = AmbiguousPathError if found else DriveFileNotFoundError
        raise kind(
            f"{len(found) or 'no'} shared drives are called {name!r}",
            seen="there are: " + (", ".join(known[:_MANY]) or "none"),
            hint="%mount_drive --ls Shareddrives",
        )

    def _child(
        self, folder: RemoteFile, name: str, path: str, *, last: bool, newest: bool
    ) -> RemoteFile:
        """Return the one file of a name in a folder."""
        with self._lock:
            known = self._folders.get((folder.id, name)) if not last else None
        if known is not None:
            return RemoteFile(id=known, name=name, mime_type=FOLDER)
        found = self.named(folder, name)
        if not last:
            found = [
                each for each in found if each.is_folder or each.target_id
            ] or found
        if not found:
            raise DriveFileNotFoundError(
                f"{path} is not there",
                hint="look at upper and lower case, and at the account that you use",
            )
        if len(found) > 1 and not newest:
            raise _ambiguous(path, found)
        one = found[0]
        if one.target_id is not None:
            one = self.by_id(one.target_id)
        if one.is_folder:
            with self._lock:
                self._folders[folder.id, name] = one.id
                while len(self._folders) > _MOST_FOLDERS:
                    self._folders.popitem(last=False)
        return one

    def _named(self, folder: RemoteFile, name: str) -> list[RemoteFile]:
        """Return all files of a name in a folder."""
        query = (
            f"'{_quoted(folder.id)}' in parents and name = '{_quoted(name)}' "
            "and trashed = false"
        )
        return list(self._search(query))

    def _search(self, query: str) -> Iterator[RemoteFile]:
        """Yield what a query matches, each once: pages may repeat a file."""
        token: str | None = None
        seen: set[str] = set()
        while True:
            params: dict[str, Any] = {
                "q": query,
                "pageSize": _PAGE,
                "fields": f"nextPageToken,incompleteSearch,files({_FIELDS})",
                **_EVERYWHERE,
            }
            if token:
                params["pageToken"] = token
            page = self.transport.request(
                "GET", FILES, cost=budget.LIST, params=params
            ).json()
            for meta in page.get("files", []):
                if meta["id"] not in seen:
                    seen.add(meta["id"])
                    yield RemoteFile.read(meta)
            token = page.get("nextPageToken")
            if not token:
                return

    def _make_folder(self, parent: RemoteFile, name: str) -> RemoteFile:
        """Make a folder, once, whatever becomes of the answer."""
        file_id = self.new_id()
        body = {"id": file_id, "name": name, "mimeType": FOLDER, "parents": [parent.id]}
        return self.created(file_id, body)

    def new_id(self) -> str:
        """Return an id for a file that is to be made: a second attempt makes no second file."""
        page = self.transport.request(
            "GET", f"{FILES}/generateIds", cost=budget.GET, params={"count": 1}
        ).json()
        return str(page["ids"][0])

    def created(self, file_id: str, body: dict[str, Any]) -> RemoteFile:
        """Make a file without content; one that an unheard attempt has made counts."""
        response = self.transport.request(
            "POST",
            FILES,
            cost=budget.WRITE,
            params={"fields": _FIELDS, "supportsAllDrives": "true"},
            json=body,
            accepted={409},
        )
        if response.status_code == 409:  # noqa: PLR2004 (conflict: it is there)
            return self.by_id(file_id)
        return RemoteFile.read(response.json())


def _quoted(text: str) -> str:
    """Return a text for a query."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _ambiguous(path: str, found: list[RemoteFile]) -> AmbiguousPathError:
    """Return the error for several files of one name."""
    shown = ", ".join(
        f"{each.modified or '?'} (id {each.id})" for each in found[:_MANY]
    )
    return AmbiguousPathError(
        f"{len(found)} files are called {path}",
        seen=f"changed {shown}",
        hint="rename or delete all but one on drive.google.com, or take the newest: newest=True",
    )
