"""The process behind a folder of `colabmagic.drive.mounting.fuse`: Drive for the kernel's FUSE.

It gets what it needs, with the credentials, through its standard input, tells through its
standard output whether it works, and ends when it is unmounted or when the input is closed:
that is when the process that started it ends.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import importlib
import itertools
import json
import os
import pickle
import stat
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from colabmagic.drive.api.files import Files, RemoteFile
from colabmagic.drive.api.http import Transport
from colabmagic.drive.errors import (
    AmbiguousPathError,
    ConnectionFailedError,
    DailyLimitError,
    DownloadQuotaError,
    DriveAuthError,
    DriveError,
    DriveFileNotFoundError,
    IntegrityError,
    NotDownloadableError,
    RateLimitedError,
    StorageQuotaError,
)
from colabmagic.drive.mounting.fuse_reader import Reader
from colabmagic.drive.mounting.fuse_tree import Tree, link_file
from colabmagic.drive.watching.mounts import SUBTYPE, detach

_WORKERS: Final = 8
_BLOCK: Final = 512
_NAMES_S: Final = 5.0
# The kernel asks for each size anew: an old one would cut a file that has grown.
_ATTRIBUTES_S: Final = 0
_LAST_WAIT_S: Final = 5.0
WHY: Final = "user.colabmagic.why"  # attribute of the folder: the last error in words
_ERRNO: Final = (
    (DriveFileNotFoundError, errno.ENOENT),
    (AmbiguousPathError, errno.ENOTUNIQ),
    (NotDownloadableError, errno.EACCES),
    (DriveAuthError, errno.EACCES),
    (RateLimitedError, errno.EBUSY),
    (DownloadQuotaError, errno.EDQUOT),
    (DailyLimitError, errno.EDQUOT),
    (StorageQuotaError, errno.ENOSPC),
    (ConnectionFailedError, errno.ETIMEDOUT),
)

Method = TypeVar("Method", bound=Callable[..., Any])


def number_of(error: DriveError) -> int:
    """Return the system's number for an error of ours.

    Parameters
    ----------
    error
        Whatever Drive said.
    """
    return next(
        (number for kind, number in _ERRNO if isinstance(error, kind)), errno.EIO
    )


def _answers(method: Method) -> Method:
    """Turn errors into what the kernel understands; remember them in words."""

    @functools.wraps(method)
    def answered(self: Folder, *arguments: Any) -> Any:  # noqa: ANN401 (any method)
        try:
            return method(self, *arguments)
        except DriveError as error:
            number = number_of(error)
            if number != errno.ENOENT:
                self.why = str(error)
            if isinstance(error, IntegrityError):  # it has changed on Drive
                self.tree.forget()
            raise OSError(number, os.strerror(number)) from None

    return answered  # type: ignore[return-value]


class Folder:
    """The operations of the file system; all of them only read.

    Parameters
    ----------
    files
        Where the files are.
    ready
        Called when the kernel has the mount.
    """

    use_ns = True

    def __init__(self, files: Files, ready: Callable[[], object]) -> None:
        self._files, self.tree, self._ready = files, Tree(files), ready
        self._workers = ThreadPoolExecutor(_WORKERS, "colabmagic-drive-fuse")
        self._open: dict[int, Reader | bytes] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.why = ""

    def init(self, path: str) -> None:
        """Tell that it works."""
        del path
        self._ready()

    def destroy(self, path: str) -> None:
        """Fetch no more."""
        del path
        self._workers.shutdown(wait=False, cancel_futures=True)

    @_answers
    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Return what a path is."""
        del fh
        file = self.tree.stat(path)
        size = len(link_file(file)) if file.is_document else file.size or 0
        changed = _nanoseconds(file.modified)
        return {
            "st_mode": _mode(file),
            "st_nlink": 2 if file.is_folder else 1,
            "st_size": 0 if file.is_folder else size,
            "st_blocks": -(-size // _BLOCK),
            "st_mtime": changed,
            "st_ctime": changed,
            "st_atime": changed,
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
            "st_ino": _number(file),
        }

    @_answers
    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        """Return the names in a folder, with kinds and numbers: 0 would hide a name."""
        del fh
        here = {"st_mode": stat.S_IFDIR, "st_ino": 1}
        return [
            (".", here, 0),
            ("..", here, 0),
            *(
                (name, {"st_mode": _mode(file), "st_ino": _number(file)}, 0)
                for name, file in self.tree.ls(path).items()
            ),
        ]

    @_answers
    def open(self, path: str, flags: int) -> int:
        """Open a file for reading."""
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        file = self.tree.stat(path)
        if file.is_folder:
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        made = (
            link_file(file)
            if file.is_document
            else Reader(self._files, file, self._workers)
        )
        with self._lock:
            number = next(self._numbers)
            self._open[number] = made
        return number

    @_answers
    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Return bytes of a file."""
        del path
        opened = self._open[fh]
        if isinstance(opened, bytes):
            return opened[offset : offset + size]
        return opened.read(offset, size)

    def release(self, path: str, fh: int) -> int:
        """Close a file."""
        del path
        with self._lock:
            opened = self._open.pop(fh, None)
        if isinstance(opened, Reader):
            opened.close()
        return 0

    @_answers
    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        """Return an attribute: Drive's id and MD5; of the folder, the last error."""
        del position
        value = None
        if name == WHY:
            value = self.why if path == "/" else None
        elif name in {"user.drive.id", "user.drive.md5"}:
            file = self.tree.stat(path)
            value = file.id if name.endswith("id") else file.md5
        if value is None:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        return value.encode()

    def listxattr(self, path: str) -> list[str]:
        """Name no attributes: copying programs would copy them."""
        del path
        return []


def _mode(file: RemoteFile) -> int:
    """Return kind and rights; of a shortcut nothing, before it is followed."""
    if file.target_id is not None:
        return 0
    return stat.S_IFDIR | 0o555 if file.is_folder else stat.S_IFREG | 0o444


def _number(file: RemoteFile) -> int:
    """Return the number of a file, of its id: two ways to a folder are known to be one."""
    name = (file.target_id or file.id).encode()
    digest = hashlib.blake2b(name, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1 | 2


def _nanoseconds(modified: str) -> int:
    """Return a time of Drive's for the kernel."""
    try:
        return int(datetime.fromisoformat(modified).astimezone(UTC).timestamp() * 1e9)
    except (ValueError, OverflowError):  # before the year 1 in UTC, or after 9999
        return 0


def main(given: BinaryIO, told: int) -> int:
    """Serve a folder until it is unmounted or nobody holds the other end of the input.

    Parameters
    ----------
    given
        Holds, pickled by the process that started this one, a dict with ``path``,
        ``credentials``, ``api_root`` and ``drive_id``.
    told
        Descriptor for one line of JSON: ``{}``, or what went wrong.
    """
    wanted: dict[str, Any] = pickle.load(given)  # noqa: S301 (from who started us)
    transport = Transport(wanted.pop("credentials"), wanted["api_root"])
    files = Files(transport, wanted["drive_id"])
    try:
        mfusepy = importlib.import_module("mfusepy")  # raises without libfuse
        for each in ("root", files.drive_id):
            if each is not None:  # what is no good is told before there is a folder
                files.by_id(each)
    except DriveError as error:
        _tell(told, type(error).__name__, error.what, error.seen, error.hint)
        return 1
    except (OSError, ImportError, AttributeError) as error:
        _tell(
            told, "MissingPackageError", "libfuse cannot be loaded",
            type(error).__name__, "!apt-get install -y fuse3",
        )  # fmt: skip
        return 1
    path = Path(wanted["path"])
    threading.Thread(target=_end_with, args=(given, path), daemon=True).start()
    folder = Folder(files, functools.partial(_be_quiet, told))
    try:
        mfusepy.FUSE(
            folder, str(path), foreground=True, ro=True, default_permissions=True,
            fsname="drive", subtype=SUBTYPE, use_ino=True,
            attr_timeout=_ATTRIBUTES_S, entry_timeout=_NAMES_S,
        )  # fmt: skip
    except RuntimeError:
        return 1  # libfuse has said why on the standard error
    return 0


def _tell(told: int, kind: str, what: str, seen: str | None, hint: str) -> None:
    """Send an error home."""
    parts = {"kind": kind, "what": what, "seen": seen, "hint": hint}
    os.write(told, json.dumps(parts).encode() + b"\n")


def _be_quiet(told: int) -> None:
    """Tell that it works, and write nothing more: nobody would read it."""
    os.write(told, b"{}\n")
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in {told, 1, 2}:
        os.dup2(null, descriptor)


def _end_with(given: BinaryIO, path: Path) -> None:
    """Unmount when the other end of the input is closed, and end for sure."""
    while given.read(1):
        pass
    try:
        detach(path)
        threading.Event().wait(_LAST_WAIT_S)  # the main thread ends the process before
    finally:
        os._exit(0)


if __name__ == "__main__":
    code = main(sys.stdin.buffer, 1)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a fetch that is under way is not waited for
