"""Requests to the page and its replies; the contract is in the README of this double.

Without a kernel `page` answers instead of a front end.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING, Any

from . import errors

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 0.025
_ids = itertools.count(1)
_NOT_READY = object()

#: Answers ``(kind, body)`` with ``{"data": …}``, ``{"error": …}`` or None for silence.
page: Callable[[str, dict[str, Any]], dict[str, Any] | None] | None = None
#: What the page has been asked, where there is no kernel.
asked: list[tuple[str, dict[str, Any]]] = []
#: Whether the last request that waits got a reply; the real package cannot tell.
answered = False
_waiting: dict[int, dict[str, Any]] = {}


class MessageError(errors.Error):
    """The page answered with an error."""


def _kernel() -> Any:  # noqa: ANN401 (ipykernel's)
    from IPython import get_ipython

    return get_ipython().kernel


def send_request(
    request_type: str,
    request_body: dict[str, Any],
    parent: dict[str, Any] | None = None,
    *,
    expect_reply: bool = True,
) -> int | None:
    """Send a request to the page and return its id, if a reply is expected."""
    metadata: dict[str, Any] = {"colab_request_type": request_type}
    request_id = None
    if expect_reply:
        request_id = metadata["colab_msg_id"] = next(_ids)
    if page is not None:
        asked.append((request_type, request_body))
        reply = page(request_type, request_body)
        if reply is not None and request_id is not None:
            _waiting[request_id] = {
                "type": "colab_reply",
                "colab_msg_id": request_id,
                **reply,
            }
        return request_id
    kernel = _kernel()
    if parent is None:  # for routing only
        cell = kernel.get_parent("shell")
        parent = {"header": {"session": cell["header"]["session"]}}
    kernel.session.send(
        kernel.iopub_socket,
        "colab_request",
        {"request": request_body},
        metadata=metadata,
        parent=parent,
    )
    return request_id


def read_reply_from_input(message_id: int, timeout_sec: float | None = None) -> Any:  # noqa: ANN401
    """Wait for a reply; None when the time is over. Whatever else comes is lost.

    As in the real package no time limit, and a limit of 0, wait for ever.
    """
    global answered  # noqa: PLW0603 (as the real package keeps its counter)
    answered = False
    end = time.time() + timeout_sec if timeout_sec else None
    while end is None or time.time() < end:
        reply = _next_value(message_id)
        if reply is _NOT_READY or not isinstance(reply, dict):
            time.sleep(POLL_S)
            continue
        if (
            reply.get("type") == "colab_reply"
            and reply.get("colab_msg_id") == message_id
        ):
            answered = True
            if "error" in reply:
                raise MessageError(reply["error"])
            return reply.get("data")
    return None


def _next_value(message_id: int) -> Any:  # noqa: ANN401 (whatever the page sends)
    """Return what came in on the channel for input, if something did."""
    if page is not None:
        return _waiting.pop(message_id, _NOT_READY)
    import zmq

    kernel = _kernel()
    reply = None
    with contextlib.suppress(Exception):  # as there: an invalid message is none
        _, reply = kernel.session.recv(kernel.stdin_socket, zmq.NOBLOCK)
    if reply is None:
        return _NOT_READY
    return reply.get("content", {}).get("value", "")


def blocking_request(
    request_type: str,
    request: dict[str, Any],
    timeout_sec: float | None = 5,
    parent: dict[str, Any] | None = None,
) -> Any:  # noqa: ANN401
    """Send a request and wait for its answer."""
    request_id = send_request(request_type, request, parent=parent)
    assert request_id is not None
    return read_reply_from_input(request_id, timeout_sec)
