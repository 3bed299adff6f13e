"""A CONNECT proxy that leads every host to the fake, for clients such as rclone.

rclone has no option for Drive's address, but it obeys ``HTTPS_PROXY`` and
``--ca-cert``. Nothing leaves the loopback interface. Needs ``trustme``.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = ("www.googleapis.com", "oauth2.googleapis.com", "accounts.google.com")


def tls_context(ca_file: Path) -> ssl.SSLContext:
    """Return a server context for Google's host names; write its CA to a file."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS, "localhost", "127.0.0.1").configure_cert(context)
    return context


class ConnectProxy:
    """An HTTP CONNECT proxy on loopback; use as a context manager."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[str] = []
        self._tunnels: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Start accepting."""
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop accepting: a waiting `accept` does not notice that its socket is closed."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # where that wakes nobody
            socket.create_connection(self._listener.getsockname(), 1).close()
        self._listener.close()
        self._thread.join()
        for each in self._tunnels:
            each.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            tunnel = threading.Thread(target=self._tunnel, args=(client,), daemon=True)
            self._tunnels.append(tunnel)
            tunnel.start()

    def _tunnel(self, client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(4096)
                if not data:
                    return
                head += data
            self.asked.append(head.split(b"\r\n", 1)[0].decode())
            with socket.create_connection(self._target) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                up = threading.Thread(target=_pump, args=(client, server), daemon=True)
                up.start()
                _pump(server, client)
                up.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy bytes until one side closes."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
