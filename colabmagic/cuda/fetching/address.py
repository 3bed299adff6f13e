"""Addresses: what of them may be shown, and where a redirect may lead."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from colabmagic.cuda.errors import SourceUnreachableError
from colabmagic.report.text import clean

_LOGIN: Final = re.compile(r"(?<=://)[^/\s]*@")  # quotes and @ may be in it
_SECRET_QUERY: Final = re.compile(r"(\w+://[^\s?'\"]*)\?[^\s'\"]*")
_LONGEST: Final = 300


def scrub(text: str) -> str:
    """Return foreign text as one line, without the logins and queries of addresses.

    Parameters
    ----------
    text
        What a program or a server said.
    """
    return clean(_SECRET_QUERY.sub(r"\1", _LOGIN.sub("", text))).strip()[:_LONGEST]


def shown(url: str) -> str:
    """Return an address as a person may see it: no login, no query, no fragment.

    Parameters
    ----------
    url
        Any address.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return clean(urlunsplit((parts.scheme, host, parts.path, "", "")))


def name_of(url: str) -> str:
    """Return the last part of an address, as a file is called.

    Parameters
    ----------
    url
        Any address.
    """
    from urllib.parse import unquote  # noqa: PLC0415 (rarely wanted)

    return clean(unquote(urlsplit(url).path.rpartition("/")[2])) or "index"


def below(root: str, path: str) -> str:
    """Return the address of what lies below a folder; it leads nowhere else.

    Parameters
    ----------
    root
        Address of the folder or of a file in it.
    path
        Relative, from a list that a server sends.

    Raises
    ------
    SourceUnreachableError
        The path leads out of the folder.
    """
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or "://" in path:
        raise SourceUnreachableError(
            "the list of files leads out of its own folder",
            seen=scrub(path)[:80],
            hint="another --mirror: this one is damaged",
        )
    return urljoin(root, path)


def redirected(url: str, location: str) -> str:
    """Return where a redirect leads, if it may.

    Parameters
    ----------
    url
        What was asked.
    location
        What the answer says.

    Raises
    ------
    SourceUnreachableError
        It leads to something else than http or https, or out of encryption.
    """
    target = urljoin(url, location)
    scheme = urlsplit(target).scheme
    downgrade = urlsplit(url).scheme == "https" and scheme == "http"
    if scheme not in {"http", "https"} or downgrade:
        raise SourceUnreachableError(
            "the server sends us to an address that is not safe",
            seen=f"{shown(url)} → {shown(target)}"[:_LONGEST],
            hint="another --mirror, or another network: a log-in page of a hotel does this",
        )
    return target
