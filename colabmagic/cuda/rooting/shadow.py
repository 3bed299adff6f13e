"""Link to libraries and headers that PyTorch has brought, instead of having them twice."""

from __future__ import annotations

import os
from pathlib import Path


def link_foreign(foreign: Path, root: Path) -> None:
    """Link to what another tree has and ours lacks; it stays untouched.

    Parameters
    ----------
    foreign
        ``site-packages/nvidia/cu13``.
    root
        Of the toolkit: its own files win.

    Notes
    -----
    The links are absolute: they lead out of our folder, which itself may move. Folders
    are made anew and files linked one by one, so that nothing that is written below our
    root reaches the other tree.
    """
    for name, kept in (("include", "include"), ("lib", "lib64"), ("lib64", "lib64")):
        source = foreign / name
        if source.is_dir() and not source.is_symlink():
            _link_tree(source.absolute(), root / kept)


def _link_tree(source: Path, target: Path) -> None:
    """Link each file of a tree."""
    target.mkdir(parents=True, exist_ok=True)
    with os.scandir(source) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name in {"__init__.py", "__pycache__"}:
            continue
        place = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            _link_tree(Path(entry.path), place)
        elif not os.path.lexists(place):
            place.symlink_to(entry.path)
