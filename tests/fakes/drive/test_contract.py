"""The discovery document catches mistakes of a client and of the fake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.drive import DriveContract, FakeDrive

if TYPE_CHECKING:
    import requests

FILES = "/drive/v3/files"


@pytest.fixture(scope="module")
def contract() -> Any:
    """Contract."""
    return DriveContract()


@pytest.mark.parametrize(
    ("method", "path", "params", "problem"),
    [
        ("GET", FILES, {"suportsAllDrives": ["true"]}, "unknown query parameter"),
        ("GET", FILES, {"pageSize": ["many"]}, "not an integer"),
        ("GET", FILES, {"pageSize": ["1001"]}, "above 1000"),
        ("GET", FILES, {"supportsAllDrives": ["True"]}, "not true or false"),
        ("GET", FILES, {"fields": ["files(id,nme)"]}, "files/nme"),
        ("GET", FILES, {"fields": ["files(id"]}, "invalid field selection"),
        ("GET", "/drive/v3/about", {}, "fields parameter is required"),
        ("GET", f"{FILES}/abc/export", {}, "required query parameter 'mimeType'"),
        ("PATCH", f"{FILES}/abc", {"uploadType": ["media", "x"]}, "2 times"),
    ],
)
def test_wrong_requests_are_caught(
    contract: DriveContract,
    method: str,
    path: str,
    params: dict[str, Any],
    problem: str,
) -> None:
    """Wrong requests are caught."""
    match = contract.find(method, path)
    assert any(problem in text for text in contract.check_parameters(match, params))


@pytest.mark.parametrize(
    ("path", "method_id"),
    [
        (f"{FILES}/generateIds", "drive.files.generateIds"),
        (f"{FILES}/abc", "drive.files.get"),
        (f"/upload{FILES}", None),
        (f"{FILES}/a/b/c", None),
    ],
)
def test_paths_are_resolved(
    contract: DriveContract, path: str, method_id: str | None
) -> None:
    """Paths are resolved."""
    match = contract.find("GET", path)
    assert (match.method.id if match else None) == method_id


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"nme": "x"}, "unknown property"),
        ({"id": 5}, "expected string"),
        ({"parents": "root"}, "expected a list"),
        ({"md5Checksum": "0"}, "read-only"),
        ({"modifiedTime": "yesterday"}, "RFC 3339"),
    ],
)
def test_wrong_bodies_are_caught(
    contract: DriveContract, body: dict[str, Any], problem: str
) -> None:
    """Wrong bodies are caught."""
    method = contract.find("POST", FILES).method
    assert any(problem in text for text in contract.check_request_body(method, body))


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ({"version": 1}, "expected string"),
        ({"size": "many"}, "int64"),
        ({"trashed": "false"}, "expected boolean"),
    ],
)
def test_wrong_replies_are_caught(
    contract: DriveContract, file: dict[str, Any], problem: str
) -> None:
    """Wrong replies are caught."""
    method = contract.find("GET", FILES).method
    problems = contract.check_response(method, {"files": [file]})
    assert len(problems) == 1
    assert problems[0].startswith("files[0].")
    assert problem in problems[0]


def test_strict_server_refuses_and_notes(
    drive: FakeDrive, http: requests.Session
) -> None:
    """Strict server refuses and notes."""
    reply = http.get(f"{drive.url}{FILES}?suportsAllDrives=true")
    assert reply.status_code == 400
    assert "suportsAllDrives" in drive.violations[0]


@pytest.mark.parametrize(
    "query",
    [
        "fullText contains 'x'",
        "name ~ 'x'",
        "trashed = 'false'",
        "name = 'x",
        "'x' in owners",
        "name = 'a' and",
    ],
)
def test_unknown_query_clause_is_an_error(
    drive: FakeDrive, http: requests.Session, query: str
) -> None:
    """Unknown query clause is an error."""
    assert http.get(drive.url + FILES, params={"q": query}).status_code == 400
