"""Connections that another thread cuts."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests
from urllib3 import HTTPSConnectionPool, PoolManager

from colabmagic.drive.api.lines import Adapter, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("by_proxy", [False, True])
def test_who_waits_for_an_answer_is_woken(*, by_proxy: bool) -> None:
    """Also where the connection leads to a proxy; later requests open others."""
    lines, failed = Lines(), []
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        requests.Session() as session,
    ):
        session.trust_env = False
        session.mount("http://", Adapter(lines))
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        if by_proxy:
            session.proxies = {"http": address}

        def ask() -> None:
            url = "http://drive.example/" if by_proxy else address
            try:
                session.get(url, timeout=20)
            except requests.ConnectionError as error:
                failed.append(error)

        for number in range(2):
            asking = threading.Thread(target=ask)
            asking.start()
            accepted, _ = server.accept()
            with accepted:
                assert accepted.recv(9999)
                began = time.monotonic()
                lines.cut()
                asking.join()
            assert time.monotonic() - began < 1
            assert len(failed) == number + 1


@contextlib.contextmanager
def nobody_accepts() -> Iterator[str]:
    """Yield an address where connecting takes until it times out: the queue is full."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 (of the library)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.skipif(sys.platform != "linux", reason="a queue that is full, on Linux")
@pytest.mark.parametrize("by_proxy", [False, True])
def test_who_connects_is_woken(*, by_proxy: bool) -> None:
    """Nobody answers at all: the time-out is not waited for."""
    lines, failed = Lines(), []
    with nobody_accepts() as place, requests.Session() as session:
        session.trust_env = False
        session.mount("http://", Adapter(lines))
        if by_proxy:
            session.proxies = {"http": f"http://{place}"}

        def ask() -> None:
            url = "http://drive.example/" if by_proxy else f"http://{place}"
            try:
                session.get(url, timeout=20)
            except requests.ConnectionError as error:
                failed.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        began = time.monotonic()
        while asking.is_alive() and time.monotonic() - began < 10:
            lines.cut()  # again and again: it may not have begun
            asking.join(0.05)
        assert time.monotonic() - began < 5
        asking.join()
    assert len(failed) == 1


def test_who_encrypts_is_woken() -> None:
    """The other side is there, and says nothing while keys are agreed upon."""
    lines, failed = Lines(), []
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        requests.Session() as session,
    ):
        session.trust_env = False
        session.mount("https://", Adapter(lines))

        def ask() -> None:
            try:
                session.get(f"https://127.0.0.1:{server.getsockname()[1]}", timeout=20)
            except requests.ConnectionError as error:
                failed.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(9999)  # its first message
            began = time.monotonic()
            lines.cut()
            asking.join()
        assert time.monotonic() - began < 5
    assert len(failed) == 1


def test_who_asks_for_an_address_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server of names answers; nor is it waited for longer than for a connection."""
    asked, over, failed = threading.Event(), threading.Event(), []

    def silent(*_: object, **_options: object) -> list[object]:
        asked.set()
        over.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    lines = Lines()
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", Adapter(lines))

        def ask(seconds: float) -> None:
            try:
                session.get("http://drive.example/", timeout=seconds)
            except requests.ConnectionError as error:
                failed.append(error)

        try:
            asking = threading.Thread(target=ask, args=(20,))
            asking.start()
            assert asked.wait(10)
            began = time.monotonic()
            lines.cut()
            asking.join()
            ask(0.2)
            assert time.monotonic() - began < 5
        finally:
            over.set()
    assert [type(each) for each in failed] == [
        requests.ConnectionError, requests.ConnectTimeout,
    ]  # fmt: skip


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host may have an address that does not answer, and one that does."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        requests.Session() as session,
    ):
        port = server.getsockname()[1]
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        two = [(*kind, ("127.0.0.1", 1)), (*kind, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: two)
        session.trust_env = False
        session.mount("http://", Adapter(Lines()))

        def serve() -> None:
            accepted, _ = server.accept()
            with accepted:
                accepted.recv(9999)
                accepted.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        serving = threading.Thread(target=serve)
        serving.start()
        assert session.get("http://drive.example/", timeout=10).status_code == 204
        serving.join()


def test_a_socks_proxy_keeps_its_own_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ours would lead to Google directly, round the proxy."""

    def manager(_: str, **_options: object) -> PoolManager:
        made = PoolManager()  # the real one wants a package that may be absent
        made.pool_classes_by_scheme = {"https": HTTPSConnectionPool}
        return made

    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", manager)
    found = Adapter(Lines()).proxy_manager_for("socks5h://127.0.0.1:1080")
    assert found.pool_classes_by_scheme == {"https": HTTPSConnectionPool}


def test_there_may_be_nothing_to_cut() -> None:
    """Neither before the first request nor after a connection was closed."""
    lines = Lines()
    lines.cut()
    one, other = socket.socketpair()
    lines.note(one)
    lines.note(None)
    one.close()
    other.close()
    lines.cut()
