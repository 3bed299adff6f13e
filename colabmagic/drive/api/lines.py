"""Connections that can be cut while another thread waits for what comes over them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

_CONNECTIONS: Final = 32  # kept open by a session
_TICK_S: Final = 0.1
_NAME_S: Final = 30.0  # for the address of a host, where no time is given
_SOCKS: Final = "socks"  # proxies whose connections urllib3 opens in a way of its own


class Lines:
    """The connections of a transport, open ones and those that are being opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.cuts = 0

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

    def opening(self, opened: socket.socket) -> socket.socket:
        """Return a second handle of a socket that is being connected, and remember that.

        A lock-up in the handshake of TLS can be ended by it too: the socket itself is
        taken away by what encrypts it.

        Parameters
        ----------
        opened
            Whoever has opened it closes the handle when all is settled.
        """
        handle = opened.dup()
        self.note(handle)
        return handle

    def cut(self) -> None:
        """End all connections; who opens one, or reads from it, finds it broken at once."""
        with self._lock:
            self.cuts += 1
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

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401
        """Make what opens connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith(_SOCKS):  # ours would go round such a proxy
            manager.pool_classes_by_scheme = self._kinds
        return manager


def have_known(session: requests.Session, lines: Lines) -> None:
    """Have the connections of a session known.

    Parameters
    ----------
    session
        It has opened none yet.
    lines
        Is told of them.
    """
    adapter = Adapter(lines, pool_maxsize=_CONNECTIONS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)


class _Opening(HTTPConnection):
    """A connection whose socket is known from the first moment on."""

    lines: Lines
    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        """Open the socket; the errors are those of urllib3's own."""
        try:
            return self._opened()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} timed out") from error
        except OSError as error:
            told = f"Failed to establish a new connection: {error}"
            raise NewConnectionError(self, told) from error

    def _opened(self) -> socket.socket:
        """Try one address of the host after the other, until it is cut."""
        cuts, failed = self.lines.cuts, OSError("no address")
        for *kind, _, address in self._addresses(cuts):
            try:
                opened = socket.socket(*kind)
            except OSError as error:  # of a family that this machine has not
                failed = error
                continue
            try:
                self._begin(opened)
                opened.connect(address)
            except OSError as error:
                opened.close()
                failed = error
            else:
                return opened
            if self.lines.cuts != cuts:
                break
        raise failed

    def _addresses(self, cuts: int) -> list[Any]:
        """Ask for the addresses of the host: in another thread, for nothing ends that."""
        host = getattr(self, "_dns_host", self.host).strip("[]")
        answer: Future[list[Any]] = Future()

        def ask() -> None:
            try:
                found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
            except Exception as error:  # noqa: BLE001 (raised again by who waits)
                answer.set_exception(error)
            else:
                answer.set_result(found)

        threading.Thread(target=ask, name="colabmagic-drive-name", daemon=True).start()
        end = time.monotonic() + (self._seconds() or _NAME_S)
        while not wait([answer], _TICK_S).done:
            if self.lines.cuts != cuts:
                raise ConnectionResetError("cut")
            if time.monotonic() > end:
                raise TimeoutError("no answer to the question for its address")
        return answer.result()

    def _seconds(self) -> float | None:
        """Return how long opening may take; None where that is not said."""
        return self.timeout if isinstance(self.timeout, int | float) else None

    def _begin(self, opened: socket.socket) -> None:
        """Set a socket up as urllib3 does, and have it known."""
        for option in self.socket_options or ():
            opened.setsockopt(*option)
        if self.timeout is None or isinstance(self.timeout, int | float):
            opened.settimeout(self.timeout)  # else the default one is left as it is
        if self.source_address:
            opened.bind(self.source_address)
        self._settle()
        self._handle = self.lines.opening(opened)

    def _settle(self) -> None:
        """Close the second handle."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def watch(self, connect: Callable[[], None]) -> None:
        """Connect; from then on the socket itself is known."""
        try:
            connect()
        finally:
            self._settle()
        self.lines.note(self.sock)


def _pools(lines: Lines) -> dict[str, type[Any]]:
    """Return the pools for each scheme, of connections that are noted."""
    ours = lines

    class Plain(_Opening):
        lines = ours

        def connect(self) -> None:
            self.watch(super().connect)

    class Encrypted(_Opening, HTTPSConnection):
        lines = ours

        def connect(self) -> None:
            self.watch(super().connect)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}
