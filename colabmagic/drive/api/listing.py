"""Lists of files, page by page: each file once, and in full or not at all."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.api import budget
from colabmagic.drive.api.answers import has_object, object_of
from colabmagic.drive.api.fields import list_at, text_at
from colabmagic.drive.api.remote import FIELDS, FILES, RemoteFile, root_of
from colabmagic.drive.errors import DriveError, ServerFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    barren = 0
    for page in _pages(transport, params):
        known = len(seen)
        for meta in list_at(page, "files", dict):
            one = RemoteFile.read(meta)
            if one.id not in seen:
                seen.add(one.id)
                yield one
        barren = 0 if len(seen) > known else barren + 1
        if barren > _BARREN:
            raise _cut_off("its pages have no end")


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


def _pages(transport: Transport, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pages of a list; all from the beginning again if a token runs out.

    Who has taken the first page and asks for more likely wants all: from then on, the
    next one is on its way while he looks at the one before.
    """
    begun_anew, came, tokens = 0, 0, _Tokens()
    stop = threading.Event()
    try:
        ask = _later(transport, params, stop, ahead=False)
        while True:
            page = ask()
            if page is None:
                begun_anew += 1
                if begun_anew >= transport.attempts:
                    raise _cut_off("its page tokens run out before they are used")
                transport.retried()
                del params["pageToken"]
                tokens = _Tokens()
                ask = _later(transport, params, stop, ahead=False)
                continue
            came += 1
            token = tokens.next_of(page, is_new=True)  # the caller knows better
            if token:
                params["pageToken"] = token
                ask = _later(transport, params, stop, ahead=came > 1)
            yield page
            if not token:
                return
    finally:
        stop.set()  # for a page that nobody wants any more


def _later(
    transport: Transport, params: dict[str, Any], stop: threading.Event, *, ahead: bool
) -> Callable[[], dict[str, Any] | None]:
    """Return what waits for a page; if ahead, it is asked for at once, in a thread."""
    asked = dict(params)
    if not ahead:
        return lambda: _page(transport, asked, stop)
    future: Future[dict[str, Any] | None] = Future()

    def work() -> None:
        try:
            future.set_result(_page(transport, asked, stop))
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            future.set_exception(error)

    threading.Thread(target=work, name="colabmagic-drive-list", daemon=True).start()
    return future.result


def _page(
    transport: Transport, params: dict[str, Any], stop: threading.Event
) -> dict[str, Any] | None:
    """Return one page of a list, searched in full; None if its token has run out."""
    again = "pageToken" in params
    for attempt in range(transport.attempts):
        if attempt:
            transport.retried()
            transport.waits.wait(attempt - 1, stop=stop)
        response = transport.request(
            "GET",
            FILES,
            cost=budget.LIST,
            params=params,
            accepted={_BAD_TOKEN} if again else (),
            whole=has_object,
            stop=stop,
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
