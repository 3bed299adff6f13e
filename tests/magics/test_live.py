"""``%gpu_check --live`` in a terminal: one frame in the place of the one before."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner"]
IMPORT = "from colabmagic.magics import _live"
LIMIT_S = 60
BACK = "F\x1b[J"  # some lines up, and empty them


def test_a_pipe_gets_the_last_frame_only(tmp_path: Path) -> None:
    """What cannot go back is not filled with frames; the value is one line."""
    done = subprocess.run(
        COMMAND,
        input=f"{IMPORT}\n_live.start(0.1, 0.5)\nexit()\n",
        cwd=tmp_path,
        env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    assert done.stdout.count("GPU live: ") == 1
    assert "GPU live: ENDED  0.5 s, " in done.stdout
    assert "\x1b[J" not in done.stdout
    assert "<GPU live view: ended, 0.5 s, " in done.stdout


class Terminal:
    """IPython in a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self._near, far = pty.openpty()
        self.printed = ""
        self._read = 0  # letters of it that were waited for
        size = {"COLUMNS": "100", "LINES": "40", "TERM": "xterm"}
        self._process = subprocess.Popen(
            COMMAND,
            stdin=far,
            stdout=far,
            stderr=far,
            cwd=folder,
            env={**os.environ, **size, "IPYTHONDIR": str(folder / "ipython")},
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 (so that Ctrl-C arrives)
        )
        os.close(far)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._near, text.encode())

    def wait_for(self, text: str) -> None:
        """Read until a text is printed, after what was waited for before."""
        end = time.monotonic() + LIMIT_S
        while (place := self.printed.find(text, self._read)) < 0:
            assert time.monotonic() < end, self.printed
            ready, _, _ = select.select([self._near], [], [], 0.1)
            if ready:
                self.printed += os.read(self._near, 65536).decode(errors="replace")
        self._read = place + len(text)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        os.close(self._near)


def _take_terminal() -> None:
    """Make the standard input the terminal that signals come from."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Return a terminal with a prompt."""
    opened = Terminal(tmp_path)
    try:
        opened.wait_for("In [1]:")
        yield opened
    finally:
        opened.close()


def test_frames_replace_each_other_until_ctrl_c(terminal: Terminal) -> None:
    """Ctrl-C ends it without a traceback, and the next line can be typed."""
    terminal.type(f"{IMPORT}\n")
    terminal.wait_for("In [2]:")
    terminal.type("view = _live.start(0.1, 60)\n")
    terminal.wait_for(BACK)
    assert "Stop: Ctrl-C" in terminal.printed
    terminal.type("\x03")
    terminal.wait_for("stopped")
    terminal.wait_for("In [3]:")
    assert "Traceback" not in terminal.printed
    assert "KeyboardInterrupt" not in terminal.printed
    terminal.type("print('alive', view.running)\n")
    terminal.wait_for("alive False")
