"""Each way in which parts come, brought into the form of one root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.cuda.rooting.merge import (
    KEPT,
    folders_named,
    keep_licenses,
    move_files,
    move_root,
    move_tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Of Debian's package: what a compiler needs, and the tools that read its programs.
_DEBIAN_PROGRAMS: Final = (
    "__nvcc_device_query",
    "bin2c",
    "cu++filt",
    "cudafe++",
    "cuobjdump",
    "fatbinary",
    "nvdisasm",
    "nvlink",
    "nvprune",
    "ptxas",
)


def take_wheels(parts: Path, root: Path) -> None:
    """Take wheels: ``nvidia/cu13/…`` of 13.x, ``nvidia/cuda_runtime/…`` and so on before.

    Parameters
    ----------
    parts
        The folder of unpacked wheels; it is emptied of what is taken.
    root
        Of the toolkit.
    """
    for nvidia in folders_named(parts, "nvidia"):
        for tree in sorted(nvidia.iterdir()):
            if tree.is_dir() and not tree.is_symlink():
                move_root(tree, root)
    keep_licenses(parts, root)


def take_redist(parts: Path, root: Path) -> None:
    """Take NVIDIA's archives: each a folder ``NAME-linux-PLATFORM-VERSION-archive``.

    Parameters
    ----------
    parts, root
        As for `take_wheels`.
    """
    for tree in _trees(parts):
        move_root(tree, root)
    keep_licenses(parts, root)


def take_runfile(parts: Path, root: Path) -> None:
    """Take an extracted runfile: one tree, or one for each component below ``builds``.

    Parameters
    ----------
    parts, root
        As for `take_wheels`.

    Notes
    -----
    Its headers and libraries lie below ``targets``. nvcc looks there if the folder exists
    (measured with 11.8 and 13.0; older ones may always do), so links stand for it.
    """
    targets = {
        target.name
        for folder in folders_named(parts, "targets")
        for target in folder.iterdir()
    }
    take_redist(parts, root)
    for name in sorted(targets):
        folder = root / "targets" / name
        folder.mkdir(parents=True)
        (folder / "include").symlink_to("../../include")
        (folder / "lib").symlink_to("../../lib64")


def take_debian(parts: Path, root: Path) -> None:
    """Take Debian's or Ubuntu's packages, and wheels for the runtime beside them.

    The wheels come first: where both have a file, the one that belongs to this nvcc stays.

    Parameters
    ----------
    parts, root
        As for `take_wheels`.
    """
    for nvidia in folders_named(parts, "nvidia"):
        if nvidia.parent.name not in {"lib", "share"}:  # not of a package
            for tree in sorted(nvidia.iterdir()):
                if tree.is_dir() and not tree.is_symlink():
                    move_root(tree, root)
    for usr in folders_named(parts, "usr"):
        _take_package(usr, root)
    keep_licenses(parts, root)


def _take_package(usr: Path, root: Path) -> None:
    """Take one package of the distribution."""
    own = usr / "lib" / "nvidia-cuda-toolkit"
    move_files(usr / "bin", root / "bin", _DEBIAN_PROGRAMS)
    move_files(own / "bin", root / "bin", ("nvcc", "crt"))
    move_files(own / "bin", root / "nvvm" / "bin", ("cicc",))
    move_files(own, root / "nvvm", ("libdevice",))
    if (usr / "include").is_dir():
        move_tree(usr / "include", root / "include")
    for library in sorted((usr / "lib").glob("*-linux-gnu")):
        if not library.is_symlink():
            move_tree(library, root / "lib64")


def _trees(parts: Path) -> list[Path]:
    """Return the highest folders that look like a root, or a part of one."""
    found = []
    waiting = [parts]
    while waiting:
        folder = waiting.pop()
        names = {entry.name: entry for entry in folder.iterdir() if entry.is_dir()}
        if names.keys() & {*KEPT, "targets"}:
            found.append(folder)
            continue
        waiting += [entry for entry in names.values() if not entry.is_symlink()]
    return sorted(found)


TAKE: Final[dict[str, Callable[[Path, Path], None]]] = {
    "wheels": take_wheels,
    "redist": take_redist,
    "runfile": take_runfile,
    "deb": take_debian,
    "shadow": take_wheels,
}
