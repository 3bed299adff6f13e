"""What can be known of a mount before Google asks the user for permission.

``google.colab`` asks first, and ends the old mount too, before it says that the folder
will not do. Here facts are looked up, and pure judgement says whether to go on.
"""

from __future__ import annotations

import enum
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import (
    DriveMountError,
    MountpointError,
    MountPolicyError,
    MountUnsupportedError,
)
from colabmagic.drive.mounting.drive_log import clean
from colabmagic.drive.watching.mounts import mountpoints
from colabmagic.drive.words import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

USUAL: Final = "/content/drive"
CREDENTIALS_ADDRESS: Final = "TBE_EPHEM_CREDS_ADDR"
_API: Final = "%mount_drive --mode api\n(works without a mount"
_TOP_LEVEL: Final = 2  # parts of a path like /content
_SHOWN_NAMES: Final = 5
_MOST_NAMES: Final = 1000
# Google's code writes the folder into lines of bash, and into a list with commas.
_PLAIN_SIGNS: Final = frozenset("/._-+@%=")


class PlaceKind(enum.Enum):
    """What is at the place of a mountpoint now."""

    ABSENT = "absent"
    EMPTY = "an empty folder"
    FILES = "a folder with files in it"
    FILE = "a file"
    LINK = "a link"
    UNREADABLE = "something that cannot be looked at"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColabFacts:
    """What Colab's mount needs of the machine."""

    hostname: bool  # /var/colab/hostname
    enterprise: bool
    credentials: bool  # who gives out the user's


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is at a path before it becomes a mountpoint.

    Attributes
    ----------
    names, more
        Some of what is in the folder, and how many there are besides.
    detail
        Where a link leads, or why nothing can be told.
    stays
        Why it must not be renamed; empty if it may.
    """

    path: Path
    kind: PlaceKind
    parent_exists: bool = True
    names: tuple[str, ...] = ()
    more: int = 0
    detail: str = ""
    stays: str = ""


def colab_facts(env: Mapping[str, str], sysroot: Path = Path("/")) -> ColabFacts:
    """Look up what Colab's mount needs of the machine.

    Parameters
    ----------
    env
        Environment variables.
    sysroot
        Where the file system begins.
    """
    return ColabFacts(
        hostname=(sysroot / "var/colab/hostname").exists(),
        enterprise=env.get("VERTEX_PRODUCT") == "COLAB_ENTERPRISE",
        credentials=bool(env.get(CREDENTIALS_ADDRESS)),
    )


def look(path: Path) -> Place:
    """Look at a place; it must not be, or lie in, a mount that hangs.

    Parameters
    ----------
    path
        Absolute.
    """
    parent = path.parent.exists()
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return Place(path=path, kind=PlaceKind.ABSENT, parent_exists=parent)
    except NotADirectoryError:
        return Place(path=path, kind=PlaceKind.ABSENT, parent_exists=False)
    except OSError as error:
        return _unreadable(path, error)
    if stat.S_ISLNK(mode):
        return Place(path=path, kind=PlaceKind.LINK, detail=_target(path))
    if not stat.S_ISDIR(mode):
        return Place(path=path, kind=PlaceKind.FILE)
    return _look_into(path)


def _look_into(path: Path) -> Place:
    """Look at what is in a folder, up to a number."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_MOST_NAMES))]  # noqa: B905 (one ends first)
    except OSError as error:
        return _unreadable(path, error)
    return Place(
        path=path,
        kind=PlaceKind.FILES if names else PlaceKind.EMPTY,
        names=tuple(sorted(names)[:_SHOWN_NAMES]),
        more=max(0, len(names) - _SHOWN_NAMES),
        stays=why_it_stays(path) or "",
    )


def why_it_stays(path: Path) -> str | None:
    """Say why a folder must not be renamed: somebody stands on it.

    Parameters
    ----------
    path
        Absolute.

    Returns
    -------
    str or None
        It is one of the system's, or home, the working directory or a mount is in it.
    """
    try:
        here: Path | None = Path.cwd()
    except OSError:  # it is gone
        here = None
    if path.parent == path.parent.parent:
        return "it is a folder of the system"
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (no error where there is none)
    if path == home or path in home.parents:
        return "your home is in it"
    if here is not None and (path == here or path in here.parents):
        return "the working directory is in it"
    if any(path in point.parents for point in mountpoints()):
        return "something is mounted in it"
    return None


def _unreadable(path: Path, error: OSError) -> Place:
    """Return a place of which the system tells only an error."""
    code = errno.errorcode.get(error.errno or 0, "")
    detail = f"{code} {error.strerror or type(error).__name__}".strip()
    return Place(path=path, kind=PlaceKind.UNREADABLE, detail=detail)


def _target(path: Path) -> str:
    """Return where a link leads."""
    try:
        return str(path.readlink())
    except OSError:
        return "?"


def refuse_host(facts: ColabFacts) -> DriveMountError | None:
    """Say why this machine cannot mount Drive by Colab's means, or None.

    Parameters
    ----------
    facts
        Of `colab_facts`.
    """
    if facts.enterprise:
        return MountPolicyError(
            "Colab Enterprise does not mount Drive",
            seen="VERTEX_PRODUCT=COLAB_ENTERPRISE",
            hint=f"{_API}, with --creds FILE of a service account)",
        )
    if not facts.hostname:
        return MountUnsupportedError(
            "Drive can be mounted by Colab's means only on a machine of Colab",
            seen="/var/colab/hostname is not there",
            hint=f"{_API}; --mode fuse where /dev/fuse is)",
        )
    if not facts.credentials:
        return MountUnsupportedError(
            "this machine of Colab has nobody who gives out Drive's credentials",
            seen=f"the variable {CREDENTIALS_ADDRESS} is not set",
            hint=f"Runtime > Disconnect and delete runtime, then connect again\nor\n{_API})",
        )
    return None


def refuse_flush(sysroot: Path = Path("/")) -> MountUnsupportedError | None:
    """Say why Colab cannot upload and unmount on this machine, or None.

    Parameters
    ----------
    sysroot
        Where the file system begins.
    """
    if not (sysroot / "var/colab/mp").exists():
        return None
    return MountUnsupportedError(
        "Colab cannot upload and unmount on this machine",
        seen="/var/colab/mp is there",
        hint="%mount_drive --sync\n(uploads what is not on the server)",
    )


def refuse_name(path: Path) -> MountpointError | None:
    """Say why a path cannot be a mountpoint by its name alone, or None.

    Parameters
    ----------
    path
        Absolute.
    """
    inside = _inside_drive(path)
    if inside is not None:
        return inside
    text = str(path)
    if not path.is_absolute() or text == "/":
        return MountpointError(
            "Drive needs a folder of its own",
            seen=_named(path),
            hint=f"%mount_drive {USUAL}",
        )
    if _is_plain(text):
        return None
    bad = sorted({c for c in text if not _is_plain(c)})
    names = " ".join("a space" if c == " " else repr(c) for c in bad)
    return MountpointError(
        "the path of a mountpoint must hold no space and no sign of the shell",
        seen=f"{names} in {_named(path)}",
        hint=f"%mount_drive {USUAL}",
    )


def _inside_drive(path: Path) -> MountpointError | None:
    """Refuse a path that names a folder of Drive itself, as it is when Drive is mounted."""
    for at, part in enumerate(path.parts):
        above = Path(*path.parts[:at]) if at else path
        usable = len(above.parts) > _TOP_LEVEL and _is_plain(str(above))
        if part == "My Drive" or (part == "MyDrive" and usable):
            named = str(above) if usable else USUAL
            return MountpointError(
                f"{part} is a folder inside of Drive, not a place to mount it at",
                seen=_named(path),
                hint=f"%mount_drive {named}\n(then use {named}/MyDrive)",
            )
    return None


def refuse_place(place: Place) -> MountpointError | None:
    """Say why what is there now cannot become a mountpoint, or None.

    Parameters
    ----------
    place
        Of `look`.
    """
    shown = _named(place.path)
    elsewhere = f"%mount_drive {another(place.path)}"
    aside = f"%mount_drive {quoted(place.path)} --move-aside"
    if place.kind is PlaceKind.LINK:
        return MountpointError(
            f"{shown} is a link; Drive cannot be mounted at one",
            seen=f"it leads to {clean(place.detail)!r}",
            hint=f"{aside}\nwhich renames the link; or {elsewhere}",
        )
    if place.kind is PlaceKind.FILE:
        return MountpointError(
            f"{shown} is a file; Drive needs a folder",
            hint=f"{aside}\nwhich renames the file; or {elsewhere}",
        )
    if place.kind is PlaceKind.FILES:
        return _refuse_full(place, aside)
    if place.kind is PlaceKind.UNREADABLE:
        return MountpointError(
            f"{shown} cannot be looked at",
            seen=place.detail,
            hint=f"{elsewhere}\nor look for the cause: %mount_drive --doctor",
        )
    if not place.parent_exists:
        return MountpointError(
            f"the folder above {shown} does not exist",
            hint=f"!mkdir -p {quoted(place.path.parent)}\nor {elsewhere}",
        )
    return None


def _refuse_full(place: Place, aside: str) -> MountpointError:
    """Refuse a folder with files; renaming it helps, unless somebody stands on it."""
    more = f" and {place.more} more" if place.more else ""
    names = ", ".join(repr(clean(name, 60)) for name in place.names)
    seen = f"{names}{more}; often written while Drive was not mounted"
    hint = f"{aside}\nwhich renames the folder, nothing is deleted"
    if place.stays:
        seen = f"{names}{more}; {place.stays}, so it must stay as it is"
        hint = f"%mount_drive {quoted(place.path / 'drive')}"
    return MountpointError(
        f"{_named(place.path)} has files in it; Drive would hide them",
        seen=seen,
        hint=hint,
    )


def another(path: Path) -> str:
    """Return a mountpoint to try instead of one.

    Parameters
    ----------
    path
        The one that will not do.
    """
    return USUAL if str(path) != USUAL else "/content/gdrive"


def _is_plain(text: str) -> bool:
    """Tell whether a text stays one word wherever Google's code writes it."""
    return all(c.isalnum() or c in _PLAIN_SIGNS for c in text)


def _named(path: Path) -> str:
    """Return a path for showing: as it is, or with what would confuse escaped."""
    return str(path) if _is_plain(str(path)) else quoted(path)
