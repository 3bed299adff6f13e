"""Unpack 7z archives by the policy of `colabmagic.drive.archive.members`; needs ``py7zr``."""

from __future__ import annotations

import contextlib
import importlib
import io
import stat
from typing import IO, TYPE_CHECKING, Any, Final

from colabmagic.drive.errors import (
    CorruptArchiveError,
    MissingPackageError,
    UnsafeMemberError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.archive.member_file import MemberFile
    from colabmagic.drive.archive.members import Target

_LONGEST_LINK: Final = 4096


def package() -> Any:  # noqa: ANN401 (a module without types)
    """Return ``py7zr``.

    Raises
    ------
    MissingPackageError
        It is not there, or has no way yet to give members to others.
    """
    with contextlib.suppress(ImportError):
        py7zr: Any = importlib.import_module("py7zr")
        if hasattr(importlib.import_module("py7zr.io"), "WriterFactory"):
            return py7zr
    raise MissingPackageError(
        "nothing here can read .7z",
        seen="no py7zr of version 1.0 or newer",
        hint="%pip install 'py7zr>=1'",
    )


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
            members[key] = member.is_symlink, entry.posix_mode or 0
            if not (member.is_directory or member.is_file or member.is_symlink):
                raise UnsafeMemberError(
                    "the archive holds a device, which could lead out of the folder",
                    seen=repr(member.filename[:120]),
                    hint="pack it without links and devices",
                )
        target.announce(sum(member.uncompressed for member in archive.list()))
        wanted = []
        for member in archive.list():
            if member.is_directory:
                target.folder(member.filename)
            else:
                wanted.append(member.filename)
        with contextlib.ExitStack() as still_open:
            kinds = py7zr.io.Py7zIO, py7zr.io.WriterFactory
            member_type = type("Member", (_Member, kinds[0]), {})
            factory_type = type("Factory", (_Factory, kinds[1]), {})
            factory = factory_type(member_type, target, members, still_open)
            archive.extract(targets=wanted, factory=factory)


def encrypted() -> CorruptArchiveError:
    """Return the error for an archive that wants a password."""
    return CorruptArchiveError(
        "the archive is encrypted",
        hint="unpack it where its password is known, and pack it without",
    )


def damages() -> tuple[type[BaseException], ...]:
    """Return the errors of damaged archives; none of ours is among them."""
    try:
        exceptions: Any = importlib.import_module("py7zr.exceptions")
    except ImportError:
        return ()
    return (
        exceptions.ArchiveError,
        exceptions.AbsolutePathError,
        exceptions.PasswordRequired,
    )


class _Member:
    """Hands the content of a member on; py7zr asks for all these methods."""

    def __init__(self, out: MemberFile | io.BytesIO, end: Callable[[], None]) -> None:
        self._out, self._end, self._size = out, end, 0

    def write(self, s: bytes | bytearray) -> int:
        """Take more of the content."""
        if isinstance(self._out, io.BytesIO) and self._size > _LONGEST_LINK:
            raise EOFError("a link longer than can be")
        self._out.write(bytes(s))
        self._size += len(s)
        return len(s)

    def read(self, size: int | None = None) -> bytes:
        """Return nothing: what is written goes on at once."""
        del size
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Stay."""
        del offset, whence
        return 0

    def seekable(self) -> bool:
        """Tell that it cannot go back."""
        return False

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def size(self) -> int:
        """Return how much came."""
        return self._size

    def close(self) -> None:
        """End it."""
        self._end()


class _Factory:
    """Opens members by our policy, for py7zr.

    Parameters
    ----------
    member_type
        `_Member`, as a class that py7zr accepts.
    target
        Where members go.
    members
        By name: whether it is a link, and its mode.
    still_open
        Closes the last file if something goes wrong.
    """

    def __init__(
        self,
        member_type: Callable[..., Any],
        target: Target,
        members: dict[str, tuple[bool, int]],
        still_open: contextlib.ExitStack,
    ) -> None:
        self._member_type, self._target = member_type, target
        self._members, self._still_open = members, still_open

    def create(self, filename: str) -> Any:  # noqa: ANN401 (of a type made here)
        """Open a member."""
        target = self._target
        key = "/".join(target.parts(filename, note=False))
        is_link, mode = self._members[key]
        self._still_open.close()  # one after the other, as they are packed
        if is_link:
            text = io.BytesIO()
            return self._member_type(
                text, lambda: target.symlink(key, text.getvalue().decode("utf-8"))
            )
        out = target.open(key, executable=bool(mode & stat.S_IXUSR))
        self._still_open.callback(out.close)
        return self._member_type(out, out.close)
