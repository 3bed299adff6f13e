"""Make a process one of the pretended machine, and undo that.

It imports nothing of the tests: a kernel may have another package of that name. See
`Machine.kernel_code`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROOT_VARIABLE = "FAKE_COLAB_ROOT"
_undo = contextlib.ExitStack()


def environment(root: Path | str) -> dict[str, str]:
    """Return the variables that a kernel of Colab has, as far as Drive needs them."""
    return {
        ROOT_VARIABLE: str(root),
        "COLAB_RELEASE_TAG": "release-colab_20250902-060000_RC00",
        "HOME": str(Path(root) / "home"),
        "TBE_EPHEM_CREDS_ADDR": "127.0.0.1:8009",
        "USE_AUTH_EPHEM": "1",
    }


def enter(root: str) -> None:
    """Be a process of the machine: its variables, its ``google.colab``, its ``/``."""
    before = dict(os.environ)
    _undo.callback(os.environ.update, before)
    _undo.callback(os.environ.clear)
    os.environ.update(environment(root))
    add_package()
    _undo.callback(remove_package)
    for module, name in (
        ("mounting.colab", "mount"),
        ("mounting.colab", "flush_and_unmount"),
        ("account.colab_account", "secret"),
        ("account.colab_account", "authenticate"),
    ):
        found = importlib.import_module(f"colabmagic.drive.{module}")
        defaults = getattr(found, name).__kwdefaults__
        _undo.callback(defaults.__setitem__, "sysroot", defaults["sysroot"])
        defaults["sysroot"] = Path(root)
    folders = importlib.import_module("colabmagic.drive.mounting.folders")
    _undo.callback(setattr, folders, "SYSROOT", folders.SYSROOT)
    folders.SYSROOT = Path(root)


def leave() -> None:
    """Be an ordinary process again."""
    _undo.close()


def add_package() -> None:
    """Make the double importable.

    ``google`` is a namespace shared with google-auth: with our folder on `sys.path` it
    finds the double too. Where another package made it an ordinary one, its path is
    extended instead.
    """
    sys.path.insert(0, str(FOLDER))
    path = _ordinary_path()
    if path is not None:
        path.append(str(FOLDER / "google"))
    importlib.invalidate_caches()


def remove_package() -> None:
    """Forget the double, as if it had never been imported."""
    sys.path.remove(str(FOLDER))
    path = _ordinary_path()
    if path is not None:
        path.remove(str(FOLDER / "google"))
    for name in [n for n in sys.modules if n.split(".")[:2] == ["google", "colab"]]:
        del sys.modules[name]
    google = sys.modules.get("google")
    if hasattr(google, "colab"):
        del google.colab


def _ordinary_path() -> list[str] | None:
    """Return the path of ``google`` where it is a list, and follows `sys.path` no more."""
    path: Any = getattr(sys.modules.get("google"), "__path__", None)
    return path if isinstance(path, list) else None
