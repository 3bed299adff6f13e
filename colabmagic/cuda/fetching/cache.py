"""Files by their SHA-256, so that nothing is fetched twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.fetching.lock import age_s, try_open_locked
from colabmagic.cuda.fetching.trouble import unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_IN_USE_S: Final = 3600.0  # a file that was used so shortly ago may be in use


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of finished files and of those that are still coming.

    Several processes may use it: a file gets its name by one rename, and one that is
    still coming is locked.

    Attributes
    ----------
    root
        Its folder.
    """

    root: Path

    def path_of(self, sha256: str) -> Path:
        """Return where a file with this hash lies, or would lie."""
        return self.root / "sha256" / sha256[:2] / sha256

    @property
    def partial(self) -> Path:
        """Return the folder of files that are still coming."""
        return self.root / "partial"

    def partial_size(self, key: str) -> int:
        """Return how many bytes are here of a file that is still coming.

        Parameters
        ----------
        key
            As `colabmagic.cuda.fetching.download.Wanted.key`.
        """
        return _size(self.partial / f"{key}.part")

    @property
    def notes(self) -> Path:
        """Return the folder of what is known about addresses and questions."""
        return self.root / "notes"

    def has(self, sha256: str) -> bool:
        """Tell whether a file is here."""
        return self.path_of(sha256).is_file()

    def checked(self, sha256: str) -> Path | None:
        """Return the path of a file if it is here and whole; a damaged one goes.

        Parameters
        ----------
        sha256
            In hexadecimal digits.
        """
        path = self.path_of(sha256)
        try:
            whole = hash_of(path) == sha256
        except OSError:
            return None
        if not whole:
            path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):  # a cache on a read-only disk serves as well
            os.utime(path)
        return path

    def add(self, path: Path, sha256: str) -> Path:
        """Take in a file that is complete and hashed, by a rename; return its place.

        Parameters
        ----------
        path
            Of the file, on the disk of the cache; it is flushed to the disk.
        sha256
            Of its bytes.

        Raises
        ------
        OSError
            The disk does not let us.
        """
        place = self.path_of(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
        return place

    def verify(self) -> list[str]:
        """Hash all files; take the damaged ones away, and return their hashes."""
        found = [path.name for path in self._files()]
        return [sha256 for sha256 in found if self.checked(sha256) is None]

    def size(self) -> int:
        """Return the bytes of all files, those included that are still coming."""
        paths = [*self._files(), *self._partial_files()]
        return sum(_size(path) for path in paths)

    def prune(self, most_bytes: int = 0, *, spare_s: float = _IN_USE_S) -> int:
        """Take away the files that were not used for the longest time.

        Parameters
        ----------
        most_bytes
            What may stay.
        spare_s
            Files that were used within so many seconds stay: somebody may read them.

        Returns
        -------
        int
            Bytes that are free now.
        """
        freed = 0
        for path in self._partial_files():
            if age_s(path) >= spare_s:
                freed += _remove_unlocked(path)
        files = sorted(self._files(), key=age_s, reverse=True)
        total = sum(_size(path) for path in files)
        for path in files:
            if total <= most_bytes or age_s(path) < spare_s:
                break
            size = _size(path)
            path.unlink(missing_ok=True)
            total -= size
            freed += size
        return freed

    def note(self, key: str) -> dict[str, Any]:
        """Return what was noted about an address or a question; nothing if nothing was.

        Parameters
        ----------
        key
            The address, or the question as text.
        """
        try:
            found = json.loads(self._note_path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_note(self, key: str, value: dict[str, Any]) -> None:
        """Note something about an address or a question; no login may be in it.

        Parameters
        ----------
        key
            As for `note`; only its hash is kept.
        value
            Plain data.

        Raises
        ------
        CudaError
            The cache's folder cannot be written.
        """
        try:
            write_whole(self._note_path(key), json.dumps(value))
        except OSError as error:
            raise unwritable(self.root, error) from None

    def _note_path(self, key: str) -> Path:
        """Return where a note lies."""
        return self.notes / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _files(self) -> Iterator[Path]:
        """Yield the finished files."""
        for path in (self.root / "sha256").glob("??/*"):
            if _DIGEST.fullmatch(path.name) and path.is_file():
                yield path

    def _partial_files(self) -> Iterator[Path]:
        """Yield the files that are still coming."""
        yield from self.partial.glob("*.part")


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Parameters
    ----------
    path
        Of the file.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that it is there as a whole, or not at all.

    Parameters
    ----------
    path
        Where; its folder is made.
    text
        What.

    Raises
    ------
    OSError
        The disk does not let us.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _size(path: Path) -> int:
    """Return the size of a file; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _remove_unlocked(path: Path) -> int:
    """Remove a file that nobody is fetching; return its size, 0 if it stays."""
    try:
        descriptor = try_open_locked(path)
    except OSError:
        return 0
    if descriptor is None:
        return 0
    try:
        size = os.fstat(descriptor).st_size
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return size
