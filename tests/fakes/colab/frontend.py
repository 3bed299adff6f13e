"""A front end that behaves like Colab's towards a real kernel.

It runs cells, and answers the requests that the kernel sends to the page; how, its
`pages` say. The message contract is in README.md.
"""

from __future__ import annotations

import contextlib
import queue
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.colab.pages import Page, Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.kernel.support import Kernel

POLL_S = 0.01
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class CellResult:
    """What came out of one cell."""

    status: str = ""
    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    error: tuple[str, str] | None = None
    traceback: list[str] = field(default_factory=list)
    displays: list[dict[str, Any]] = field(default_factory=list)
    cleared: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def shown(self) -> str:
        """Everything that a person can read."""
        parts = [self.stdout, self.stderr, self.value or "", *self.traceback]
        parts += [one["data"].get("text/plain", "") for one in self.displays]
        return _ANSI.sub("", "\n".join(parts))


class FrontEnd:
    """Colab's page for a kernel that runs.

    Parameters
    ----------
    kernel
        The kernel; its other users wait meanwhile.
    page
        Answers its requests; can be exchanged at any time.
    typed
        What the user types, in order, when a cell asks for input.
    """

    def __init__(
        self, kernel: Kernel, page: Page | None = None, *, typed: Iterable[str] = ()
    ) -> None:
        self.kernel = kernel
        self.client = kernel._client
        self.page = page or Page()
        self.requests: list[Request] = []
        self.typed = list(typed)
        self.shell_replies: dict[str, tuple[float, dict[str, Any]]] = {}
        self._results: dict[str, CellResult] = {}
        self._idle: set[str] = set()

    def execute(self, code: str, timeout_s: float = 60.0) -> CellResult:
        """Run a cell to its end and return what came out.

        Raises
        ------
        TimeoutError
            The cell is not done in time. It still runs: call `interrupt`.
        """
        started = time.monotonic()
        message_id = self.start(code)
        result = self._results[message_id]
        while message_id not in self._idle or message_id not in self.shell_replies:
            if time.monotonic() - started > timeout_s:
                raise TimeoutError(f"the cell still runs after {timeout_s} s")
            self._step()
        result.seconds = time.monotonic() - started
        result.status = self.shell_replies[message_id][1]["status"]
        return result

    def start(self, code: str) -> str:
        """Send a cell without waiting and return its message id."""
        # With stop_on_error a kernel gives up what comes within a moment of a failure:
        # the next cell of a test had then no output, one run in ten.
        message_id: str = self.client.execute(
            code, allow_stdin=True, stop_on_error=False
        )
        self._results[message_id] = CellResult()
        return message_id

    def evaluate(self, expression: str) -> str:
        """Ask for the value of an expression, as a button in an output does.

        The request goes through the shell channel, so the kernel answers when
        the running cell is done. Returns a message id for `shell_replies`.
        """
        message_id: str = self.client.execute(
            "", silent=True, store_history=False, user_expressions={"value": expression}
        )
        return message_id

    def pump(self, seconds: float) -> None:
        """Serve the kernel for a while, for example while it is idle."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._step()

    def finish(self, message_id: str, timeout_s: float = 60.0) -> CellResult:
        """Wait for the end of a cell that `start` sent."""
        end = time.monotonic() + timeout_s
        while message_id not in self._idle or message_id not in self.shell_replies:
            assert time.monotonic() < end, "the cell did not end"
            self._step()
        result = self._results[message_id]
        result.status = self.shell_replies[message_id][1]["status"]
        return result

    def interrupt(self) -> None:
        """Send the kernel an interrupt."""
        self.kernel.interrupt()

    def of_kind(self, kind: str) -> list[Request]:
        """Return the requests of one kind so far."""
        return [request for request in self.requests if request.kind == kind]

    def _step(self) -> None:
        """Handle at most one output message, and all replies that wait."""
        with contextlib.suppress(queue.Empty):
            self._on_output(self.client.get_iopub_msg(timeout=POLL_S))
        with contextlib.suppress(queue.Empty):
            while True:
                message = self.client.get_shell_msg(timeout=0)
                message_id = message["parent_header"].get("msg_id", "")
                self.shell_replies[message_id] = (time.monotonic(), message["content"])
        with contextlib.suppress(queue.Empty):
            while True:
                self.client.get_stdin_msg(timeout=0)
                self.client.input(self.typed.pop(0) if self.typed else "")

    def _on_output(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        parent_id = message["parent_header"].get("msg_id", "")
        if kind == "colab_request":
            self._on_request(message)
            return
        if kind == "status" and content["execution_state"] == "idle":
            self._idle.add(parent_id)
        result = self._results.get(parent_id)
        if result is not None:
            _note(result, kind, content)

    def _on_request(self, message: dict[str, Any]) -> None:
        metadata = message["metadata"]
        request = Request(
            kind=metadata["colab_request_type"],
            body=message["content"]["request"],
            metadata=metadata,
            parent_header=message["parent_header"],
        )
        self.requests.append(request)
        answer = self.page.answer(request)
        if answer is None or not request.wants_reply:
            return
        value = {
            "type": "colab_reply",
            "colab_msg_id": metadata["colab_msg_id"],
            **answer.content(),
        }
        reply = self.client.session.msg("input_reply", {"value": value})
        self.client.stdin_channel.send(reply)


def _note(result: CellResult, kind: str, content: dict[str, Any]) -> None:
    """Note one output of a cell."""
    if kind == "stream":
        name = content["name"]
        setattr(result, name, getattr(result, name) + content["text"])
    elif kind in {"execute_result", "display_data", "update_display_data"}:
        if kind == "execute_result":
            result.value = content["data"].get("text/plain")
        result.displays.append(
            {"data": content["data"], "metadata": content["metadata"]}
        )
    elif kind == "clear_output":
        result.cleared.append(content)
    elif kind == "error":
        result.error = (content["ename"], content["evalue"])
        result.traceback = content["traceback"]
