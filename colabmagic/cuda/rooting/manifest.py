"""What a toolkit consisted of when it was made, to find out later what has changed."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = "files.json"
_NOT_LISTED: Final = {NAME, "toolkit.json", "verified.json"}
_WORKERS: Final = 2  # hashing is done outside of Python's lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that is not as it was.

    Attributes
    ----------
    path
        Below the root.
    what
        "is gone", "has changed", "leads nowhere", …
    """

    path: str
    what: str

    def __str__(self) -> str:
        """Return a sentence."""
        return f"{self.path} {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The list.

    Attributes
    ----------
    files
        Path below the root → size in bytes and SHA-256.
    links
        Path below the root → where it leads.
    """

    files: dict[str, tuple[int, str]]
    links: dict[str, str]

    @property
    def size_bytes(self) -> int:
        """Return what all files take."""
        return sum(size for size, _ in self.files.values())


def write_manifest(root: Path) -> Manifest:
    """List all files with their hashes into ``files.json``, and return the list.

    Parameters
    ----------
    root
        Of the toolkit.
    """
    files, links = _entries(root)
    with ThreadPoolExecutor(_WORKERS) as pool:
        hashes = pool.map(_sha256, [root / name for name in files])
        found = {
            name: (files[name], digest)
            for name, digest in zip(files, hashes, strict=True)
        }
    manifest = Manifest(files=found, links=links)
    partial = root / f"{NAME}.part"
    with partial.open("w", encoding="utf-8") as file:
        json.dump({"files": manifest.files, "links": manifest.links}, file, indent=0)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(root / NAME)
    return manifest


def read_manifest(root: Path) -> Manifest | None:
    """Return the list; None where there is none, or it cannot be read.

    Parameters
    ----------
    root
        Of the toolkit.
    """
    try:
        data = json.loads((root / NAME).read_text(encoding="utf-8"))
        files = {
            str(name): (int(size), str(digest))
            for name, (size, digest) in data["files"].items()
        }
        links = {str(name): str(target) for name, target in data["links"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return Manifest(files=files, links=links)


def differences(root: Path, manifest: Manifest, *, hashes: bool) -> list[Difference]:
    """Return what is missing or changed; files that came in addition do not count.

    Parameters
    ----------
    root
        Of the toolkit.
    manifest
        As it was.
    hashes
        Whether files are read; otherwise their sizes are compared only.
    """
    found = [
        difference
        for name, target in manifest.links.items()
        if (difference := _link_difference(root, name, target))
    ]
    same = []
    for name, (size, _) in manifest.files.items():
        difference = _size_difference(root, name, size)
        if difference:
            found.append(difference)
        else:
            same.append(name)
    if hashes:
        with ThreadPoolExecutor(_WORKERS) as pool:
            seen = pool.map(_sha256, [root / name for name in same])
            found += [
                Difference(path=name, what="has changed")
                for name, digest in zip(same, seen, strict=True)
                if digest != manifest.files[name][1]
            ]
    return sorted(found, key=lambda difference: difference.path)


def _entries(root: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Return the sizes of files, and the targets of links."""
    files, links = {}, {}
    for place, folders, names in os.walk(root):
        folders.sort()
        for name in sorted([*names, *folders]):
            path = Path(place, name)
            inside = path.relative_to(root).as_posix()
            if path.is_symlink():
                links[inside] = os.readlink(path)  # noqa: PTH115 (the text as it stands)
            elif name in names and inside not in _NOT_LISTED:
                files[inside] = path.stat().st_size
    return files, links


def _sha256(path: Path) -> str:
    """Return the hash of a file; of one that cannot be read, none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _link_difference(root: Path, name: str, target: str) -> Difference | None:
    """Compare a link; it must lead somewhere."""
    path = root / name
    if not path.is_symlink():
        return Difference(
            path=name, what="is gone" if not path.exists() else "is no link now"
        )
    now = os.readlink(path)  # noqa: PTH115 (the text as it stands)
    if now != target:
        return Difference(path=name, what=f"leads to {now} now")
    if not path.exists():
        return Difference(path=name, what=f"leads to {target}, which is gone")
    return None


def _size_difference(root: Path, name: str, size: int) -> Difference | None:
    """Compare a file by its size."""
    try:
        now = os.lstat(root / name).st_size
    except OSError:
        return Difference(path=name, what="is gone")
    if now != size:
        return Difference(path=name, what=f"has {now} bytes, was {size}")
    return None
