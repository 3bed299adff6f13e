"""Requests: who waits how long, what is told, and what never is."""

from __future__ import annotations

import concurrent.futures
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from google.oauth2.credentials import Credentials

from colabmagic.drive import errors
from colabmagic.drive.api import patience
from colabmagic.drive.api.http import Transport, Waits
from tests.drive.api.raw import RawServer, reply
from tests.drive.leaks import everything

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

ABOUT = {"params": {"fields": "user(emailAddress)"}}


def test_who_stops_does_not_wait(drive: FakeDrive, files: Files) -> None:
    """A long wait ends at once, and the error is the one that it waited for."""
    drive.faults.load([{"kind": "status", "times": 9, "retry_after": 60}])
    files.transport.waits = Waits()
    stop = threading.Event()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(errors.ServerFailedError):
        files.transport.request("GET", "/drive/v3/about", stop=stop, **ABOUT)
    assert time.monotonic() - began < 10
    timer.join()


def test_a_refused_login_is_renewed_once_for_all_threads(
    drive: FakeDrive, files: Files
) -> None:
    """Not by each of them."""
    drive.latency_s = 0.05
    drive.store.access_tokens.clear()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        asked = [
            pool.submit(files.transport.json, "GET", "/drive/v3/about", **ABOUT)
            for _ in range(6)
        ]
    assert all(each.result()["user"] for each in asked)
    assert drive.operations["token"] == 1


def test_connections_outlive_a_transfer(files: Files) -> None:
    """A session that is free is lent again; closing them opens others later."""
    for _ in range(3):
        files.transport.json("GET", "/drive/v3/about", **ABOUT)
    assert len(files.transport._idle) == 1
    files.transport.close()
    assert not files.transport._idle
    assert files.transport.json("GET", "/drive/v3/about", **ABOUT)


def test_a_login_goes_nowhere_else(files: Files) -> None:
    """An answer that leads away from Drive is an error, and not followed."""
    for url in (
        "http://127.0.0.1:1/x",
        "https://example.com/x",
        "http://www.googleapis.com/x",
    ):
        with pytest.raises(errors.DriveError, match="leads away"):
            files.transport.once("PUT", url)
    google = Transport(files.transport.credentials)
    for url in ("http://www.googleapis.com/x", "https://googleapis.com.evil.example/x"):
        with pytest.raises(errors.DriveError, match="leads away"):
            google.once("PUT", url)
    assert google._url("https://upload.googleapis.com/x").text


def test_nobody_is_there(files: Files) -> None:
    """It is told after a few attempts, with the reason and without the address."""
    files.transport.api_root = "http://127.0.0.1:1"
    with pytest.raises(
        errors.ConnectionFailedError, match=r"cannot reach 127\.0\.0\.1 "
    ) as caught:
        files.transport.request("GET", "/x?upload_id=KEY")
    assert caught.value.seen == "connection refused"
    assert "stopped" not in caught.value.hint
    assert files.transport.retries == 3
    assert caught.value.__context__ is None
    assert "KEY" not in str(caught.value)


@pytest.mark.parametrize("renews", [True, False])
def test_no_such_name(
    files: Files, monkeypatch: pytest.MonkeyPatch, *, renews: bool
) -> None:
    """The machine that is not found is named, be it that of the login or of Drive."""

    def nobody(*_: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    if renews:
        files.transport.credentials.token = None
        address = "https://nobody.invalid/token"
        files.transport.credentials._token_uri = address  # type: ignore[attr-defined]
    else:
        files.transport.api_root = "https://nobody.invalid"
    with pytest.raises(
        errors.ConnectionFailedError, match=r"cannot reach nobody\.invalid"
    ) as caught:
        files.transport.request("GET", "/x", attempts=2)
    assert "name is not found" in str(caught.value.seen)
    assert files.transport.retries == 1


def test_who_waits_is_told_why(drive: FakeDrive, files: Files) -> None:
    """Also of refusals; an answer ends it."""
    drive.faults.load(
        [
            {"kind": "status", "times": 2, "retry_after": 3},
            {"kind": "status", "code": 403, "reason": "userRateLimitExceeded"},
        ]
    )
    files.transport.waits = Waits(0.1, 0.1, sleep=lambda _: None)
    said: list[str] = []
    with patience.telling(said.append):
        files.transport.request("GET", "/drive/v3/about", **ABOUT)
    assert said == ["Google's server failed, trying again"]
    drive.faults.load([{"kind": "status", "code": 429}])
    with patience.telling(said.append):
        files.transport.once("GET", "/drive/v3/about", **ABOUT)  # as an upload asks
        files.transport.waits.wait(0, 3)
        with pytest.raises(errors.DriveFileNotFoundError):
            files.transport.request("GET", "/drive/v3/files/none")
        files.transport.waits.wait(0, 3)
    assert said[1:] == ["Google asks to go slower, trying again"]
    drive.reset_counters()


def test_a_renewal_can_be_cut(files: Files) -> None:
    """Who stops a transfer does not wait for the login that another thread renews."""
    failed: list[errors.DriveError] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        files.transport.credentials.token = None
        files.transport.credentials._token_uri = f"http://127.0.0.1:{port}/token"  # type: ignore[attr-defined]
        files.transport.read_timeout_s = 20

        def ask() -> None:
            try:
                files.transport.request("GET", "/x", attempts=1)
            except errors.DriveError as error:
                failed.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        accepted, _ = silent.accept()
        with accepted:
            assert accepted.recv(9999)
            began = time.monotonic()
            files.transport.cut()
            asking.join()
    assert time.monotonic() - began < 5
    assert [type(each) for each in failed] == [errors.ConnectionFailedError]


def test_a_netrc_is_no_login(
    drive: FakeDrive, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for Drive nor for who renews the login: what was given is used."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password P\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    drive.store.access_tokens.clear()
    assert files.transport.json("GET", "/drive/v3/about", **ABOUT)
    sent = [
        text
        for each in drive.requests
        for name, text in each.headers.items()
        if name.lower() == "authorization"
    ]
    assert any(each.startswith("Bearer ") for each in sent)
    assert not any(each.startswith("Basic") for each in sent)


def test_no_variable_of_an_error_shows_the_token(
    drive: FakeDrive, files: Files
) -> None:
    """In no frame that the error has passed."""
    drive.faults.load([{"kind": "reset", "times": 99}])
    with pytest.raises(errors.ConnectionFailedError) as caught:
        files.transport.json("GET", "/drive/v3/about", **ABOUT)
    assert drive.token not in everything(caught.value)
    assert str(files.transport.credentials.token) not in everything(caught.value)


def test_nothing_secret_in_a_repr(drive: FakeDrive, files: Files) -> None:
    """Only where it leads."""
    assert repr(files.transport) == f"<Transport to {drive.url}>"
    assert drive.token not in repr(files)


class RunsOut(Credentials):  # type: ignore[misc]  # without types
    """A login that has run out between our look at it and that of google-auth."""

    looks = 0

    @property
    def valid(self) -> bool:
        """Say at the first look that it is good."""
        self.looks += 1
        return self.looks == 1


@pytest.mark.parametrize("kind", [Credentials, RunsOut])
@pytest.mark.parametrize("status", ["302 Found", "307 Temporary", "308 Permanent"])
def test_a_login_is_renewed_nowhere_else(kind: type[Credentials], status: str) -> None:
    """Where the answer leads to another place, nothing secret goes there."""
    with RawServer(lambda _: [reply(b"{}")]) as other:
        there = reply(b"", status, "text/html", f"Location: {other.url}/token")
        with RawServer(lambda _: [there]) as server:
            login = kind(
                None,
                refresh_token="fake-refresh",  # noqa: S106
                token_uri=f"{server.url}/token",
                client_id="id",
                client_secret="secret",  # noqa: S106
            )
            transport = Transport(login, server.url, waits=Waits(0, 0), attempts=1)
            with pytest.raises(errors.ServerFailedError, match="form") as caught:
                transport.json("GET", "/drive/v3/about", **ABOUT)
            assert "leads elsewhere" in str(caught.value.seen)
            assert "fake-refresh" not in everything(caught.value)
        assert other.lines == []


@pytest.mark.parametrize("proxy", ["nonsense://x", "http://"])
def test_a_proxy_that_is_none(
    files: Files, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named as the cause, and not tried for long, also for a login that is renewed."""
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("http_proxy", proxy)
    for token in (None, "valid"):
        files.transport.credentials.token = token
        with pytest.raises(errors.ConnectionFailedError, match="proxy") as caught:
            files.transport.json("GET", "/drive/v3/about", **ABOUT)
        assert "HTTPS_PROXY" in caught.value.hint
    assert files.transport.retries == 6


def test_certificates_that_are_not_there(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable that names them is told, and it is not tried for long."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none"))
    files.transport.api_root = "https://127.0.0.1:1"
    with pytest.raises(errors.ConnectionFailedError, match="cannot reach") as caught:
        files.transport.json("GET", "/drive/v3/about", **ABOUT)
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint
    assert files.transport.retries == 3
