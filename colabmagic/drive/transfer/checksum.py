"""With which checksum of the server's a file is compared: the fastest that is safe."""

from __future__ import annotations

import hashlib
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from colabmagic.drive.api.remote import RemoteFile

_TRIAL: Final = bytes(2**16)
_TRIALS: Final = 3


def expected(remote: RemoteFile) -> tuple[Any, str]:
    """Return an empty hash, and what it must say of the whole file in the end.

    MD5, which Drive tells of each file; or SHA-256, which it tells of most, where this
    processor is faster at it.

    Parameters
    ----------
    remote
        A file with bytes of its own.
    """
    if remote.sha256 is not None and _is_faster("sha256", "md5"):
        return hashlib.sha256(), remote.sha256
    return hashlib.md5(usedforsecurity=False), str(remote.md5)


@cache
def _is_faster(one: str, other: str) -> bool:
    """Tell which of two hashes is faster here; tried once, for a few milliseconds."""
    return _seconds(one) < _seconds(other)


def _seconds(name: str) -> float:
    """Return the shortest of a few trials: others may use the processor meanwhile."""
    taken = []
    for _ in range(_TRIALS):
        began = time.perf_counter()
        hashlib.new(name, _TRIAL, usedforsecurity=False)
        taken.append(time.perf_counter() - began)
    return min(taken)
