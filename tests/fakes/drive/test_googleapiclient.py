"""Google's own client works against the fake."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING, Any

import pytest
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseDownload, MediaIoBaseUpload

from tests.fakes.drive.clients import googleapiclient_service

if TYPE_CHECKING:
    from tests.fakes.drive import FakeDrive

MIB = 1 << 20
OCTETS = "application/octet-stream"


def upload(
    service: Any,
    data: bytes,
    name: str = "a.bin",
    *,
    resumable: bool,
    chunk: int = MIB,
    **options: Any,
) -> Any:
    """Upload."""
    media = MediaIoBaseUpload(
        io.BytesIO(data), OCTETS, chunksize=chunk, resumable=resumable
    )
    return service.files().create(
        body={"name": name, **options}, media_body=media, fields="id,size,md5Checksum"
    )


def download(service: Any, file_id: str, chunk: int = MIB) -> Any:
    """Download."""
    buffer = io.BytesIO()
    request = service.files().get_media(fileId=file_id)
    loader = MediaIoBaseDownload(buffer, request, chunksize=chunk)
    done = False
    while not done:
        _, done = loader.next_chunk()
    return buffer.getvalue()


def test_multipart_roundtrip_of_binary_data(drive: FakeDrive, service: Any) -> None:
    """Multipart roundtrip of binary data."""
    data = b"\x00\xff\xfe\r\n--\r\nhello\n"
    made = upload(service, data, resumable=False).execute()
    assert made["md5Checksum"] == hashlib.md5(data).hexdigest()
    assert service.files().get_media(fileId=made["id"]).execute() == data
    assert drive.violations == []


def test_resumable_upload_and_ranged_download(drive: FakeDrive, service: Any) -> None:
    """Resumable upload and ranged download."""
    data = os.urandom(3 * MIB + 17)
    request = upload(service, data, resumable=True)
    made = None
    while made is None:
        _, made = request.next_chunk()
    assert made["size"] == str(len(data))
    assert download(service, made["id"]) == data
    assert drive.operations["upload chunk"] == 4
    assert drive.operations["files.get media"] == 4
    assert drive.violations == []


def test_folders_queries_and_paging(drive: FakeDrive, service: Any) -> None:
    """Folders queries and paging."""
    folder = (
        service.files()
        .create(
            body={
                "name": "it's a dir",
                "mimeType": "application/vnd.google-apps.folder",
                "parents": ["root"],
            },
            fields="id",
        )
        .execute()
    )
    for index in range(7):
        drive.store.add_file(f"n{index}", b"x", folder["id"])
    names, token, pages = [], None, 0
    while True:
        reply = (
            service.files()
            .list(
                q=f"'{folder['id']}' in parents and trashed=false",
                orderBy="name desc",
                pageSize=3,
                pageToken=token,
                fields="nextPageToken,files(id,name)",
            )
            .execute()
        )
        names += [item["name"] for item in reply["files"]]
        pages += 1
        token = reply.get("nextPageToken")
        if token is None:
            break
    assert names == [f"n{index}" for index in reversed(range(7))]
    assert pages == 3
    found = service.files().list(q="name = 'it\\'s a dir'", fields="files(id)")
    assert found.execute()["files"] == [folder]
    assert drive.violations == []


def test_about_drives_ids_copy_trash_delete(drive: FakeDrive, service: Any) -> None:
    """About drives ids copy trash delete."""
    entry = drive.store.add_file("a", b"12345")
    about = service.about().get(fields="user(emailAddress),storageQuota").execute()
    assert about["storageQuota"]["usage"] == "5"
    drive_id = drive.store.add_drive("Team")
    assert service.drives().list().execute()["drives"][0]["id"] == drive_id
    ids = service.files().generateIds(count=3).execute()["ids"]
    assert len(set(ids)) == 3
    copy = service.files().copy(fileId=entry.id, body={"name": "b"}, fields="*")
    assert copy.execute()["md5Checksum"] == entry.meta["md5Checksum"]
    trash = service.files().update(
        fileId=entry.id, body={"trashed": True}, fields="trashed"
    )
    assert trash.execute() == {"trashed": True}
    service.files().delete(fileId=entry.id).execute()
    with pytest.raises(HttpError) as caught:
        service.files().get(fileId=entry.id).execute()
    assert caught.value.resp.status == 404
    assert drive.violations == []


def test_export_shortcut_and_move(drive: FakeDrive, service: Any) -> None:
    """Export shortcut and move."""
    document = drive.store.add_document("doc", {"text/plain": b"words"})
    export = service.files().export(fileId=document.id, mimeType="text/plain")
    assert export.execute() == b"words"
    with pytest.raises(HttpError, match="fileNotDownloadable"):
        service.files().get_media(fileId=document.id).execute()
    link = drive.store.add_shortcut("link", document.id)
    details = service.files().get(fileId=link.id, fields="shortcutDetails").execute()
    assert details["shortcutDetails"]["targetId"] == document.id
    folder = drive.store.add_folder("f")
    moved = service.files().update(
        fileId=link.id, addParents=folder.id, removeParents="root", fields="parents"
    )
    assert moved.execute() == {"parents": [folder.id]}
    assert drive.violations == []


def test_shared_drive_needs_the_flags(drive: FakeDrive, service: Any) -> None:
    """Shared drive needs the flags."""
    drive_id = drive.store.add_drive("Team")
    entry = drive.store.add_file("shared", b"x", drive_id)
    with pytest.raises(HttpError, match="File not found"):
        service.files().get(fileId=entry.id).execute()
    service.files().get(fileId=entry.id, supportsAllDrives=True).execute()
    assert service.files().list(q="name='shared'").execute()["files"] == []
    found = service.files().list(
        q="name='shared'",
        corpora="drive",
        driveId=drive_id,
        includeItemsFromAllDrives=True,
        supportsAllDrives=True,
    )
    assert [item["id"] for item in found.execute()["files"]] == [entry.id]


def test_expired_token_is_refreshed(drive: FakeDrive) -> None:
    """Expired token is refreshed."""
    with googleapiclient_service(drive.url, token="stale") as service:
        service.files().list().execute()
    assert drive.operations["token"] == 1


def test_pregenerated_id_cannot_be_used_twice(drive: FakeDrive, service: Any) -> None:
    """Pregenerated id cannot be used twice."""
    new = service.files().generateIds(count=1).execute()["ids"][0]
    upload(service, b"x", resumable=False, id=new).execute()
    with pytest.raises(HttpError) as caught:
        upload(service, b"x", resumable=False, id=new).execute()
    assert caught.value.resp.status == 409
    assert len(drive.store.children(drive.store.ROOT)) == 1
