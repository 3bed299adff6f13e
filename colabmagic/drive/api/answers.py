"""What an answer of Google's says beyond its content: whether it is whole, and a refusal."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import requests
from urllib3.exceptions import HTTPError

from colabmagic.drive.api.refusals import refusal, unlike_google
from colabmagic.drive.api.unanswered import connection_failed
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.drive.errors import DriveError, ServerFailedError

_OBJECTS: Final[WeakKeyDictionary[requests.Response, Any]] = WeakKeyDictionary()
_ELSEWHERE: Final = range(300, 400)
_PIECE: Final = 2**16
_SHOWN: Final = 60  # of foreign text
_LONGEST_ASKED_S: Final = 300.0  # of a server's Retry-After


def read_bounded(response: requests.Response, most: int, seconds: float) -> None:
    """Read the body of an answer, which may become so large and take so long.

    Parameters
    ----------
    response
        Not read yet.
    most
        Bytes.
    seconds
        From now on.

    Raises
    ------
    ServerFailedError
        It is larger.
    requests.Timeout
        It took longer.
    """
    until = time.monotonic() + seconds
    pieces, size = [], 0
    for piece in _pieces(response):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            response.close()
            raise unlike_google(f"more than {most} bytes")
        if time.monotonic() > until:
            response.close()
            raise requests.Timeout("the answer does not end")
    response._content = b"".join(pieces)  # noqa: SLF001 (there is no other way to say so)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield the body of an answer as it comes: who waits for more may wait for ever."""
    read1 = getattr(response.raw, "read1", None)
    if read1 is None or response._content is not False:  # noqa: SLF001 (a log has read it)
        yield from response.iter_content(_PIECE)
        return
    try:
        while piece := read1(_PIECE, decode_content=True):
            yield piece
    except (HTTPError, OSError) as error:  # of urllib3, whose text may show the address
        broken = type(error).__name__
    else:
        return
    raise requests.ConnectionError(broken)


def has_object(response: requests.Response) -> bool:
    """Tell whether a JSON object has come in full; `object_of` returns it.

    Parameters
    ----------
    response
        A success.
    """
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return False
    _OBJECTS[response] = found
    return isinstance(found, dict)


def not_whole(response: requests.Response, url: str) -> DriveError:
    """Return the error for a success that is none.

    Parameters
    ----------
    response
        Cut off, or not of Google's form: from a proxy, or a page to log in at.
    url
        What was asked for.
    """
    kind, body = response.headers.get("Content-Type", ""), response._content or b""  # noqa: SLF001 (what was read)
    is_json = not kind or kind.startswith("application/json")
    is_cut_off = is_json and not body.rstrip().endswith((b"}", b"]"))
    if is_cut_off and response.status_code != requests.codes.no_content:
        return connection_failed(EOFError(), url)
    seen = f"HTTP {response.status_code} {clean(kind[:_SHOWN])}".rstrip()
    is_page = "html" in kind.casefold()  # Google's own faults have no such form
    return _foreign(seen) if is_page else unlike_google(seen)


def _foreign(seen: str) -> ServerFailedError:
    """Return the error for an answer that somebody else gave."""
    error = unlike_google(seen)
    error.foreign = True
    return error


def object_of(response: requests.Response) -> dict[str, Any]:
    """Return the JSON object of an answer that has been looked at; it is read once.

    Parameters
    ----------
    response
        For which `has_object` was true.
    """
    found: dict[str, Any] = _OBJECTS.pop(response)
    return found


def read_refusal(response: requests.Response) -> DriveError:
    """Return the error for a refusal; if its text does not arrive, by its status alone.

    Parameters
    ----------
    response
        Its body is read, if it has not been.
    """
    if response.status_code in _ELSEWHERE:
        return _foreign(f"HTTP {response.status_code}: it leads elsewhere")
    try:
        return refusal(response)
    except (requests.RequestException, OSError):
        response._content = b""  # noqa: SLF001 (there is no other way to say so)
    return refusal(response)


def retry_after(response: requests.Response) -> float | None:
    """Return how many seconds the server asks to wait; None where it does not.

    Parameters
    ----------
    response
        With ``Retry-After`` in seconds or as a date, which is compared with the server's
        own clock.
    """
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text), _LONGEST_ASKED_S)
    then = _date(text)
    if then is None:
        return None
    now = _date(response.headers.get("Date", "")) or datetime.now(UTC)
    return min(max(0.0, (then - now).total_seconds()), _LONGEST_ASKED_S)


def _date(text: str) -> datetime | None:
    """Return the moment that a header names."""
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
