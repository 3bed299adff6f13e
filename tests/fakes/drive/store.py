"""What the fake Drive holds: files, folders, shared drives, tokens, sessions."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.fakes.drive.query import Query

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
GOOGLE_APPS = "application/vnd.google-apps."
BLOCK = 1 << 20
FOREVER = float("inf")


class NoSuchFileError(KeyError):
    """No file has this id."""


class Blob(Protocol):
    """The bytes of one revision of a file."""

    @property
    def size(self) -> int:
        """Number of bytes."""

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from start up to stop."""

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes at an offset, which is at most the present size."""

    def truncate(self, size: int) -> None:
        """Drop what lies beyond size."""


class MemoryBlob:
    """Bytes in memory."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = bytearray(data)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self._data)

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from start up to stop."""
        return bytes(memoryview(self._data)[start:stop])

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes at an offset."""
        self._data[offset : offset + len(data)] = data

    def truncate(self, size: int) -> None:
        """Drop what lies beyond size."""
        del self._data[size:]


class DiskBlob:
    """Bytes in a file, for contents that should not fill the memory."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        path.unlink()  # the space is given back with the descriptor

    def __del__(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return os.fstat(self._descriptor).st_size

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from start up to stop."""
        return os.pread(self._descriptor, stop - start, start)

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes at an offset."""
        os.pwrite(self._descriptor, data, offset)

    def truncate(self, size: int) -> None:
        """Drop what lies beyond size."""
        os.ftruncate(self._descriptor, size)


def blocks(blob: Blob, start: int, stop: int, length: int = BLOCK) -> Iterator[bytes]:
    """Yield the bytes from start up to stop in blocks."""
    for position in range(start, stop, length):
        yield blob.read(position, min(position + length, stop))


@dataclass(eq=False)
class Entry:
    """A file, folder or shortcut; ``meta`` is its resource as a client sees it."""

    meta: dict[str, Any]
    blob: Blob | None = None
    abusive: bool = False
    exports: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The file id."""
        return str(self.meta["id"])

    @property
    def is_folder(self) -> bool:
        """Whether it can hold other files."""
        return bool(self.meta["mimeType"] == FOLDER)


@dataclass
class UploadSession:
    """A resumable upload that was started."""

    metadata: dict[str, Any]
    params: dict[str, str]
    content_type: str | None
    file_id: str | None
    blob: Blob
    done: Entry | None = None


def new_id() -> str:
    """Return an id in the form of Drive's."""
    return "1" + secrets.token_urlsafe(24)


class Store:
    """All state of one fake Drive. Every public method may be called from any thread.

    Parameters
    ----------
    blob_dir
        Folder for file contents; None keeps them in memory.
    storage_limit
        Bytes that fit in My Drive; None for no limit.
    clock
        Replacement for ``time.time`` (token expiry, timestamps).
    """

    ROOT = "root-of-my-drive"

    def __init__(
        self,
        blob_dir: Path | None = None,
        storage_limit: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.storage_limit = storage_limit
        self.files: dict[str, Entry] = {}
        self.drives: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, UploadSession] = {}
        self.access_tokens: dict[str, float] = {"valid-token": FOREVER}
        self.revoked_refresh_tokens: set[str] = set()
        self.usage = 0
        self._blob_dir = blob_dir
        self._children: dict[str, dict[str, None]] = {}
        self._by_name: dict[tuple[str, str], dict[str, None]] = {}
        self._insert(Entry(self._new_meta({"id": self.ROOT, "name": "My Drive"})))
        self.files[self.ROOT].meta |= {"mimeType": FOLDER, "parents": []}

    # Making things

    def new_blob(self, data: bytes = b"") -> Blob:
        """Return an empty or filled place for contents."""
        if self._blob_dir is None:
            return MemoryBlob(data)
        blob = DiskBlob(self._blob_dir / secrets.token_hex(16))
        if data:
            blob.write(0, data)
        return blob

    def add_file(
        self, name: str, data: bytes | Blob = b"", parent: str = "root", **meta: Any
    ) -> Entry:
        """Add a file; further keywords go into its resource."""
        blob = self.new_blob(data) if isinstance(data, bytes) else data
        return self.create({"name": name, "parents": [parent], **meta}, blob)

    def add_folder(self, name: str, parent: str = "root", **meta: Any) -> Entry:
        """Add a folder."""
        return self.create(
            {"name": name, "parents": [parent], "mimeType": FOLDER, **meta}
        )

    def add_shortcut(self, name: str, target: str, parent: str = "root") -> Entry:
        """Add a shortcut to another file."""
        return self.create(
            {
                "name": name,
                "parents": [parent],
                "mimeType": SHORTCUT,
                "shortcutDetails": {"targetId": target},
            }
        )

    def add_document(
        self, name: str, exports: Mapping[str, bytes], parent: str = "root"
    ) -> Entry:
        """Add a Google Doc, which can be exported but not downloaded."""
        entry = self.create(
            {
                "name": name,
                "parents": [parent],
                "mimeType": GOOGLE_APPS + "document",
            }
        )
        entry.exports = dict(exports)
        return entry

    def add_drive(self, name: str) -> str:
        """Add a shared drive and return its id, which is also its root folder."""
        drive_id = "0A" + secrets.token_urlsafe(12)
        with self.lock:
            self.drives[drive_id] = {
                "kind": "drive#drive",
                "id": drive_id,
                "name": name,
            }
            meta = self._new_meta({"id": drive_id, "name": name, "mimeType": FOLDER})
            self._insert(Entry(meta | {"parents": [], "driveId": drive_id}))
        return drive_id

    def add_many(self, count: int, parent: str = "root", size: int = 10) -> None:
        """Add many small files that share one content, quickly."""
        blob = self.new_blob(b"x" * size)
        digests = _digests(blob)
        for index in range(count):
            self.create(
                {"name": f"f{index:06d}.bin", "parents": [parent]}, blob, digests
            )

    def create(
        self,
        metadata: Mapping[str, Any],
        blob: Blob | None = None,
        digests: dict[str, str] | None = None,
    ) -> Entry:
        """Add whatever the metadata describes."""
        with self.lock:
            meta = self._new_meta(metadata)
            parents = metadata.get("parents") or ["root"]
            meta["parents"] = [self.get(parent).id for parent in parents]
            drive_id = self.get(parents[0]).meta.get("driveId")
            if drive_id is not None:
                meta["driveId"] = drive_id
            if meta["mimeType"] == SHORTCUT:
                target = self.get(meta["shortcutDetails"]["targetId"])
                meta["shortcutDetails"]["targetMimeType"] = target.meta["mimeType"]
            entry = Entry(meta)
            if not meta["mimeType"].startswith(GOOGLE_APPS):
                self._set_blob(entry, blob or self.new_blob(), digests)
            self._insert(entry)
            return entry

    def _new_meta(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        now = self.now()
        given = {key: value for key, value in metadata.items() if key != "parents"}
        return {
            "kind": "drive#file",
            "id": new_id(),
            "name": "Untitled",
            "mimeType": "application/octet-stream",
            "trashed": False,
            "explicitlyTrashed": False,
            "starred": False,
            "createdTime": now,
            "modifiedTime": now,
            "version": "1",
            **given,
        }

    # Changing things

    def set_content(self, file_id: str, data: bytes | Blob) -> None:
        """Give a file new contents, as a new revision."""
        with self.lock:
            entry = self.get(file_id)
            blob = self.new_blob(data) if isinstance(data, bytes) else data
            self._set_blob(entry, blob)
            self._touch(entry)

    def update(
        self,
        entry: Entry,
        metadata: Mapping[str, Any],
        add_parents: list[str],
        remove_parents: list[str],
    ) -> None:
        """Change metadata and place."""
        with self.lock:
            added = [self.get(parent).id for parent in add_parents]
            removed = {self.get(parent).id for parent in remove_parents}
            self._unindex(entry)
            old = [p for p in entry.meta["parents"] if p not in removed]
            # One parent only: adding a second one moves the file.
            entry.meta["parents"] = added[-1:] or old
            for key, value in metadata.items():
                if key in {"properties", "appProperties"}:
                    merged = {**entry.meta.get(key, {}), **value}
                    entry.meta[key] = {k: v for k, v in merged.items() if v is not None}
                elif key != "trashed":
                    entry.meta[key] = value
            self._index(entry)
            if "trashed" in metadata:
                entry.meta["explicitlyTrashed"] = metadata["trashed"]
                self._set_trashed(entry, trashed=metadata["trashed"])
            self._touch(entry, keep_time="modifiedTime" in metadata)

    def delete(self, entry: Entry) -> None:
        """Remove a file for good; a folder with all that is in it."""
        with self.lock:
            for child in self.children(entry.id):
                self.delete(child)
            self._unindex(entry)
            self.files.pop(entry.id, None)
            self._children.pop(entry.id, None)
            self.usage -= entry.blob.size if entry.blob else 0

    def commit(self, session: UploadSession) -> Entry:
        """Turn a complete upload into a file, once."""
        with self.lock:
            if session.done is None:
                session.done = self.put(
                    session.file_id,
                    session.metadata,
                    session.blob,
                    session.content_type,
                    session.params,
                )
            return session.done

    def put(
        self,
        file_id: str | None,
        metadata: Mapping[str, Any],
        blob: Blob,
        content_type: str | None,
        params: Mapping[str, str],
    ) -> Entry:
        """Create a file with contents, or replace those of an existing one."""
        with self.lock:
            if file_id is None:
                full = {"mimeType": content_type or "application/octet-stream"}
                return self.create({**full, **metadata}, blob)
            entry = self.get(file_id)
            self._set_blob(entry, blob)
            self.update(
                entry,
                metadata,
                _ids(params.get("addParents")),
                _ids(params.get("removeParents")),
            )
            return entry

    # Looking

    def get(self, file_id: str) -> Entry:
        """Return the file with this id; ``root`` is My Drive."""
        with self.lock:
            key = self.ROOT if file_id == "root" else file_id
            try:
                return self.files[key]
            except KeyError:
                raise NoSuchFileError(file_id) from None

    def children(self, file_id: str) -> list[Entry]:
        """Return what lies directly in a folder, oldest first."""
        with self.lock:
            return [self.files[key] for key in self._children.get(file_id, ())]

    def find(self, query: Query) -> list[Entry]:
        """Return the files that a query matches, through the indexes if it can."""
        with self.lock:
            if query.parents is None:
                ids: Iterator[str] = iter(list(self.files))
            else:
                ids = iter(self._candidates(query))
            found = (self.files[key] for key in ids)
            return [e for e in found if e.meta["parents"] and query.test(e)]

    def _candidates(self, query: Query) -> list[str]:
        ids: dict[str, None] = {}
        for parent in query.parents or ():
            if query.names is None:
                ids |= self._children.get(parent, {})
            for name in query.names or ():
                ids |= self._by_name.get((parent, name), {})
        return list(ids)

    def now(self) -> str:
        """Return the present time as Drive writes it."""
        moment = datetime.fromtimestamp(self.clock(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # Tokens

    def issue_token(self, lifetime_s: float = 3600) -> str:
        """Return a new access token."""
        token = "fake-" + secrets.token_hex(16)
        with self.lock:
            self.access_tokens[token] = self.clock() + lifetime_s
        return token

    def token_is_valid(self, token: str) -> bool:
        """Whether an access token is known and has not expired."""
        return self.access_tokens.get(token, 0) > self.clock()

    # Inside

    def _insert(self, entry: Entry) -> None:
        self.files[entry.id] = entry
        self._index(entry)

    def _index(self, entry: Entry) -> None:
        for parent in entry.meta.get("parents", ()):
            self._children.setdefault(parent, {})[entry.id] = None
            key = (parent, entry.meta["name"])
            self._by_name.setdefault(key, {})[entry.id] = None

    def _unindex(self, entry: Entry) -> None:
        for parent in entry.meta["parents"]:
            self._children.get(parent, {}).pop(entry.id, None)
            self._by_name.get((parent, entry.meta["name"]), {}).pop(entry.id, None)

    def _set_blob(
        self, entry: Entry, blob: Blob, digests: dict[str, str] | None = None
    ) -> None:
        self.usage += blob.size - (entry.blob.size if entry.blob else 0)
        entry.blob = blob
        entry.meta |= digests or _digests(blob)
        entry.meta |= {
            "size": str(blob.size),
            "quotaBytesUsed": str(blob.size),
            "headRevisionId": new_id(),
        }

    def _touch(self, entry: Entry, *, keep_time: bool = False) -> None:
        entry.meta["version"] = str(int(entry.meta["version"]) + 1)
        if not keep_time:
            entry.meta["modifiedTime"] = self.now()

    def _set_trashed(self, entry: Entry, *, trashed: bool) -> None:
        entry.meta["trashed"] = trashed
        for child in self.children(entry.id):
            self._set_trashed(child, trashed=trashed)


def _ids(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]


def _digests(blob: Blob) -> dict[str, str]:
    md5, sha1, sha256 = hashlib.md5(), hashlib.sha1(), hashlib.sha256()
    for block in blocks(blob, 0, blob.size):
        for digest in (md5, sha1, sha256):
            digest.update(block)
    return {
        "md5Checksum": md5.hexdigest(),
        "sha1Checksum": sha1.hexdigest(),
        "sha256Checksum": sha256.hexdigest(),
    }
