"""What ``--stage`` was asked for: refused where it is no archive, or leads into Drive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.archive.archives import KNOWN, kind_of, stem_of
from colabmagic.drive.errors import (
    CorruptArchiveError,
    DriveError,
    DrivePathError,
    TargetFullError,
)
from colabmagic.drive.transfer.workroom import where
from colabmagic.drive.watching.mounts import TABLE, drive_mounts, inside
from colabmagic.drive.words import quoted, shown
from colabmagic.host.detect import detect
from colabmagic.host.facts import HostKind
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from colabmagic.drive.api.files import Files

_COLAB: Final = Path("/content")
_NO_NAMES: Final = {"", ".", ".."}
_OURS: Final = "drive://"
_LINKS: Final = ("http:", "https:", "www.", "drive.google.com", "docs.google.com")
# As editors and chats make them of straight ones.
_CURLY: Final = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb\u2033\uff02"


def default_folder(name: str) -> Path:
    """Return where an archive goes if nobody says: on Colab to its disk, else here.

    Parameters
    ----------
    name
        Of the archive.
    """
    stem = stem_of(name)
    on_colab = _COLAB.is_dir() and detect().kind is HostKind.COLAB
    try:
        parent = _COLAB if on_colab else Path.cwd()
    except OSError:
        raise TargetFullError(
            "the working directory is gone", hint="cd to another one, or --to FOLDER"
        ) from None
    return parent / ("data" if stem in _NO_NAMES else stem)


def refuse_no_archive(files: Files, archive: str) -> None:
    """Raise if a path is none of an archive, and say what it is instead.

    Parameters
    ----------
    files
        Is asked, where the name is not enough.
    archive
        As it was typed.

    Raises
    ------
    DrivePathError, CorruptArchiveError
        It is none.
    """
    typed = archive.strip()
    if typed.startswith(_OURS):
        raise DrivePathError(
            f"{clean(typed)} is an address, and a path is wanted",
            hint=_line(typed.removeprefix(_OURS)),
        )
    if typed.lower().startswith(_LINKS):
        raise DrivePathError(
            "this is a link, and a path on Drive is wanted",
            seen=clean(typed[:80]),
            hint="%mount_drive --ls MyDrive\n(shows the paths; of a file that somebody "
            "shares, add a shortcut to My Drive on its page first)",
        )
    name = typed.rstrip("/").rpartition("/")[2]
    if kind_of(name) is not None:
        return
    straight = typed.strip(_CURLY + " ")
    if straight != typed:
        raise DrivePathError(
            "the quotes are curly ones, which belong to the name here",
            seen=clean(typed[:80]),
            hint=_line(straight),
        )
    _name_it(files, archive)
    raise CorruptArchiveError(
        f"{clean(name)} is no archive that can be unpacked",
        seen=f"known: {KNOWN}",
        hint='%mount_drive --pack FOLDER "MyDrive/NAME.tar.zst" makes one',
    )


def refuse_in_drive(folder: Path, archive: str, table: Path = TABLE) -> None:
    """Raise if a folder lies in a Drive that cannot be written here.

    Parameters
    ----------
    folder
        Where the archive would go; absolute.
    archive
        The archive.
    table
        The kernel's, of mounts.

    Raises
    ------
    TargetFullError
        It does.
    """
    for mount in drive_mounts(table):
        if mount.readonly and inside(str(folder), mount.path):
            other = Path(where()) / folder.name
            raise TargetFullError(
                f"{shown(folder)} is in Drive, which is read-only here",
                seen=f"mounted at {shown(mount.path)}",
                hint=f"a folder of this machine: {_line(archive)} --to {quoted(other)}",
            )


def _name_it(files: Files, archive: str) -> None:
    """Raise if Drive knows what a path leads to; without an answer say nothing."""
    try:
        found = files.stat(archive, newest=True)
    except DriveError:
        return
    path = archive.strip().rstrip("/")
    name = path.rpartition("/")[2]
    if found.is_folder:
        raise DrivePathError(
            f"{clean(path)} is a folder, and --stage takes one archive",
            hint=f"%mount_drive --ls {quoted(path)}\n(shows what is in it; --pack makes one "
            "archive of a folder, where that lies on a disk)",
        )
    if found.is_document:
        raise DrivePathError(
            f"{clean(path)} is a Google document, and --stage takes an archive",
            seen=clean(found.mime_type),
            hint="from colabmagic.drive import connect; "
            f"connect().files.export({clean(path)!r}, 'pdf')",
        )
    raise CorruptArchiveError(
        f"{clean(path)} is one file, and no archive that can be unpacked",
        seen=f"known: {KNOWN}",
        hint="from colabmagic.drive import connect; "
        f"connect().download({clean(path)!r}, {clean(name)!r})",
    )


def _line(archive: str) -> str:
    """Return what to type for an archive."""
    return f"%mount_drive --stage {quoted(archive)}"
