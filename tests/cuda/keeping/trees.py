"""A tiny finished toolkit, and an archive of it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.keeping.label import FOLDER, as_label
from colabmagic.cuda.keeping.write import write_archive
from colabmagic.cuda.machine.facts import Kept
from colabmagic.cuda.rooting.manifest import write_manifest
from colabmagic.cuda.store.inventory import Installed, write_card
from tests.cuda.unpacking.hostile import make_tar
from tests.fakes.nvidia.trees import tiny_parts, write_tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.cuda.unpacking.hostile import Member

WHAT = Kept(
    path="",
    release="12.4.1",
    build="12.4.131",
    method="redist",
    arch=platform.machine(),
)


def finished(root: Path) -> Path:
    """Write a toolkit as `publish` leaves it."""
    for files in tiny_parts("12.4.131").values():
        write_tree(root, files)
    (root / "lib").rename(root / "lib64")
    (root / "lib").symlink_to("lib64")
    (root / "lib64/libcudart.so").symlink_to("libcudart.so.11.1.74")
    os.link(root / "LICENSE", root / "LICENSE.txt")
    write_manifest(root)
    write_card(
        root,
        Installed(name="12.4.1", build="12.4.131", method="redist", installed=1.0),
    )
    return root


def kept(tmp_path: Path, what: Kept = WHAT) -> Kept:
    """Return the archive of such a toolkit, in ``cache`` of a folder."""
    root = tmp_path / "finished"
    return write_archive(
        root if root.exists() else finished(root), tmp_path / "cache" / FOLDER, what
    )


def relabelled(made: Kept, **changes: Any) -> Kept:  # noqa: ANN401 (its fields)
    """Write the label anew, as anybody may who can write to the folder."""
    from pathlib import Path

    changed = replace(made, **changes)
    (label,) = Path(made.path).parent.glob("*.json")
    label.write_text(json.dumps(as_label(changed)))
    return changed


def harmful(made: Kept, members: Sequence[Member]) -> Kept:
    """Put another archive in its place, and let the label agree with it."""
    from pathlib import Path

    path = make_tar(Path(made.path), members)
    data = path.read_bytes()
    return relabelled(made, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def listing(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return all files and links: where a link leads; a file's bytes and who may run it."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = (str(path.readlink()),)
        elif path.is_file():
            found[name] = (path.read_bytes(), path.stat().st_mode & 0o111)
    return found
