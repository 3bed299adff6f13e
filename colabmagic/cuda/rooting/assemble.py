"""Make a root out of unpacked parts: the entry of this package."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.errors import NoCompilerInPackageError
from colabmagic.cuda.rooting.layouts import TAKE
from colabmagic.cuda.rooting.manifest import write_manifest
from colabmagic.cuda.rooting.merge import remove_tree
from colabmagic.cuda.rooting.profile import append_flags, write_profile
from colabmagic.cuda.rooting.shadow import link_foreign
from colabmagic.cuda.rooting.stub import write_stub
from colabmagic.cuda.rooting.tidy import (
    link_library_folder,
    link_nvvm,
    mend_entries,
    name_libraries,
)

if TYPE_CHECKING:
    from pathlib import Path

LAYOUTS: Final = tuple(TAKE)
# Without one of these there is no compiler, whatever the package is called.
NEEDED: Final = (
    "bin/nvcc",
    "bin/cudafe++",
    "bin/ptxas",
    "bin/fatbinary",
    "bin/nvlink",
    "nvvm/bin/cicc",
    "nvvm/libdevice/libdevice.10.bc",
    "include/cuda_runtime.h",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A root that was made.

    Attributes
    ----------
    environment
        What it wants in the environment: name → value.
    files
        How many it consists of.
    size_bytes
        What they take, without what is linked from elsewhere.
    """

    environment: dict[str, str]
    files: int
    size_bytes: int


def assemble(
    parts: Path, root: Path, layout: str, foreign: Path | None = None
) -> Assembled:
    """Move unpacked parts into one root that can be renamed; the parts go.

    Parameters
    ----------
    parts
        The folder of unpacked parts, on the file system of `root`.
    root
        Becomes the toolkit's folder: ``bin``, ``include``, ``lib64``, ``nvvm``.
    layout
        One of `LAYOUTS`.
    foreign
        For ``shadow``: ``site-packages/nvidia/cu13``, whose libraries and headers are
        linked.

    Raises
    ------
    NoCompilerInPackageError
        Something is missing without which nothing can be compiled.
    ValueError
        There is no such layout, or ``shadow`` lacks its other tree.
    """
    if layout not in TAKE or (layout == "shadow") != (foreign is not None):
        message = f"no layout {layout!r} with this tree beside it; there are {LAYOUTS}"
        raise ValueError(message)
    names = sorted(entry.name for entry in parts.iterdir()) if parts.is_dir() else []
    if names:
        TAKE[layout](parts, root)
    if foreign is not None:
        link_foreign(foreign, root)
    _refuse_half_a_toolkit(root, names)
    link_library_folder(root)
    name_libraries(root / "lib64")
    link_nvvm(root)
    if layout == "deb" or not (root / "bin" / "nvcc.profile").exists():
        write_profile(root)
    mend_entries(root, foreign and foreign.absolute())
    write_stub(root, platform.machine())
    remove_tree(parts)
    manifest = write_manifest(root)
    flags = append_flags(root)
    return Assembled(
        environment={"NVCC_APPEND_FLAGS": flags} if flags else {},
        files=len(manifest.files),
        size_bytes=manifest.size_bytes,
    )


def _refuse_half_a_toolkit(root: Path, parts: list[str]) -> None:
    """Raise where the parts do not make a compiler."""
    missing = [name for name in NEEDED if not (root / name).exists()]
    if not missing:
        return
    raise NoCompilerInPackageError(
        "These packages install and bring no working compiler.",
        seen=f"{', '.join(missing)} missing in {', '.join(parts) or 'no part at all'}",
        hint="run the cell again with --method auto: it chooses packages that bring one",
    )
