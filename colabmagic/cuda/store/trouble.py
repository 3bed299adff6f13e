"""Why our folder cannot be written, in words."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.errors import CudaError, DiskFullError, NeedsRootError
from colabmagic.cuda.store.layout import HOME_VARIABLE
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from pathlib import Path

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def unwritable(path: Path, error: OSError) -> CudaError:
    """Return the error for a file or folder of ours that cannot be written.

    Parameters
    ----------
    path
        What was to be written.
    error
        What the system says.
    """
    seen = f"{clean(str(path))}: {error.strerror or type(error).__name__}"
    if error.errno in _FULL:
        return DiskFullError(
            "the disk is full",
            seen=seen,
            hint="free some room, then run this cell again; what is ours is shown by\n"
            "%cuda_install --list",
        )
    return NeedsRootError(
        "the folder for toolkits cannot be written",
        seen=seen,
        hint=f"%env {HOME_VARIABLE}=/a/folder/that/you/may/write",
    )
