"""The methods of Drive v3 that the fake answers."""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from tests.fakes.drive.fields import MaskError, parse_mask, select
from tests.fakes.drive.messages import DriveError, Media, Reply, Request
from tests.fakes.drive.query import QueryError, parse_query, sort_entries
from tests.fakes.drive.store import (
    FOLDER,
    Entry,
    NoSuchFileError,
    Store,
    UploadSession,
    new_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.drive.contract import DriveContract, Match
    from tests.fakes.drive.faults import Fault

CHUNK_UNIT = 256 * 1024
MAX_PAGE = 1000
OPEN_CURSORS = 256
FILE_FIELDS = "kind,id,name,mimeType"
LIST_FIELDS = f"kind,nextPageToken,incompleteSearch,files({FILE_FIELDS})"
EMAIL = "user@example.com"
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
RANGE = re.compile(r"bytes=(\d*)-(\d*)")

UNITS = {
    "drive.files.get": 5,
    "drive.files.list": 100,
    "drive.files.create": 50,
    "drive.files.update": 50,
    "drive.files.copy": 50,
    "drive.files.export": 200,
    "media": 200,
}
OTHER_UNITS = 5


def cost(match: Match, request: Request) -> int:
    """Return the quota units that Google's table asks for a request."""
    if "upload_id" in request.params:
        return 0  # counted when the session was opened
    if request.params.get("alt") == "media":
        return UNITS["media"]
    return UNITS.get(match.method.id, OTHER_UNITS)


class DriveApi:
    """Answers requests from a store, and notes where a request breaks the contract."""

    def __init__(self, store: Store, contract: DriveContract) -> None:
        self.store = store
        self.contract = contract
        self._cursors: OrderedDict[str, list[Entry]] = OrderedDict()
        self._handlers: dict[str, Callable[[Request, Match, Fault | None], Reply]] = {
            "drive.about.get": self._about,
            "drive.drives.list": self._list_drives,
            "drive.drives.get": self._get_drive,
            "drive.files.copy": self._copy,
            "drive.files.create": self._create,
            "drive.files.delete": self._delete,
            "drive.files.emptyTrash": self._empty_trash,
            "drive.files.export": self._export,
            "drive.files.generateIds": self._generate_ids,
            "drive.files.get": self._get,
            "drive.files.list": self._list,
            "drive.files.update": self._update,
        }

    def handle(self, request: Request, match: Match, fault: Fault | None) -> Reply:
        """Answer a request whose token has been checked."""
        if "upload_id" in request.params:
            return self._continue_upload(request, fault)
        try:
            if match.is_upload:
                return self._upload(request, match)
            handler = self._handlers.get(match.method.id)
            if handler is None:
                raise DriveError(
                    400, "notImplementedByFakeDrive", f"no {match.method.id} here"
                )
            return handler(request, match, fault)
        except NoSuchFileError as error:
            message = f"File not found: {error.args[0]}."
            raise DriveError(404, "notFound", message) from None
        except (QueryError, MaskError) as error:
            raise DriveError(400, "invalid", str(error)) from None

    # Files

    def _get(self, request: Request, match: Match, fault: Fault | None) -> Reply:
        entry = self._visible(request, match)
        if request.params.get("alt") != "media":
            return self._resource(request, entry)
        if fault is not None and fault.kind == "change_file" and entry.blob:
            old = entry.blob.read(0, entry.blob.size)
            self.store.set_content(entry.id, bytes(byte ^ 0xFF for byte in old))
        if fault is not None and fault.kind == "shrink_file" and entry.blob:
            left = int(entry.blob.size * fault.options["fraction"])
            self.store.set_content(entry.id, entry.blob.read(0, left))
        return self._media(request, entry)

    def _media(self, request: Request, entry: Entry) -> Reply:
        if entry.blob is None:
            raise DriveError(
                403,
                "fileNotDownloadable",
                "Only files with binary content can be downloaded. "
                "Use Export with Docs Editors files.",
            )
        if entry.abusive and not request.flag("acknowledgeAbuse"):
            raise DriveError(
                403,
                "cannotDownloadAbusiveFile",
                "This file has been identified as malware or spam and cannot be "
                "downloaded.",
            )
        size = entry.blob.size
        span = _span(request.headers.get("Range"), size)
        start, stop = (0, size) if span is None else span
        kind = entry.meta["mimeType"]
        return Reply(
            200 if span is None else 206,
            media=Media(entry.blob, start, stop, kind, partial=span is not None),
        )

    def _export(self, request: Request, match: Match, _fault: Fault | None) -> Reply:
        entry = self._visible(request, match)
        mime_type = request.params["mimeType"]
        if mime_type not in entry.exports:
            raise DriveError(
                400, "badRequest", "The requested conversion is not supported."
            )
        blob = self.store.new_blob(entry.exports[mime_type])
        media = Media(blob, 0, blob.size, mime_type, partial=False)
        return Reply(200, media=media)

    def _list(self, request: Request, _match: Match, fault: Fault | None) -> Reply:
        size = min(int(request.params.get("pageSize", 100)), MAX_PAGE)
        token = request.params.get("pageToken")
        kind = fault.kind if fault else None
        if token:
            cursor, offset = self._read_page_token(token)
            if kind == "expire_page_token":
                self._cursors.pop(cursor, None)
        else:
            cursor, offset = secrets.token_hex(8), 0
            self._cursors[cursor] = self._search(request)
            while len(self._cursors) > OPEN_CURSORS:
                self._cursors.popitem(last=False)
        found = self._cursors.get(cursor)
        if found is None:
            raise DriveError(400, "invalid", "Invalid Value: pageToken")
        page = [entry.meta for entry in found[offset : offset + size]]
        if kind == "duplicate_items":
            page = page[:1] + page
        elif kind == "drop_items":
            page = page[1:]
        body: dict[str, Any] = {
            "kind": "drive#fileList",
            "incompleteSearch": kind == "incomplete_search",
            "files": page,
        }
        if offset + size < len(found):
            raw = f"{cursor}:{offset + size}".encode()
            body["nextPageToken"] = base64.urlsafe_b64encode(raw).decode()
        return self._partial(request, body, LIST_FIELDS)

    def _search(self, request: Request) -> list[Entry]:
        query = parse_query(self._with_root(request.params.get("q", "")))
        drive_id = request.params.get("driveId")
        everywhere = request.flag("supportsAllDrives") and request.flag(
            "includeItemsFromAllDrives"
        )
        entries = self.store.find(query)
        if drive_id is not None:
            entries = [e for e in entries if e.meta.get("driveId") == drive_id]
        if not everywhere:
            entries = [e for e in entries if "driveId" not in e.meta]
        if "orderBy" in request.params:
            entries = sort_entries(entries, request.params["orderBy"])
        return entries

    def _with_root(self, query: str) -> str:
        return re.sub(r"'root'(\s+in\s+parents)", rf"'{self.store.ROOT}'\1", query)

    @staticmethod
    def _read_page_token(token: str) -> tuple[str, int]:
        try:
            cursor, offset = base64.urlsafe_b64decode(token).decode().split(":")
            return cursor, int(offset)
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise DriveError(400, "invalid", "Invalid Value: pageToken") from None

    def _create(self, request: Request, match: Match, _fault: Fault | None) -> Reply:
        metadata = self._metadata(request.body.read(), match)
        self._check_new(metadata, request)
        return self._resource(request, self.store.create(metadata))

    def _update(self, request: Request, match: Match, _fault: Fault | None) -> Reply:
        entry = self._visible(request, match)
        metadata = self._metadata(request.body.read(), match)
        _refuse_parents(metadata)
        self.store.update(
            entry,
            metadata,
            _split(request.params.get("addParents")),
            _split(request.params.get("removeParents")),
        )
        return self._resource(request, entry)

    def _copy(self, request: Request, match: Match, _fault: Fault | None) -> Reply:
        entry = self._visible(request, match)
        metadata = self._metadata(request.body.read(), match)
        self._check_new(metadata, request)
        if entry.is_folder:
            raise DriveError(403, "cannotCopyFile", "This file cannot be copied.")
        self._check_room(entry.blob.size if entry.blob else 0)
        full = {
            "name": f"Copy of {entry.meta['name']}",
            "mimeType": entry.meta["mimeType"],
            "parents": entry.meta["parents"],
            **metadata,
        }
        return self._resource(request, self.store.create(full, entry.blob))

    def _delete(self, request: Request, match: Match, _fault: Fault | None) -> Reply:
        self.store.delete(self._visible(request, match))
        return Reply(204)

    def _empty_trash(self, _r: Request, _m: Match, _fault: Fault | None) -> Reply:
        for entry in list(self.store.files.values()):
            if entry.meta["explicitlyTrashed"] and entry.id in self.store.files:
                self.store.delete(entry)
        return Reply(204)

    def _generate_ids(self, request: Request, _m: Match, _f: Fault | None) -> Reply:
        count = int(request.params.get("count", 10))
        body = {
            "kind": "drive#generatedIds",
            "space": "drive",
            "ids": [new_id() for _ in range(count)],
        }
        return self._partial(request, body, "*")

    # About and drives

    def _about(self, request: Request, _match: Match, _fault: Fault | None) -> Reply:
        trash = [e for e in self.store.files.values() if e.meta["trashed"]]
        quota = {
            "usage": str(self.store.usage),
            "usageInDrive": str(self.store.usage),
            "usageInDriveTrash": str(sum(e.blob.size for e in trash if e.blob)),
        }
        if self.store.storage_limit is not None:
            quota["limit"] = str(self.store.storage_limit)
        body = {
            "kind": "drive#about",
            "user": {
                "kind": "drive#user",
                "displayName": "Test User",
                "emailAddress": EMAIL,
                "permissionId": "1",
                "me": True,
            },
            "storageQuota": quota,
            "importFormats": {},
            "exportFormats": {},
            "canCreateDrives": True,
        }
        return self._partial(request, body, "*")

    def _list_drives(self, request: Request, _m: Match, _f: Fault | None) -> Reply:
        drives = list(self.store.drives.values())
        body = {"kind": "drive#driveList", "drives": drives}
        return self._partial(request, body, "*")

    def _get_drive(self, request: Request, match: Match, _f: Fault | None) -> Reply:
        drive_id = match.arguments["driveId"]
        if drive_id not in self.store.drives:
            raise DriveError(404, "notFound", f"Shared drive not found: {drive_id}")
        return self._partial(request, self.store.drives[drive_id], "*")

    # Uploads

    def _upload(self, request: Request, match: Match) -> Reply:
        kind = request.params.get("uploadType")
        file_id = match.arguments.get("fileId")
        if file_id is not None:
            self._visible(request, match)
        if kind == "resumable":
            return self._open_session(request, match, file_id)
        raw = request.body.read()
        content_type = request.headers.get("Content-Type", "")
        metadata: dict[str, Any] = {}
        data, media_type = raw, content_type
        if kind == "multipart":
            head, data, media_type = _split_multipart(raw, content_type)
            metadata = self._metadata(head, match)
        elif kind != "media":
            raise DriveError(400, "badRequest", "Invalid uploadType")
        self._check_target(metadata, file_id, request)
        self._check_room(len(data))
        blob = self.store.new_blob(data)
        entry = self.store.put(
            file_id, metadata, blob, media_type or None, request.params
        )
        return self._resource(request, entry)

    def _open_session(
        self, request: Request, match: Match, file_id: str | None
    ) -> Reply:
        metadata = self._metadata(request.body.read(), match)
        self._check_target(metadata, file_id, request)
        self._check_room(int(request.headers.get("X-Upload-Content-Length") or 0))
        session_id = secrets.token_urlsafe(24)
        self.store.sessions[session_id] = UploadSession(
            metadata=metadata,
            params=request.params,
            content_type=request.headers.get("X-Upload-Content-Type"),
            file_id=file_id,
            blob=self.store.new_blob(),
        )
        location = (
            f"{request.base_url}{request.path}"
            f"?uploadType=resumable&upload_id={session_id}"
        )
        headers = [("Location", location), ("X-GUploader-UploadID", session_id)]
        return Reply(200, headers=headers)

    def _continue_upload(self, request: Request, fault: Fault | None) -> Reply:
        session_id = request.params["upload_id"]
        kind = fault.kind if fault else None
        if fault is not None and kind == "drop_session":
            self.store.sessions.pop(session_id, None)
            raise DriveError(
                fault.options["code"], "notFound", "Upload session is gone."
            )
        session = self.store.sessions.get(session_id)
        if session is None:
            raise DriveError(404, "notFound", "Upload session not found.")
        if request.method == "DELETE":
            del self.store.sessions[session_id]
            return Reply(499)
        total = self._receive(request, session, kind)
        size = session.blob.size
        if session.done is None and (total is None or size < total):
            show = size > 0 and kind != "no_range_header"
            return Reply(308, headers=[("Range", f"bytes=0-{size - 1}")] * show)
        entry = self.store.commit(session)
        mask = session.params.get("fields", FILE_FIELDS)
        return Reply(200, select(entry.meta, parse_mask(mask)))

    def _receive(
        self, request: Request, session: UploadSession, kind: str | None
    ) -> int | None:
        """Store what a PUT brings; return the total size if it is known."""
        header = request.headers.get("Content-Range")
        start, stop, total = _content_range(header)
        if session.done is not None:
            return session.blob.size
        if start is None and header is not None:
            return total  # only a question: "bytes */total"
        start = start or 0
        if start > session.blob.size:
            raise DriveError(400, "badRequest", "Chunk leaves a gap.")
        self._check_room(stop or 0)
        session.blob.truncate(start)
        position = start
        for block in request.body.blocks():
            session.blob.write(position, block)
            position += len(block)
        if kind == "corrupt_upload" and position > start:
            first = session.blob.read(start, start + 1)
            session.blob.write(start, bytes([first[0] ^ 0xFF]))
        if header is None and request.body.complete:
            return position
        if not request.body.complete:
            session.blob.truncate(position - position % CHUNK_UNIT)
        elif kind == "short_commit":
            half = (start + position) // 2
            session.blob.truncate(max(start, half - half % CHUNK_UNIT))
        elif position != total and (position - start) % CHUNK_UNIT:
            session.blob.truncate(start)
            message = "A chunk must be a multiple of 256 KiB, except the last."
            raise DriveError(400, "badRequest", message)
        return total

    # Checks and small parts

    def _visible(self, request: Request, match: Match) -> Entry:
        """Return the addressed file, if the request may see it."""
        entry = self.store.get(match.arguments["fileId"])
        if "driveId" in entry.meta and not request.flag("supportsAllDrives"):
            raise NoSuchFileError(entry.id)
        return entry

    def _metadata(self, raw: bytes, match: Match) -> dict[str, Any]:
        try:
            body: dict[str, Any] = json.loads(raw or b"{}")
        except ValueError:
            raise DriveError(400, "parseError", "Parse Error") from None
        problems = self.contract.check_request_body(match.method, body)
        if problems:
            raise DriveError(400, "contract", "; ".join(problems))
        return body

    def _check_target(
        self, metadata: dict[str, Any], file_id: str | None, request: Request
    ) -> None:
        if file_id is None:
            self._check_new(metadata, request)
        else:
            _refuse_parents(metadata)

    def _check_new(self, metadata: dict[str, Any], request: Request) -> None:
        parents = metadata.get("parents", [])
        if len(parents) > 1:
            raise DriveError(400, "invalid", "A file can have only one parent.")
        for parent in parents:
            folder = self.store.get(parent)
            shared = "driveId" in folder.meta
            if shared and not request.flag("supportsAllDrives"):
                raise NoSuchFileError(parent)
            if folder.meta["mimeType"] != FOLDER:
                raise DriveError(403, "parentNotAFolder", "The parent is no folder.")
        if metadata.get("id") in self.store.files:
            message = "A file already exists with the provided ID."
            raise DriveError(409, "fileIdInUse", message)

    def _check_room(self, size: int) -> None:
        limit = self.store.storage_limit
        if limit is not None and self.store.usage + size > limit:
            message = "The user's Drive storage quota has been exceeded."
            raise DriveError(403, "storageQuotaExceeded", message)

    def _resource(self, request: Request, entry: Entry) -> Reply:
        return self._partial(request, entry.meta, FILE_FIELDS)

    @staticmethod
    def _partial(request: Request, body: dict[str, Any], default: str) -> Reply:
        mask = parse_mask(request.params.get("fields", default))
        return Reply(200, select(body, mask))


def _refuse_parents(metadata: dict[str, Any]) -> None:
    if "parents" in metadata:
        message = (
            "The parents field is not directly writable in update requests. "
            "Use the addParents and removeParents parameters instead."
        )
        raise DriveError(403, "fieldNotWritable", message)


def _split(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]


def _span(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the byte range asked for; None for the whole file."""
    found = RANGE.fullmatch(header or "")
    if found is None or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    if first:
        start, stop = int(first), min(int(last) + 1 if last else size, size)
    else:
        start, stop = max(0, size - int(last)), size
    if start >= stop:
        raise DriveError(
            416,
            "requestedRangeNotSatisfiable",
            "Request range not satisfiable",
            {"Content-Range": f"bytes */{size}"},
        )
    return start, stop


def _content_range(header: str | None) -> tuple[int | None, int | None, int | None]:
    """Return start, stop and total of an upload chunk, as far as given."""
    if header is None:
        return None, None, None
    found = CONTENT_RANGE.fullmatch(header)
    if found is None:
        raise DriveError(400, "badRequest", f"Bad Content-Range {header!r}")
    first, last, total = found.groups()
    return (
        None if first is None else int(first),
        None if last is None else int(last) + 1,
        None if total == "*" else int(total),
    )


def _split_multipart(raw: bytes, content_type: str) -> tuple[bytes, bytes, str]:
    """Return metadata, contents and content type of a multipart/related body."""
    found = re.search(r'boundary="?([^";]+)', content_type)
    parts = raw.split(b"--" + found.group(1).encode()) if found else []
    if len(parts) != 4 or not parts[3].startswith(b"--"):
        raise DriveError(400, "badContent", "Need two parts: metadata, then media.")
    heads, bodies = zip(
        *(re.split(rb"\r?\n\r?\n", part, maxsplit=1) for part in parts[1:3]),
        strict=True,
    )
    metadata, data = (re.sub(rb"\r?\n\Z", b"", body) for body in bodies)
    media_type = re.search(rb"(?im)^content-type:\s*([^\r\n]+)", heads[1])
    return metadata, data, media_type.group(1).decode() if media_type else ""
