"""Each fault does on the wire what it says: checked byte by byte, no client help."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.drive import FakeDrive

DATA = bytes(range(256)) * 4096  # 1 MiB
MEDIA = "alt=media"
CHUNK = 256 * 1024


@pytest.fixture
def file_id(drive: FakeDrive) -> Any:
    """File id."""
    return drive.store.add_file("a.bin", DATA).id


@pytest.fixture
def fetch(drive: FakeDrive, file_id: str) -> Iterator[Any]:
    """Fetch."""
    connections = []

    def get(**headers: str) -> Any:
        """Get."""
        connection = http.client.HTTPConnection("127.0.0.1", drive.port, timeout=5)
        connections.append(connection)
        connection.request(
            "GET",
            f"/drive/v3/files/{file_id}?alt=media",
            headers={"Authorization": f"Bearer {drive.token}", **headers},
        )
        return connection.getresponse()

    yield get
    for connection in connections:
        connection.close()


def rule(kind: str, **options: Any) -> Any:
    """Rule."""
    return {"kind": kind, "match": MEDIA, **options}


def test_without_faults(fetch: Any) -> None:
    """Without faults."""
    assert fetch().read() == DATA
    part = fetch(Range="bytes=10-19")
    assert (part.status, part.read()) == (206, DATA[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(DATA)}"
    assert fetch(Range="bytes=-5").read() == DATA[-5:]
    assert fetch(Range=f"bytes={len(DATA)}-").status == 416


def test_status(drive: FakeDrive, fetch: Any) -> None:
    """Status."""
    drive.faults.load(
        [rule("status", code=429, reason="rateLimitExceeded", retry_after=7, times=2)]
    )
    replies = [fetch() for _ in range(3)]
    assert [reply.status for reply in replies] == [429, 429, 200]
    assert replies[0].headers["Retry-After"] == "7"
    assert b"rateLimitExceeded" in replies[0].read()
    assert drive.faults.left == 0


def test_reset(drive: FakeDrive, fetch: Any) -> None:
    """Reset."""
    drive.faults.load([rule("reset")])
    with pytest.raises(ConnectionResetError):
        fetch()
    assert fetch().read() == DATA


def test_cut_headers(drive: FakeDrive, fetch: Any) -> None:
    """Cut headers."""
    drive.faults.load([rule("cut_headers")])
    reply = fetch()
    assert "Content-Length" not in reply.headers


def test_truncate(drive: FakeDrive, fetch: Any) -> None:
    """Truncate."""
    drive.faults.load([rule("truncate", fraction=0.25)])
    with pytest.raises(http.client.IncompleteRead) as caught:
        fetch().read()
    assert caught.value.partial == DATA[: len(DATA) // 4]


def test_body_reset(drive: FakeDrive, fetch: Any) -> None:
    """Body reset."""
    drive.faults.load([rule("body_reset")])
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        fetch().read()


def test_corrupt_changes_one_byte(drive: FakeDrive, fetch: Any) -> None:
    """Corrupt changes one byte."""
    drive.faults.load([rule("corrupt", fraction=0.7)])
    got = fetch().read()
    wrong = [at for at, byte in enumerate(got) if byte != DATA[at]]
    assert len(got) == len(DATA)
    assert wrong == [int(len(DATA) * 0.7)]


def test_shift_range(drive: FakeDrive, fetch: Any) -> None:
    """Shift range."""
    drive.faults.load([rule("shift_range", bytes=3)])
    got = fetch(Range="bytes=10-19")
    assert got.headers["Content-Range"] == f"bytes 10-19/{len(DATA)}"
    assert got.read() == DATA[13:23]


def test_ignore_range(drive: FakeDrive, fetch: Any) -> None:
    """Ignore range."""
    drive.faults.load([rule("ignore_range")])
    got = fetch(Range="bytes=10-19")
    assert (got.status, got.read()) == (200, DATA)
    assert "Content-Range" not in got.headers


def test_wrong_content_range(drive: FakeDrive, fetch: Any) -> None:
    """Wrong content range."""
    drive.faults.load([rule("wrong_content_range")])
    got = fetch(Range="bytes=10-19")
    assert got.headers["Content-Range"].startswith("bytes 11-20/")
    assert got.read() == DATA[10:20]


def test_stall_loses_and_repeats_nothing(drive: FakeDrive, fetch: Any) -> None:
    """Stall loses and repeats nothing."""
    drive.faults.load([rule("stall", seconds=0.3)])
    began = time.monotonic()
    assert fetch().read() == DATA
    assert time.monotonic() - began >= 0.3


def test_drip(drive: FakeDrive, fetch: Any) -> None:
    """Drip."""
    drive.faults.load([rule("drip", bytes=10, seconds=0.05)])
    began = time.monotonic()
    assert fetch(Range="bytes=0-49").read() == DATA[:50]
    assert time.monotonic() - began >= 0.2


def test_change_file(drive: FakeDrive, fetch: Any, file_id: str) -> None:
    """Change file."""
    before = drive.store.get(file_id).meta["headRevisionId"]
    drive.faults.load([rule("change_file", skip=1)])
    assert fetch().read() == DATA
    assert fetch().read() == bytes(byte ^ 0xFF for byte in DATA)
    assert drive.store.get(file_id).meta["headRevisionId"] != before


def test_shrink_file(drive: FakeDrive, fetch: Any) -> None:
    """What lies beyond the new end cannot be had."""
    drive.faults.load([rule("shrink_file")])
    got = fetch(Range="bytes=0-9")
    assert got.headers["Content-Range"] == f"bytes 0-9/{len(DATA) // 2}"
    assert fetch(Range=f"bytes={len(DATA) // 2}-").status == 416


def test_retry_after_as_a_date(drive: FakeDrive, fetch: Any) -> None:
    """It is sent as it was given."""
    text = "Wed, 21 Oct 2065 07:28:00 GMT"
    drive.faults.load([rule("status", retry_after=text)])
    assert fetch().headers["Retry-After"] == text


def test_revoke_tokens_and_oauth_error(
    drive: FakeDrive, http: requests.Session
) -> None:
    """Revoke tokens and oauth error."""
    drive.faults.load(
        [{"kind": "revoke_tokens"}, {"kind": "oauth_error", "match": "/token"}]
    )
    url = f"{drive.url}/drive/v3/files"
    assert http.get(url).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": "r"}
    refused = requests.post(f"{drive.url}/token", data=form, timeout=5)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    token = requests.post(f"{drive.url}/token", data=form, timeout=5).json()
    http.headers["Authorization"] = f"Bearer {token['access_token']}"
    assert http.get(url).status_code == 200


def test_list_faults(drive: FakeDrive, http: requests.Session) -> None:
    """List faults."""
    drive.store.add_many(5)
    url = f"{drive.url}/drive/v3/files"
    first = http.get(url, params={"pageSize": 2}).json()
    for kind, count in (("duplicate_items", 3), ("drop_items", 1)):
        drive.faults.load([{"kind": kind}])
        page = http.get(url, params={"pageSize": 2}).json()
        assert len(page["files"]) == count
    drive.faults.load([{"kind": "incomplete_search"}])
    assert http.get(url).json()["incompleteSearch"] is True
    drive.faults.load([{"kind": "expire_page_token"}])
    old = {"pageSize": 2, "pageToken": first["nextPageToken"]}
    assert http.get(url, params=old).status_code == 400


@pytest.fixture
def session(drive: FakeDrive, http: requests.Session) -> Any:
    """Session."""

    def start() -> Any:
        """Start."""
        reply = http.post(
            f"{drive.url}/upload/drive/v3/files?uploadType=resumable",
            json={"name": "up.bin"},
        )
        return reply.headers["Location"]

    return start


def put(
    http: requests.Session, url: str, start: int, stop: int, total: int = len(DATA)
) -> Any:
    """Put."""
    headers = {"Content-Range": f"bytes {start}-{stop - 1}/{total}"}
    return http.put(url, data=DATA[start:stop], headers=headers)


def ask(http: requests.Session, url: str, total: int = len(DATA)) -> Any:
    """Ask."""
    return http.put(url, headers={"Content-Range": f"bytes */{total}"})


def test_upload_session(drive: FakeDrive, http: requests.Session, session: Any) -> None:
    """Upload session."""
    url = session()
    assert ask(http, url).headers.get("Range") is None
    reply = put(http, url, 0, CHUNK)
    assert (reply.status_code, reply.headers["Range"]) == (308, f"bytes=0-{CHUNK - 1}")
    assert put(http, url, CHUNK, CHUNK + 5).status_code == 400
    done = put(http, url, CHUNK, len(DATA))
    assert done.status_code == 200
    again = put(http, url, CHUNK, len(DATA))
    assert again.json()["id"] == ask(http, url).json()["id"] == done.json()["id"]
    assert len(drive.store.children(drive.store.ROOT)) == 1


def test_short_commit_and_no_range_header(
    drive: FakeDrive, http: requests.Session, session: Any
) -> None:
    """Short commit and no range header."""
    url = session()
    drive.faults.load([{"kind": "short_commit", "match": "upload_id"}])
    reply = put(http, url, 0, 3 * CHUNK)
    assert reply.headers["Range"] == f"bytes=0-{CHUNK - 1}"
    drive.faults.load([{"kind": "no_range_header", "match": "upload_id"}])
    assert ask(http, url).headers.get("Range") is None
    assert put(http, url, CHUNK, len(DATA)).status_code == 200


def test_corrupt_upload(drive: FakeDrive, http: requests.Session, session: Any) -> None:
    """One byte of the chunk is another one, and the checksum tells."""
    url = session()
    drive.faults.load([{"kind": "corrupt_upload", "match": "upload_id", "skip": 1}])
    put(http, url, 0, CHUNK)
    done = put(http, url, CHUNK, len(DATA)).json()
    blob = drive.store.get(done["id"]).blob
    assert blob is not None
    got = blob.read(0, blob.size)
    assert [at for at, byte in enumerate(got) if byte != DATA[at]] == [CHUNK]


def test_lost_reply_on_last_chunk_keeps_the_file(
    drive: FakeDrive, http: requests.Session, session: Any
) -> None:
    """Lost reply on last chunk keeps the file."""
    url = session()
    drive.faults.load([{"kind": "lost_reply", "match": "upload_id"}])
    with pytest.raises(requests.ConnectionError):
        put(http, url, 0, len(DATA))
    assert ask(http, url).status_code == 200
    assert len(drive.store.children(drive.store.ROOT)) == 1


def test_drop_session(drive: FakeDrive, http: requests.Session, session: Any) -> None:
    """Drop session."""
    url = session()
    drive.faults.load([{"kind": "drop_session", "match": "upload_id", "code": 410}])
    assert put(http, url, 0, CHUNK).status_code == 410
    assert put(http, url, 0, CHUNK).status_code == 404


def test_quotas(drive: FakeDrive, http: requests.Session) -> None:
    """Quotas."""
    drive.units_per_minute = 150
    url = f"{drive.url}/drive/v3/files"
    assert [http.get(url).status_code for _ in range(2)] == [200, 403]
    assert drive.units_used == 100
    drive.units_per_minute = None
    drive.store.storage_limit = 10
    upload = f"{drive.url}/upload/drive/v3/files?uploadType=media"
    reply = http.post(upload, data=b"x" * 11)
    assert reply.json()["error"]["errors"][0]["reason"] == "storageQuotaExceeded"


@pytest.mark.parametrize(
    "line", [{"kind": "corupt"}, {"kind": "corrupt", "fracton": 1}, {"match": "x"}]
)
def test_a_wrong_script_is_refused(drive: FakeDrive, line: str) -> None:
    """A wrong script is refused."""
    with pytest.raises(ValueError, match=r"fault"):
        drive.faults.load([line])


def test_probability_is_repeatable(drive: FakeDrive) -> None:
    """Probability is repeatable."""
    lines = [{"kind": "reset", "times": 1000, "probability": 0.2}]
    runs = []
    for _ in range(2):
        drive.faults.load(lines, seed=7)
        runs.append([drive.faults.take("GET /") is not None for _ in range(200)])
    assert runs[0] == runs[1]
    assert 20 < sum(runs[0]) < 60


def test_listing_a_large_folder_is_fast(
    drive: FakeDrive, http: requests.Session
) -> None:
    """Listing a large folder is fast."""
    folder = drive.store.add_folder("big").id
    drive.store.add_many(50_000, folder)
    params = {
        "q": f"'{folder}' in parents and trashed = false",
        "pageSize": 1000,
        "fields": "nextPageToken,files(id,name,size,md5Checksum)",
    }
    began, count, pages = time.monotonic(), 0, 0
    while True:
        reply = http.get(f"{drive.url}/drive/v3/files", params=params).json()
        count += len(reply["files"])
        pages += 1
        if "nextPageToken" not in reply:
            break
        params["pageToken"] = reply["nextPageToken"]
    assert (count, pages) == (50_000, 50)
    assert drive.units_used == 5_000
    assert time.monotonic() - began < 20
    assert drive.violations == []
