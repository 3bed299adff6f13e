"""Connections that can be cut while another thread waits for what comes over them."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Lines:
    """The open connections of a transport."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def note(self, opened: object) -> None:
        """Remember a socket for as long as somebody uses it.

        Parameters
        ----------
        opened
            Of a connection; through a proxy it may be of another kind, and is left alone.
        """
        if isinstance(opened, socket.socket):
            with self._lock:
                self._sockets.add(opened)

    def cut(self) -> None:
        """End all connections; who reads from one finds it broken at once."""
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            with contextlib.suppress(OSError):  # it is closed already
                # Not the method of an encrypted one, which would take away what its
                # reader uses.
                socket.socket.shutdown(each, socket.SHUT_RDWR)


class Adapter(HTTPAdapter):
    """Opens connections that `Lines` knows.

    Parameters
    ----------
    lines
        Is told of them.
    **options
        Of ``HTTPAdapter``.
    """

    def __init__(self, lines: Lines, **options: Any) -> None:  # noqa: ANN401 (of requests)
        self._kinds = _pools(lines)
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        """Make what opens connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._kinds

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Make what opens connections through a proxy."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._kinds
        return manager


def _pools(lines: Lines) -> dict[str, type[Any]]:
    """Return the pools for each scheme, of connections that are noted."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            lines.note(self.sock)

    class Encrypted(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            lines.note(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}
