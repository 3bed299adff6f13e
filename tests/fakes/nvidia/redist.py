"""NVIDIA's redistributable archives and their list, as under ``/compute/cuda/redist``."""

from __future__ import annotations

import hashlib
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER = "compute/cuda/redist"
NAMES = {
    "cuda_nvcc": "CUDA NVCC",
    "cuda_cudart": "CUDA Runtime (cudart)",
    "cuda_cccl": "CXX Core Compute Libraries",
    "cuda_thrust": "CUDA Thrust",
}


def make_redist(  # noqa: PLR0913 (by keyword)
    root: Path,
    version: str,
    parts: Mapping[str, Path],
    *,
    build: str = "11.1.105",
    platform: str = "linux-x86_64",
    preset: int = 0,
) -> Path:
    """Write archives and their list below a served folder; return the list's path.

    Parameters
    ----------
    root
        The folder that a server serves.
    version
        Of the toolkit, "11.1.1".
    parts
        Name of the part → its files.
    build
        Of the parts.
    platform
        As NVIDIA calls it.
    preset
        Of xz; 0 is the fastest.
    """
    base = root / FOLDER
    listed: dict[str, Any] = {"release_date": "2020-10-12"}
    for part, files in parts.items():
        stem = f"{part}-{platform}-{build}-archive"
        relative = f"{part}/{platform}/{stem}.tar.xz"
        archive = base / relative
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "w:xz", preset=preset) as tar:
            tar.add(files, arcname=stem, filter=_plain)
        listed[part] = {
            "name": NAMES.get(part, part),
            "license": "CUDA Toolkit",
            "version": build,
            platform: {"relative_path": relative, **sums(archive)},
        }
    manifest = base / f"redistrib_{version}.json"
    manifest.write_text(json.dumps(listed, indent=4), "utf-8")
    return manifest


def sums(archive: Path) -> dict[str, str]:
    """Return what the list has of an archive; the size is text there."""
    content = archive.read_bytes()
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "size": str(len(content)),
    }


def spoil(manifest: Path, part: str, **changes: object) -> None:
    """Change what the list says of a part, on every platform."""
    listed = json.loads(manifest.read_text("utf-8"))
    for row in listed[part].values():
        if isinstance(row, dict):
            row.update(changes)
    manifest.write_text(json.dumps(listed), "utf-8")


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made it."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
