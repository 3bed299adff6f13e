"""Wheels: zip archives of Python packages."""

from __future__ import annotations

import stat
import zipfile
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.unpacking.policy import Outlet

_ENCRYPTED = 0x1


def unpack_wheel(path: Path, outlet: Outlet) -> None:
    """Unpack a wheel as it is; its ``RECORD`` is not read, as the whole was hashed.

    Parameters
    ----------
    path
        Of the file.
    outlet
        Where it goes.

    Raises
    ------
    ChecksumError
        It is damaged, or holds what it must not.
    DiskFullError
        There is no room.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _member(archive, member, outlet)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise outlet.damaged(str(error) or type(error).__name__) from None


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, outlet: Outlet) -> None:
    """Write one member, if it is wanted."""
    target = outlet.wanted(member.filename)
    if target is None or member.is_dir():
        return
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        raise outlet.refused(f"{member.filename} is no ordinary file")
    if member.flag_bits & _ENCRYPTED:
        raise outlet.damaged(f"{member.filename} wants a password")
    with archive.open(member) as content:
        outlet.file(target, content, mode=mode)
