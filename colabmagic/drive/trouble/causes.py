"""The catalogue by known cause: what a class of error alone does not tell."""

from __future__ import annotations

from typing import Final

from colabmagic.drive import errors
from colabmagic.drive.trouble.failure import Failure
from colabmagic.report.model import Severity

_MOUNT: Final = "%mount_drive /content/drive"
_API: Final = "%mount_drive --mode api"

_CONSENT: Final = (
    Failure(
        code="testing-7-days",
        error=errors.GrantExpiredError,
        marks=("invalid_grant",),
        title="Google has ended the login: most likely its consent screen is in “Testing”, "
        "and 7 days are over.",
        seen="invalid_grant",
        fix=(
            "%mount_drive --login --client client.json",
            (
                "So that it lasts: Google Cloud console > APIs & Services > OAuth consent screen > "
                "Publish app."
            ),
            "Fewer than 100 users need no verification.",
        ),
    ),
    Failure(
        code="credential-propagation",
        error=errors.ConsentDeclinedError,
        marks=("credential propagation", "not allowed to give this notebook"),
        title="Colab got no permission for your Drive: a box was left unticked, another account "
        "was chosen, or the browser held the window back.",
        seen="“credential propagation was unsuccessful”",
        fix=(
            "Run the cell again, and tick ALL boxes in Google's window.",
            "Choose the account that the notebook is open with: no other one works.",
            "Allow pop-ups and third-party cookies for colab.research.google.com.",
            "With several accounts in one browser: open the notebook in a window with one.",
            "Otherwise a login of your own: %mount_drive --mode api --creds FILE.",
        ),
    ),
    Failure(
        code="secret-not-given",
        error=errors.NoCredentialsError,
        marks=("the secret", "no secret called", "name of a secret"),
        title="A secret of the platform was wanted, and not given, or it holds no credentials.",
        seen="there is none of this name, this notebook may not read it, or nobody can be asked",
        fix=(
            "Colab: the key symbol at the left; turn on “Notebook access” for it.",
            (
                "Colab's secrets are known to its own page alone: not in VS Code, nor to the colab "
                "command. Name a file there: %mount_drive --creds FILE."
            ),
            "Kaggle: Add-ons > Secrets, attach it; and turn Internet on in the settings.",
            "It must hold the whole JSON of a login or of a service account's key.",
        ),
    ),
    Failure(
        code="consent-unanswered",
        error=errors.ConsentDeclinedError,
        marks=("nobody answered", "no answer in"),
        title="Nobody answered Google's question for permission in time.",
        seen="the window is hidden, the page is closed, or an old Colab extension of VS Code "
        "cannot ask",
        fix=(
            f"{_MOUNT} --timeout 900",
            "Keep the page open until it is mounted; in VS Code, update the Colab extension.",
        ),
    ),
    Failure(
        code="invalid-oauth-code",
        error=errors.DriveError,
        marks=("invalid oauth code",),
        title="The notebook uses Colab's old way to log in, which Google has turned off.",
        seen="“invalid oauth code”",
        fix=(
            (
                "Do not install google-colab yourself: Runtime > Disconnect and delete runtime "
                "brings Colab's own back."
            ),
        ),
    ),
    Failure(
        code="drive-api-off",
        error=errors.DriveAuthError,
        marks=("accessNotConfigured", "Drive API is not turned on"),
        title="The Drive API is not enabled in the Google Cloud project of these credentials.",
        seen="accessNotConfigured",
        fix=(
            (
                "Enable it, wait 5 minutes, and run the cell again: "
                "https://console.cloud.google.com/apis/library/drive.googleapis.com"
            ),
        ),
    ),
    Failure(
        code="organisation-forbids",
        error=errors.DriveAuthError,
        marks=("domainPolicy", "organisation of this account forbids"),
        title="The organisation of this account does not let apps use Drive.",
        seen="domainPolicy",
        fix=(
            "Ask its administrator to trust your OAuth client, or use another account.",
        ),
    ),
)
_MOUNTING: Final = (
    Failure(
        code="mountpoint-name",
        error=errors.MountpointError,
        marks=("must hold no space", "is a folder inside of Drive"),
        title="The path cannot be a mountpoint by its name: it has a space or a sign of the "
        "shell, or lies inside of Drive.",
        seen="known before Google asks you",
        fix=(_MOUNT, "Your files are then below /content/drive/MyDrive."),
    ),
    Failure(
        code="mountpoint-not-empty",
        error=errors.MountpointError,
        marks=("has files in it", "must not already contain files"),
        title="The folder has files in it, which Drive would hide; they were mostly written "
        "while Drive was not mounted.",
        seen="their names are shown; known before Google asks you",
        fix=(
            f"{_MOUNT} --move-aside",
            "They are then in a folder beside it, named .local- and the time: nothing is deleted.",
        ),
    ),
    Failure(
        code="mount-timed-out",
        error=errors.MountFailedError,
        marks=("timed out", "did not read its first folder", "QueryManager"),
        title="Drive did not read its first folder in time: there are too many files at the top "
        "of My Drive.",
        seen="“timed out” in drive_fs.txt, newer than this mount",
        fix=(
            f"{_MOUNT} --timeout 900",
            "A second try often passes, for part is read already.",
            "Move files from the top of My Drive into subfolders.",
            f"Without a mount: {_API}.",
        ),
    ),
    Failure(
        code="mount-quota",
        error=errors.MountFailedError,
        marks=("QUOTA_EXCEEDED", "limit of Google's is reached"),
        title="Drive could not be mounted, for a limit of Google's is reached.",
        seen="QUOTA_EXCEEDED in drive_fs.txt, newer than this mount",
        fix=("Wait up to 24 hours; to try again sooner does not help.", _API),
    ),
    Failure(
        code="mount-io-error",
        error=errors.MountFailedError,
        marks=("Input/output error", "errno 5", "EIO"),
        title="The folder is mounted, and Drive answers with an error: a limit, or a folder of "
        "too many files.",
        seen="“Input/output error” (errno 5)",
        fix=(
            "Run the cell again: the second listing of a large folder often passes.",
            (
                "More than about 10,000 files in a folder: make one archive of it, %mount_drive "
                "--pack DIR MyDrive/data.tar.zst, and stage that."
            ),
            "One file only: its download limit may be reached; make a copy in your own Drive.",
        ),
    ),
    Failure(
        code="enterprise",
        error=errors.DriveMountError,
        marks=("COLAB_ENTERPRISE", "Colab Enterprise"),
        title="Colab Enterprise does not mount Drive.",
        seen="VERTEX_PRODUCT=COLAB_ENTERPRISE",
        fix=(
            f"{_API} --creds FILE",
            "FILE: a service account's key, or a login of your own.",
        ),
    ),
    Failure(
        code="no-fuse",
        error=errors.MountUnsupportedError,
        marks=("/dev/fuse", "fusermount"),
        title="This machine does not let programs show folders of their own (FUSE).",
        seen="/dev/fuse is missing, or closed to this user; on Kaggle always",
        fix=(_API, "Listing, staging and saving work without it."),
        severity=Severity.INFO,
    ),
)
_FILES: Final = (
    Failure(
        code="service-account-storage",
        error=errors.StorageQuotaError,
        marks=(
            "Service Accounts do not have storage",
            "service account has no storage",
        ),
        title="A service account has no storage of its own: it cannot upload to My Drive.",
        seen="storageQuotaExceeded, though your Drive has room",
        fix=(
            "Upload to a shared drive that it is a member of: Shareddrives/NAME/…",
            "Or log in as yourself: %mount_drive --login --client client.json.",
        ),
    ),
    Failure(
        code="google-document",
        error=errors.NotDownloadableError,
        marks=("fileNotDownloadable", "Google document"),
        title="Google's own documents have no bytes of their own.",
        seen="fileNotDownloadable",
        fix=("Export it: open it, then File > Download, as PDF or Office file.",),
    ),
    Failure(
        code="harmful-file",
        error=errors.NotDownloadableError,
        marks=("cannotDownloadAbusiveFile", "for harmful"),
        title="Google holds this file for harmful, and gives it only to who says that he knows.",
        seen="cannotDownloadAbusiveFile",
        fix=(
            (
                "If you trust it: colabmagic.drive.connect().download(PATH, LOCAL, "
                "acknowledge_abuse=True)."
            ),
        ),
    ),
)
_DOCTORS: Final = (
    Failure(
        code="token-open",
        title="Other users of this machine can read your login.",
        seen="the mode of the file is not 0600",
        fix=("Take it from them; the command is chmod 600 and the file's name.",),
        severity=Severity.WARN,
    ),
    Failure(
        code="drive-nearly-full",
        title="Drive is nearly full: the next save may fail.",
        seen="more than 95 % of the storage is used",
        fix=("Empty the trash: https://drive.google.com/drive/trash",),
        severity=Severity.WARN,
    ),
    Failure(
        code="writes-pending",
        title="Files that were written under the mount are not on Google's servers yet.",
        seen="their Drive id begins with “local”",
        fix=(
            "%mount_drive --sync",
            (
                "For what must not be lost: %mount_drive --save FILE MyDrive/runs/ returns when "
                "the server has it."
            ),
        ),
        severity=Severity.WARN,
    ),
    Failure(
        code="log-quota",
        title="Colab's Drive program was refused by a limit of Google's.",
        seen="QUOTA_EXCEEDED in drive_fs.txt",
        fix=(
            "If a file was read: make a copy in your own Drive, or wait 24 hours.",
            (
                "If many small files were written: a message of “storage quota” is false then; "
                "write to /content, and save one archive."
            ),
        ),
        severity=Severity.WARN,
    ),
    Failure(
        code="log-timed-out",
        title="Colab's Drive program waited in vain for an answer of Google's.",
        seen="“timed out” in drive_fs.txt or timeouts.txt",
        fix=(
            (
                "Folders of more than about 10,000 files cause it: pack them, %mount_drive --pack "
                "DIR MyDrive/data.tar.zst."
            ),
        ),
        severity=Severity.WARN,
    ),
    Failure(
        code="log-policy",
        title="The organisation of this account does not allow Colab's mount.",
        seen="“domain policy” in drive_fs.txt",
        fix=(
            _API,
            "Its administrator: https://support.google.com/a/answer/7496409",
        ),
    ),
    Failure(
        code="disk-low",
        title="Little room is left on the local disk.",
        seen="less than 5 GB are free where data is staged",
        fix=("!du -xsh /content/* | sort -h | tail", "Or another place: --to PATH."),
        severity=Severity.WARN,
    ),
    Failure(
        code="vm-ends",
        title="This virtual machine soon ends, and with it all that is not on Drive.",
        seen="its age, against the 12 hours that free Colab gives at most",
        fix=(
            "%mount_drive --sync",
            "Nothing can lengthen it. In the new machine, one %mount_drive brings the state back.",
        ),
        severity=Severity.WARN,
    ),
    Failure(
        code="check-failed",
        title="One of the checks could not be made.",
        seen="the reason is shown",
        fix=("The others are not touched by it.",),
        severity=Severity.INFO,
    ),
)

CAUSES: Final = (*_CONSENT, *_MOUNTING, *_FILES, *_DOCTORS)
