"""What an answer of Google's says beyond its content: whether it is whole, and a refusal."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import requests

from colabmagic.drive.api.refusals import (
    ELSEWHERE,
    foreign,
    leads_elsewhere,
    refusal,
    unlike_google,
)
from colabmagic.drive.api.unanswered import connection_failed
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from colabmagic.drive.errors import DriveError

_OBJECTS: Final[WeakKeyDictionary[requests.Response, Any]] = WeakKeyDictionary()
_SHOWN: Final = 60  # of foreign text
_LONGEST_ASKED_S: Final = 300.0  # of a server's Retry-After


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
    return foreign(seen) if is_page else unlike_google(seen)


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
    if response.status_code in ELSEWHERE:
        return leads_elsewhere(response.status_code)
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
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
