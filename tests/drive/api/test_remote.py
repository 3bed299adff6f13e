"""What a file on Drive is."""

from __future__ import annotations

import pytest

from colabmagic.drive import errors
from colabmagic.drive.api.remote import FOLDER, SHORTCUT, RemoteFile, root_of


def test_a_resource_is_read() -> None:
    """Numbers are texts there; what is left out has its default."""
    found = RemoteFile.read(
        {
            "id": "1", "name": "x", "mimeType": "text/plain", "size": "12", "md5Checksum": "m",
            "sha256Checksum": "s", "headRevisionId": "r", "modifiedTime": "t",
            "createdTime": "c", "driveId": "d", "trashed": True, "parents": ["p", "q"],
            "shortcutDetails": {"targetId": "z"}, "unheardOf": 5,
        }
    )  # fmt: skip
    assert found == RemoteFile(
        id="1", name="x", mime_type="text/plain", size=12, md5="m", sha256="s",
        revision="r", modified="t", created="c", drive_id="d", trashed=True,
        parents=frozenset({"p", "q"}), target_id="z",
    )  # fmt: skip
    least = RemoteFile.read({"id": "1"})
    assert least == RemoteFile(id="1", name="", mime_type="")
    with pytest.raises(errors.ServerFailedError) as caught:
        RemoteFile.read({"name": "x"})
    assert caught.value.seen == "a file has no id"


@pytest.mark.parametrize(
    ("mime_type", "target", "folder", "leads_on", "document"),
    [
        ("text/plain", None, False, False, False),
        (FOLDER, None, True, True, False),
        (SHORTCUT, "z", False, True, False),
        ("application/vnd.google-apps.document", None, False, False, True),
    ],
)
def test_kinds(
    mime_type: str, target: str | None, *, folder: bool, leads_on: bool, document: bool
) -> None:
    """A folder and a shortcut lead on; a document has no bytes of its own."""
    one = RemoteFile(id="1", name="x", mime_type=mime_type, target_id=target)
    assert (one.is_folder, one.leads_on, one.is_document) == (
        folder,
        leads_on,
        document,
    )


def test_the_root_of_a_shared_drive() -> None:
    """It has the id of the drive, and is searched as a part of it."""
    root = root_of("d", "team")
    assert (root.id, root.drive_id, root.name, root.is_folder) == (
        "d",
        "d",
        "team",
        True,
    )
