"""Real kernels for tests: start one, run cells in it, read what a front end would get."""

from __future__ import annotations

import dataclasses
import os
import queue
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

ROOT = Path(__file__).parents[2]

# The kernels that tests run in, by name. COLABMAGIC_TEST_KERNELS adds or replaces some:
# "name=/path/to/python,other=/path".
INTERPRETERS: dict[str, Path] = {
    "default": Path(sys.executable),
    ".venv-old": ROOT / ".venv-old" / "bin" / "python",
    ".venv-colab": ROOT / ".venv-colab" / "bin" / "python",
}
for _pair in filter(None, os.environ.get("COLABMAGIC_TEST_KERNELS", "").split(",")):
    _name, _, _path = _pair.partition("=")
    INTERPRETERS[_name] = Path(_path)

TIMEOUT_S = 60.0
_OUTPUTS = frozenset({"stream", "error", "execute_result", "display_data"})
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def ours(text: str) -> list[str]:
    """Return the lines that show a frame of ours; the checkout may lie in any folder.

    Parameters
    ----------
    text
        What a person reads.
    """
    folders = (str(ROOT), str(ROOT).replace(str(Path.home()), "~", 1))
    lines = text.splitlines()
    for folder in folders:
        lines = [line.replace(folder, "") for line in lines]
    return [line for line in lines if "colabmagic" in line]


@dataclasses.dataclass
class Reply:
    """What a front end gets for one cell."""

    status: str
    ename: str
    evalue: str
    traceback: str  # in the reply, for programs; a person sees `errors`
    execution_count: int | None
    outputs: list[dict[str, Any]]
    displays: list[str]  # what was displayed and what was put in its place, as text

    def _text(self, stream: str) -> str:
        return "".join(
            output["text"] for output in self.outputs if output.get("name") == stream
        )

    @property
    def stdout(self) -> str:
        """What the cell wrote to stdout."""
        return _ANSI.sub("", self._text("stdout"))

    @property
    def stderr(self) -> str:
        """What the cell wrote to stderr."""
        return _ANSI.sub("", self._text("stderr"))

    @property
    def errors(self) -> list[str]:
        """The error outputs, each as plain text."""
        return [
            _ANSI.sub("", "\n".join(output["traceback"]))
            for output in self.outputs
            if output["type"] == "error"
        ]

    @property
    def results(self) -> list[str]:
        """The values shown with ``Out[n]``, as plain text."""
        return [
            output["data"]["text/plain"]
            for output in self.outputs
            if output["type"] == "execute_result"
        ]

    @property
    def shown(self) -> str:
        """Everything that a person can read."""
        return "\n".join([self.stdout, self.stderr, *self.results, *self.errors])


def _answer(answer: str | Callable[[str], str], outputs: list[dict[str, Any]]) -> str:
    """Return what a person types, who has read what was printed."""
    if not callable(answer):
        return answer
    return answer("".join(each.get("text", "") for each in outputs))


class Kernel:
    """A kernel in a process of its own, with an empty profile.

    Parameters
    ----------
    python
        The interpreter; it needs ipykernel, and finds colabmagic in this checkout.
    """

    def __init__(self, python: Path | str) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="kernel-"))
        self._manager = KernelManager()
        # Given by hand: nothing has to be installed into the interpreter.
        self._manager._kernel_spec = KernelSpec(
            argv=[str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name=str(python),
            language="python",
        )
        self._manager.connection_file = str(self._home / "connection.json")
        self._client: Any = None
        self.count = 0

    def __enter__(self) -> Self:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(
                ("PYTHON", "JUPYTER", "JPY", "IPYTHON", "VIRTUAL_ENV")
            )
        } | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "kernel")]),
            "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "pycache"),
            "IPYTHONDIR": str(self._home / "ipython"),
            "JUPYTER_CONFIG_DIR": str(self._home / "config"),
            "OMP_NUM_THREADS": "1",
        }
        self._manager.start_kernel(env=environment, cwd=str(self._home))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        try:
            self._client.wait_for_ready(timeout=TIMEOUT_S)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and what belongs to it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
        self._client.context.destroy(linger=0)
        shutil.rmtree(self._home, ignore_errors=True)

    def run(
        self,
        code: str,
        *,
        silent: bool = False,
        interrupt_at: str | None = None,
        answers: tuple[str | Callable[[str], str], ...] = (),
        timeout_s: float = TIMEOUT_S,
    ) -> Reply:
        """Run a cell as a front end does.

        Parameters
        ----------
        code
            The cell.
        silent
            Ask the kernel for a silent run.
        interrupt_at
            Send SIGINT when this text has been printed.
        answers
            What a person types where the cell asks for input; a function gets what is
            printed by then.
        timeout_s
            Fail after so many seconds.
        """
        client = self._client
        # Cells that follow at once would be given up after an error; tests go on.
        request = client.execute(
            code, silent=silent, allow_stdin=bool(answers), stop_on_error=False
        )
        left, asked = list(answers), False
        outputs: list[dict[str, Any]] = []
        displays: list[str] = []
        end = time.monotonic() + timeout_s
        while True:
            assert time.monotonic() < end, f"the cell did not end: {code}"
            asked = asked or bool(left and self._asked())
            try:
                message = client.get_iopub_msg(timeout=0.1)
            except queue.Empty:  # all that was printed before the question is here
                if asked:
                    client.input(_answer(left.pop(0), outputs))
                    asked = False
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            if kind in _OUTPUTS:
                outputs.append({"type": kind, **content})
            if kind in {"display_data", "update_display_data"}:
                displays.append(content["data"].get("text/plain", ""))
            if interrupt_at is not None and interrupt_at in content.get("text", ""):
                interrupt_at = None
                time.sleep(0.2)  # until the printing is over, and the next step runs
                self.interrupt()
        return self._reply(request, outputs, displays)

    def _asked(self) -> bool:
        """Tell whether the kernel waits for input."""
        try:
            self._client.get_stdin_msg(timeout=0.05)
        except queue.Empty:
            return False
        return True

    def _reply(
        self, request: str, outputs: list[dict[str, Any]], displays: list[str]
    ) -> Reply:
        """Read the reply to a request."""
        content = self._shell_reply(request)
        self.count = content.get("execution_count") or self.count
        return Reply(
            status=content["status"],  # "aborted": a cell before it failed
            ename=content.get("ename", ""),
            evalue=content.get("evalue", ""),
            traceback=_ANSI.sub("", "\n".join(content.get("traceback", []))),
            execution_count=content.get("execution_count"),
            outputs=outputs,
            displays=displays,
        )

    def _shell_reply(self, request: str) -> dict[str, Any]:
        """Wait for the reply to a request; return its content."""
        while True:
            message = self._client.get_shell_msg(timeout=TIMEOUT_S)
            if message["parent_header"].get("msg_id") == request:
                content: dict[str, Any] = message["content"]
                return content

    def run_all(self, *cells: str) -> list[str]:
        """Queue cells as "Run all" does; return the status of each."""
        requests = [self._client.execute(cell) for cell in cells]
        statuses = [self._reply(request, [], []).status for request in requests]
        while self.run("pass").status == "aborted":  # it gives up cells for a while
            time.sleep(0.05)
        return statuses

    def help(self, question: str) -> str:
        """Return what the pager would show for a question like ``%magic?``."""
        request = self._client.execute(question)
        content = self._shell_reply(request)
        assert content["status"] == "ok", content
        pages = [part["data"]["text/plain"] for part in content["payload"]]
        return _ANSI.sub("", "\n".join(pages))

    def value(self, expression: str, before: str = "") -> Any:  # noqa: ANN401 (a literal)
        """Return the value of an expression, by way of its repr."""
        import ast

        reply = self.run(f"{before}\nprint('VALUE', repr(({expression})))")
        assert reply.status == "ok", reply.shown
        return ast.literal_eval(reply.stdout.partition("VALUE ")[2])

    def complete(self, code: str) -> tuple[list[str], int, int]:
        """Ask what Tab would offer at the end of a text."""
        request = self._client.complete(code, len(code))
        content = self._shell_reply(request)
        return content["matches"], content["cursor_start"], content["cursor_end"]

    def interrupt(self) -> None:
        """Send SIGINT, as the front end's stop button does."""
        self._manager.interrupt_kernel()
