"""What a file on Drive is, as the API describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from colabmagic.drive.api.fields import list_at, number_at, object_at, text_at
from colabmagic.drive.api.refusals import unlike_google

FILES: Final = "/drive/v3/files"
FOLDER: Final = "application/vnd.google-apps.folder"
SHORTCUT: Final = "application/vnd.google-apps.shortcut"
FIELDS: Final = (
    "id,name,mimeType,size,md5Checksum,sha256Checksum,headRevisionId,modifiedTime,createdTime,"
    "parents,driveId,trashed,shortcutDetails"
)
LISTED: Final = (
    "id,name,mimeType,size,md5Checksum,modifiedTime,driveId,shortcutDetails(targetId)"
)
_GOOGLE_APPS: Final = "application/vnd.google-apps."

_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
EXPORTS: Final = {
    "csv": "text/csv",
    "docx": _OFFICE + "wordprocessingml.document",
    "html": "text/html",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": _OFFICE + "presentationml.presentation",
    "svg": "image/svg+xml",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "xlsx": _OFFICE + "spreadsheetml.sheet",
    "zip": "application/zip",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file or folder on Drive.

    Attributes
    ----------
    id, name
        As Google has them.
    mime_type
        Of the content; folders and Google documents have types of their own.
    size
        Bytes; None for what has none.
    md5, sha256
        Of the content, in hexadecimal digits; None for what has none.
    revision
        Of the content.
    modified, created
        Times of the last change, and when it was made, as RFC 3339; empty where that was
        not asked for.
    drive_id
        Of the shared drive; None in My Drive.
    trashed
        Whether it is in the trash.
    """

    id: str
    name: str
    mime_type: str
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    revision: str | None = None
    modified: str = ""
    created: str = field(default="", repr=False)
    drive_id: str | None = None
    trashed: bool = False
    parents: frozenset[str] = field(default=frozenset(), repr=False)
    target_id: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, meta: dict[str, Any]) -> RemoteFile:
        """Return the file that a resource of the API describes.

        Parameters
        ----------
        meta
            The resource.

        Raises
        ------
        ServerFailedError
            It has not the form of one.
        """
        file_id = text_at(meta, "id")
        if not file_id:
            raise unlike_google("a file has no id")
        return cls(
            id=file_id,
            name=text_at(meta, "name", ""),
            mime_type=text_at(meta, "mimeType", ""),
            size=number_at(meta, "size"),
            md5=_digits(meta, "md5Checksum"),
            sha256=_digits(meta, "sha256Checksum"),
            revision=text_at(meta, "headRevisionId"),
            modified=text_at(meta, "modifiedTime", ""),
            created=text_at(meta, "createdTime", ""),
            drive_id=text_at(meta, "driveId"),
            trashed=bool(meta.get("trashed")),
            parents=frozenset(list_at(meta, "parents", str)),
            target_id=text_at(object_at(meta, "shortcutDetails"), "targetId"),
        )

    @property
    def is_folder(self) -> bool:
        """Whether it can hold others."""
        return self.mime_type == FOLDER

    @property
    def leads_on(self) -> bool:
        """Whether a path may go on below it."""
        return self.is_folder or self.target_id is not None

    @property
    def is_document(self) -> bool:
        """Whether it is a Google document, which has no bytes of its own."""
        return self.mime_type.startswith(_GOOGLE_APPS) and self.mime_type not in {
            FOLDER,
            SHORTCUT,
        }


def _digits(meta: dict[str, Any], name: str) -> str | None:
    """Return a checksum in the letters that ours have."""
    found: str | None = text_at(meta, name)
    return None if found is None else found.lower()


def root_of(drive_id: str, name: str) -> RemoteFile:
    """Return the root folder of a shared drive: it has the id of the drive.

    Parameters
    ----------
    drive_id, name
        Of the drive.
    """
    return RemoteFile(id=drive_id, name=name, mime_type=FOLDER, drive_id=drive_id)
