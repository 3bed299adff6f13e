"""Lists of files, page by page: each file once, and in full or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.api import budget
from colabmagic.drive.api.answers import has_object, list_at, object_of, text_at
from colabmagic.drive.api.remote import FIELDS, FILES, RemoteFile, root_of
from colabmagic.drive.errors import DriveError, ServerFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.drive.api.http import Transport

_PAGE: Final = 1000
_BARREN: Final = 100  # pages without anything new, one after the other
_EVERYWHERE: Final = {"supportsAllDrives": "true", "includeItemsFromAllDrives": "true"}
_BAD_TOKEN: Final = 400  # the status for a page token that the server does not know


def search(
    transport: Transport, query: str, drive_id: str | None = None, fields: str = FIELDS
) -> Iterator[RemoteFile]:
    """Yield what a query matches, each once.

    Pages may repeat a file. A token of a page that has run out begins the list anew;
    what was yielded is not yielded again. What the server leaves out of a page without
    a word, nobody can see.

    Parameters
    ----------
    transport
        Sends the requests.
    query
        In Drive's language.
    drive_id
        Of the shared drive that is searched; None for My Drive.
    fields
        What is told of each.
    """
    params: dict[str, Any] = {
        "q": query,
        "pageSize": _PAGE,
        "fields": f"nextPageToken,incompleteSearch,files({fields})",
        **_EVERYWHERE,
    }
    if drive_id is not None:  # else only what this user has opened there is found
        params |= {"corpora": "drive", "driveId": drive_id}
    seen: set[str] = set()
    tokens = _Tokens()
    begun_anew = 0
    while True:
        page = _page(transport, params)
        if page is None:
            begun_anew += 1
            if begun_anew >= transport.attempts:
                raise _cut_off("its page tokens run out before they are used")
            transport.retried()
            del params["pageToken"]
            tokens = _Tokens()
            continue
        known = len(seen)
        for meta in list_at(page, "files", dict):
            one = RemoteFile.read(meta)
            if one.id not in seen:
                seen.add(one.id)
                yield one
        token = tokens.next_of(page, is_new=len(seen) > known)
        if not token:
            return
        params["pageToken"] = token


class _Tokens:
    """The tokens of the pages of a list, which has to have an end."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._barren = 0

    def next_of(self, page: dict[str, Any], *, is_new: bool) -> str:
        """Return the token of the page after one; empty after the last.

        Parameters
        ----------
        page
            The page.
        is_new
            Whether it brought something.

        Raises
        ------
        ServerFailedError
            The pages go in a circle, or bring nothing any more.
        """
        token = str(text_at(page, "nextPageToken", ""))
        self._barren = 0 if is_new else self._barren + 1
        if token in self._used or self._barren > _BARREN:
            raise _cut_off("its pages have no end")
        if token:
            self._used.add(token)
        return token


def _page(transport: Transport, params: dict[str, Any]) -> dict[str, Any] | None:
    """Return one page of a list, searched in full; None if its token has run out."""
    again = "pageToken" in params
    for attempt in range(transport.attempts):
        if attempt:
            transport.retried()
            transport.waits.wait(attempt - 1)
        response = transport.request(
            "GET",
            FILES,
            cost=budget.LIST,
            params=params,
            accepted={_BAD_TOKEN} if again else (),
            whole=has_object,
        )
        if response.status_code == _BAD_TOKEN:
            return None
        page: dict[str, Any] = object_of(response)
        if not page.get("incompleteSearch"):
            return page
    raise _cut_off("incompleteSearch")


def shared_drives(transport: Transport) -> Iterator[RemoteFile]:
    """Yield the root folders of the shared drives.

    Parameters
    ----------
    transport
        Sends the requests.
    """
    tokens, token = _Tokens(), ""
    while True:
        params = {"pageSize": 100, "fields": "nextPageToken,drives(id,name)"}
        if token:
            params["pageToken"] = token
        page = transport.json(
            "GET", "/drive/v3/drives", cost=budget.LIST, params=params
        )
        found = list_at(page, "drives", dict)
        for each in found:
            drive = RemoteFile.read(each)
            yield root_of(drive.id, drive.name)
        token = tokens.next_of(page, is_new=bool(found))
        if not token:
            return


def _cut_off(seen: str) -> DriveError:
    """Return the error for a list that the server does not give in full."""
    return ServerFailedError(
        "Google does not list the folder in full", seen=seen, hint="run the cell again"
    )
