"""The magics: what ``%load_ext colabmagic`` adds to a shell, and takes back.

This package alone knows IPython. Loading declares names only; the class behind a magic
is imported when the magic is first used or asked for help.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.magics._extension import Extension

# One row a magic: its name, and the class that has a method of that name.
MAGICS: Final[dict[str, str]] = {
    "colab_setup": "colabmagic.magics.setup:SetupMagics",
    "cuda_install": "colabmagic.magics.cuda:CudaMagics",
    "gpu_check": "colabmagic.magics.gpu:GpuMagics",
    "gpu_memory": "colabmagic.magics.memory:MemoryMagics",
    "keepalive": "colabmagic.magics.keepalive:KeepaliveMagics",
    "mount_drive": "colabmagic.magics.drive:DriveMagics",
    "train_on": "colabmagic.magics.train:TrainMagics",
}

# Those of them that run the user's cell, and the function that opens a session.
CELL_MAGICS: Final[dict[str, str]] = {
    "train_on": "colabmagic.magics.train:open_session",
}

# Others whose body is text for the magic itself, such as lines for pip.
BODY_MAGICS: Final = frozenset({"cuda_install"})

_LOADED: weakref.WeakKeyDictionary[InteractiveShell, Extension] = (
    weakref.WeakKeyDictionary()
)


def register(shell: InteractiveShell) -> None:
    """Add everything to the shell; a second call changes nothing.

    Parameters
    ----------
    shell
        A shell of any kind: a kernel's, a terminal's, an embedded one.
    """
    if shell in _LOADED:
        return
    from colabmagic.magics._extension import Extension  # noqa: PLC0415 (lazy)

    extension = Extension(shell)
    extension.load(MAGICS, CELL_MAGICS, BODY_MAGICS)
    _LOADED[shell] = extension


def extension_of(shell: InteractiveShell) -> Extension | None:
    """Return what was added to a shell; None if nothing was.

    Parameters
    ----------
    shell
        The shell.
    """
    return _LOADED.get(shell)


def unregister(shell: InteractiveShell) -> None:
    """Take everything back; a magic of the same name that was there before returns.

    Parameters
    ----------
    shell
        The shell that was given to `register`.
    """
    extension = _LOADED.pop(shell, None)
    if extension is not None:
        extension.unload()
