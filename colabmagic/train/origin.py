"""Tell whose code it is: the user's, or a library's."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from pathlib import Path

_OWN = str(Path(__file__).resolve().parent.parent)
_LIBRARY_MARKS = ("site-packages", "dist-packages", "<frozen", "<__array_function__")


def _library_folders() -> tuple[str, ...]:
    """Return where libraries are installed in this Python."""
    folders = {
        sysconfig.get_path(name)
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    folders.update(site.getsitepackages() if hasattr(site, "getsitepackages") else ())
    folders.add(site.getusersitepackages())
    return tuple(sorted(folder for folder in folders if folder))


_FOLDERS = tuple(
    folder.rstrip(os.sep) + os.sep for folder in (*_library_folders(), _OWN)
)
_module_of = type.__dict__["__module__"].__get__
_known: dict[str, bool] = {}


def is_user_file(filename: str) -> bool:
    """Tell whether code from this file was written by the user.

    Cells (``<ipython-input-…>``, a temporary ``ipykernel_…`` file), files of the working
    folder and of a cloned repository are; whatever is installed is not.
    """
    known = _known.get(filename)
    if known is None:
        known = not (
            filename.startswith(_FOLDERS)
            or any(mark in filename for mark in _LIBRARY_MARKS)
        )
        _known[filename] = known
    return known


def is_user_type(kind: type) -> bool:
    """Tell whether a class was written by the user; its metaclass is not asked."""
    name = module_name(kind)
    if name == "__main__":
        return True
    filename = getattr(sys.modules.get(name), "__file__", None)
    return isinstance(filename, str) and is_user_file(filename)


def module_name(kind: type) -> str:
    """Return the name of a class's module; "" where it is no text or was deleted."""
    try:
        name = _module_of(kind)
    except AttributeError:
        return ""
    return name if type(name) is str else ""
