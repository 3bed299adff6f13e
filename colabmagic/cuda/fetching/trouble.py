"""The errors of a download, in words."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.errors import (
    ChecksumError,
    CudaError,
    DiskFullError,
    NeedsRootError,
    SourceUnreachableError,
)
from colabmagic.cuda.fetching.address import scrub, shown
from colabmagic.report.size import in_words
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

AGAIN: Final = "run the cell again: what has come is kept, and it goes on from there"
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MISSING: Final = {404, 410}
_LOGIN: Final = {401, 403, 407}


def unreachable(name: str, url: str, seen: str) -> SourceUnreachableError:
    """Return the error for a server that does not answer well.

    Parameters
    ----------
    name
        What was wanted.
    url
        Where.
    seen
        What it did instead, in words.
    """
    hint = f"{AGAIN}\nor name another source: --mirror URL"
    if "the proxy" in seen:
        hint = f"see to the proxy that HTTPS_PROXY names\nthen {AGAIN}"
    return SourceUnreachableError(
        f"{clean(name)} did not come", seen=f"{shown(url)}: {scrub(seen)}", hint=hint
    )


def refused(name: str, url: str, status: int, reason: str) -> SourceUnreachableError:
    """Return the error for an answer that another try would not change.

    Parameters
    ----------
    name
        What was wanted.
    url
        Where.
    status, reason
        Of the answer.
    """
    if status in _MISSING:
        what = f"the server does not have {clean(name)}"
        hint = "another source: --mirror URL, or another version: %cuda_install auto"
    elif status in _LOGIN:
        what = f"the server does not let us have {clean(name)}"
        hint = (
            "another source: --mirror URL, or see to the proxy or login of this network"
        )
    else:
        what = f"the server does not send {clean(name)}"
        hint = f"{AGAIN}\nor name another source: --mirror URL"
    return SourceUnreachableError(
        what, seen=f"{shown(url)}: {status} {scrub(reason)}".rstrip(), hint=hint
    )


def wrong_bytes(name: str, url: str, seen: str) -> ChecksumError:
    """Return the error for bytes that are not those that were announced.

    Parameters
    ----------
    name
        Of the file.
    url
        Where it came from.
    seen
        What it has, and what it should have: both hashes, or both sizes.
    """
    return ChecksumError(
        f"what came as {clean(name)} is damaged, or another file; it was thrown away",
        seen=f"{seen}; from {shown(url)}",
        hint="run the cell again in some minutes: that server may be changing its files\n"
        "or add another server to the cell's first line: --mirror URL",
    )


def not_here(missing: Sequence[str]) -> SourceUnreachableError:
    """Return the error for files that are wanted, while nothing may be fetched.

    Parameters
    ----------
    missing
        Their names.
    """
    first = ", ".join(clean(name) for name in missing[:4])
    more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""  # noqa: PLR2004
    return SourceUnreachableError(
        "--offline allows no download, and the cache does not have all",
        seen=f"missing: {first}{more}",
        hint="the same line without --offline, once; or --cache FOLDER, where they are",
    )


def no_room(name: str, place: Path, wanted: int, free: int) -> DiskFullError:
    """Return the error for what cannot fit, before it is fetched.

    Parameters
    ----------
    name
        What was wanted.
    place
        The folder.
    wanted, free
        Bytes.
    """
    return DiskFullError(
        f"there is no room for {clean(name)}",
        seen=f"{clean(str(place))}: {in_words(wanted)} to come, {in_words(free)} free",
        hint="free room there and run the cell again\nor --cache FOLDER, on another disk",
    )


def unwritable(place: Path, error: OSError, *, wanted: int | None = None) -> CudaError:
    """Return the error for a disk that takes no more.

    Parameters
    ----------
    place
        The folder.
    error
        What the system says.
    wanted
        Bytes that are still to come, where that is known.
    """
    folder = clean(str(place))
    if error.errno in _FULL:
        more = f"; {in_words(wanted)} are still to come" if wanted else ""
        return DiskFullError(
            "the disk is full",
            seen=f"{folder}: {error.strerror}{more}",
            hint="free room there and run the cell again: it goes on from there\n"
            "or --cache FOLDER, on another disk",
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return NeedsRootError(
            "the folder cannot be written",
            seen=f"{folder}: {error.strerror}",
            hint="set COLABMAGIC_HOME, or --cache FOLDER, to a folder that you may write",
        )
    return CudaError(
        "the disk does not take the file",
        seen=f"{folder}: {error.strerror or type(error).__name__}",
        hint="--cache FOLDER, on another disk",
    )
