"""Pages that list wheels: what is on them, and which one this Python takes."""

from __future__ import annotations

import html
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin

from colabmagic.cuda.errors import ChecksumError, SourceUnreachableError
from colabmagic.cuda.packages.scrub import scrub

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.tags import Tag

_TIMEOUT_S = (15, 60)  # to connect, between two pieces
_SHORT_TIMEOUT_S = (5, 20)  # for what we can do without
_METADATA = ("data-core-metadata", "data-dist-info-metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A wheel on a page.

    Attributes
    ----------
    url
        Without its fragment; it may hold a password.
    file
        Name of the wheel.
    sha256
        None where the page does not tell.
    metadata
        Whether pip can fetch the wheel's metadata alone.
    """

    url: str
    file: str
    sha256: str | None = None
    metadata: str | None = None


class _Anchors(HTMLParser):
    """Gathers the links of a page, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.base: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link, or the base of all."""
        if tag == "a":
            self.found.append(dict(attrs))
        elif tag == "base" and self.base is None:
            self.base = dict(attrs).get("href")


def parse_page(text: str, address: str) -> tuple[Link, ...]:
    """Return the wheels on a page.

    Parameters
    ----------
    text
        HTML, as package indexes and pages of links have it.
    address
        Where it comes from: its links are relative to that.
    """
    anchors = _Anchors()
    anchors.feed(text)
    base = urljoin(address, anchors.base or "")
    links = []
    for each in anchors.found:
        url, fragment = urldefrag(urljoin(base, each.get("href") or ""))
        file = unquote(url.partition("?")[0].rpartition("/")[2])
        if not file.endswith(".whl") or not url.startswith(("http://", "https://")):
            continue
        sha256 = fragment.partition("sha256=")[2].partition("&")[0] or None
        metadata = next((each[name] for name in _METADATA if each.get(name)), None)
        links.append(Link(url=url, file=file, sha256=sha256, metadata=metadata))
    return tuple(links)


def pick(links: Iterable[Link], pin: str, tags: Sequence[Tag]) -> Link | None:
    """Return the wheel of a pinned package that this Python likes best.

    Parameters
    ----------
    links
        Of a page.
    pin
        "torch==2.7.1+cu118".
    tags
        What this Python takes, best first.
    """
    from packaging.requirements import Requirement  # noqa: PLC0415
    from packaging.utils import (  # noqa: PLC0415
        InvalidWheelFilename,
        canonicalize_name,
        parse_wheel_filename,
    )

    requirement = Requirement(pin)
    name = canonicalize_name(requirement.name)
    places = {tag: place for place, tag in enumerate(tags)}
    best: tuple[int, Link] | None = None
    for link in links:
        try:
            its_name, version, _, its_tags = parse_wheel_filename(link.file)
        except InvalidWheelFilename:
            continue
        if its_name != name:
            continue
        if not requirement.specifier.contains(str(version), prereleases=True):
            continue
        place = min((places[tag] for tag in its_tags if tag in places), default=None)
        if place is not None and (best is None or place < best[0]):
            best = (place, link)
    return best[1] if best is not None else None


def fetch_page(session: Any, address: str, *, is_needed: bool = True) -> str | None:  # noqa: ANN401
    """Return the text of a page.

    Parameters
    ----------
    session
        A ``requests.Session``.
    address
        Of the page.
    is_needed
        Whether it is an error if nobody answers.

    Returns
    -------
    str or None
        None: there is no such page, or nobody answers and `is_needed` is false.

    Raises
    ------
    SourceUnreachableError
        Nobody answers, or the server has an error.
    """
    import requests

    shown = scrub(address)
    try:
        answer = session.get(
            address,
            timeout=_TIMEOUT_S if is_needed else _SHORT_TIMEOUT_S,
            headers={"Accept": "text/html"},
        )
    except requests.RequestException as error:
        if not is_needed:
            return None
        raise SourceUnreachableError(
            "the index of PyTorch's wheels does not answer",
            seen=f"{shown}: {type(error).__name__}",
            hint="run the cell again, or with --mirror nju",
        ) from None
    if answer.status_code in {403, 404}:
        return None
    if not answer.ok:
        if not is_needed:
            return None
        raise SourceUnreachableError(
            "the index of PyTorch's wheels has an error",
            seen=f"{shown}: {answer.status_code} {answer.reason}",
            hint="run the cell again, or with --mirror nju",
        )
    text: str = answer.text
    return text


def with_official_checksum(link: Link, official: Link | None) -> Link:
    """Return a mirror's wheel with the checksum that PyTorch itself tells.

    Parameters
    ----------
    link
        The mirror's.
    official
        PyTorch's; None: it does not answer.

    Raises
    ------
    ChecksumError
        The mirror tells another checksum than PyTorch.
    """
    known = official.sha256 if official is not None else None
    if known is None:
        return Link(url=link.url, file=link.file, sha256=link.sha256)
    if link.sha256 is not None and link.sha256 != known:
        raise ChecksumError(
            f"the mirror has another {link.file} than PyTorch",
            seen=f"its sha256 {link.sha256[:12]}…, PyTorch's {known[:12]}…",
            hint="run the cell without --mirror, or with another one",
        )
    return Link(url=link.url, file=link.file, sha256=known)


def write_page(links: Iterable[Link]) -> str:
    """Return a page with these wheels alone, for pip's ``--find-links``."""
    lines = ["<!DOCTYPE html>", "<html><body>"]
    for link in links:
        url = link.url + (f"#sha256={link.sha256}" if link.sha256 else "")
        metadata = (
            f' data-core-metadata="{html.escape(link.metadata)}"'
            if link.metadata
            else ""
        )
        lines.append(
            f'<a href="{html.escape(url)}"{metadata}>{html.escape(link.file)}</a>'
        )
    return "\n".join([*lines, "</body></html>", ""])
