"""A login of the user's own: by the browser, by an address that is pasted, and what goes wrong."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from colabmagic.drive import errors
from colabmagic.drive.account import auth, login, oauth_client, tokens
from colabmagic.drive.client import connect
from tests.drive.api.raw import RawServer, reply
from tests.drive.leaks import everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fakes.drive import FakeDrive

MARK = "MARKER7c1e"
SECRET = f"{MARK}-client-secret"
REFRESH = f"{MARK}-refresh"


@pytest.fixture
def google(drive: FakeDrive) -> FakeDrive:
    """Return Google on loopback, all of whose secrets bear the mark."""
    drive.oauth.client_secret = SECRET
    drive.oauth.refresh_token = REFRESH
    return drive


@pytest.fixture
def client_file(google: FakeDrive, tmp_path: Path) -> Path:
    """Return the JSON of a client for desktop, as the console gives it."""
    return _client(google, tmp_path / "client.json")


def _client(
    google: FakeDrive, path: Path, kind: str = "installed", **more: object
) -> Path:
    entries = {
        "client_id": "an-id.apps.googleusercontent.com",
        "project_id": "mine",
        "auth_uri": f"{google.url}/auth",
        "token_uri": f"{google.url}/token",
        "client_secret": SECRET,
        "redirect_uris": ["http://localhost"],
        **more,
    }
    kept = {name: value for name, value in entries.items() if value is not None}
    path.write_text(json.dumps({kind: kept}))
    return path


class Browser:
    """Opens the page that is shown, and goes where it is sent."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.pages: list[requests.Response] = []
        self.before: Callable[[str], object] = lambda _: None
        self._threads: list[threading.Thread] = []

    def show(self, text: str) -> None:
        """Take what the user is told."""
        self.shown.append(text)
        thread = threading.Thread(target=self._open, args=(_address(text),))
        self._threads.append(thread)
        thread.start()

    def _open(self, address: str) -> None:
        self.before(address)
        self.pages.append(requests.get(address, timeout=10))

    def close(self) -> None:
        """Wait for its pages."""
        for thread in self._threads:
            thread.join()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Return a browser."""
    opened = Browser()
    yield opened
    opened.close()


def _address(text: str) -> str:
    found = re.search(r"http://\S+/auth\?\S+", text)
    assert found is not None, text
    return found[0]


def _where_it_goes(shown: str) -> str:
    """Return the address to which Google sends the browser."""
    reply = requests.get(_address(shown), timeout=10, allow_redirects=False)
    return reply.headers["Location"]


def test_by_the_browser(
    google: FakeDrive, client_file: Path, browser: Browser, tmp_path: Path
) -> None:
    """From a client to a file of mode 0600, with which Drive then answers."""
    google.store.add_file("a.txt", b"hello")
    out = tmp_path / "deep" / "token.json"
    path = login.login(
        client_file, show=browser.show, open_browser=False, out=out, timeout_s=20
    )
    assert path == out
    assert out.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in out.parent.iterdir()] == ["token.json"]
    browser.close()
    assert "close this page" in browser.pages[0].text
    asked = parse_qs(urlsplit(_address(browser.shown[0])).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["access_type"] == ["offline"]
    assert asked["scope"] == [auth.WRITE]
    credentials = auth.find_credentials(str(out))
    d = connect(credentials=credentials, api_root=google.url)
    assert d.stat("MyDrive/a.txt").size == 5


def test_it_is_found_without_being_named(
    client_file: Path, browser: Browser, tmp_path: Path
) -> None:
    """Left out, the place is the one where credentials are looked for."""
    env = {"COLABMAGIC_HOME": str(tmp_path / "home")}
    path = login.login(
        client_file, show=browser.show, open_browser=False, env=env, timeout_s=20
    )
    assert path == auth.token_path(env)
    found = auth.locate(env=env)
    assert found.source == "the login of --login"
    assert found.scopes == (auth.WRITE,)


def test_by_an_address_that_is_pasted(client_file: Path, tmp_path: Path) -> None:
    """Where no browser reaches this machine; wrapped lines and false starts are forgiven."""
    shown: list[str] = []
    answers = ["", "http://127.0.0.1/?code=4/of-another&state=old"]

    def ask(_: str) -> str:
        if answers:
            return answers.pop(0)
        whole = _where_it_goes(shown[0])
        return f" {whole[:60]}\n{whole[60:]} "

    path = login.login(
        client_file,
        show=shown.append,
        ask=ask,
        open_browser=False,
        out=tmp_path / "t.json",
    )
    assert json.loads(path.read_text())["refresh_token"] == REFRESH
    assert "cannot be reached: that is right" in shown[0]
    assert "nothing was pasted" in shown[1]
    assert "of another login" in shown[2]


def test_three_wrong_addresses_end_it(client_file: Path, tmp_path: Path) -> None:
    """Each is refused, and nothing is kept."""
    out = tmp_path / "t.json"
    with pytest.raises(errors.LoginFailedError) as caught:
        login.login(
            client_file, show=lambda _: None, open_browser=False, out=out,
            ask=lambda _: "http://127.0.0.1/?code=x&state=wrong",
        )  # fmt: skip
    assert caught.value.render() == [
        "LoginFailedError: 3 times something was pasted that does not end this login",
        "  seen: the last time: it is of another login; open the newest page",
        "  try:  %mount_drive --login --client client.json",
        "        allow Drive on the page shown then, and copy the whole address after that",
    ]
    assert not out.exists()


def test_nobody_to_ask(client_file: Path, tmp_path: Path) -> None:
    """A notebook that runs by itself says how to log in elsewhere."""

    def ask(_: str) -> str:
        raise EOFError

    with pytest.raises(errors.LoginFailedError, match="nobody is here") as caught:
        login.login(
            client_file,
            show=lambda _: None,
            ask=ask,
            open_browser=False,
            out=tmp_path / "t",
        )
    assert "--creds secret:NAME" in caught.value.hint


@pytest.mark.parametrize(
    ("setting", "kind", "what", "hint"),
    [
        ({"deny": "access_denied"}, "ConsentDeclinedError", "not allowed", "test users"),
        ({"deny": "invalid_scope"}, "LoginFailedError", "did not log you in", "Drive API"),
        ({"deny": "<b>x</b>"}, "LoginFailedError", "did not log you in", "Drive API"),
        (
            {"granted": "https://www.googleapis.com/auth/userinfo.email"},
            "InsufficientScopeError", "without the right to use Drive", "tick the box",
        ),
        ({"refresh_token": None}, "LoginFailedError", "one hour only", "permissions"),
        ({"client_secret": "changed"}, "LoginFailedError", "does not turn", "JSON again"),
    ],
)  # fmt: skip
def test_what_google_refuses(  # noqa: PLR0913, PLR0917
    google: FakeDrive, client_file: Path, browser: Browser, tmp_path: Path,
    setting: dict[str, Any], kind: str, what: str, hint: str,
) -> None:  # fmt: skip
    """One clear error each; nothing is kept, and nothing of the answer but its name is shown."""
    for name, value in setting.items():
        setattr(google.oauth, name, value)
    out = tmp_path / "token.json"
    with pytest.raises(errors.DriveAuthError, match=what) as caught:
        login.login(
            client_file, show=browser.show, open_browser=False, out=out, timeout_s=20
        )
    assert type(caught.value).__name__ == kind
    assert hint in caught.value.hint
    assert "<b>" not in str(caught.value)
    assert not out.exists()


def test_a_stranger_does_not_end_the_waiting(
    client_file: Path, browser: Browser, tmp_path: Path
) -> None:
    """Wrong state, other paths and silent connections are passed over; the login goes on."""
    pages: list[int] = []
    silent: list[socket.socket] = []

    def stranger(address: str) -> None:
        home = parse_qs(urlsplit(address).query)["redirect_uri"][0]
        paths = ("favicon.ico", "?code=stolen&state=guess", "?state=x")
        pages.extend(
            requests.get(home + path, timeout=10).status_code for path in paths
        )
        silent.append(
            socket.create_connection((urlsplit(home).hostname, urlsplit(home).port))
        )

    browser.before = stranger
    login.login(
        client_file,
        show=browser.show,
        open_browser=False,
        out=tmp_path / "t",
        timeout_s=20,
    )
    for each in silent:
        each.close()
    assert pages == [404, 400, 404]
    assert (tmp_path / "t").exists()


def test_the_other_way_where_no_browser_comes(
    client_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser on this machine was expected and did not come: then the address is asked for."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    shown: list[str] = []
    login.login(
        client_file, show=shown.append, ask=lambda _: _where_it_goes(shown[-1]),
        env={"DISPLAY": ":0"}, out=tmp_path / "t", timeout_s=0.05,
    )  # fmt: skip
    assert opened == [_address(shown[0])]
    assert "there is another way" in shown[1]
    assert (tmp_path / "t").exists()


def test_nobody_comes_back(client_file: Path, tmp_path: Path) -> None:
    """The waiting ends, says so, and frees the port."""
    shown: list[str] = []
    with pytest.raises(
        errors.LoginFailedError, match="no browser came back within 0 s"
    ):
        login.login(
            client_file, show=shown.append, open_browser=False, out=tmp_path / "t",
            timeout_s=0.05,
        )  # fmt: skip
    home = parse_qs(urlsplit(_address(shown[0])).query)["redirect_uri"][0]
    with pytest.raises(requests.ConnectionError):
        requests.get(home, timeout=5)


def test_a_port_that_is_taken(
    client_file: Path, google: FakeDrive, tmp_path: Path
) -> None:
    """It is named, for a port that was asked for and for one that the client is bound to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        home = f"http://localhost:{port}/"
        bound = _client(google, tmp_path / "web.json", "web", redirect_uris=[home])
        for file, wanted in ((client_file, port), (bound, 0)):
            with pytest.raises(
                errors.LoginFailedError, match=f"port {port} is not free"
            ):
                login.login(file, show=lambda _: None, port=wanted, open_browser=False)


@pytest.mark.parametrize("port", [-1, 65536, 10**9])
def test_a_port_that_there_cannot_be(client_file: Path, port: int) -> None:
    """It is said before anybody is asked, by the browser or for an address."""
    for ask in (None, lambda _: pytest.fail("asked")):
        with pytest.raises(errors.LoginFailedError, match=f"no port {port}"):
            login.login(client_file, show=pytest.fail, ask=ask, port=port)


@pytest.mark.parametrize("status", ["599 Odd", "503 Busy"])
def test_a_status_that_comes_with_no_json(
    google: FakeDrive, tmp_path: Path, status: str
) -> None:
    """It is told as it came, also one that nobody knows."""
    shown: list[str] = []
    with RawServer(lambda _: [reply(b"<html>", status, "text/html")]) as server:
        file = _client(google, tmp_path / "c.json", token_uri=f"{server.url}/token")
        with pytest.raises(errors.ServerFailedError) as caught:
            login.login(
                file, show=shown.append, ask=lambda _: _where_it_goes(shown[0]),
                open_browser=False, out=tmp_path / "t",
            )  # fmt: skip
    assert caught.value.seen == f"HTTP {status[:3]}"


def test_a_client_for_web(google: FakeDrive, browser: Browser, tmp_path: Path) -> None:
    """The browser comes back to the one address that the client may name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = f"http://localhost:{port}/back"
    file = _client(
        google, tmp_path / "web.json", "web", redirect_uris=["https://x.example/", home]
    )
    google.oauth.deny = "access_denied"
    with pytest.raises(errors.ConsentDeclinedError):
        login.login(file, show=browser.show, open_browser=False, timeout_s=20)
    google.oauth.deny = None  # and at once again, at the same port
    login.login(
        file, show=browser.show, open_browser=False, out=tmp_path / "t", timeout_s=20
    )
    asked = parse_qs(urlsplit(_address(browser.shown[0])).query)
    assert asked["redirect_uri"] == [home]


def test_ctrl_c(client_file: Path, tmp_path: Path) -> None:
    """An interrupt ends the waiting at once, and is passed on without what is secret."""
    begun = time.monotonic()

    def show(_: str) -> None:
        timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
        timer.start()

    with pytest.raises(KeyboardInterrupt) as caught:
        login.login(
            client_file, show=show, open_browser=False, out=tmp_path / "t", timeout_s=60
        )
    assert time.monotonic() - begun < 5
    assert caught.value.__context__ is None


def test_a_place_that_cannot_be_written(
    client_file: Path, browser: Browser, tmp_path: Path
) -> None:
    """It is said, and how to name another."""
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.LoginFailedError, match="cannot be kept") as caught:
        login.login(
            client_file, show=browser.show, open_browser=False, timeout_s=20,
            out=tmp_path / "file" / "token.json",
        )  # fmt: skip
    assert "--out token.json" in caught.value.hint


def test_no_file(tmp_path: Path) -> None:
    """The name is shown, and how to make one."""
    with pytest.raises(errors.LoginFailedError, match="cannot be read") as caught:
        login.login(tmp_path / "none.json", show=lambda _: None)
    assert "Desktop app" in caught.value.hint


def test_where_a_browser_is() -> None:
    """Only a machine with a screen of its own, and not one of a service or behind SSH."""
    assert not login.browser_is_here({"LIGHTNING_CLOUD_SPACE_ID": "x", "DISPLAY": ":0"})
    assert not login.browser_is_here({"SSH_CONNECTION": "x", "DISPLAY": ":0"})
    assert login.browser_is_here({"DISPLAY": ":0"})


@pytest.mark.parametrize("fault", [None, "refused", "broken", "gibberish", "server"])
def test_nothing_secret_is_shown(  # noqa: PLR0913, PLR0917
    google: FakeDrive, client_file: Path, browser: Browser, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], fault: str | None,
) -> None:  # fmt: skip
    """Not in what is shown, logged at DEBUG or printed, nor in a traceback with variables."""
    caplog.set_level(logging.DEBUG)
    if fault == "refused":
        google.oauth.client_secret = "another"  # noqa: S105
    elif fault is not None:
        faults = {
            "broken": {"kind": "reset"},
            "gibberish": {"kind": "cut_headers"},
            "server": {"kind": "status", "code": 503},
        }
        google.faults.load([{**faults[fault], "match": "/token", "times": 9}])
    shown: list[str] = []
    codes: list[str] = []

    def ask(_: str) -> str:
        whole = _where_it_goes(shown[0])
        codes.extend(parse_qs(urlsplit(whole).query)["code"])
        caplog.clear()  # of the browser's own log
        return whole

    error: BaseException | None = None
    try:
        login.login(
            client_file,
            show=shown.append,
            ask=ask,
            open_browser=False,
            out=tmp_path / "t",
        )
    except errors.DriveError as raised:
        error = raised
    assert (error is None) == (fault is None)
    records = "\n".join(
        f"{vars(record)} {record.getMessage()}" for record in caplog.records
    )
    told = "\n".join([*shown, records, *capfd.readouterr()])
    if error is not None:
        told += everything(error)
    else:
        client = oauth_client.read_client(client_file)
        found = auth.locate(str(tmp_path / "t"))
        told += f"{client!r} {found!r} {tokens.Hidden(a=MARK)!r}"
    assert MARK not in told
    assert codes
    assert codes[0] not in told
    browser.close()


def test_the_double_demands_pkce(google: FakeDrive) -> None:
    """Google on loopback gives no login for a code with another verifier, or twice."""
    asked = {
        "client_id": "id", "redirect_uri": "http://127.0.0.1:1/", "response_type": "code",
        "scope": "s", "state": "t", "code_challenge_method": "S256", "access_type": "offline",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    }  # fmt: skip
    form = {
        "grant_type": "authorization_code", "client_id": "id", "client_secret": SECRET,
        "redirect_uri": "http://127.0.0.1:1/",
    }  # fmt: skip

    def attempt(verifier: str, code: str | None = None) -> tuple[int, str]:
        where = _where_it_goes(f"{google.url}/auth?{urlencode(asked)}")
        code = code or parse_qs(urlsplit(where).query)["code"][0]
        sent = {**form, "code": code, "code_verifier": verifier}
        return requests.post(
            f"{google.url}/token", data=sent, timeout=10
        ).status_code, code

    right = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # of RFC 7636, appendix B
    assert attempt("wrong")[0] == 400
    status, code = attempt(right)
    assert status == 200
    assert attempt(right, code)[0] == 400
