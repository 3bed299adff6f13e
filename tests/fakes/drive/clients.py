"""Point independent clients at the fake."""

from __future__ import annotations

from typing import Any

from tests.fakes.drive.contract import shipped_document


def rewritten_document(base_url: str) -> dict[str, Any]:
    """Return the discovery document with the fake's address in it."""
    document = shipped_document()
    document["rootUrl"] = base_url + "/"
    document["baseUrl"] = base_url + "/" + document["servicePath"]
    document.pop("mtlsRootUrl", None)
    return document


def googleapiclient_service(base_url: str, token: str = "valid-token") -> Any:  # noqa: S107 - not a secret
    """Return a googleapiclient service that talks to the fake."""
    from google.oauth2.credentials import Credentials
    from googleapiclient.discovery import build_from_document

    credentials = Credentials(  # type: ignore[no-untyped-call]
        token,
        refresh_token="fake-refresh-token",
        token_uri=base_url + "/token",
        client_id="id",
        client_secret="secret",
    )
    return build_from_document(rewritten_document(base_url), credentials=credentials)
