"""Read NVIDIA's list of redistributable archives (``redistrib_<version>.json``).

As nixpkgs and NVIDIA's own ``parse_redist.py`` read it: for each part a name, a license,
a version and, for each platform, ``relative_path``, ``sha256``, ``md5`` and ``size``
(text); some old lists lack the size.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.errors import ChecksumError, SourceUnreachableError
from colabmagic.cuda.fetching.address import below, name_of, shown
from colabmagic.cuda.fetching.download import Wanted
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_SHOWN: Final = 8


def archives(
    text: bytes, *, url: str, parts: Sequence[str], platform: str
) -> list[Wanted]:
    """Return the archives of parts.

    Parameters
    ----------
    text
        The list.
    url
        Where it came from; the archives lie below its folder.
    parts
        See `colabmagic.cuda.steps.redist.FetchRedist`.
    platform
        As the list calls it.

    Raises
    ------
    ChecksumError
        It is no such list, or lacks a hash.
    SourceUnreachableError
        It lacks a part.
    """
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, dict):
        raise _no_list(url, "the answer is no JSON of NVIDIA's form")
    known = {
        name: row[platform]
        for name, row in listed.items()
        if isinstance(row, dict) and isinstance(row.get(platform), dict)
    }
    found = []
    for part in parts:
        choices = part.removesuffix("?").split("|")
        name = next((each for each in choices if each in known), None)
        if name is not None:
            found.append(_archive(known[name], name, url))
        elif not part.endswith("?"):
            raise _no_part(url, " or ".join(choices), platform, sorted(known))
    return found


def _archive(row: dict[str, Any], part: str, url: str) -> Wanted:
    """Return one archive."""
    path, sha256, size = (row.get(key) for key in ("relative_path", "sha256", "size"))
    if not isinstance(path, str):
        raise _no_list(url, f"{part} has no relative_path")
    if not _DIGEST.fullmatch(str(sha256).lower()):
        raise _no_list(url, f"{part} has no SHA-256")
    address = below(url, path)
    return Wanted(
        url=address,
        name=name_of(address),
        sha256=str(sha256).lower(),
        size=int(str(size)) if str(size).isdigit() else None,
    )


def _no_list(url: str, seen: str) -> ChecksumError:
    """Return the error for a list that cannot be trusted."""
    return ChecksumError(
        f"{name_of(url)} is not NVIDIA's list of archives",
        seen=f"{clean(seen)}; from {shown(url)}",
        hint="run the cell again, or name another source: --mirror URL",
    )


def _no_part(
    url: str, part: str, platform: str, known: Sequence[str]
) -> SourceUnreachableError:
    """Return the error for a part that is not listed."""
    shown_names = ", ".join(clean(name) for name in known[:_SHOWN]) or "nothing"
    more = ", …" if len(known) > _SHOWN else ""
    return SourceUnreachableError(
        f"{name_of(url)} has no {part} for {platform}",
        seen=f"it has {shown_names}{more}",
        hint="another version: %cuda_install auto; or another way: --method runfile",
    )
