"""Drive as a tree of names that a file system can have: what `fuse_daemon` shows.

Drive allows what a folder does not: several files of one name, ``/`` in a name, documents
without bytes. Each gets a name of its own here, always the same one.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from colabmagic.drive.api.files import FOLDER, Files, RemoteFile
from colabmagic.drive.api.listing import shared_drives
from colabmagic.drive.api.remote import root_of
from colabmagic.drive.errors import DriveFileNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MY_DRIVE: Final = "MyDrive"
SHARED: Final = "Shareddrives"
TTL_S: Final = 60.0
_ROOT: Final = RemoteFile(id="", name="", mime_type=FOLDER)
_MINE: Final = RemoteFile(id="root", name=MY_DRIVE, mime_type=FOLDER)
_TEAMS: Final = RemoteFile(id="shared", name=SHARED, mime_type=FOLDER)
_LONGEST: Final = 255  # bytes of a name, on Linux
_SLASH: Final = "\N{FULLWIDTH SOLIDUS}"
_LONE: Final = re.compile(
    r"[\ud800-\udfff]"
)  # half a letter, which no name here can have
_UNKNOWN: Final = "\N{REPLACEMENT CHARACTER}"
_ONE_BY_ONE: Final = 3  # names asked for singly before the whole folder is listed
_MOST_FOLDERS: Final = 1000
_DOCUMENTS: Final = {
    "application/vnd.google-apps.document": ".gdoc",
    "application/vnd.google-apps.spreadsheet": ".gsheet",
    "application/vnd.google-apps.presentation": ".gslides",
}
_OTHER_DOCUMENT: Final = ".glink"
_SUFFIXES: Final = (*_DOCUMENTS.values(), _OTHER_DOCUMENT)


def names(files: Iterable[RemoteFile]) -> dict[str, RemoteFile]:
    """Return the files of a folder by names that are all different.

    Parameters
    ----------
    files
        Of several of the same name, the one that changed last has it; the others get
        their id into it.
    """
    found: dict[str, RemoteFile] = {}
    for file in sorted(files, key=lambda each: (each.modified, each.id), reverse=True):
        name = local_name(file)
        found[_with_id(name, file.id) if name in found else name] = file
    return found


def local_name(file: RemoteFile) -> str:
    """Return the name that a file has in a folder of Linux.

    Parameters
    ----------
    file
        On Drive.
    """
    name = _LONE.sub(_UNKNOWN, file.name).replace("/", _SLASH).replace("\0", "")
    if name in {"", ".", ".."}:
        return _with_id(name, file.id)
    if file.is_document:
        name += _DOCUMENTS.get(file.mime_type, _OTHER_DOCUMENT)
    if len(name.encode("utf-8", "surrogateescape")) > _LONGEST:
        return _with_id(name, file.id)
    return name


def link_file(file: RemoteFile) -> bytes:
    """Return what stands in the file that is shown for a document without bytes.

    Parameters
    ----------
    file
        A Google document.
    """
    link = {"url": f"https://drive.google.com/open?id={file.id}", "doc_id": file.id}
    return json.dumps(link).encode() + b"\n"


def _with_id(name: str, file_id: str) -> str:
    """Put the id of a file into its name, before the suffix, and keep it short."""
    path = PurePosixPath(name)
    mark = f" (id {file_id})"
    suffix = path.suffix if len(path.suffix) < 16 else ""  # noqa: PLR2004
    stem = name.removesuffix(suffix).encode("utf-8", "surrogateescape")
    room = _LONGEST - len((mark + suffix).encode())
    return stem[:room].decode("utf-8", "ignore") + mark + suffix


def _needs_listing(name: str) -> bool:
    """Tell whether a name may be one that Drive does not have as it is."""
    return (
        _SLASH in name
        or _UNKNOWN in name
        or " (id " in name
        or name.endswith(_SUFFIXES)
    )


def _refusal(number: int, path: str) -> OSError:
    """Return the system's own error for a path."""
    return OSError(number, os.strerror(number), path)


@dataclass
class _Folder:
    """What is known of a folder; not for long."""

    until: float
    names: dict[str, RemoteFile | None] = field(default_factory=dict)
    whole: bool = False
    asked: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Tree:
    """Finds files by their local paths, and remembers for a minute what was found.

    Parameters
    ----------
    files
        Where they are.
    ttl_s
        How long an answer is good for.
    clock
        Seconds.
    """

    def __init__(
        self,
        files: Files,
        ttl_s: float = TTL_S,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files, self._ttl_s, self._clock = files, ttl_s, clock
        self._folders: OrderedDict[str, _Folder] = OrderedDict()
        self._targets: OrderedDict[str, tuple[float, RemoteFile]] = OrderedDict()
        self._lock = threading.Lock()

    def stat(self, path: str) -> RemoteFile:
        """Return what a path leads to; shortcuts are followed.

        Parameters
        ----------
        path
            As ``/MyDrive/a``.

        Raises
        ------
        DriveFileNotFoundError
            It leads nowhere.
        NotADirectoryError
            It goes through a file.
        OSError
            A shortcut leads back to a folder above it.
        """
        current, above = _ROOT, {_ROOT.id}
        for name in PurePosixPath(path).parts[1:]:
            if not current.is_folder:
                raise _refusal(errno.ENOTDIR, path)
            found = self._child(current, name)
            if found is None:
                raise DriveFileNotFoundError(
                    f"{name} is not there", hint="look at upper and lower case"
                )
            if found.target_id is not None:
                found = self._target(found)
                if found.id in above:
                    raise _refusal(errno.ELOOP, path)
            above.add(found.id)
            current = found
        return current

    def ls(self, path: str) -> dict[str, RemoteFile]:
        """Return what lies in a folder, by name; shortcuts as they are.

        Parameters
        ----------
        path
            As for `stat`; what is raised too.
        """
        folder = self.stat(path)
        if not folder.is_folder:
            raise _refusal(errno.ENOTDIR, path)
        known = self._known(folder)
        with known.lock:
            self._list(folder, known)
            return {name: file for name, file in known.names.items() if file}

    def forget(self) -> None:
        """Ask anew for everything: something has changed on Drive."""
        with self._lock:
            self._folders.clear()
            self._targets.clear()

    def _child(self, folder: RemoteFile, name: str) -> RemoteFile | None:
        """Return the file of a name; the folder is listed when that is cheaper."""
        known = self._known(folder)
        with known.lock:
            if name not in known.names and not known.whole:
                special = folder.id in {_ROOT.id, _TEAMS.id} or _needs_listing(name)
                if special or known.asked >= _ONE_BY_ONE:
                    self._list(folder, known)
                else:
                    known.asked += 1
                    alike = names(self._files.named(folder, name))
                    known.names[name] = alike.get(name)
            return known.names.get(name)

    def _list(self, folder: RemoteFile, known: _Folder) -> None:
        """List a folder, if that is not known yet."""
        if known.whole:
            return
        if folder.id == _ROOT.id:
            known.names = {**self._top(), MY_DRIVE: _MINE, SHARED: _TEAMS}
        elif folder.id == _TEAMS.id:
            known.names = dict(names(self._shared_drives()))
        else:
            known.names = dict(names(self._files.children(folder)))
        known.whole, known.until = True, self._clock() + self._ttl_s

    def _known(self, folder: RemoteFile) -> _Folder:
        """Return what is known of a folder and still good."""
        now = self._clock()
        with self._lock:
            known = self._folders.get(folder.id)
            if known is None or known.until <= now:
                known = self._folders[folder.id] = _Folder(now + self._ttl_s)
            self._folders.move_to_end(folder.id)
            while len(self._folders) > _MOST_FOLDERS:
                self._folders.popitem(last=False)
            return known

    def _target(self, shortcut: RemoteFile) -> RemoteFile:
        """Return what a shortcut leads to, under the shortcut's name."""
        target_id, now = str(shortcut.target_id), self._clock()
        with self._lock:
            until, found = self._targets.get(target_id, (0.0, shortcut))
        if until <= now:
            found = self._files.by_id(target_id)
            with self._lock:
                self._targets[target_id] = (now + self._ttl_s, found)
                while len(self._targets) > _MOST_FOLDERS:
                    self._targets.popitem(last=False)
        return replace(found, name=shortcut.name)

    def _top(self) -> dict[str, RemoteFile]:
        """Return what lies in the shared drive in which paths begin, if there is one."""
        drive_id = self._files.drive_id
        if drive_id is None:
            return {}
        return names(self._files.children(root_of(drive_id, drive_id)))

    def _shared_drives(self) -> list[RemoteFile]:
        """Return the roots of the shared drives."""
        return list(shared_drives(self._files.transport))
