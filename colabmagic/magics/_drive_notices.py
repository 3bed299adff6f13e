"""What the watcher of ``%mount_drive`` has to tell, from its thread to the user.

It comes twice: as a line in the next cell that runs, and in the output of the mount
itself. A thread never prints: that would land in whichever cell runs.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from colabmagic.magics._shown import send_update
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.drive.report import DriveReport, MountReport

_MOST: Final = 50
_KERNELS: Final = frozenset({"ipykernel", "google"})
_READERS: Final = frozenset(
    {"raw_input", "getpass", "_input_request", "_poll_process", "read_reply_from_input"}
)
_OPEN: Final[list[Notices]] = []  # those of the kernel's mount, or nothing


class Notices:
    """The notices of one mount.

    Parameters
    ----------
    shell
        The shell whose cells tell them.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.display_id = f"colabmagic-drive-{uuid.uuid4().hex}"
        self._shell = shell
        self._report: MountReport | None = None
        self._lock = threading.Lock()
        self._untold: list[str] = []
        self._told: list[str] = []
        # Under %%capture this is something without a session: nobody sees updates.
        self._publisher: Any = shell.display_pub
        self._parent = self._running_cell()

    def open(self) -> None:
        """Begin to tell before and after each cell."""
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_run_cell", self._after_cell)

    def close(self) -> None:
        """Take the hooks back; what is left is told now."""
        self._tell()
        hooks = {"pre_run_cell": self._before_cell, "post_run_cell": self._after_cell}
        for event, hook in hooks.items():
            with contextlib.suppress(ValueError):  # it has gone already
                self._shell.events.unregister(event, hook)

    def about(self, report: MountReport) -> None:
        """Name the report whose output is kept up to date."""
        self._report = report

    def is_about(self, report: object) -> bool:
        """Tell whether a report is that one."""
        return self._report is not None and self._report is report

    def notify(self, text: str) -> None:
        """Note what the watcher tells; called in its thread."""
        line = f"{time.strftime('%H:%M:%S')} {clean(text)}"
        with self._lock:
            self._untold.append(line)
            self._told = [*self._told, line][-_MOST:]
        self._update()

    def _before_cell(self, info: Any) -> None:  # noqa: ANN401 (IPython's own object)
        """Tell it at the top of a cell that a person runs."""
        if getattr(info, "store_history", True):
            self._tell()

    def _after_cell(self, _result: object) -> None:
        """Tell what came while the cell ran, and bring the mount's output up to date.

        Programs that run notebooks hear only the messages of the cell that they wait for.
        """
        if self._tell():
            current = self._running_cell()
            if current.get("msg_id") != self._parent.get("msg_id"):
                self._send(current)

    def _tell(self) -> bool:
        """Print what was not told yet; return whether there was something."""
        with self._lock:
            lines, self._untold = self._untold, []
        for line in lines:
            print(f"mount_drive: {line}")  # noqa: T201 (in the cell that runs)
        return bool(lines)

    def _running_cell(self) -> dict[str, Any]:
        """Return the header of the message that the kernel works on."""
        return dict(getattr(self._publisher, "parent_header", None) or {})

    def _update(self) -> None:
        """Put the notices into the output of the mount, whichever cell runs now."""
        self._send(self._parent)

    def _send(self, parent: dict[str, Any]) -> None:
        """Bring the mount's output up to date, in the name of a cell."""
        if self._report is not None:
            now = replace(self._report, events=tuple(self._told))
            data = {"text/plain": now.text, "text/html": now.html}
            send_update(self._publisher, self.display_id, data, parent)


def begin(notices: Notices) -> None:
    """Tell the notices of a new mount; those of the one before end.

    Parameters
    ----------
    notices
        Of the new mount.
    """
    close()
    notices.open()
    _OPEN[:] = [notices]


def close() -> None:
    """End the notices, if there are any."""
    for notices in _OPEN:
        notices.close()
    _OPEN.clear()


def show(report: DriveReport, display: Callable[..., object]) -> None:
    """Show a report; that of the mount so that it can be brought up to date.

    Parameters
    ----------
    report
        What is shown.
    display
        IPython's.
    """
    for notices in _OPEN:
        if notices.is_about(report):
            report.hide()  # type: ignore[attr-defined]  # it is for a notebook
            bundle = report._repr_mimebundle_()
            display(bundle, raw=True, display_id=notices.display_id)
            return
    display(report)


def keyboard_in_use() -> str | None:
    """Return why nobody can be asked now: a cell that reads the keyboard.

    On Colab the question for permission and ``input()`` read the same socket: each would
    take the other's answer.
    """
    main = threading.main_thread().ident
    frame = sys._current_frames().get(main or 0)  # noqa: SLF001 (no other way)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module in _KERNELS and frame.f_code.co_name in _READERS:
            return "a cell waits for the keyboard"
        frame = frame.f_back
    return None
