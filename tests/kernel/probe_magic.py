"""A cell magic over the same runner as ours, which writes down what happens to it.

The words of its first line say what should go wrong.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from colabmagic.errors import BadDeviceError
from colabmagic.magics import cells

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

EVENTS: list[tuple[object, ...]] = []
NAMES: list[tuple[str, ...]] = []
OPEN: list[ProbeSession] = []


class ProbeSession:
    """A session that notes how it is closed."""

    def __init__(self, words: str) -> None:
        self.words = words
        OPEN.append(self)

    def finish(self, result: object, error: BaseException | None) -> object:
        """Close it, the way the first line asks for."""
        OPEN.remove(self)
        if "slow" in self.words:
            print("finishing", flush=True)
            for _ in range(20):
                time.sleep(0.05)
            EVENTS.append(("finished slowly",))
        EVENTS.append(("finish", repr(result), error and type(error).__name__))
        if "broken-finish" in self.words:
            raise RuntimeError("finish broke")
        return f"home: {result}" if "wrap" in self.words else result


def open_probe(
    shell: InteractiveShell, line: str, names: tuple[str, ...]
) -> ProbeSession:
    """Open a session, or fail the way the first line asks for."""
    assert shell.user_ns is not None
    EVENTS.append(("begin", line))
    NAMES.append(names)
    if "bad-device" in line:
        raise BadDeviceError("no such device: moon", seen="cpu", hint="%%probe cpu")
    if "bad-usage" in line:
        raise UsageError("%%probe: not like this")
    if "broken-begin" in line:
        raise RuntimeError("begin broke")
    if "slow-begin" in line:
        print("beginning", flush=True)
        for _ in range(20):
            time.sleep(0.05)
    return ProbeSession(line)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magic at both doors."""
    cells.register_cell("probe", open_probe)
    shell.register_magic_function(cells.back_door("probe"), "line_cell", "probe")


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Forget it."""
    cells.unregister_cell("probe")
    for kind in ("line", "cell"):
        del shell.magics_manager.magics[kind]["probe"]
