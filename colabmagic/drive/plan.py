"""What is asked for: how Drive is reached, and what is to be mounted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach Drive by its API.

    Attributes
    ----------
    credentials
        A file, ``secret:NAME``, ``adc``; None: what is here.
    drive_id
        Of a shared drive in which paths begin.
    """

    credentials: str | None = None
    drive_id: str | None = None

    def beside(self, before: Access) -> Access:
        """Return the same, with what is left out taken from another.

        Parameters
        ----------
        before
            How it was reached until now.
        """
        return Access(
            credentials=self.credentials or before.credentials,
            drive_id=self.drive_id or before.drive_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be mounted, and how.

    Attributes
    ----------
    path
        The folder; None: where it is, else `folders.default_path`.
    mode
        ``auto``, ``colab``, ``api`` or ``fuse``.
    readonly, force, move_aside
        As the magic's options.
    timeout_s
        How long consent and mounting may take.
    watch
        Look after the folder; None: where there is one.
    folder
        The working directory afterwards, below the mount.
    access
        The API.
    """

    path: Path | None = None
    mode: str = "auto"
    readonly: bool = False
    force: bool = False
    move_aside: bool = False
    timeout_s: float = TIMEOUT_S
    watch: bool | None = None
    folder: str | None = None
    access: Access = field(default_factory=Access)
