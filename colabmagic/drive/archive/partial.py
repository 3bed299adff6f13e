"""A folder that is made beside its place, by one process at a time, and appears as a whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import TargetFullError
from colabmagic.drive.transfer.journal import lock, unwritable
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PARTIAL: Final = ".colabmagic-partial-"
_LOCK: Final = ".colabmagic.lock"
_LOOK_AGAIN_S: Final = 0.1


@contextlib.contextmanager
def alone(folder: Path, waiting: Callable[[], object]) -> Iterator[bool]:
    """Keep other processes and threads from making a folder; wait for one that does.

    Parameters
    ----------
    folder
        The folder.
    waiting
        Called once, if another one is at it.

    Yields
    ------
    bool
        Whether there was another one.
    """
    path = folder.with_name(f".{folder.name}{_LOCK}")
    waited = False
    while (descriptor := lock(path)) is None:
        if not waited:
            waited = True
            waiting()
        time.sleep(_LOOK_AGAIN_S)
    try:
        yield waited
    finally:
        with contextlib.suppress(OSError):
            clear(folder)  # what an interrupt has left between two lines
        path.unlink(missing_ok=True)  # while it is ours: who waits makes a new one
        os.close(descriptor)


def beside(folder: Path) -> Path:
    """Make a folder beside another, for what is not ready.

    Parameters
    ----------
    folder
        The other; it need not be there.
    """
    try:
        made = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}{_PARTIAL}", dir=folder.parent)
        )
        made.chmod(0o755)
    except OSError as error:
        raise TargetFullError(
            f"{clean(str(folder.parent))} cannot be written",
            seen=error.strerror or type(error).__name__,
            hint="another folder: --to",
        ) from None
    return made


def put_in_place(made: Path, folder: Path) -> None:
    """Give a folder its name; one that has it goes.

    Parameters
    ----------
    made
        The folder, beside its place.
    folder
        Its place.
    """
    try:
        if not folder.exists():
            made.replace(folder)
            return
        old = beside(folder)
        folder.replace(old / folder.name)
        try:
            made.replace(folder)
        except BaseException:
            (old / folder.name).replace(folder)
            raise
    except OSError as error:
        raise unwritable(folder, error) from None
    remove(old)


def remove(made: Path) -> None:
    """Remove a folder that is not ready."""
    shutil.rmtree(made, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove what runs that were killed have left beside a folder; nobody else makes it now."""
    start = f".{folder.name}{_PARTIAL}"
    for each in folder.parent.iterdir():
        if each.name.startswith(start):
            remove(each)
