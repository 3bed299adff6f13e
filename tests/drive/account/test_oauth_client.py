"""The JSON of an OAuth client: read, or named as what it is instead."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.account import oauth_client
from tests.drive.leaks import everything

if TYPE_CHECKING:
    from pathlib import Path

MARK = "MARKER7c1e"


def _written(path: Path, kind: str, **entries: object) -> Path:
    inner = {"client_id": "an-id", "client_secret": MARK, **entries}
    path.write_text(json.dumps({kind: inner}))
    return path


def test_a_client_for_desktop(tmp_path: Path) -> None:
    """It may be sent back to any port; addresses that are left out are Google's."""
    found = oauth_client.read_client(_written(tmp_path / "c.json", "installed"))
    assert (found.client_id, found.client_secret) == ("an-id", MARK)
    assert found.auth_uri.startswith("https://accounts.google.com/")
    assert found.token_uri == "https://oauth2.googleapis.com/token"  # noqa: S105 (an address)
    assert found.redirect_uri is None
    assert MARK not in repr(found)


@pytest.mark.parametrize(
    ("uris", "taken"),
    [
        (["https://a.example/", "http://localhost:8765/x"], "http://localhost:8765/x"),
        (
            ["http://[x", "http://localhost:99999/", "http://127.0.0.1"],
            "http://127.0.0.1",
        ),
        (["http://localhost:zz/"], None),
        (["http://localhost:0/"], None),
        (["http://[::1]:8765/"], None),  # we do not listen there
        (["http://localhost.example/"], None),
        (["https://localhost:8765/"], None),
        ([5, None], None),
        ("http://localhost:8765/", None),
        (None, None),
    ],
    ids=str,
)
def test_where_a_client_for_web_sends_the_browser(
    tmp_path: Path, uris: object, taken: str | None
) -> None:
    """To the first address at which this machine can listen; without one, it is said."""
    file = _written(tmp_path / "c.json", "web", redirect_uris=uris)
    if taken is not None:
        assert oauth_client.read_client(file).redirect_uri == taken
        return
    with pytest.raises(errors.LoginFailedError, match="is a client for web") as caught:
        oauth_client.read_client(file)
    assert "http://localhost:8765/" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["~no-such-user/c.json", "a\0b", "a\ud800", "n" * 5000, "no"]
)
def test_a_name_that_leads_to_no_file(name: str) -> None:
    """One clear error, of a bounded length, with the way to a client."""
    with pytest.raises(errors.LoginFailedError, match="cannot be read") as caught:
        oauth_client.read_client(name)
    assert caught.value.what.isprintable()
    assert len(str(caught.value)) < 900
    assert "Desktop app" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "is no OAuth client"),
        ("[]", "is no OAuth client"),
        ("", "is no OAuth client"),
        ("\udcff", "cannot be read"),
        ({"type": "service_account", "private_key": MARK}, "is a service account's key"),
        ({"type": "authorized_user", "refresh_token": MARK}, "is a login already"),
        ({"hello": MARK, "<b>": 1}, "is no OAuth client"),
        ({"installed": MARK}, "is damaged"),
        ({"installed": {"client_id": MARK}}, "lacks client_secret"),
        ({"installed": {"client_secret": MARK}}, "lacks client_id"),
        (
            {"installed": {"client_id": "x", "client_secret": MARK, "token_uri": "http://a.b/"}},
            "would send secrets",
        ),
        (
            {"installed": {"client_id": "x", "client_secret": MARK, "auth_uri": "ftp:a"}},
            "would send secrets",
        ),
        (
            {"web": {"client_id": "x", "client_secret": MARK, "redirect_uris": ["https://a.b"]}},
            "is a client for web",
        ),
    ],
)  # fmt: skip
def test_files_that_are_no_client(tmp_path: Path, text: Any, what: str) -> None:  # noqa: ANN401
    """What they are instead is said; nothing in them is shown."""
    file = tmp_path / "client.json"
    written = text if isinstance(text, str) else json.dumps(text)
    file.write_bytes(written.encode("utf-8", "surrogateescape"))
    with pytest.raises(errors.DriveAuthError, match=what) as caught:
        oauth_client.read_client(file)
    assert MARK not in everything(caught.value)
    assert "service account's key, or" not in caught.value.hint
    if "key, not an" in what or "is a login" in what:
        assert caught.value.hint == f"%mount_drive --ls MyDrive --creds {file}"


def test_a_pipe_is_no_client(tmp_path: Path) -> None:
    """Nobody waits for what comes out of it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.LoginFailedError, match="cannot be read"):
        oauth_client.read_client(tmp_path / "pipe")
