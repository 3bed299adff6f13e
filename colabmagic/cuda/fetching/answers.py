"""What an answer says of its body, and why there was none, in words."""

from __future__ import annotations

import re
from typing import Any, Final


def length_of(response: Any) -> int | None:  # noqa: ANN401 (requests)
    """Return how many bytes the body has, by its head.

    Parameters
    ----------
    response
        Of ``requests``.
    """
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None


def range_of(response: Any) -> tuple[int | None, int | None]:  # noqa: ANN401 (requests)
    """Return the first byte of a range and the size of the whole; None: not told.

    Parameters
    ----------
    response
        Of ``requests``.
    """
    text = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", text.strip())
    if not match:
        return None, None
    start, whole = match.groups()
    return (
        int(start) if start is not None else None,
        int(whole) if whole != "*" else None,
    )


_KINDS: Final = (
    ("NameResolution", "the name of the server is not known: no network, or a typo"),
    ("Name or service not known", "the name of the server is not known"),
    ("Temporary failure in name resolution", "no network"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not valid here"),
    ("ProxyError", "the proxy does not answer"),
    ("Connection refused", "connection refused"),
    ("timed out", "no answer in time"),
    ("reset by peer", "the connection was reset"),
    ("IncompleteRead", "the connection ended too early"),
    ("RemoteDisconnected", "the connection ended without an answer"),
)


def why(error: BaseException) -> str:
    """Return why a connection failed, without the names of Python's classes.

    Parameters
    ----------
    error
        What ``requests`` or ``urllib3`` raised.
    """
    text = f"{type(error).__name__}: {error}"
    for part, words in _KINDS:
        if part in text:
            return words
    return str(error) or type(error).__name__
