"""What can go wrong with Google Drive; each class has a heading in ``docs/drive.md``.

::

    DriveError
    ├── DriveAuthError
    │   ├── NoCredentialsError
    │   ├── InsufficientScopeError
    │   ├── GrantExpiredError
    │   ├── ConsentDeclinedError
    │   └── LoginFailedError
    ├── DriveMountError
    │   ├── MountpointError
    │   ├── MountFailedError
    │   ├── MountDeadError
    │   ├── MountHungError
    │   ├── MountPolicyError
    │   └── MountUnsupportedError
    ├── DriveQuotaError
    │   ├── RateLimitedError
    │   ├── DownloadQuotaError
    │   ├── StorageQuotaError
    │   └── DailyLimitError
    ├── DriveTransferError
    │   ├── IntegrityError
    │   ├── ServerFailedError
    │   ├── ConnectionFailedError
    │   ├── SessionLostError
    │   └── TargetFullError
    ├── DrivePathError
    │   ├── DriveFileNotFoundError (FileNotFoundError)
    │   ├── AmbiguousPathError
    │   └── NotDownloadableError
    ├── ArchiveError
    │   ├── UnsafeMemberError
    │   ├── ArchiveBombError
    │   └── CorruptArchiveError
    └── MissingPackageError (ImportError)
"""

from __future__ import annotations

from typing import Any, ClassVar

from colabmagic.errors import ColabMagicError


class DriveError(ColabMagicError, RuntimeError):
    """Base of what can go wrong with Google Drive.

    Attributes
    ----------
    retryable
        Whether the same may succeed a little later.
    """

    retryable: ClassVar[bool] = False


class DriveAuthError(DriveError):
    """Google does not know who asks, or that he may."""


class NoCredentialsError(DriveAuthError):
    """There is nothing to log in with."""


class InsufficientScopeError(DriveAuthError):
    """The credentials are good, but not for this."""


class GrantExpiredError(DriveAuthError):
    """The permission was taken back, or has run out."""


class ConsentDeclinedError(DriveAuthError):
    """The user, or Google for him, said no in the window that asks for permission."""


class LoginFailedError(DriveAuthError):
    """A login was begun, and did not come to its end."""


class DriveMountError(DriveError):
    """Drive is not there as a folder."""


class MountpointError(DriveMountError):
    """The folder cannot be one: a space, a link, files in it; known before consent."""


class MountFailedError(DriveMountError):
    """Mounting was tried, and failed or never ended."""

    retryable = True


class MountDeadError(DriveMountError):
    """The folder is in the mount table, and nothing answers behind it."""

    retryable = True


class MountHungError(DriveMountError):
    """The folder does not answer in time."""

    retryable = True


class MountPolicyError(DriveMountError):
    """The organisation, or Colab Enterprise, does not allow it."""


class MountUnsupportedError(DriveMountError):
    """Drive cannot be shown as a folder on this machine."""


class DriveQuotaError(DriveError):
    """A limit of Google's was reached."""


class RateLimitedError(DriveQuotaError):
    """Too many requests in a short time."""

    retryable = True


class DownloadQuotaError(DriveQuotaError):
    """The file was downloaded too often, by anybody, in the last day."""


class StorageQuotaError(DriveQuotaError):
    """The Drive is full."""


class DailyLimitError(DriveQuotaError):
    """The project of the credentials has used up its day."""


class DriveTransferError(DriveError):
    """Bytes did not arrive."""


class IntegrityError(DriveTransferError):
    """What arrived is not what was sent."""


class ServerFailedError(DriveTransferError):
    """Google's server failed, again and again.

    Attributes
    ----------
    foreign
        Whether the answer is none of Google's: a proxy gave it, or a page to log in at,
        which stays until somebody does.
    """

    retryable = True
    foreign: bool = False


class ConnectionFailedError(DriveTransferError):
    """The connection broke, again and again.

    Attributes
    ----------
    reached
        Whether somebody was there: False where it was refused, or nobody has the name.
    """

    retryable = True
    reached: bool = True


class SessionLostError(DriveTransferError):
    """Google has forgotten an upload that was under way."""

    retryable = True


class TargetFullError(DriveTransferError):
    """The local disk has no room, or cannot be written."""


class DrivePathError(DriveError):
    """A path leads nowhere, or to several files."""


class DriveFileNotFoundError(DrivePathError, FileNotFoundError):
    """There is no such file, or these credentials may not see it.

    Attributes
    ----------
    place
        The folder where a name was looked for, as a `RemoteFile`, and the path with that
        name; None where that is not known.
    """

    place: tuple[Any, str] | None = None


class AmbiguousPathError(DrivePathError):
    """Several files have this name: Drive allows that."""


class NotDownloadableError(DrivePathError):
    """The file has no bytes of its own, or its owner forbids it."""


class ArchiveError(DriveError):
    """An archive cannot be unpacked."""


class UnsafeMemberError(ArchiveError):
    """A member would land outside of the folder, or is neither file nor folder."""


class ArchiveBombError(ArchiveError):
    """It would become far larger than it is."""


class CorruptArchiveError(ArchiveError):
    """It is cut off, damaged, encrypted, or of a kind that is not known."""


class MissingPackageError(DriveError, ImportError):
    """A package is wanted that is not installed; the hint installs it."""
