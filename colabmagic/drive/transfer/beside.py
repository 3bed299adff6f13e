"""Files and folders that are not ready: how they are called, and where they may become one.

They lie beside their place, as only there a rename gives them their name at once. Their
own names are hidden, and such that nobody has a file of one by chance.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from colabmagic.drive.errors import TargetFullError
from colabmagic.report.text import clean

PART: Final = ".colabmagic-part"
_LONGEST: Final = 255 - 25  # bytes; some of our names get a further ending
_KINDS: Final = {
    stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link that leads in a circle",
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
}  # fmt: skip


def hidden(path: Path, ending: str) -> Path:
    """Return a hidden name beside a path, as long as a disk can have it.

    Parameters
    ----------
    path
        A file or folder; it need not be there.
    ending
        Tells what lies there.
    """
    name = f".{path.name}{ending}"
    if len(os.fsencode(name)) > _LONGEST:
        whole = os.fsencode(path.name)
        digest = hashlib.sha256(whole).hexdigest()[:16]
        cut = whole[: _LONGEST - len(f".~{digest}{ending}")].decode("utf-8", "ignore")
        name = f".{cut}~{digest}{ending}"
    return path.with_name(name)


def place_of(target: Path) -> tuple[Path, int | None]:
    """Return where a file will be, and the mode of the one that is there.

    Parameters
    ----------
    target
        A link is followed.

    Raises
    ------
    TargetFullError
        What is there is no file.
    OSError
        There can be none of such a name.
    """
    place = target
    with contextlib.suppress(FileNotFoundError):
        status = os.lstat(place)
        if stat.S_ISLNK(status.st_mode):
            place = Path(os.path.realpath(place))
            status = os.lstat(place)
        if not stat.S_ISREG(status.st_mode):
            raise TargetFullError(
                f"{clean(str(target))} is there already, and is no file",
                seen=_KINDS.get(stat.S_IFMT(status.st_mode), "a device"),
                hint="another name",
            )
        return place, stat.S_IMODE(status.st_mode)
    return place, None


def fresh_file(path: Path) -> int:
    """Return a descriptor of a new file to append to; what has its name goes.

    Parameters
    ----------
    path
        Where; a link there is not followed.
    """
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    return os.open(path, flags, 0o666)
