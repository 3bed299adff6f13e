"""One file of an archive while it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from colabmagic.drive.errors import TargetFullError

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO


class MemberFile:
    """Takes the content of one member.

    Parameters
    ----------
    count
        Is told of the bytes of each piece before it is written, and may refuse them.
    name
        Of the member.
    out
        The file.
    """

    def __init__(
        self, count: Callable[[int, str], object], name: str, out: FileIO
    ) -> None:
        self._count, self._name, self._out = count, name, out

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def write(self, data: bytes) -> None:
        """Write more of it.

        Parameters
        ----------
        data
            The bytes.
        """
        self._count(len(data), self._name)
        view = memoryview(data)
        try:
            while view:
                view = view[self._out.write(view) :]
        except OSError as error:
            raise unwritten(self._name, error) from None

    def close(self) -> None:
        """End it."""
        try:
            self._out.close()
        except OSError as error:  # some disks tell only now that they are full
            raise unwritten(self._name, error) from None


def unwritten(name: str, error: OSError) -> TargetFullError:
    """Return the error for a member that the disk does not take.

    Parameters
    ----------
    name
        Of the member.
    error
        What the system says.
    """
    return TargetFullError(
        f"{name[-120:]!r} cannot be written",
        seen=error.strerror or type(error).__name__,
        hint="free room on the disk, or another folder: --to",
    )
