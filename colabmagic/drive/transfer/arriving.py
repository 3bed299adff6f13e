"""Read a file in its order while it comes."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colabmagic.drive.transfer.journal import Journal


class Stream(io.RawIOBase):
    """The bytes of a download in their order.

    Parameters
    ----------
    journal
        Knows what has arrived.
    descriptor
        Of the file that they are in; it is closed with the stream.
    """

    def __init__(self, journal: Journal, descriptor: int) -> None:
        super().__init__()
        self._journal, self._descriptor, self._at = journal, descriptor, 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def tell(self) -> int:
        """Return how much was read."""
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (writable memory)
        """Read what is there; wait only where nothing is."""
        arrived = self._journal.wait_beyond(self._at)
        wanted = min(len(buffer), arrived - self._at)
        if wanted <= 0:
            return 0
        count = os.preadv(self._descriptor, [memoryview(buffer)[:wanted]], self._at)
        self._at += count
        return count

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()
