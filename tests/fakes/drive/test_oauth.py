"""Google's own library for logins takes the double for Google."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.auth.transport.requests import Request

from colabmagic.drive.account import auth

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.drive import FakeDrive


def test_the_flow_of_googles_library(
    drive: FakeDrive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consent, PKCE and the exchange work as with Google; what it got, we keep and use."""
    library = pytest.importorskip("google_auth_oauthlib.flow")
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # it refuses http elsewhere
    client = {
        "client_id": "id",
        "client_secret": "secret",
        "auth_uri": f"{drive.url}/auth",
        "token_uri": f"{drive.url}/token",
    }
    flow: Any = library.InstalledAppFlow.from_client_config(
        {"installed": client}, [auth.WRITE], redirect_uri="http://127.0.0.1:1/"
    )
    address, state = flow.authorization_url(access_type="offline")
    assert "code_challenge=" in address
    reply = requests.get(address, timeout=10, allow_redirects=False)
    assert f"state={state}" in reply.headers["Location"]
    flow.fetch_token(authorization_response=reply.headers["Location"])
    assert drive.store.token_is_valid(flow.credentials.token)
    path = auth.store(flow.credentials, tmp_path / "token.json")
    found: Any = auth.find_credentials(str(path))
    assert found.refresh_token == flow.credentials.refresh_token
    found.refresh(Request())
    assert drive.store.token_is_valid(found.token)
