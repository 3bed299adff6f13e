"""A folder that is made beside its place, by one process at a time, and appears as a whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.archive import record
from colabmagic.drive.errors import TargetFullError
from colabmagic.drive.transfer.beside import hidden
from colabmagic.drive.transfer.locks import lock, unwritable
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
    path = hidden(folder, _LOCK)
    waited = False
    while (descriptor := lock(path)) is None:
        if not waited:
            waited = True
            waiting()
        time.sleep(_LOOK_AGAIN_S)
    try:
        yield waited
    finally:
        with contextlib.suppress(TargetFullError):
            clear(folder)  # what an interrupt has left between two lines
        path.unlink(missing_ok=True)  # while it is ours: who waits makes a new one
        os.close(descriptor)


def beside(folder: Path) -> Path:
    """Make a folder beside another, for what is not ready.

    Parameters
    ----------
    folder
        The other; it need not be there.

    Raises
    ------
    TargetFullError
        It cannot be made.
    """
    try:
        made = Path(
            tempfile.mkdtemp(prefix=hidden(folder, _PARTIAL).name, dir=folder.parent)
        )
        made.chmod(0o755)
    except OSError as error:
        raise TargetFullError(
            f"{clean(str(folder.parent))} cannot be written",
            seen=error.strerror or type(error).__name__,
            hint="another folder: --to",
        ) from None
    return made


def put_in_place(made: Path, folder: Path, mark_ns: int) -> Path | None:
    """Give a folder its name; of one that has it, the user's own files are kept.

    Parameters
    ----------
    made
        The folder, beside its place.
    folder
        Its place.
    mark_ns
        When the one that has the name was unpacked: what is later is the user's.

    Returns
    -------
    Path or None
        Where the user's files are now; None if there were none.

    Raises
    ------
    TargetFullError
        It cannot get the name: what had it has it still.
    """
    try:
        if not folder.exists():
            made.replace(folder)
            return None
        # What is the user's gets a name of its own at once: what lies under a name for
        # half-made folders is removed, be it by the run after one that was killed.
        mine = bool(record.look(folder, mark_ns, None).changed)
        work = None if mine else beside(folder)
        old = work / folder.name if work else _local_name(folder)
        folder.replace(old)
        try:
            made.replace(folder)
        except BaseException:  # also Ctrl-C: the name must lead to one of the two
            old.replace(folder)
            raise
        stays = record.keep_changed(old, mark_ns)
        if stays and work:  # written meanwhile
            old = old.replace(_local_name(folder))
    except OSError as error:
        raise unwritable(folder, error) from None
    if work is not None:
        remove(work)
    return old if stays else None


def _local_name(folder: Path) -> Path:
    """Return a name beside a folder that nothing has."""
    first = f"{folder.name}.local-{time.strftime('%Y%m%d-%H%M%S')}"
    number, path = 0, folder.with_name(first)
    while os.path.lexists(path):
        number += 1
        path = folder.with_name(f"{first}-{number}")
    return path


def remove(made: Path) -> None:
    """Remove a folder that is not ready, as far as that can be done.

    Parameters
    ----------
    made
        The folder; nothing that is left of it bears a name of the user's.
    """
    shutil.rmtree(made, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove what runs that were killed have left beside a folder; nobody else makes it now.

    Parameters
    ----------
    folder
        The folder; its own files stay.
    """
    start = hidden(folder, _PARTIAL).name
    try:
        left = [each for each in folder.parent.iterdir() if each.name.startswith(start)]
    except OSError as error:
        raise unwritable(folder, error) from None
    for each in left:
        remove(each)
