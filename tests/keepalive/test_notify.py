"""Posts to a server on loopback that answers, fails, redirects and is slow."""

from __future__ import annotations

import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.keepalive.errors import KeepaliveOptionError
from colabmagic.keepalive.notify import Notifier, shown_url, without_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "T0KEN-s3cret"  # noqa: S105 (of no one)


class Hook(ThreadingHTTPServer):
    """A chat's webhook; `answers` are used up in order, the last one stays."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int | str] = [204]
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}/hooks/{SECRET}?key={SECRET}"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        """Answer as the test says."""
        length = int(self.headers["Content-Length"])
        self.server.got.append(json.loads(self.rfile.read(length)))
        self.server.headers.append(dict(self.headers))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer == "slow":
            self.server.release.wait(10)
            return
        if answer == "broken":  # urllib3 warns of it, with the whole address
            self.wfile.write(b"HTTP/1.1 200 OK\r\nnot a header\r\n\r\n")
            self.close_connection = True
            return
        if answer == "drop":
            self.connection.close()
            return
        self.send_response(int(answer))
        if 300 <= int(answer) < 400:
            self.send_header("Location", self.server.url.replace("hooks", "elsewhere"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    """Yield a webhook."""
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()


def notifier(hook: Hook, **given: Any) -> Notifier:  # noqa: ANN401
    """Return one that waits for nobody."""
    return Notifier(hook.url, **{"sleep": lambda _: None, "timeout_s": 0.3, **given})


def test_what_is_posted(hook: Hook) -> None:
    """One short JSON that Slack, Discord, Mattermost and Teams take."""
    found = notifier(hook).send("the work has ended")
    assert found.ok
    assert hook.got == [{"text": "the work has ended", "content": "the work has ended"}]
    assert hook.headers[0]["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("answers", "ok", "posts"),
    [
        ([200], True, 1),
        ([500, 502, 204], True, 3),
        ([500], False, 3),
        ([429, 200], True, 2),
        (["drop", 200], True, 2),
        ([404], False, 1),
        ([403], False, 1),
        ([302], False, 1),
        ([307], False, 1),
        (["slow"], False, 3),
    ],
)
def test_each_answer(
    hook: Hook,
    answers: list[int | str],
    ok: bool,  # noqa: FBT001
    posts: int,
) -> None:
    """Two more tries where that may help; no redirect is followed; nothing is shown."""
    hook.answers = answers
    found = notifier(hook).send("x")
    assert (found.ok, len(hook.got)) == (ok, posts)
    assert SECRET not in found.text
    assert "127.0.0.1" in found.text


@pytest.mark.parametrize("answer", [200, 500, "broken", "drop", "slow"])
def test_no_log_holds_the_address(
    hook: Hook, caplog: pytest.LogCaptureFixture, answer: int | str
) -> None:
    """Python shows warnings that nobody handles, and tutorials turn all of them on."""
    caplog.set_level(logging.DEBUG)
    hook.answers = [answer]
    notifier(hook).send("x")
    assert hook.got
    assert SECRET not in caplog.text


def test_other_threads_still_log(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    """Only our own post is silent, and only while it lasts."""
    hook.answers = ["slow"]
    one = notifier(hook, timeout_s=5)
    one.post("x")
    end = time.monotonic() + 10
    while not hook.got:
        assert time.monotonic() < end
        time.sleep(0.005)
    logging.getLogger("urllib3.connectionpool").warning("of another thread")
    hook.release.set()
    one.join(10)
    notifier(hook).send("y")
    logging.getLogger("urllib3.connectionpool").warning("afterwards")
    assert "of another thread" in caplog.text
    assert "afterwards" in caplog.text


@pytest.mark.parametrize(
    ("text", "line", "shown"),
    [
        ("not 'h.example/T/s3cret'", "h.example/T/s3cret", "not '…'"),
        ("not 'h.example/s3cret'", "--notfy=h.example/s3cret", "not '…'"),
        ('close "https://h/s3cret"', '"https://h/s3cret', 'close "https://…"'),
        ("not 'stat'", "stat", "not 'stat'"),
    ],
)
def test_a_typed_line_is_not_repeated(text: str, line: str, shown: str) -> None:
    """Also where the address was pasted without its scheme."""
    assert without_addresses(text, line) == shown


def test_nobody_is_there() -> None:
    """A refused connection is told without the address."""
    with Hook() as gone:
        url = gone.url
    found = Notifier(url, sleep=lambda _: None).send("x")
    assert not found.ok
    assert "ConnectionError" in found.text
    assert SECRET not in found.text


def test_it_waits_longer_each_time(hook: Hook) -> None:
    """Two pauses between three tries."""
    hook.answers = [500]
    waited: list[float] = []
    notifier(hook, sleep=waited.append).send("x")
    assert waited == [2, 4]


def test_no_login_of_the_user_goes_there(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ~/.netrc holds for the host stays there."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password private\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert notifier(hook).send("x").ok
    assert "Authorization" not in hook.headers[0]


def test_posting_returns_at_once(hook: Hook) -> None:
    """The thread of the beats does not wait, and `join` does, for so long."""
    hook.answers = ["slow"]
    one = notifier(hook, timeout_s=5)
    began = time.monotonic()
    one.post("x")
    assert time.monotonic() - began < 1
    one.join(0.05)
    assert one.pending
    hook.answers = [200]
    hook.release.set()
    one.join(10)
    assert [each.ok for each in one.deliveries] == [True]
    assert not one.pending


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T/B/x", "https://hooks.slack.com/…"),
        ("https://me:pw@chat.example:8443/h?k=1#f", "https://chat.example:8443/…"),
        ("http://localhost:1/x", "http://localhost:1/…"),
        ("http://[::1]:1/x", "http://[::1]:1/…"),
    ],
)
def test_what_is_shown(url: str, shown: str) -> None:
    """The host, and no more."""
    assert shown_url(url) == shown
    assert shown in repr(Notifier(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/s3cret",
        "http://127.0.0.1.evil.example/s3cret",
        "ftp://hooks.example/s3cret",
        "hooks.example/s3cret",
        "https:///s3cret",
        "https://[s3cret",
        "https://h:port/s3cret",
        "https://hooks.example/s3 cret",
        "https://hooks.example/\ns3cret",
        "https://good.example\\@evil.example/s3cret",
        "https://hooks.\u202eexample/s3cret",
        "https://hooks.example\x7f/s3cret",
        "",
    ],
)
def test_what_is_refused(url: str) -> None:
    """Only https, only whole addresses; the error does not repeat them."""
    with pytest.raises(KeepaliveOptionError) as caught:
        shown_url(url)
    assert "s3" not in str(caught.value)
