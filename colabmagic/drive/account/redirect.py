"""The port to which the browser comes back after consent."""

from __future__ import annotations

import os
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from colabmagic.drive.account.tokens import Hidden
from colabmagic.drive.errors import LoginFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

_HOST: Final = "127.0.0.1"
_HTTP_PORT: Final = 80
_TURN_S: Final = 0.5  # how long an interrupt may have to wait
_SILENT_S: Final = 1.0  # browsers open connections in advance, and say nothing
_PAGE: Final = (
    "<!doctype html><meta charset=utf-8><title>colabmagic</title>"
    "<p style='font:1.2em sans-serif'>{}</p>"
)
_DONE: Final = _PAGE.format("You can close this page, and go back to the notebook.")
_OTHER: Final = _PAGE.format(
    "This page is of another login. Open the newest address that was shown."
)


class Redirect:
    """Listens for the browser; a context manager.

    Parameters
    ----------
    uri
        What the client is bound to; None: any port will do.
    port
        The port that the user wants; 0: any.

    Raises
    ------
    LoginFailedError
        The port is taken.
    """

    def __init__(self, uri: str | None, port: int = 0) -> None:
        parts = urlsplit(uri or f"http://{_HOST}:{port}/")
        wanted = (parts.port or _HTTP_PORT) if uri else port
        taken = ""
        try:
            self._server = _Server((_HOST, wanted), _Handler)
        except OSError as error:
            taken = error.strerror or type(error).__name__
        if taken:
            raise LoginFailedError(
                f"the browser cannot come back: port {wanted} is not free",
                seen=taken,
                hint="end the program that uses it; a client for “Desktop app” can use "
                "any other port",
            )
        self._server.path = parts.path or "/"
        self.uri = uri or f"http://{_HOST}:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self._server.server_close()

    def next(
        self, accepts: Callable[[Hidden], bool], timeout_s: float
    ) -> Hidden | None:
        """Return the answer that a browser brings; None if it did not in this time.

        Parameters
        ----------
        accepts
            Tells whether an answer is the right one.
        timeout_s
            How long to wait.
        """
        server = self._server
        server.accepts, server.timeout = accepts, timeout_s
        server.handle_request()
        return server.answer

    @property
    def strangers(self) -> int:
        """Return how many answers of other logins came."""
        return self._server.strangers


def wait_for_redirect(
    redirect: Redirect, accepts: Callable[[Hidden], bool], timeout_s: float
) -> Hidden:
    """Return the answer that belongs to this login.

    An answer of another one does not end the waiting: else any page in the browser could
    end it.

    Parameters
    ----------
    redirect
        Where it comes.
    accepts
        Tells whether an answer is the right one.
    timeout_s
        How long to wait.

    Raises
    ------
    LoginFailedError
        It did not come.
    """
    end = time.monotonic() + timeout_s
    while (left := end - time.monotonic()) > 0:
        answer = redirect.next(accepts, min(left, _TURN_S))
        if answer is not None:
            return answer
    count = redirect.strangers
    raise LoginFailedError(
        f"no browser came back within {timeout_s:.0f} s",
        seen=f"{count} answers of another login (wrong state)" if count else "nothing",
        hint="python -m colabmagic drive login --client client.json --no-browser\n"
        "where your browser is on another machine; else allow Drive on Google's page sooner",
    )


class _Server(HTTPServer):
    """Remembers the answer."""

    # At once again after a login that went wrong; where the system would let two programs
    # listen at one port, not.
    allow_reuse_address = os.name == "posix"
    allow_reuse_port = False
    path = "/"
    answer: Hidden | None = None
    strangers = 0
    accepts: Callable[[Hidden], bool]

    def server_bind(self) -> None:
        """Bind without asking a name server what this machine is called."""
        super(HTTPServer, self).server_bind()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Stay silent: a browser that goes away is no matter."""


class _Handler(BaseHTTPRequestHandler):
    """Takes one request of the browser."""

    server: _Server
    timeout = _SILENT_S

    def do_GET(self) -> None:
        """Take the answer out of the address."""
        parts = urlsplit(self.path)
        answer = Hidden(
            {name: values[0] for name, values in parse_qs(parts.query).items()}
        )
        if parts.path != self.server.path or not {"code", "error"} & answer.keys():
            self._reply(404, _OTHER)  # a little picture for the tab, or a scan
        elif not self.server.accepts(answer):
            self.server.strangers += 1
            self._reply(400, _OTHER)
        else:
            self.server.answer = answer
            self._reply(200, _DONE)

    def _reply(self, status: int, page: str) -> None:
        """Show a page."""
        data = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Stay silent: the address holds the code."""
