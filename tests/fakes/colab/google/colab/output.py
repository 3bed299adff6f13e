"""JavaScript in the page, callbacks from it, and what takes outputs away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _message

if TYPE_CHECKING:
    from collections.abc import Callable

_callbacks: dict[str, Callable[..., Any]] = {}


def eval_js(
    script: str, *, ignore_result: bool = False, timeout_sec: float | None = None
) -> Any:  # noqa: ANN401
    """Run JavaScript in the page; without a time limit this may never end."""
    kind, body = "cell_javascript_eval", {"script": script}
    parent = None if _message.page else _message._kernel().get_parent("shell")
    if ignore_result:
        _message.send_request(kind, body, parent, expect_reply=False)
        return None
    return _message.blocking_request(kind, body, timeout_sec, parent)


def register_callback(name: str, function: Callable[..., Any]) -> None:
    """Let the page call a function, by way of the shell channel."""
    _callbacks[name] = function


def _invoke_function(name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    """Do what the page's ``invokeFunction`` asks for."""
    return _callbacks[name](*args, **kwargs)


def clear(*, wait: bool = False, output_tags: str | None = None) -> None:
    """Take outputs with a tag away."""
    if _message.page is not None:
        return
    kernel = _message._kernel()
    tags = [] if output_tags is None else [output_tags]
    kernel.session.send(
        kernel.iopub_socket,
        "clear_output",
        {"wait": wait, "output_tags": tags},
        parent=kernel.get_parent("shell"),
    )
