"""Which files were written under a folder: a program of its own, run by path.

A folder of Drive may stop to answer at any moment, so it is looked through, and its files
are read, in a process that can be given up. One JSON object a line: a file, a sign of
life, and at the end whether all was seen. The folders that changed last come first.

It imports the standard library only, as it runs without the environment's packages.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import json
import os
import stat
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Alias of MyDrive, and what is no file of the user's.
_SKIPPED = frozenset(
    {"My Drive", "Shared drives", ".Trash", ".Trash-0", ".Encrypted", ".file-revisions-by-id",
     ".shortcut-targets-by-id"}
)  # fmt: skip
_NOT_UPLOADED = (
    b"local"  # how the ids begin that Drive for desktop gives in the meantime
)
_PIECE = 4 * 2**20
_SIGN_BYTES = 64 * 2**20


def main(arguments: list[str]) -> int:
    """Look through a folder: root, since when (Unix time), seconds to spend, most files."""
    root, since, seconds, most = (
        arguments[0],
        float(arguments[1]),
        float(arguments[2]),
        int(arguments[3]),
    )
    end = time.monotonic() + seconds
    found = 0
    for path, status in walk(root):
        if path is None:
            tell({"alive": True})
        elif status.st_mtime >= since or is_pending(path):
            if found >= most:
                break
            found += 1
            tell(describe(root, path))
        if time.monotonic() > end:
            break
    else:
        tell({"complete": True})
        return 0
    tell({"complete": False})
    return 0


def tell(what: dict[str, object]) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def walk(root: str) -> Iterator[tuple[str | None, os.stat_result]]:
    """Yield the regular files below a folder, and None after each folder."""
    here = os.stat(root)  # noqa: PTH116 (no more is loaded than is needed)
    heap: list[tuple[float, str]] = [(-here.st_mtime, root)]
    while heap:
        _, folder = heapq.heappop(heap)
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in _SKIPPED or entry.is_symlink():
                    continue
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        heapq.heappush(heap, (-status.st_mtime, entry.path))
                    elif stat.S_ISREG(status.st_mode):
                        yield entry.path, status
        yield None, here


def is_pending(path: str) -> bool:
    """Tell whether Drive has given a file no id of its own yet."""
    try:
        return os.getxattr(path, "user.drive.id").startswith(_NOT_UPLOADED)
    except (OSError, AttributeError):  # none, or a system that has no such attributes
        return False


def describe(root: str, path: str) -> dict[str, object]:
    """Read a file; return its path below the root, its size and its MD5."""
    name = os.path.relpath(path, root)
    digest, size, told = hashlib.md5(usedforsecurity=False), 0, 0
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (as above)
            while data := file.read(_PIECE):
                digest.update(data)
                size += len(data)
                if size - told >= _SIGN_BYTES:
                    told = size
                    tell({"alive": True})
    except OSError as error:
        return {"path": name, "error": error.strerror or type(error).__name__}
    return {"path": name, "size": size, "md5": digest.hexdigest()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
