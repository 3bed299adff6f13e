"""The beat as a message, the cells that count as work, and the one status line.

A beat is a message of a kind that no front end shows, without a parent: Jupyter's server
counts every message of a kernel as activity. It leaves the kernel from our thread, also
while a cell runs. The status line is an output that is written anew when the state is
another one, and never by a beat.
"""

from __future__ import annotations

import contextlib
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from IPython.display import display

from colabmagic.keepalive import service
from colabmagic.keepalive.activity import activity
from colabmagic.report.html import escape
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

MESSAGE: Final = "colabmagic_heartbeat"
_LEAVING: Final = "leaving"
_RUN: Final = "run_cell_async"
_MOST: Final = 10  # lines below the status line
_OPEN: Final[list[StatusLine]] = []  # the one that is kept up to date, or nothing


def sender(shell: InteractiveShell) -> Callable[[], None]:
    """Return what sends one beat; any thread may call it.

    Parameters
    ----------
    shell
        A kernel's.
    """
    kernel: Any = shell.kernel  # type: ignore[attr-defined]

    def send() -> None:
        kernel.session.send(kernel.iopub_socket, MESSAGE, {}, ident=MESSAGE.encode())

    return send


class StatusLine:
    """The status line of one ``%keepalive``, and its hooks.

    Parameters
    ----------
    shell
        The shell whose cells count as work.
    short
        What goes behind the line, in this place.
    """

    def __init__(self, shell: InteractiveShell, short: str) -> None:
        self._shell, self._short = shell, short
        self._id = f"colabmagic-keepalive-{uuid.uuid4().hex}"
        self._publisher: Any = shell.display_pub
        self._parent: dict[str, Any] = {}
        self._lines: list[str] = []
        self._untold: list[str] = []
        self._has_rested = False
        self._hooks: dict[str, Callable[..., Any]] = {
            "pre_execute": self._cell_begins,
            "post_execute": self._cell_ends,
            "pre_run_cell": self._before_cell,
        }

    # --- its hooks --------------------------------------------------------------------

    def open(self) -> None:
        """Count cells as work from now on, this one too."""
        close()
        _OPEN[:] = [self]
        for event, hook in self._hooks.items():
            self._shell.events.register(event, hook)
        activity().cell_begins()

    def close(self) -> None:
        """Take the hooks back."""
        for event, hook in self._hooks.items():
            with contextlib.suppress(ValueError):  # it has gone already
                self._shell.events.unregister(event, hook)
        activity().cell_ends()

    def _cell_begins(self) -> None:
        """Note that a cell runs; one that rests goes on."""
        activity().cell_begins()  # first: a thread that ends just now looks once more
        status = service.status()
        if status.rests:
            service.resume()
            self.changed()
        elif not status.running and not self._untold:
            close()

    def _cell_ends(self) -> None:
        """Note that no cell runs, unless this one was run by another one."""
        frame = sys._getframe()  # noqa: SLF001 (no other way)
        while (frame := frame.f_back) is not None:  # type: ignore[assignment]
            if frame.f_code.co_name == _RUN:
                return
        activity().cell_ends()

    def _before_cell(self, info: Any) -> None:  # noqa: ANN401 (IPython's own object)
        """Tell at the top of a cell that a person runs what came before."""
        if getattr(info, "store_history", True):
            if service.status().phase == _LEAVING:
                service.keep()
            lines, self._untold = self._untold, []
            for line in lines:
                print(f"keepalive: {line}")  # noqa: T201 (in the cell that runs)

    # --- its text ---------------------------------------------------------------------

    def show(self) -> None:
        """Show it in the running cell."""
        self._parent = dict(getattr(self._publisher, "parent_header", None) or {})
        display(self._bundle(), raw=True, display_id=self._id)

    def tell(self, text: str) -> None:
        """Show a sentence below the line, and in the next cell; called in the thread.

        Parameters
        ----------
        text
            What happened.
        """
        line = f"{time.strftime('%H:%M:%S')} {clean(text)}"
        status = service.status()
        if not (status.rests and self._has_rested):  # not for each rest in a day
            self._untold.append(line)
        self._has_rested = self._has_rested or status.rests
        if status.running:  # else the line itself says it
            self._lines = [*self._lines, line][-_MOST:]
            self.changed()

    def changed(self) -> None:
        """Write the line anew."""
        session = getattr(self._publisher, "session", None)
        socket = getattr(self._publisher, "pub_socket", None)
        if session is None or socket is None or not self._parent:
            return
        content = {
            "data": self._bundle(),
            "metadata": {},
            "transient": {"display_id": self._id},
        }
        # A kernel that shuts down has closed its sockets: that spoils nobody's work.
        with contextlib.suppress(Exception):
            session.send(
                socket,
                "update_display_data",
                content,
                parent=self._parent,
                ident=self._publisher.topic,
            )

    def _bundle(self) -> dict[str, str]:
        """Return the line in the forms that front ends know."""
        status = service.status()
        line = status.headline
        if self._short and status.running:
            line = f"{line}; {self._short}"
        lines = [line, *(f"  {each}" for each in self._lines)]
        html = "".join(f"<div>{escape(each)}</div>" for each in lines)
        return {"text/plain": "\n".join(lines), "text/html": html}


def close() -> None:
    """Take back the hooks that are there."""
    for line in _OPEN:
        line.close()
    _OPEN.clear()


def write_anew() -> None:
    """Write the status line anew, where there is one."""
    for line in _OPEN:
        line.changed()
