"""Fetch the pages that list PyTorch's wheels, and pick those that were chosen."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.errors import NoTorchWheelError, SourceUnreachableError
from colabmagic.cuda.packages import links
from colabmagic.cuda.packages.scrub import scrub

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from colabmagic.cuda.packages.links import Link
    from colabmagic.cuda.packages.sources import Source
    from colabmagic.cuda.steps.base import Work


@contextlib.contextmanager
def _session(work: Work) -> Iterator[Any]:
    """Give a session: that of the service, or one that is closed afterwards."""
    if work.session is not None:
        yield work.session
        return
    import requests

    with requests.Session() as session:
        yield session


def find_links(work: Work, source: Source, pins: Sequence[str]) -> tuple[Link, ...]:
    """Return the wheels for some pins.

    Raises
    ------
    SourceUnreachableError, NoTorchWheelError, ChecksumError
        The source does not answer, has none, or has another than PyTorch.
    """
    if work.offline:
        raise SourceUnreachableError(
            "PyTorch's wheels would have to be fetched, and --offline was given",
            seen=", ".join(pins),
            hint="run the cell without --offline",
        )
    with _session(work) as session:
        return tuple(_find_link(session, source, pin) for pin in pins)


def _find_link(session: Any, source: Source, pin: str) -> Link:  # noqa: ANN401
    """Return the wheel for one pin, with the checksum that PyTorch tells.

    Raises
    ------
    SourceUnreachableError, NoTorchWheelError, ChecksumError
        See `find_links`.
    """
    name = pin.partition("=")[0]
    page = source.page(name)
    link = _pick(links.fetch_page(session, page), page, pin)
    if link is None:
        raise NoTorchWheelError(
            f"there is no wheel of {pin} for this Python",
            seen=f"looked at {scrub(page)}",
            hint=f"see which there are: {scrub(page)}",
        )
    official = source.official_page(name)
    if official is not None:
        text = links.fetch_page(session, official, is_needed=False)
        link = links.with_official_checksum(link, _pick(text, official, pin))
    return link


def _pick(text: str | None, address: str, pin: str) -> Link | None:
    """Return the wheel for a pin on a page."""
    from packaging.tags import sys_tags  # noqa: PLC0415

    if text is None:
        return None
    return links.pick(links.parse_page(text, address), pin, tuple(sys_tags()))
