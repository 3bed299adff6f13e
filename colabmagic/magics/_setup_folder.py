"""The folder of the notebook, and ``--cd`` of ``%colab_setup``.

Drive may hang, and who touches a folder of it then never comes back. So the kernel's
table of mounts is asked before, and a process of its own touches it.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.setup.errors import SetupValueError

if TYPE_CHECKING:
    from colabmagic.drive.watching.mounts import MountPoint

ROOTS: Final = ("mydrive", "my drive", "shareddrives", "shared drives")
_COLABS: Final = "/content"
_EXPANDED: Final = frozenset("{}$")  # by IPython, also in a line for the shell
_ANOTHER: Final = "name a folder that is there: --cd MyDrive/project, or a path"


@dataclass(eq=False, slots=True)
class _Memory:
    """What this process keeps between two calls.

    Attributes
    ----------
    left, entered
        The working directory before and after the last ``--cd``.
    """

    left: Path | None = None
    entered: Path | None = None


_MEMORY: Final = _Memory()


def notebook_folder() -> Path:
    """Return the working directory as it was before ``--cd``: there the files are.

    Raises
    ------
    SetupValueError
        There is no working directory any more.
    """
    here = working_directory()
    if here is None:
        away = _COLABS if os.path.isdir(_COLABS) else "~"  # noqa: PTH112 (never raises)
        raise SetupValueError("the working directory is gone", hint=f"%cd {away}")
    return _MEMORY.left if _MEMORY.left and here == _MEMORY.entered else here


def working_directory() -> Path | None:
    """Return the working directory; None where it was deleted."""
    from colabmagic.drive.watching import own_use  # noqa: PLC0415 (lazy)

    told = own_use.working_directory()
    if told is not None and may_hang(Path(told)):
        return Path(told)
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def leave_dead() -> SetupValueError | None:
    """Leave the working directory if it hangs, and return what to tell.

    Python looks for each module that it imports in the working directory, too.
    """
    here = working_directory()
    if here is None:
        return None
    try:
        refuse_dead(here)
    except SetupValueError as error:
        os.chdir("/")
        error.what += ", where the working directory was; it is / now"
        return error
    return None


def entered(before: Path | None) -> Path:
    """Keep in mind that the working directory was changed; return the new one.

    Parameters
    ----------
    before
        The folder of the notebook; None where there was none.
    """
    now = working_directory() or Path("/")
    _MEMORY.left, _MEMORY.entered = before, now
    return now


def may_hang(folder: Path) -> bool:
    """Tell whether a folder lies in Drive; it is not touched.

    Parameters
    ----------
    folder
        Absolute.
    """
    return _mount_of(folder) is not None


def exists(path: Path) -> bool:
    """Tell whether something is there; what may hang is asked by another process.

    Parameters
    ----------
    path
        Absolute.
    """
    if not may_hang(path):
        return os.path.lexists(path)
    from colabmagic.drive.watching.probe import Health, look  # noqa: PLC0415 (lazy)

    return look(path).health is Health.ALIVE


def expanded(folder: str) -> Path:
    """Return a path as it was typed, with the home in the place of ``~``.

    Parameters
    ----------
    folder
        As it was typed.

    Raises
    ------
    SetupValueError
        There is no such user.
    """
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        user = Path(folder).parts[0]
        raise SetupValueError(f"there is no user {user}", hint=_ANOTHER) from None


def change_to(target: Path) -> None:
    """Make a folder the working directory.

    Parameters
    ----------
    target
        Absolute.

    Raises
    ------
    SetupValueError
        It is not there, is no folder, or Drive does not answer.
    """
    refuse_dead(target)
    try:
        os.chdir(target)
    except FileNotFoundError:
        what, hint = f"there is no folder {target}", f"{_making(target)}\nor {_ANOTHER}"
        seen = None
    except NotADirectoryError as error:
        what, seen, hint = f"{target} is no folder", error.strerror, _ANOTHER
    except (OSError, ValueError) as error:  # a zero byte is a ValueError
        what, hint = f"{target} cannot be entered", _ANOTHER
        seen = getattr(error, "strerror", None) or str(error)
    else:
        return
    raise SetupValueError(what, seen=seen, hint=hint)


def refuse_dead(target: Path) -> None:
    """Refuse a folder of a mount that does not answer: nobody comes back from there.

    Parameters
    ----------
    target
        Absolute.

    Raises
    ------
    SetupValueError
        Drive does not answer.
    """
    mount = _mount_of(target)
    if mount is None:
        return
    from colabmagic.drive.watching.probe import Health, probe  # noqa: PLC0415 (lazy)

    found = probe(mount.path)
    if found.health in {Health.HUNG, Health.DEAD}:
        raise SetupValueError(
            f"Drive does not answer at {mount.path}",
            seen=found.seen,
            hint="%mount_drive",
        )


def _mount_of(path: Path) -> MountPoint | None:
    """Return the mount of Drive that a path lies in, by the kernel's table."""
    from colabmagic.drive.watching.mounts import drive_mounts, inside  # noqa: PLC0415

    text = os.path.abspath(path)  # noqa: PTH100 (resolve() would touch it)
    return next((each for each in drive_mounts() if inside(text, each.path)), None)


def _making(target: Path) -> str:
    """Return what makes a folder, to be typed; its name may come from a file."""
    name = str(target)
    if name.isprintable() and not _EXPANDED & set(name):
        return f"!mkdir -p {shlex.quote(name)}"
    return f"import os; os.makedirs({name!a})"
