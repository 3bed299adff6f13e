"""Files by their ids, and those of a name in a folder: asked for, made, copied, trashed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.api import budget
from colabmagic.drive.api.answers import has_object, object_of
from colabmagic.drive.api.fields import list_at
from colabmagic.drive.api.forks import notice_forks
from colabmagic.drive.api.listing import search
from colabmagic.drive.api.refusals import unlike_google
from colabmagic.drive.api.remote import FIELDS, FILES, LISTED, RemoteFile
from colabmagic.drive.errors import DriveFileNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.drive.api.http import Transport

_MOST_MADE: Final = 10_000  # remembered
_IDS: Final = 100  # asked for at a time
_CONFLICT: Final = 409  # an id that is taken


@dataclass(eq=False)
class Items:
    """What lies on Drive, without the paths that lead there.

    Parameters
    ----------
    transport
        Sends the requests.
    """

    transport: Transport
    _made: OrderedDict[tuple[str, str], str] = field(
        default_factory=OrderedDict, init=False, repr=False
    )
    _ids: list[str] = field(default_factory=list, init=False, repr=False)
    _lock: threading.Lock = field(
        default_factory=threading.Lock, init=False, repr=False
    )

    def __post_init__(self) -> None:
        """Have it told of forks."""
        notice_forks(self)

    def begin_in_child(self) -> None:
        """Ask for ids of its own in a forked process: the others are the parent's."""
        self._ids = []
        self._lock = threading.Lock()

    def by_id(self, file_id: str) -> RemoteFile:
        """Return the file with an id, also one that is in the trash.

        Parameters
        ----------
        file_id
            The id.

        Raises
        ------
        DriveFileNotFoundError
            There is none, or this account may not see it.
        """
        meta = self.transport.json(
            "GET",
            f"{FILES}/{file_id}",
            cost=budget.GET,
            params={"fields": FIELDS, "supportsAllDrives": "true"},
        )
        return RemoteFile.read(meta)

    def children(self, folder: RemoteFile) -> Iterator[RemoteFile]:
        """Yield what lies in a folder; it is asked for page by page.

        Parameters
        ----------
        folder
            The folder.
        """
        query = f"'{_quoted(folder.id)}' in parents and trashed = false"
        yield from search(self.transport, query, folder.drive_id, LISTED)

    def named(self, folder: RemoteFile, name: str) -> list[RemoteFile]:
        """Return all files of a name in a folder, the newest first.

        Parameters
        ----------
        folder, name
            Where they are.
        """
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
            while len(self._made) > _MOST_MADE:
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
        # What lies in the root has its real id among its parents, not this alias.
        moved = folder.id not in found.parents and folder.id != "root"
        return [] if found.name != name or found.trashed or moved else [found]

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

    def created(self, body: dict[str, Any]) -> RemoteFile:
        """Make a file without content, once.

        Parameters
        ----------
        body
            Its resource, with an ``id`` of `new_id`.
        """
        return self._created(FILES, body)

    def _created(self, where: str, body: dict[str, Any]) -> RemoteFile:
        """Make a file; one that an unheard attempt has made counts."""
        response = self.transport.request(
            "POST",
            where,
            cost=budget.WRITE,
            params={"fields": FIELDS, "supportsAllDrives": "true"},
            json=body,
            accepted={_CONFLICT},
            whole=has_object,
        )
        if response.status_code == _CONFLICT:
            return self.by_id(body["id"])
        return RemoteFile.read(object_of(response))

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
        body = {"id": file_id, "name": name or remote.name, "parents": [folder.id]}
        return self._created(f"{FILES}/{remote.id}/copy", body)

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


def _quoted(text: str) -> str:
    """Return a text for a query."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
