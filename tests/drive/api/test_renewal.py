"""A login that is renewed: waited for no longer than anything else, by Google alone."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials

from colabmagic.drive import errors
from colabmagic.drive.api.renewal import renew
from tests.drive.api.raw import RawServer, reply
from tests.drive.leaks import everything

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive


def login(url: str) -> Any:  # noqa: ANN401 (google-auth's)
    """Return a login that has run out, and is renewed by a server."""
    return Credentials(  # type: ignore[no-untyped-call]
        None,
        refresh_token="SECRET-r",  # noqa: S106
        token_uri=f"{url}/token",
        client_id="i",
        client_secret="SECRET-s",  # noqa: S106
    )


def test_a_renewal_is_not_waited_for_longer_than_a_request(files: Files) -> None:
    """google-auth itself would wait for two minutes, in silence."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        files.transport.credentials.token = None
        files.transport.credentials._token_uri = f"http://127.0.0.1:{port}/token"  # type: ignore[attr-defined]
        files.transport.read_timeout_s = 0.2
        began = time.monotonic()
        with pytest.raises(
            errors.ConnectionFailedError, match=r"127\.0\.0\.1 does not answer"
        ) as caught:
            files.transport.request("GET", "/x", attempts=1)
    assert time.monotonic() - began < 5
    assert "0.2" not in str(caught.value)


def test_it_is_sent_once_and_without_another_login(
    drive: FakeDrive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ``~/.netrc`` for the same machine stays out of it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password P\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    one = login(drive.url)
    renew(one)
    assert one.valid
    (asked,) = drive.requests
    assert asked.operation == "token"
    assert "authorization" not in {name.lower() for name in asked.headers}


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token": "t", "expires_in": "soon"}',
        b'{"access_token": "t", "expires_in": 1e300}',
        b"[5]",
        b"[" * 100_000,
    ],
    ids=range(4),
)
def test_an_answer_of_another_form(body: bytes) -> None:
    """google-auth stumbles over it: that becomes an error of ours, which shows nothing of it."""
    with RawServer(lambda _: [reply(body)]) as server:
        one = login(server.url)
        with pytest.raises(errors.ServerFailedError) as caught:
            renew(one)
    assert "proxy" in caught.value.hint
    assert caught.value.__context__ is None
    assert "SECRET" not in everything(caught.value)


def test_a_server_that_says_no(drive: FakeDrive) -> None:
    """What the libraries raise is passed on: who asks gives it words."""
    drive.store.revoked_refresh_tokens.add("SECRET-r")
    with pytest.raises(RefreshError, match="invalid_grant"):
        renew(login(drive.url))
