"""One error, or one thing that was seen, for each entry of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.drive import errors as e

if TYPE_CHECKING:
    from colabmagic.drive.errors import DriveError


def _google(
    kind: type[DriveError], status: int, reason: str, message: str = "No."
) -> DriveError:
    """Return an error of a refusal of Google's, in words that do not change."""
    return kind(
        "Google refused", seen=f"HTTP {status} {reason}: {message}", hint="later"
    )


ERRORS: Final[dict[str, DriveError]] = {
    "no-credentials": e.NoCredentialsError(
        "'a.json' holds no credentials that can be used",
        seen="it is no JSON object",
        hint="name another file: a service account's key, or what %mount_drive --login has made",
    ),
    "scope-missing": _google(
        e.InsufficientScopeError,
        403,
        "insufficientPermissions",
        "Insufficient Permission",
    ),
    "login-expired": _google(
        e.GrantExpiredError, 401, "authError", "Invalid Credentials"
    ),
    "testing-7-days": e.GrantExpiredError(
        "Google does not renew the login any more",
        seen="invalid_grant",
        hint="%mount_drive --login --client client.json",
    ),
    "secret-not-given": e.NoCredentialsError(
        "this notebook may not read the secret 'mine'",
        hint="click the key in the bar on the left",
    ),
    "consent-declined": e.ConsentDeclinedError(
        "Drive was not allowed",
        seen="access_denied",
        hint="%mount_drive --login --client client.json\nand choose Continue",
    ),
    "credential-propagation": e.ConsentDeclinedError(
        "Google was not allowed to give this notebook your Drive",
        seen="Error: credential propagation was unsuccessful",
        hint="%mount_drive /content/drive again",
    ),
    "consent-unanswered": e.ConsentDeclinedError(
        "nobody answered Google's question for permission",
        seen="no answer in 600 s",
        hint="%mount_drive /content/drive --timeout 1200",
    ),
    "invalid-oauth-code": e.MountFailedError(
        "Drive could not be mounted",
        seen="ValueError: invalid oauth code",
        hint="%mount_drive /content/drive",
    ),
    "login-failed": e.LoginFailedError(
        "no browser came back within 300 s",
        seen="nothing",
        hint="allow Drive on Google's page sooner",
    ),
    "drive-api-off": _google(
        e.DriveAuthError, 403, "accessNotConfigured", "Drive API has not been used"
    ),
    "organisation-forbids": _google(
        e.DriveAuthError, 403, "domainPolicy", "The domain administrators"
    ),
    "account-refused": e.DriveAuthError(
        "Google does not let this account in",
        seen="HTTP 403 authError",
        hint="log in again",
    ),
    "mountpoint": e.MountpointError(
        "'/content/x' is a link; Drive cannot be mounted at one",
        seen="it leads to '/tmp'",
        hint="%mount_drive /content/drive",
    ),
    "mountpoint-name": e.MountpointError(
        "the path of a mountpoint must hold no space and no sign of the shell",
        seen="a space in '/content/my drive'",
        hint="%mount_drive /content/drive",
    ),
    "mountpoint-not-empty": e.MountpointError(
        "'/content/drive' has files in it; Drive would hide them",
        seen="'<b>.pt' and 3 more",
        hint="%mount_drive /content/drive --move-aside renames the folder",
    ),
    "mount-failed": e.MountFailedError(
        "Drive's program ended at once",
        seen="mount failed",
        hint="%mount_drive /content/drive",
    ),
    "mount-timed-out": e.MountFailedError(
        "Drive did not read its first folder in time",
        seen="its log: QueryManager timed out",
        hint="%mount_drive /content/drive --timeout 1200",
    ),
    "mount-quota": e.MountFailedError(
        "Drive could not be mounted: a limit of Google's is reached",
        seen="its log: QUOTA_EXCEEDED",
        hint="wait (up to 24 hours)",
    ),
    "mount-io-error": e.MountFailedError(
        "Drive at /content/drive answers with an error",
        seen="Input/output error (errno 5)",
        hint="%mount_drive --doctor",
    ),
    "mount-dead": e.MountDeadError(
        "Drive at /content/drive does not answer any more",
        seen="errno 107",
        hint="%mount_drive /content/drive --force",
    ),
    "mount-hung": e.MountHungError(
        "Drive at /content/drive is mounted, and does not answer",
        seen="no answer in 2.0 s",
        hint="wait and try again",
    ),
    "mount-policy": e.MountPolicyError(
        "the organisation of this account does not allow Drive to be mounted",
        seen="The domain policy has disabled Drive File Stream",
        hint="%mount_drive --mode api",
    ),
    "enterprise": e.MountPolicyError(
        "Colab Enterprise does not mount Drive",
        seen="VERTEX_PRODUCT=COLAB_ENTERPRISE",
        hint="%mount_drive --mode api",
    ),
    "mount-unsupported": e.MountUnsupportedError(
        "Drive can be mounted by Colab's means only on a machine of Colab",
        seen="/var/colab/hostname is not there",
        hint="%mount_drive --mode api",
    ),
    "no-fuse": e.MountUnsupportedError(
        "folders cannot be shown here",
        seen="/dev/fuse is missing",
        hint="%mount_drive --mode api",
    ),
    "rate-limit": _google(
        e.RateLimitedError, 429, "rateLimitExceeded", "Rate Limit Exceeded"
    ),
    "download-quota": _google(
        e.DownloadQuotaError, 403, "downloadQuotaExceeded", "The download quota"
    ),
    "storage-quota": _google(
        e.StorageQuotaError, 403, "storageQuotaExceeded", "The user's Drive is full."
    ),
    "service-account-storage": _google(
        e.StorageQuotaError,
        403,
        "storageQuotaExceeded",
        "Service Accounts do not have storage quota.",
    ),
    "daily-limit": _google(
        e.DailyLimitError, 403, "dailyLimitExceeded", "Daily Limit Exceeded"
    ),
    "wrong-bytes": e.IntegrityError(
        "a.bin arrived wrong, 3 times", seen="MD5 ab, not cd", hint="run the cell again"
    ),
    "server-failed": _google(e.ServerFailedError, 503, "backendError", "Backend Error"),
    "connection-failed": e.ConnectionFailedError(
        "cannot reach www.googleapis.com",
        seen="connection refused",
        hint="look at the network, then run the cell again",
    ),
    "session-lost": e.SessionLostError(
        "Google has forgotten the upload that was under way",
        seen="HTTP 404",
        hint="run the cell again: it begins anew",
    ),
    "target-full": e.TargetFullError(
        "there is no room for data.tar",
        seen="9 GB wanted, 2 GB free",
        hint="--to another disk",
    ),
    "path-wrong": e.DrivePathError(
        "'data.tar.gz' does not say where it begins",
        hint='"MyDrive/data.tar.gz", if it is in My Drive',
    ),
    "not-found": _google(
        e.DriveFileNotFoundError, 404, "notFound", "File not found: ."
    ),
    "ambiguous-path": e.AmbiguousPathError(
        "2 files are called MyDrive/a", seen="changed 2026 (id x)", hint="--newest"
    ),
    "not-downloadable": _google(
        e.NotDownloadableError, 403, "cannotDownloadFile", "The owner forbids it."
    ),
    "google-document": _google(
        e.NotDownloadableError, 403, "fileNotDownloadable", "Only files with content"
    ),
    "harmful-file": _google(
        e.NotDownloadableError, 403, "cannotDownloadAbusiveFile", "This file is malware"
    ),
    "archive-unsafe": e.UnsafeMemberError(
        "the archive would write outside", seen="'../../x'", hint="make it anew"
    ),
    "archive-bomb": e.ArchiveBombError(
        "the archive would become 1026 times larger",
        seen="51 KB",
        hint="--max-ratio 2000",
    ),
    "archive-corrupt": e.CorruptArchiveError(
        "the archive is cut off", seen="EOFError", hint="upload it again"
    ),
    "package-missing": e.MissingPackageError(
        "zstandard is not installed", hint="%pip install 'colabmagic[zstd]'"
    ),
    "refused": _google(e.DriveError, 400, "badRequest", "Bad Request"),
}

SEEN: Final[dict[str, str]] = {
    "token-open": "/home/me/.config/colabmagic/drive-token.json",
    "drive-nearly-full": "14.9 GB used, 0 bytes of it in the trash, limit 15.0 GB",
    "writes-pending": "2 files: 'a.pt', 'b.pt'",
    "log-quota": "QUOTA_EXCEEDED",
    "log-timed-out": "QueryManager timed out",
    "log-policy": "The domain policy has disabled Drive File Stream",
    "disk-low": "1.0 GB free at /content",
    "vm-ends": "about 20 min left, at the latest",
    "check-failed": "mount: PermissionError",
}
