"""The bodies of answers: bounded where they are read at once, whole where they are streamed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import requests
from urllib3.exceptions import HTTPError

from colabmagic.drive.api.refusals import unlike_google

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE: Final = 2**16


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


def arriving(response: requests.Response, piece: int) -> Iterator[bytes]:
    """Yield the body of a streamed answer; whatever breaks it is an error of ``requests``.

    Parameters
    ----------
    response
        Not read yet.
    piece
        Most bytes that are yielded at a time.

    Raises
    ------
    requests.RequestException, OSError
        It broke, or its form makes no sense.
    """
    broken = ""
    try:
        yield from response.iter_content(piece)
    except ValueError as error:  # of http.client: the size of a chunk is below zero
        if isinstance(error, requests.RequestException):
            raise
        broken = type(error).__name__
    if broken:
        raise requests.exceptions.ChunkedEncodingError(broken)
