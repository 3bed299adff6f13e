"""Which members of an archive may be written, and how: a policy of our own.

The standard library's filters have had holes that depend on the patch release
(CVE-2025-4517 and its kin), so nothing is left to them: only files and folders, each
opened step by step from the folder's own descriptor, never through a link.
"""

from __future__ import annotations

import contextlib
import os
import stat
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from colabmagic.drive.errors import (
    ArchiveBombError,
    TargetFullError,
    UnsafeMemberError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_RATIO: Final = 200.0
_FREE_RATIO_BYTES: Final = 64 * 2**20  # so much may come out of the smallest archive
_LONGEST_NAME: Final = 255
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE: Final = 0o644
_EXECUTABLE: Final = 0o755


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

    Attributes
    ----------
    files, written_bytes
        What was written.
    notes
        What the user should know: names that clash where case does not count.
    """

    root: Path
    archive_bytes: int
    max_ratio: float = MAX_RATIO
    max_bytes: int | None = None
    files: int = 0
    written_bytes: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)
    _descriptor: int = -1

    def __enter__(self) -> Self:
        """Open the folder."""
        self._descriptor = os.open(self.root, _FOLDER)
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self._descriptor)

    def folder(self, name: str) -> None:
        """Make a folder, with those above it.

        Parameters
        ----------
        name
            As the archive has it.
        """
        parts = self._parts(name)
        if parts:
            os.close(self._open_folder(parts))

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
        parts = self._parts(name)
        if not parts:
            raise UnsafeMemberError(
                "a file of the archive has no name", hint="make the archive anew"
            )
        parent = self._open_folder(parts[:-1])
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(parts[-1], dir_fd=parent)
            descriptor = os.open(
                parts[-1],
                _NEW_FILE,
                _EXECUTABLE if executable else _FILE_MODE,
                dir_fd=parent,
            )
            with os.fdopen(descriptor, "wb") as out:
                for piece in pieces:
                    self._count(len(piece), name)
                    out.write(piece)
        except IsADirectoryError:
            raise _clash(name) from None
        except OSError as error:
            raise TargetFullError(
                f"{'/'.join(parts)} cannot be written",
                seen=error.strerror or type(error).__name__,
                hint="free room on the disk, or another folder",
            ) from None
        finally:
            os.close(parent)
        self.files += 1

    def _count(self, size: int, name: str) -> None:
        """Add bytes; refuse an archive that grows out of all proportion."""
        self.written_bytes += size
        bound = max(_FREE_RATIO_BYTES, self.max_ratio * self.archive_bytes)
        if self.written_bytes > bound:
            raise ArchiveBombError(
                f"the archive becomes more than {self.max_ratio:.0f} times its size",
                seen=f"{self.written_bytes:,} bytes from {self.archive_bytes:,}, at {name[:80]!r}",
                hint="--max-ratio 1000, if you made it yourself",
            )
        if self.max_bytes is not None and self.written_bytes > self.max_bytes:
            raise ArchiveBombError(
                "the archive becomes larger than was allowed",
                seen=f"more than {self.max_bytes:,} bytes, at {name[:80]!r}",
                hint="a larger --max-size",
            )

    def _parts(self, name: str) -> list[str]:
        """Return the names on the way to a member; refuse a way that leads out."""
        plain = name.replace("\\", "/")
        parts = [part for part in plain.split("/") if part not in {"", "."}]
        bad = (
            plain.startswith("/")
            or ".." in parts
            or (len(plain) > 1 and plain[1] == ":")
            or any(ord(each) < ord(" ") or each == "\x7f" for each in plain)
            or any(len(os.fsencode(part)) > _LONGEST_NAME for part in parts)
        )
        if bad:
            raise UnsafeMemberError(
                "a member of the archive would land outside of the folder",
                seen=repr(name[:120]),
                hint="do not trust this archive; make it anew with names below one folder",
            )
        self._note_clash("/".join(parts))
        return parts

    def _note_clash(self, name: str) -> None:
        """Note names that are one where case or accents do not count."""
        key = unicodedata.normalize("NFC", name).casefold()
        other = self._known.setdefault(key, name)
        if other != name:
            self.notes[f"{name!r} and {other!r} differ only in case or accents"] = None

    def _open_folder(self, parts: list[str]) -> int:
        """Return a descriptor of a folder, made if need be; links are not followed."""
        current = os.dup(self._descriptor)
        for part in parts:
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=current)
                following = os.open(part, _FOLDER, dir_fd=current)
            except OSError as error:
                if isinstance(error, NotADirectoryError) or stat.S_ISLNK(
                    os.lstat(part, dir_fd=current).st_mode
                ):
                    raise _clash("/".join(parts)) from None
                raise TargetFullError(
                    f"{'/'.join(parts)} cannot be made",
                    seen=error.strerror or type(error).__name__,
                    hint="free room on the disk, or another folder",
                ) from None
            finally:
                os.close(current)
            current = following
        return current


def _clash(name: str) -> UnsafeMemberError:
    """Return the error for a member that is both a file and a folder."""
    return UnsafeMemberError(
        "a name of the archive is both a file and a folder",
        seen=repr(name[:120]),
        hint="make the archive anew",
    )
