"""Move unpacked trees into one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a root keeps of a tree, and under which name. Documents, samples, Nsight, Java and
# pkg-config files that name /usr/local are left out.
KEPT: Final = {
    "bin": "bin",
    "include": "include",
    "lib": "lib64",
    "lib64": "lib64",
    "nvvm": "nvvm",
    "nvml": "nvml",
    "extras": "extras",
}
_LICENSES: Final = ("LICENSE", "LICENSE.txt", "License.txt", "EULA.txt", "copyright")
_DEEPEST: Final = 6  # folders between the parts and the tree that is looked for


def move_root(source: Path, root: Path) -> None:
    """Move what a root keeps from a tree that is laid out like one.

    Parameters
    ----------
    source
        With ``bin``, ``include``, ``lib`` and so on, or with ``targets/PLATFORM/lib``.
    root
        Takes it; what it has under the same name is replaced.
    """
    targets = source / "targets"
    if targets.is_dir() and not targets.is_symlink():
        for target in sorted(targets.iterdir()):
            move_root(target, root)
    for name, kept in KEPT.items():
        folder = source / name
        if folder.is_dir() and not folder.is_symlink():
            move_tree(folder, root / kept)


def move_tree(source: Path, target: Path) -> None:
    """Move a folder's content into another; its files replace those of the same name.

    Parameters
    ----------
    source, target
        On one file system.
    """
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        return
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir() and not entry.is_symlink():
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                place.unlink()
            move_tree(entry, place)
        elif not place.is_dir() or place.is_symlink():
            entry.replace(place)


def move_files(source: Path, target: Path, names: tuple[str, ...]) -> None:
    """Move those of the named files and folders that are there.

    Parameters
    ----------
    source, target
        Folders on one file system.
    names
        In `source`; a link is not moved, for it may lead anywhere.
    """
    for name in names:
        place = source / name
        if place.is_symlink():
            continue
        if place.is_dir():
            move_tree(place, target / name)
        elif place.is_file():
            target.mkdir(parents=True, exist_ok=True)
            place.replace(target / name)


def keep_licenses(parts: Path, root: Path) -> None:
    """Move the licence of each part to ``licenses/PART.txt``.

    Parameters
    ----------
    parts
        The folder of parts.
    root
        Of the toolkit.
    """
    for place, name in _files_named(parts, _LICENSES):
        names = [each for each in place.relative_to(parts).parts if each != "licenses"]
        part = names[-1].removesuffix(".dist-info") if names else "toolkit"
        target = root / "licenses" / f"{part}.txt"
        target.parent.mkdir(exist_ok=True)
        if not target.exists() and not (place / name).is_symlink():
            (place / name).replace(target)


def folders_named(parent: Path, name: str) -> list[Path]:
    """Return the folders of a name, not deep below another; sorted.

    Parameters
    ----------
    parent
        Where to look.
    name
        Of the folder itself.
    """
    return sorted(
        place / name for place, folders, _ in _walk(parent) if name in folders
    )


def remove_tree(folder: Path) -> None:
    """Remove a folder of our own that may not be there.

    Parameters
    ----------
    folder
        Links in it are removed, not followed.
    """
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)


def _files_named(parent: Path, names: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Yield the folder and the name of files."""
    found = []
    for place, _, files in _walk(parent):
        found += [(place, name) for name in names if name in files]
    yield from sorted(found)


def _walk(parent: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk down to a certain depth, following no links."""
    start = len(parent.parts)
    for place, folders, files in os.walk(parent):
        yield Path(place), folders, files
        if len(Path(place).parts) - start >= _DEEPEST:
            folders.clear()
