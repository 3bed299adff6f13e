"""The catalogue by class of error: one entry for each that can be raised."""

from __future__ import annotations

from typing import Final

from colabmagic.drive import errors
from colabmagic.drive.account.hints import GCLOUD, LOGIN
from colabmagic.drive.trouble.failure import Failure
from colabmagic.report.model import Code

_GCLOUD: Final = Code(GCLOUD)
_REMOUNT: Final = "%mount_drive /content/drive --force"
_MOUNT: Final = "%mount_drive /content/drive"
_API: Final = "%mount_drive --mode api"

_REFUSED: Final = (
    Failure(
        code="refused",
        error=errors.DriveError,
        title="Google refused a request, for a reason that this version does not know.",
        seen="the status and Google's own words stand behind “seen”",
        fix=(
            "%mount_drive --doctor",
            "Read Google's words: they mostly name the file or the right that is missing.",
        ),
    ),
    Failure(
        code="account-refused",
        error=errors.DriveAuthError,
        title="Google knows who asks, and does not let this account or its project use Drive.",
        seen="the reason stands behind “seen”",
        fix=(
            "Log in with another account, or with an OAuth client of your own project.",
            LOGIN,
        ),
    ),
)
_AUTH: Final = (
    Failure(
        code="no-credentials",
        error=errors.NoCredentialsError,
        title="There is nothing to log in to Google with, or it cannot be used.",
        seen="none of the places where credentials are looked for holds any",
        fix=(
            LOGIN,
            (
                "client.json is your own OAuth client. To make it takes five minutes, once: open "
                "https://console.cloud.google.com and choose or make a project."
            ),
            "Then APIs & Services > Library > Google Drive API > Enable.",
            (
                "Then OAuth consent screen: External, any name, your own address; Publish app, for "
                "in “Testing” each login ends after 7 days."
            ),
            (
                "Then Credentials > Create credentials > OAuth client ID > Desktop app > Download "
                "JSON: keep that as client.json beside the notebook."
            ),
            "Or name a file: %mount_drive --creds FILE, a service account's key or a login.",
            "Or a secret of Colab or Kaggle: %mount_drive --creds secret:NAME.",
            "Or with gcloud, and the same client.json:",
            _GCLOUD,
        ),
    ),
    Failure(
        code="scope-missing",
        error=errors.InsufficientScopeError,
        title="The login is good, but not for this: it may not use Drive, or not write.",
        seen="Google says insufficientPermissions, or the login's own file names less",
        fix=(
            LOGIN,
            "Tick the box for Google Drive in Google's window.",
            "If the login is gcloud's:",
            _GCLOUD,
            "For one file only: ask its owner for the right, or copy it to your own Drive.",
        ),
    ),
    Failure(
        code="login-expired",
        error=errors.GrantExpiredError,
        title="Google does not renew the login any more.",
        seen="RefreshError, or HTTP 401 with a fresh token",
        fix=(
            LOGIN,
            (
                "A new password, a removed permission, six months without use, or a consent "
                "screen in “Testing” (7 days) end a login."
            ),
        ),
    ),
    Failure(
        code="consent-declined",
        error=errors.ConsentDeclinedError,
        title="You, or Google for you, said no in the window that asks for permission.",
        seen="the window was closed, answered with no, or not answered",
        fix=(
            "Run the cell again, choose the notebook's own account, and tick every box.",
            (
                "If Google says “access blocked”: add your account to the test users of the "
                "consent screen."
            ),
        ),
    ),
    Failure(
        code="login-failed",
        error=errors.LoginFailedError,
        title="A login was begun, and did not come to its end.",
        seen="the client's file is not one, its port is taken, no browser came back in time, or "
        "the address that was pasted is of another login",
        fix=(
            LOGIN,
            "Use only the newest link that is shown.",
            "Where the browser is on another machine: paste the whole address it ends at.",
            (
                "On your own PC: python -m colabmagic drive login --client client.json "
                "--out token.json, then %mount_drive --creds token.json."
            ),
        ),
    ),
)
_MOUNT_FAILURES: Final = (
    Failure(
        code="mountpoint",
        error=errors.MountpointError,
        title="Drive cannot be mounted at this folder; that is known before Google asks you.",
        seen="the path has a space, is a link or a file, has files in it, or its parent is missing",
        fix=(
            _MOUNT,
            "Files in the way are kept aside: %mount_drive PATH --move-aside.",
        ),
    ),
    Failure(
        code="mount-failed",
        error=errors.MountFailedError,
        title="Mounting was tried, and failed or did not end.",
        seen="“mount failed”, or nothing for longer than --timeout",
        fix=(
            f"{_MOUNT} --timeout 900",
            f"Without a mount: {_API}, then --stage and --save.",
            "If it stays so: Runtime > Disconnect and delete runtime, and mount first of all.",
        ),
    ),
    Failure(
        code="mount-dead",
        error=errors.MountDeadError,
        title="The folder is in the mount table, and nothing answers behind it any more.",
        seen="“Transport endpoint is not connected” (errno 107)",
        fix=(
            _REMOUNT,
            (
                "Open files stay broken: close them and open them again, "
                "and restart DataLoader workers."
            ),
            "What was written and not uploaded may be lost: look at it with %mount_drive --sync.",
        ),
    ),
    Failure(
        code="mount-hung",
        error=errors.MountHungError,
        title="The folder is mounted, and does not answer in time.",
        seen="a look at it from another process took longer than 2 s",
        fix=(
            "Wait a minute: a burst of writes, or a folder of many files, ends by itself.",
            "To mount it anew ends it, and loses what is not uploaded yet:",
            _REMOUNT,
        ),
    ),
    Failure(
        code="mount-policy",
        error=errors.MountPolicyError,
        title="The organisation of this account, or Colab Enterprise, does not allow mounting.",
        seen="“The domain policy has disabled Drive File Stream”, or VERTEX_PRODUCT",
        fix=(
            _API,
            "The administrator can allow it: https://support.google.com/a/answer/7496409",
        ),
    ),
    Failure(
        code="mount-unsupported",
        error=errors.MountUnsupportedError,
        title="Drive cannot be shown as a folder on this machine.",
        seen="this is not Colab, and there is no /dev/fuse or no package for it",
        fix=(
            _API,
            "Listing, staging and saving work without a mount.",
        ),
    ),
)
_QUOTA: Final = (
    Failure(
        code="rate-limit",
        error=errors.RateLimitedError,
        title="Google asked to go slower, and still did after all waiting.",
        seen="userRateLimitExceeded, rateLimitExceeded or HTTP 429",
        fix=(
            "Run the cell again in a few minutes.",
            "A transfer goes on where it stopped.",
            (
                "Many small files cost most: pack them once, %mount_drive --pack DIR "
                "MyDrive/data.tar.zst, and stage that."
            ),
            "Do not share one OAuth client among many users: its limit is for all of them.",
        ),
    ),
    Failure(
        code="download-quota",
        error=errors.DownloadQuotaError,
        title="The file was downloaded too often in the last day, by you or by others.",
        seen="downloadQuotaExceeded; on a mount an Input/output error for this file alone",
        fix=(
            "Make a copy in your own Drive (right-click > Make a copy), and take that.",
            "Or wait 24 hours; to try again sooner does not help.",
        ),
    ),
    Failure(
        code="storage-quota",
        error=errors.StorageQuotaError,
        title="The Drive is full.",
        seen="storageQuotaExceeded; the figures are in %mount_drive --doctor",
        fix=(
            (
                "Delete files, then empty the trash at https://drive.google.com/drive/trash: "
                "what lies there counts."
            ),
            "Mail and photos use the same storage: https://one.google.com/storage",
        ),
    ),
    Failure(
        code="daily-limit",
        error=errors.DailyLimitError,
        title="A limit for the whole day is used up.",
        seen="dailyLimitExceeded or sharingRateLimitExceeded",
        fix=(
            "Go on after midnight Pacific time, or log in with an OAuth client of another project.",
        ),
    ),
)
_TRANSFER: Final = (
    Failure(
        code="wrong-bytes",
        error=errors.IntegrityError,
        title="What arrived is not what was sent: the MD5 sums differ, again and again.",
        seen="our MD5 is not the server's; nothing was kept under the final name",
        fix=(
            "Run the cell again.",
            "If it stays so: the file may change while it is read, or a proxy changes it.",
        ),
    ),
    Failure(
        code="server-failed",
        error=errors.ServerFailedError,
        title="Google's server failed, again and again.",
        seen="HTTP 500, 502, 503 or 504, or an answer that cannot be read",
        fix=(
            "Run the cell again in a few minutes.",
            "A transfer goes on where it stopped.",
            "Is Drive down? https://www.google.com/appsstatus/dashboard/",
        ),
    ),
    Failure(
        code="connection-failed",
        error=errors.ConnectionFailedError,
        title="The connection broke, again and again, or never came to be.",
        seen="no name, no route, a time-out or a reset",
        fix=(
            "Look at the network.",
            "A transfer goes on where it stopped.",
            "On Kaggle: turn Internet on in the notebook's settings.",
            (
                "Behind a proxy: set HTTPS_PROXY, and REQUESTS_CA_BUNDLE if it has its own "
                "certificate."
            ),
        ),
    ),
    Failure(
        code="session-lost",
        error=errors.SessionLostError,
        title="Google has forgotten an upload that was under way.",
        seen="HTTP 404 or 410 for the upload; it lives for a week at most",
        fix=("Run the cell again: it begins anew, and leaves no second file.",),
    ),
    Failure(
        code="target-full",
        error=errors.TargetFullError,
        title="The local disk has no room for it, or cannot be written.",
        seen="the free space is known before anything is fetched",
        fix=(
            "!df -h",
            "Delete what is not needed, or choose another place with --to.",
        ),
    ),
)
_PATH: Final = (
    Failure(
        code="path-wrong",
        error=errors.DrivePathError,
        title="A path in the line cannot be what it is given for.",
        seen="it does not say where on Drive it begins, is of another kind, or is not there",
        fix=(
            'A path on Drive begins with MyDrive/ or Shareddrives/NAME/: "MyDrive/data.tar.gz".',
            "One with blanks stands in quotes.",
        ),
    ),
    Failure(
        code="not-found",
        error=errors.DriveFileNotFoundError,
        title="There is no such file, or this account may not see it.",
        seen="nothing has this name there, or Google says notFound",
        fix=(
            "%mount_drive --ls MyDrive",
            (
                "Look at upper and lower case, and at the account: a service account sees only "
                "what is shared with it."
            ),
            (
                "What others share with you needs a shortcut in My Drive: right-click > Organize "
                "> Add shortcut."
            ),
        ),
    ),
    Failure(
        code="ambiguous-path",
        error=errors.AmbiguousPathError,
        title="Several files have this name in this folder: Drive allows that.",
        seen="their dates and ids are shown",
        fix=(
            (
                "Rename or delete all but one at https://drive.google.com, or take the one that "
                "changed last: --newest."
            ),
        ),
    ),
    Failure(
        code="not-downloadable",
        error=errors.NotDownloadableError,
        title="The file cannot be downloaded: it has no bytes, or somebody forbids it.",
        seen="fileNotDownloadable, cannotDownloadFile or cannotDownloadAbusiveFile",
        fix=("Ask its owner, or open it in the browser and use File > Download.",),
    ),
)
_ARCHIVE: Final = (
    Failure(
        code="archive-unsafe",
        error=errors.UnsafeMemberError,
        title="The archive would write outside of its folder, or make something that is no file.",
        seen="a member with “..”, an absolute path, a link, or a device; nothing was unpacked",
        fix=(
            (
                "Make the archive anew, with plain files in it: %mount_drive --pack DIR "
                "MyDrive/data.tar.zst."
            ),
            "Links that stay inside of its folder can be had: --links.",
            "Do not trust an archive from a stranger that does this.",
        ),
    ),
    Failure(
        code="archive-bomb",
        error=errors.ArchiveBombError,
        title="The archive would become far larger than it is.",
        seen="the ratio, or the size, is beyond the limit; nothing was kept",
        fix=(
            "%mount_drive --stage ARCHIVE --max-ratio 1000",
            "Only if you trust it, and the disk has the room.",
        ),
    ),
    Failure(
        code="archive-corrupt",
        error=errors.CorruptArchiveError,
        title="The archive is cut off, damaged, encrypted, or of a kind that is not known.",
        seen="its bytes are those on Drive (the MD5 is right), but they cannot be unpacked",
        fix=(
            "Upload it again: it was damaged before it came to Drive.",
            (
                "zip, tar, tar.gz, tar.xz, tar.zst and 7z can be read; one with a password "
                "cannot."
            ),
        ),
    ),
    Failure(
        code="package-missing",
        error=errors.MissingPackageError,
        title="A package is wanted that is not installed.",
        seen="its name stands in the message",
        fix=("Type the %pip command of the message, then run the cell again.",),
    ),
)

BY_CLASS: Final = (
    *_AUTH,
    *_MOUNT_FAILURES,
    *_QUOTA,
    *_TRANSFER,
    *_PATH,
    *_ARCHIVE,
    *_REFUSED,
)
