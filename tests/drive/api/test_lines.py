"""Connections that another thread cuts."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import requests

from colabmagic.drive.api.lines import Adapter, Lines


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
