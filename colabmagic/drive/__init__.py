"""Google Drive: files that are there, fast, and safe to trust.

::

    from colabmagic import drive

    d = drive.connect()
    d.stage("MyDrive/data.tar.gz", "/content/data")
    d.save("ckpt.pt", "MyDrive/runs/")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colabmagic.drive.client import Drive, connect

__all__ = ["Drive", "connect"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module's attributes)
    """Import the client when it is asked for: it brings in requests and google-auth."""
    if name in __all__:
        from colabmagic.drive import client  # noqa: PLC0415 (lazy)

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
