"""A small file system in memory, for the real FUSE: ``daemon.py MOUNTPOINT [--stuck-while FILE]``.

Each question is answered only when the file is not there, so that a request can hang
inside of the daemon, where not even SIGKILL frees who asked.
"""

from __future__ import annotations

import argparse
import errno
import os
import stat
import time

import mfusepy

FOLDER = {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}


class Memory(mfusepy.Operations):  # type: ignore[misc]
    """Files and folders in memory, as Colab lays Drive out."""

    use_ns = True

    def __init__(self, stuck_while: str | None, fail: str | None) -> None:
        self.stuck_while, self.fail = stuck_while, fail
        self.folders = {"/", "/MyDrive", "/MyDrive/proj"}
        self.files = {"/MyDrive/a.txt": b"alpha", "/MyDrive/proj/b.txt": b"beta"}

    def _wait(self) -> None:
        """Hang as long as that is asked for; fail where that is."""
        while self.stuck_while and os.path.exists(self.stuck_while):  # noqa: PTH110
            time.sleep(0.02)
        if self.fail and os.path.exists(self.fail):  # noqa: PTH110
            raise mfusepy.FuseOSError(errno.EIO)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Answer what a path is."""
        del fh
        self._wait()
        if path in self.folders:
            return FOLDER
        if path in self.files:
            size = len(self.files[path])
            return {"st_mode": stat.S_IFREG | 0o644, "st_nlink": 1, "st_size": size}
        raise mfusepy.FuseOSError(errno.ENOENT)

    def readdir(self, path: str, fh: int) -> list[str]:
        """Answer what lies in a folder."""
        del fh
        self._wait()
        names = [
            os.path.basename(each)  # noqa: PTH119
            for each in (*self.folders, *self.files)
            if os.path.dirname(each) == path and each != "/"  # noqa: PTH120
        ]
        return [".", "..", *names]

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Answer bytes of a file."""
        del fh
        self._wait()
        return self.files[path][offset : offset + size]


def main() -> None:
    """Mount and serve until unmounted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mountpoint")
    parser.add_argument("--stuck-while")
    parser.add_argument("--fail-while")
    options = parser.parse_args()
    mfusepy.FUSE(
        Memory(options.stuck_while, options.fail_while),
        options.mountpoint,
        foreground=True,
        ro=True,
        fsname="drive",
        subtype="drive",
        attr_timeout=60,  # the kernel remembers: a probe must not believe that
        entry_timeout=60,
    )


if __name__ == "__main__":
    main()
