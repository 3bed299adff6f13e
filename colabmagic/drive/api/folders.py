"""Folders that a save needs: found through shortcuts, or made, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.drive.api.remote import FOLDER, RemoteFile
from colabmagic.drive.api.twins import ambiguous, first_of, settled
from colabmagic.drive.errors import DriveFileNotFoundError, DrivePathError
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from colabmagic.drive.api.items import Items


def folder_in(files: Items, parent: RemoteFile, name: str, path: str) -> RemoteFile:
    """Return the one folder of a name in another, made if nothing has the name.

    Parameters
    ----------
    files
        Asks for it.
    parent
        The other folder.
    name
        Of the folder.
    path
        Its whole path, for errors.

    Raises
    ------
    DrivePathError
        A file has the name.
    AmbiguousPathError
        Several folders have it.
    """

    def look() -> list[RemoteFile]:
        found = files.named(parent, name)
        return [each for each in found if each.leads_on] or found

    found = settled(look, files.transport.waits)
    if not found:
        return _make(files, parent, name)
    if len(found) > 1 and found[0].leads_on:
        raise ambiguous(path, found)
    one = target_of(files, found[0], path)
    if not one.is_folder:
        raise DrivePathError(
            f"{clean(name)} is a file, and no folder",
            seen=f"{clean(path)}: {clean(one.mime_type)}",
            hint="leave the / at its end out, to give that file new content; or take "
            "the name of a folder",
        )
    return one


def target_of(files: Items, one: RemoteFile, path: str) -> RemoteFile:
    """Return what a shortcut leads to; anything else is what it is.

    Parameters
    ----------
    files
        Asks for it.
    one
        The shortcut, or not.
    path
        Its whole path, for errors.

    Raises
    ------
    DriveFileNotFoundError
        It leads to what is not there any more.
    """
    if one.target_id is None:
        return one
    try:
        target = files.by_id(one.target_id)
    except DriveFileNotFoundError as lost:
        seen = lost.seen
    else:
        if not target.trashed:
            return target
        seen = "it is in the trash"
    raise DriveFileNotFoundError(
        f"what the shortcut {clean(path)} leads to is not there",
        seen=seen,
        hint="look at it on drive.google.com: its owner may have deleted it",
    )


def _make(files: Items, parent: RemoteFile, name: str) -> RemoteFile:
    """Make a folder, once, whatever becomes of the answer, and whoever else makes it."""
    file_id = files.new_id()
    body = {"id": file_id, "name": name, "mimeType": FOLDER, "parents": [parent.id]}
    made = files.created(body)
    others = [each for each in files.named(parent, name) if each.is_folder]
    first = first_of([made, *others])
    if first.id != made.id and not any(files.children(made)):
        files.trash(made.id)
        made = first
    files.note_made(parent, name, made.id)
    return made
