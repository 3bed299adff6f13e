"""The port to which the browser comes back."""

from __future__ import annotations

import errno
import os
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from colabmagic.drive import errors
from colabmagic.drive.account.redirect import Redirect, wait_for_redirect

if TYPE_CHECKING:
    from collections.abc import Callable


def mine(answer: dict[str, Any]) -> bool:
    """Tell whether an answer is of this login."""
    return answer.get("state") == "s"


def visited(*paths: str) -> tuple[Any, list[requests.Response]]:
    """Return what comes of visits, one after the other, and the pages that are shown."""
    pages: list[requests.Response] = []
    with Redirect(None) as redirect:

        def browse() -> None:
            pages.extend(
                requests.get(redirect.uri + path, timeout=10) for path in paths
            )

        browser = threading.Thread(target=browse)
        browser.start()
        found = wait_for_redirect(redirect, mine, 20)
        browser.join()
    return found, pages


def test_the_answer_that_belongs_to_this_login() -> None:
    """What else comes before it is told so, and passed over."""
    found, pages = visited(
        "favicon.ico", "other/?code=c&state=s", "?state=s", "?code=x&state=t",
        "?code=c%2F1&state=s&scope=a",
    )  # fmt: skip
    assert found == {"code": "c/1", "state": "s", "scope": "a"}
    assert [page.status_code for page in pages] == [404, 404, 404, 400, 200]
    assert "go back to the notebook" in pages[-1].text
    assert "another login" in pages[-2].text


def test_a_no_is_an_answer() -> None:
    """It ends the waiting as a yes does."""
    found, pages = visited("?error=access_denied&state=s")
    assert found["error"] == "access_denied"
    assert pages[0].status_code == 200


def test_a_page_tells_nobody_the_code() -> None:
    """It is not kept by the browser, and what it was asked for is on no page."""
    _, (page,) = visited("?code=SECRET&state=s")
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "SECRET" not in page.text


def test_nothing_is_written_about_it(capfd: pytest.CaptureFixture[str]) -> None:
    """A server of Python's would print each address, with the code in it."""
    visited("?code=SECRET&state=s")
    assert capfd.readouterr() == ("", "")


def test_only_this_machine_is_listened_to() -> None:
    """At the port that was wanted, or at any; it is free afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Redirect(None, port) as redirect:
        assert redirect.uri == f"http://127.0.0.1:{port}/"
        with pytest.raises(
            errors.LoginFailedError, match=f"port {port} is not free"
        ) as caught:
            Redirect(None, port)
    assert caught.value.seen == os.strerror(errno.EADDRINUSE)
    with Redirect(f"http://localhost:{port}/back") as redirect:
        assert redirect.uri == f"http://localhost:{port}/back"
        listening = redirect._server.socket.getsockname()
    assert listening == ("127.0.0.1", port)


@pytest.mark.parametrize(
    ("visit", "seen"),
    [
        (lambda _: None, "nothing"),
        (lambda uri: requests.get(uri, timeout=5), "1 answers of an"),
    ],
    ids=["nobody", "a stranger"],
)
def test_nobody_comes_in_time(visit: Callable[[str], object], seen: str) -> None:
    """How many of other logins came is said: then another page is open still."""
    with Redirect(None) as redirect:
        stranger = threading.Thread(
            target=visit, args=(f"{redirect.uri}?code=c&state=t",)
        )
        stranger.start()
        with pytest.raises(errors.LoginFailedError, match="within 1 s") as caught:
            wait_for_redirect(redirect, mine, 0.6)
        stranger.join()
    assert str(caught.value.seen).startswith(seen)
    assert urlsplit(redirect.uri).hostname == "127.0.0.1"
