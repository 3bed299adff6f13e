"""Files that are written to Drive: saved by their `close`, or discarded as a whole.

A `close` that somebody writes is meant, also while an error is handled: so is a
checkpoint saved on Ctrl-C. Only where an error leaves the `with` block of the file
itself is half of it not saved. The files of `io` and of packers close what is below them
without a word of that error, so that those for text and packing are ours.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.transfer.workroom import WorkRoom

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

# Whose blocks hold a file that they close for others: `fsspec.open`, `DataFrame.to_csv`,
# `contextlib.closing`.
_HOLDERS: Final = frozenset({"fsspec", "pandas", "contextlib"})
_CLOSING: Final = frozenset({"close", "flush", "__exit__"})


class _Discardable(io.BufferedIOBase):
    """A file to write that can end without a word to what is below."""

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def discard(self) -> None:
        """End without saving."""
        raise NotImplementedError

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close it, or discard what was written if the block has failed."""
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        """Save nothing of a file that nobody has closed."""
        with contextlib.suppress(AttributeError):
            self.discard()


class DriveWriter(_Discardable):
    """Takes the content of a file; Drive has it when `close` returns, or not at all.

    Parameters
    ----------
    path
        On Drive.
    upload
        Called once with the local file and the path, when all is written.
    """

    def __init__(self, path: str, upload: Callable[[Path, str], object]) -> None:
        super().__init__()
        self._path, self._upload = path, upload
        self._room = WorkRoom("file")
        try:
            self._file = (self._room.path / "content").open("w+b")
        except OSError as error:
            self._room.remove()
            raise self._room.no_room(error) from None

    def __repr__(self) -> str:
        """Say what it writes."""
        return f"<DriveWriter of {self._path!r}>"

    @property
    def name(self) -> str:
        """The path on Drive."""
        return self._path

    def seekable(self) -> bool:
        """Tell that it can be written anywhere."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 (bytes of any kind)
        """Write bytes."""
        try:
            return self._file.write(data)
        except OSError as error:
            self.discard()  # else closing it would upload a part
            raise self._room.no_room(error) from None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def flush(self) -> None:
        """Write what is held back to the local disk; Drive gets it at the end."""
        if not self._file.closed:
            self._file.flush()

    def discard(self) -> None:
        """End without an upload."""
        if not self.closed:
            with contextlib.suppress(OSError):  # what is thrown away needs no room
                self._file.close()
            self._room.remove()
            super().close()

    def close(self) -> None:
        """Upload the file, unless an error is leaving its block: half is not saved."""
        if self.closed:
            return
        if leaves_a_block(sys._getframe(1)):  # noqa: SLF001 (fsspec does not tell)
            self.discard()
            return
        try:
            try:
                self._file.close()
            except OSError as failed:
                raise self._room.no_room(failed) from None
            self._upload(Path(self._file.name), self._path)
        finally:
            self.discard()


class TextOf(io.TextIOWrapper):
    """Text over a file that can be discarded."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close it, or discard what was written if the block has failed."""
        if kind is None:
            self.close()
        else:
            self.discard()

    def discard(self) -> None:
        """End without a word to what is below."""
        below: Any = self.buffer
        below.discard()


class PackedOf(_Discardable):
    """What is packed on its way into a file that can be discarded.

    Parameters
    ----------
    packer
        Packs it.
    below
        Takes what was packed.
    """

    def __init__(self, packer: Any, below: Any) -> None:  # noqa: ANN401 (files of any kind)
        super().__init__()
        self._packer, self._below = packer, below

    def write(self, data: Any) -> int:  # noqa: ANN401 (bytes of any kind)
        """Write bytes."""
        return int(self._packer.write(data))

    def flush(self) -> None:
        """Do nothing: it is packed as a whole."""

    def close(self) -> None:
        """End it, and save what is below."""
        if self.closed:
            return
        try:
            self._packer.close()
            self._below.close()
        finally:
            self.discard()

    def discard(self) -> None:
        """End without a word to what is below."""
        if not self.closed:
            with contextlib.suppress(OSError, ValueError):  # else it tells later
                self._packer.close()
            self._below.discard()
            super().close()


def leaves_a_block(frame: FrameType | None) -> bool:
    """Tell whether an error is leaving a block that closes its file for others.

    Parameters
    ----------
    frame
        Of who closes the file.
    """
    error = sys.exc_info()[1]
    if error is None:
        return False
    while frame is not None and frame.f_code.co_name in _CLOSING:
        owner = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code.co_name == "__exit__" and owner in _HOLDERS:
            given: list[object] = []
            for value in frame.f_locals.values():
                given += value if isinstance(value, tuple) else [value]
            return any(value is error for value in given)
        frame = frame.f_back
    return False
