"""Names in archives: which are safe to be written below a folder."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import TargetFullError, UnsafeMemberError

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 4095 - 64  # the folder may be renamed a little longer
_DEEPEST: Final = 128  # so that every tool can remove it again


def safe_parts(name: str, root: Path) -> list[str]:
    """Return the names on the way to a member of an archive.

    Parameters
    ----------
    name
        As the archive has it; the backslashes of Windows lead into folders as well.
    root
        The folder that it is for.

    Raises
    ------
    UnsafeMemberError
        It leads out, means something else elsewhere, or is longer than a disk takes.
    TargetFullError
        This Python cannot write it.
    """
    _refuse_unknown(name)
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in {"", "."}]
    if leads_out(plain) or ".." in parts:
        raise UnsafeMemberError(
            "a member of the archive would land outside of the folder",
            seen=repr(name[:120]),
            hint="do not trust this archive; make it anew with names below one folder",
        )
    room = _LONGEST_PATH - len(os.fsencode(root))
    if (
        any(len(os.fsencode(part)) > _LONGEST_NAME for part in parts)
        or len(os.fsencode(plain)) > room
        or len(parts) > _DEEPEST
    ):
        raise UnsafeMemberError(
            "a name of the archive is longer or deeper than a disk can have it",
            seen=f"{name[:80]!r}, {len(name):,} letters in {len(parts)} parts",
            hint="make the archive anew, with shorter names",
        )
    return parts


def _refuse_unknown(name: str) -> None:
    """Raise for a name that the encoding of this Python's file names does not have."""
    if sys.getfilesystemencoding() == "utf-8":
        return  # what it does not have is no text: the archive is damaged
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise TargetFullError(
            f"a name of the archive cannot be written by this Python: {name[:80]!a}",
            seen=f"its file names are in {error.encoding}",
            hint="start Python with PYTHONUTF8=1 in its environment",
        ) from None


def leads_out(plain: str) -> bool:
    """Tell whether a name is absolute, has a drive's letter, or control characters.

    Parameters
    ----------
    plain
        The name, with slashes.
    """
    return (
        plain.startswith("/")
        or (plain[1:2] == ":" and plain[0].isascii() and plain[0].isalpha())
        or any(letter < " " or letter == "\x7f" for letter in plain)
    )
