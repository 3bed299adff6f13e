"""What can be wrong with ``%keepalive``."""

from __future__ import annotations

from colabmagic.errors import ColabMagicError


class KeepaliveError(ColabMagicError):
    """Base of the errors of ``%keepalive``."""


class KeepaliveOptionError(KeepaliveError, ValueError):
    """An option has a value that it cannot have."""


class NoProcessError(KeepaliveError, ProcessLookupError):
    """A process that was to be watched is not there."""
