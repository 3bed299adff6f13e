"""Unpack 7z archives by the policy of `colabmagic.drive.members`; needs ``py7zr``."""

from __future__ import annotations

import io
import stat
from typing import IO, TYPE_CHECKING, Final

from colabmagic.drive.errors import (
    CorruptArchiveError,
    MissingPackageError,
    UnsafeMemberError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from colabmagic.drive.members import MemberFile, Target

_LONGEST_LINK: Final = 4096


def package() -> ModuleType:
    """Return ``py7zr``.

    Raises
    ------
    MissingPackageError
        It is not there, or has no way yet to give members to others.
    """
    try:
        import py7zr  # noqa: PLC0415 (extra)
        import py7zr.io  # noqa: PLC0415
    except ImportError:
        py7zr = None
    if py7zr is None or not hasattr(py7zr.io, "WriterFactory"):
        raise MissingPackageError(
            "nothing here can read .7z",
            seen="no py7zr of version 1.0 or newer",
            hint="%pip install 'py7zr>=1'",
        )
    return py7zr  # type: ignore[no-any-return]


def content_bytes(file: IO[bytes]) -> int:
    """Return how many bytes the members say that they have.

    Parameters
    ----------
    file
        The archive.
    """
    with package().SevenZipFile(file) as archive:
        return sum(member.uncompressed for member in archive.list())


def unpack(file: IO[bytes], target: Target) -> None:
    """Unpack an archive.

    Parameters
    ----------
    file
        The archive; it can be read anywhere.
    target
        Where its members go.
    """
    py7zr = package()
    with py7zr.SevenZipFile(file) as archive:
        if archive.needs_password():
            raise encrypted()
        members = {}
        for member, entry in zip(archive.list(), archive.files, strict=True):
            key = "/".join(target.parts(member.filename, note=False))
            if key in members:
                raise UnsafeMemberError(
                    "two members of the archive have the same name",
                    seen=repr(key[:120]),
                    hint="make the archive anew",
                )
            if member.is_directory:
                target.folder(member.filename)
            elif not (member.is_file or member.is_symlink):
                raise UnsafeMemberError(
                    "the archive holds a device, which could lead out of the folder",
                    seen=repr(member.filename[:120]),
                    hint="pack it without links and devices",
                )
            members[key] = member.is_symlink, entry.posix_mode or 0
        archive.extract(
            targets=[each.filename for each in archive.list() if not each.is_directory],
            factory=_factory(py7zr, target, members),
        )


def encrypted() -> CorruptArchiveError:
    """Return the error for an archive that wants a password."""
    return CorruptArchiveError(
        "the archive is encrypted",
        hint="unpack it where its password is known, and pack it without",
    )


def damages() -> tuple[type[BaseException], ...]:
    """Return the errors of damaged archives; none of ours is among them."""
    try:
        from py7zr import exceptions  # noqa: PLC0415 (extra)
    except ImportError:
        return ()
    return (
        exceptions.ArchiveError,
        exceptions.AbsolutePathError,
        exceptions.PasswordRequired,
    )


def _factory(
    py7zr: ModuleType, target: Target, members: dict[str, tuple[bool, int]]
) -> object:
    """Return what py7zr asks for the file of each member."""

    class Member(py7zr.io.Py7zIO):  # type: ignore[misc, name-defined]
        """Hands the content of a member on."""

        def __init__(
            self, out: MemberFile | io.BytesIO, end: Callable[[], None]
        ) -> None:
            self._out, self._end, self._size = out, end, 0

        def write(self, s: bytes | bytearray) -> int:
            if isinstance(self._out, io.BytesIO) and self._size > _LONGEST_LINK:
                raise EOFError("a link longer than can be")
            self._out.write(bytes(s))
            self._size += len(s)
            return len(s)

        def read(self, size: int | None = None) -> bytes:
            del size
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            del offset, whence
            return 0

        def seekable(self) -> bool:
            return False

        def flush(self) -> None:
            """Nothing is held back."""

        def size(self) -> int:
            return self._size

        def close(self) -> None:
            self._end()

    class Factory(py7zr.io.WriterFactory):  # type: ignore[misc, name-defined]
        """Opens members by our policy."""

        def create(self, filename: str) -> Member:
            key = "/".join(target.parts(filename, note=False))
            is_link, mode = members[key]
            if is_link:
                text = io.BytesIO()
                return Member(
                    text, lambda: target.symlink(key, text.getvalue().decode("utf-8"))
                )
            out = target.open(key, executable=bool(mode & stat.S_IXUSR))
            return Member(out, out.close)

    return Factory()
