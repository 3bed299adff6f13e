"""Which members of an archive may be written, and how: a policy of our own.

The standard library's filters have had holes that depend on the patch release
(CVE-2025-4517 and its kin), so nothing is left to them: only files and folders, each
opened step by step from the folder's own descriptor, never through a link. Links are
made on request alone (`colabmagic.drive.archive.links`), after everything else.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Self

from colabmagic.drive.archive import links as planned_links
from colabmagic.drive.archive.member_file import MemberFile, unwritten
from colabmagic.drive.archive.names import safe_parts
from colabmagic.drive.errors import (
    ArchiveBombError,
    DriveTransferError,
    UnsafeMemberError,
)
from colabmagic.drive.transfer.locks import refuse_full

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_RATIO: Final = 200.0
_FREE_RATIO_BYTES: Final = 64 * 2**20  # so much may come out of the smallest archive
_ENTRY_BYTES: Final = 1024  # a name is counted as so many: empty files fill a disk too
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE: Final = 0o644
_EXECUTABLE: Final = 0o755

Links = Literal["refuse", "inside"]


@dataclass(eq=False)
class Target:
    """A fresh folder that members are written to.

    Parameters
    ----------
    root
        The folder; it exists and is empty.
    archive_bytes
        Size of the archive, for the ratio.
    max_ratio
        How many times larger the content may be.
    max_bytes
        Most bytes to write; None for what the disk has.
    links
        ``refuse`` them, or make those that stay ``inside`` of the folder.

    Attributes
    ----------
    files, written_bytes
        What was written.
    announced
        Bytes of all members, where the archive tells them first.
    notes
        What the user should know: names that clash where case does not count.
    """

    root: Path
    archive_bytes: int
    max_ratio: float = MAX_RATIO
    max_bytes: int | None = None
    links: Links = "refuse"
    files: int = 0
    written_bytes: int = 0
    announced: int | None = None
    notes: dict[str, None] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)
    _planned: dict[tuple[str, ...], str] = field(default_factory=dict)
    _entries: int = 0
    _descriptor: int = -1
    _last: tuple[list[str], int] | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        """Open the folder."""
        self._descriptor = os.open(self.root, _FOLDER)
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._forget_last()
        os.close(self._descriptor)

    def stop(self) -> None:
        """Have the thread that unpacks end with an error at its next piece."""
        self._stopped.set()

    def folder(self, name: str) -> None:
        """Make a folder, with those above it.

        Parameters
        ----------
        name
            As the archive has it.
        """
        parts = self.parts(name)
        self._enter(name)
        self._parent(parts)

    def file(
        self, name: str, pieces: Iterable[bytes], *, executable: bool = False
    ) -> None:
        """Write a file; a member of the same name that came before is replaced.

        Parameters
        ----------
        name
            As the archive has it.
        pieces
            The content.
        executable
            Whether it may be run.
        """
        with self.open(name, executable=executable) as out:
            for piece in pieces:
                out.write(piece)

    def open(self, name: str, *, executable: bool = False) -> MemberFile:
        """Begin a file, as `file` does; return what takes its content.

        Parameters
        ----------
        name
            As the archive has it.
        executable
            Whether it may be run.
        """
        parts, parent = self._place(name)
        mode = _EXECUTABLE if executable else _FILE_MODE
        try:
            try:
                descriptor = os.open(parts[-1], _NEW_FILE, mode, dir_fd=parent)
            except FileExistsError:
                self._unlink(parts[-1], parent)
                descriptor = os.open(parts[-1], _NEW_FILE, mode, dir_fd=parent)
        except IsADirectoryError:
            raise clash(name) from None
        except OSError as error:
            raise unwritten("/".join(parts), error) from None
        self.files += 1
        return MemberFile(self.count, name, os.fdopen(descriptor, "wb", buffering=0))

    def symlink(self, name: str, text: str) -> None:
        """Plan a symbolic link; `finish` makes it.

        Parameters
        ----------
        name
            As the archive has it.
        text
            Where it leads.
        """
        self._refuse_links(name)
        parts, parent = self._place(name)
        try:
            self._unlink(parts[-1], parent)
        except IsADirectoryError:
            raise clash(name) from None
        self._planned[tuple(parts)] = text

    def hardlink(self, name: str, other: str) -> None:
        """Give a file that came before a further name.

        Parameters
        ----------
        name
            As the archive has it.
        other
            Name of the file that is there.
        """
        self._refuse_links(name)
        source = self.parts(other, note=False)
        parts, parent = self._place(name)
        if source == parts:
            return  # itself
        with planned_links.opened(self._descriptor, source[:-1]) as folder:
            if folder is None or not source or not _is_file(source[-1], folder):
                raise planned_links.leads_out(name, other)
            try:
                self._unlink(parts[-1], parent)
                os.link(
                    source[-1], parts[-1],
                    src_dir_fd=folder, dst_dir_fd=parent, follow_symlinks=False,
                )  # fmt: skip
            except IsADirectoryError:
                raise clash(name) from None
            except OSError as error:
                raise unwritten("/".join(parts), error) from None
        self.files += 1

    def finish(self) -> None:
        """Make the links that were planned, now that nothing is written any more."""
        self._forget_last()
        lost = planned_links.make(self._descriptor, self._planned)
        self.files += len(self._planned) - len(lost)
        for name in lost[:3]:
            self.notes[f"the link {name!r} leads to nothing, and was left out"] = None
        if more := lost[3:]:
            self.notes[f"{len(more)} more links lead to nothing"] = None
        self._planned.clear()

    def announce(self, size: int) -> None:
        """Refuse at once what says itself that it becomes too large.

        Parameters
        ----------
        size
            Bytes of all members, as the archive tells them.
        """
        self.announced = size
        self._refuse(size, "as it says itself")
        refuse_full(self.root, size)

    def count(self, size: int, name: str) -> None:
        """Add bytes; refuse an archive that grows out of all proportion.

        Parameters
        ----------
        size
            How many more are to be written.
        name
            Of the member.
        """
        if self._stopped.is_set():
            raise DriveTransferError("it was stopped", hint="run it again")
        self.written_bytes += size
        self._refuse(self.written_bytes, f"at {name[:80]!r}")

    def _refuse(self, size: int, where: str) -> None:
        """Raise if so many bytes are too many."""
        bound = max(_FREE_RATIO_BYTES, self.max_ratio * self.archive_bytes)
        if size + self._entries * _ENTRY_BYTES > bound:
            raise ArchiveBombError(
                f"the archive becomes more than {self.max_ratio:.0f} times its size",
                seen=f"{size:,} bytes in {self._entries:,} members from "
                f"{self.archive_bytes:,}, {where}",
                hint="--max-ratio 1000, if you made it yourself",
            )
        if self.max_bytes is not None and size > self.max_bytes:
            raise ArchiveBombError(
                "the archive becomes larger than was allowed",
                seen=f"more than {self.max_bytes:,} bytes, {where}",
                hint="a larger --max-size",
            )

    def parts(self, name: str, *, note: bool = True) -> list[str]:
        """Return the names on the way to a member; refuse a way that leads out.

        Parameters
        ----------
        name
            As the archive has it.
        note
            Whether names that clash are to be told.
        """
        parts = safe_parts(name, self.root)
        if note:
            self._note_clash("/".join(parts))
        return parts

    def _place(self, name: str) -> tuple[list[str], int]:
        """Return the way to a file, and the folder that it is for."""
        parts = self.parts(name)
        if not parts:
            raise UnsafeMemberError(
                "a file of the archive has no name", hint="make the archive anew"
            )
        self._enter(name)
        self._planned.pop(tuple(parts), None)  # the last one of a name counts
        return parts, self._parent(parts[:-1])

    def _enter(self, name: str) -> None:
        """Count a member."""
        self._entries += 1
        self.count(0, name)

    def _unlink(self, name: str, parent: int) -> None:
        """Remove a member of this name that came before."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
            self.files -= 1

    def _refuse_links(self, name: str) -> None:
        """Raise, unless links were asked for."""
        if self.links != "inside":
            raise UnsafeMemberError(
                "the archive holds a link, which could lead out of the folder",
                seen=repr(name[:120]),
                hint="--links makes those that stay inside; or pack it without "
                "(tar --dereference)",
            )

    def _note_clash(self, name: str) -> None:
        """Note names that are one where case or accents do not count."""
        key = unicodedata.normalize("NFC", name).casefold()
        other = self._known.setdefault(key, name)
        if other != name:
            self.notes[f"{name!r} and {other!r} differ only in case or accents"] = None

    def _parent(self, parts: list[str]) -> int:
        """Return a descriptor of a folder; the last one is kept for its next member."""
        if self._last is None or self._last[0] != parts:
            descriptor = self._open_folder(parts)
            self._forget_last()
            self._last = parts, descriptor
        return self._last[1]

    def _forget_last(self) -> None:
        """Close the folder that is kept."""
        if self._last is not None:
            os.close(self._last[1])
            self._last = None

    def _open_folder(self, parts: list[str]) -> int:
        """Return a descriptor of a folder, made if need be; links are not followed."""
        current = os.dup(self._descriptor)
        for part in parts:
            try:
                try:
                    following = os.open(part, _FOLDER, dir_fd=current)
                except FileNotFoundError:
                    os.mkdir(part, 0o755, dir_fd=current)
                    following = os.open(part, _FOLDER, dir_fd=current)
            except OSError as error:
                if isinstance(error, NotADirectoryError) or _is_link(part, current):
                    raise clash("/".join(parts)) from None
                raise unwritten("/".join(parts), error) from None
            finally:
                os.close(current)
            current = following
        return current


def clash(name: str) -> UnsafeMemberError:
    """Return the error for a member that is both a file and a folder.

    Parameters
    ----------
    name
        Of the member.
    """
    return UnsafeMemberError(
        "a name of the archive is both a file and a folder",
        seen=repr(name[:120]),
        hint="make the archive anew",
    )


def _is_link(name: str, parent: int) -> bool:
    """Tell whether a name is a link."""
    return stat.S_ISLNK(_mode(name, parent))


def _is_file(name: str, parent: int) -> bool:
    """Tell whether a name is that of a plain file."""
    return stat.S_ISREG(_mode(name, parent))


def _mode(name: str, parent: int) -> int:
    """Return what a name is; 0 where nothing has it."""
    with contextlib.suppress(OSError):
        return os.lstat(name, dir_fd=parent).st_mode
    return 0
