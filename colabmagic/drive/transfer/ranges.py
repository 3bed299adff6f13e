"""In which ranges a file is asked for, and by how many connections at a time."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.api import budget
from colabmagic.drive.api.remote import FILES

if TYPE_CHECKING:
    import requests

    from colabmagic.drive.api.http import Transport
    from colabmagic.drive.api.remote import RemoteFile

_USUAL_PART_BYTES: Final = 4 * 2**20
_LEAST_PART_BYTES: Final = 2**20  # each request costs 200 units and a round trip
_PARTS_OF_EACH: Final = 8  # worker, so that all have work until near the end
FAST: Final = 250e6  # bytes per second at which more connections only get in the way
_SLOW_TICKS: Final = 3  # others may have had the processor, if they are fewer
_CONTENT_RANGE: Final = re.compile(r"bytes \d+-\d+/(\d+|\*)")
TICK_S: Final = 0.01


def part_size(size: int, workers: int) -> int:
    """Return how many bytes of a file are noted as one part.

    Parameters
    ----------
    size
        Of the file. Of a small one, each worker has one part, and asks once; of a large
        one several, so that all have work until near the end.
    workers
        How many there are.
    """
    of_each = -(-size // workers)
    if of_each <= _USUAL_PART_BYTES:
        return max(_LEAST_PART_BYTES, of_each)
    return max(_USUAL_PART_BYTES, of_each // _PARTS_OF_EACH)


class Pace:
    """Tells when one connection does not bring what this computer can take."""

    def __init__(self) -> None:
        self._then, self._seen = time.monotonic(), 0
        self._slow, self._bound = 0, 1

    def is_slow(self, fetched: int) -> bool:
        """Tell it of the bytes that have come, looked at from time to time.

        Parameters
        ----------
        fetched
            Bytes that have come so far.
        """
        now = time.monotonic()
        if (passed := now - self._then) >= TICK_S:
            slow = fetched - self._seen < FAST * passed
            self._slow = self._slow + 1 if slow else 0
            self._bound = self._bound if slow else _SLOW_TICKS
            self._then, self._seen = now, fetched
        return self._slow >= self._bound


def ask(
    transport: Transport,
    remote: RemoteFile,
    start: int,
    end: int,
    *,
    acknowledge_abuse: bool = False,
    **options: Any,  # noqa: ANN401 (of `Transport.request`)
) -> requests.Response:
    """Ask for a range of a file; whether the answer brings it, `fits` tells.

    Parameters
    ----------
    transport
        Sends the request.
    remote
        The file.
    start, end
        Of the range; the byte at its end is the first that does not belong to it.
    acknowledge_abuse
        Take it although Google holds the file for harmful.
    **options
        Of `Transport.request`: ``stream``, ``stop``.

    Raises
    ------
    DriveError
        It is refused, or nobody answers.
    """
    params = {"alt": "media", "supportsAllDrives": "true"}
    if acknowledge_abuse:
        params["acknowledgeAbuse"] = "true"
    return transport.request(
        "GET",
        f"{FILES}/{remote.id}",
        cost=budget.DOWNLOAD,
        params=params,
        headers={"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"},
        **options,
    )


def total_of(response: requests.Response) -> str | None:
    """Return the size of the whole file, as an answer has it; ``*`` where it hides it.

    Parameters
    ----------
    response
        The answer.
    """
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return match[1] if match is not None else None


def fits(response: requests.Response, start: int, end: int, size: int) -> bool:
    """Tell whether an answer says that it is what was asked for.

    Parameters
    ----------
    response
        The answer: the range, or the whole file where that was asked for.
    start, end
        Of the range; the byte at its end is the first that does not belong to it.
    size
        Of the whole file.
    """
    if response.status_code == HTTPStatus.OK:
        return (start, end) == (0, size)
    if response.status_code != HTTPStatus.PARTIAL_CONTENT:
        return False
    said = response.headers.get("Content-Range", "")
    return said == f"bytes {start}-{end - 1}/{size}"
