"""Text and packing over a file that is written to Drive; whose block an error leaves.

A `close` that somebody writes is meant, also while an error is handled: so is a
checkpoint saved on Ctrl-C. Only where an error leaves the `with` block of the file
itself is half of it not saved. The files of `io` and of packers close what is below them
without a word of that error, so that these are ours.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import FrameType

# Whose blocks hold a file that they close for others: `fsspec.open`, `DataFrame.to_csv`,
# `contextlib.closing`.
_HOLDERS: Final = frozenset({"fsspec", "pandas", "contextlib"})
_CLOSING: Final = frozenset({"close", "flush", "__exit__"})


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


class PackedOf(io.BufferedIOBase):
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

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

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
