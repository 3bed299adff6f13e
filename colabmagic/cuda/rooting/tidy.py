"""Give a root the names, links and modes that compilers and build tools look for."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSIONED: Final = re.compile(r"(lib.+?\.so)\.(\d[\d.]*)")
_RUNNABLE: Final = (b"\x7fELF", b"#!")
# Left in trees by the way in which wheels are made.
_LEFTOVERS: Final = {"__init__.py"}
# What other steps own, or will go.
_FOREIGN: Final = {"parts", "host"}


def link_library_folder(root: Path) -> None:
    """Make ``lib`` lead to ``lib64``: nvcc looks into the one, PyTorch into the other.

    Parameters
    ----------
    root
        Of the toolkit.
    """
    (root / "lib64").mkdir(exist_ok=True)
    if not os.path.lexists(root / "lib"):
        (root / "lib").symlink_to("lib64")


def name_libraries(folder: Path) -> list[str]:
    """Make ``libX.so`` for each ``libX.so.N`` that has none; return the new names.

    Parameters
    ----------
    folder
        With libraries.
    """
    versions: dict[str, list[str]] = {}
    for entry in sorted(folder.iterdir()):
        match = _VERSIONED.fullmatch(entry.name)
        if match:
            versions.setdefault(match[1], []).append(entry.name)
    made = []
    for name, found in versions.items():
        if not os.path.lexists(folder / name):
            (folder / name).symlink_to(min(found, key=len))  # what the loader asks for
            made.append(name)
    return made


def link_nvvm(root: Path) -> None:
    """Make ``nvvm/lib64/libnvvm.so`` where the library lies elsewhere; Numba wants it.

    Parameters
    ----------
    root
        Of the toolkit.
    """
    place = root / "nvvm" / "lib64" / "libnvvm.so"
    if not place.parent.exists() and (root / "lib64" / "libnvvm.so").exists():
        place.parent.mkdir(parents=True)
        place.symlink_to("../../lib64/libnvvm.so")


def mend_entries(root: Path, foreign: Path | None = None) -> list[str]:
    """Make programs runnable and all readable, and keep links inside of the root.

    Parameters
    ----------
    root
        Of the toolkit.
    foreign
        A tree outside of it that links may lead to.

    Returns
    -------
    list of str
        The links that were taken away because they led out of the root.
    """
    removed = []
    for path in list(own_entries(root)):
        if path.name in _LEFTOVERS:
            path.unlink()
        elif path.is_symlink():
            if not _mend_link(path, root, foreign):
                removed.append(path.relative_to(root).as_posix())
        else:
            _mend_mode(path, root)
    return removed


def own_entries(root: Path) -> Iterator[Path]:
    """Yield the files and links below a root, but for what other steps own.

    Parameters
    ----------
    root
        Of the toolkit.
    """
    for place, folders, files in os.walk(root):
        here = Path(place)
        if here == root:
            folders[:] = [name for name in folders if name not in _FOREIGN]
        yield from (here / name for name in folders if (here / name).is_symlink())
        yield from (here / name for name in files)


def _mend_link(path: Path, root: Path, foreign: Path | None) -> bool:
    """Make a link relative if it stays in the root; return whether it may stay."""
    target = os.readlink(path)  # noqa: PTH115 (Path.readlink drops a leading "./")
    whole = Path(os.path.normpath(path.parent / target))
    if foreign is not None and whole.is_relative_to(foreign):
        return True
    if not whole.is_relative_to(root):
        path.unlink()
        return False
    if Path(target).is_absolute():
        path.unlink()
        path.symlink_to(os.path.relpath(whole, path.parent))
    return True


def _mend_mode(path: Path, root: Path) -> None:
    """Make a program runnable by all, and any other file readable by all."""
    mode = path.stat().st_mode & 0o777
    wanted = (mode | 0o644) & ~0o022
    folder = path.parent.relative_to(root).as_posix()
    if folder in {"bin", "nvvm/bin"}:
        with path.open("rb") as file:
            if file.read(4).startswith(_RUNNABLE):
                wanted |= 0o111
    if wanted != mode:
        path.chmod(wanted)
