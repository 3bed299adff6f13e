"""The entries of Google's JSON, each of the kind that it has to be.

What is left out or ``null`` is told apart from what is of another kind: a proxy, or a page
to log in at, may answer in Google's place.
"""

from __future__ import annotations

import re
from typing import Any, Final

from colabmagic.drive.api.refusals import unlike_google

_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_MOST: Final = 10**18


def text_at(meta: dict[str, Any], name: str, otherwise: str | None = None) -> Any:  # noqa: ANN401
    """Return a text of an object of JSON; what is ``null`` counts as left out.

    Parameters
    ----------
    meta
        The object.
    name
        Of the text.
    otherwise
        Is returned where there is none.

    Raises
    ------
    ServerFailedError
        Something else is there.
    """
    found = meta.get(name)
    if found is None:
        return otherwise
    if not isinstance(found, str):
        raise unlike_google(f"{name} is no text")
    return found


def number_at(meta: dict[str, Any], name: str) -> int | None:
    """Return a number of an object of JSON, which Google writes as text; None if left out.

    Parameters
    ----------
    meta
        The object.
    name
        Of the number.

    Raises
    ------
    ServerFailedError
        Something else is there.
    """
    found = meta.get(name)
    if found is None:
        return None
    text = str(found) if type(found) is int and 0 <= found < _MOST else found
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise unlike_google(f"{name} is no number")
    return int(text)


def object_at(meta: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object within an object of JSON; an empty one if it is left out.

    Parameters
    ----------
    meta
        The outer object.
    name
        Of the inner one.

    Raises
    ------
    ServerFailedError
        Something else is there.
    """
    found = meta.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise unlike_google(f"{name} is no object")
    return found


def list_at(meta: dict[str, Any], name: str, kind: type) -> list[Any]:
    """Return a list of an object of JSON; an empty one if it is left out.

    Parameters
    ----------
    meta
        The object.
    name
        Of the list.
    kind
        Of each that is in it.

    Raises
    ------
    ServerFailedError
        Something else is there.
    """
    found = meta.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(e, kind) for e in found):
        raise unlike_google(f"{name} is no list of its kind")
    return found
