"""Let a small program touch what may hang, so that this process never does.

A call into a file system that does not answer cannot be ended, not even by SIGKILL. So
another process makes it; one that does not come back is left behind and reaped when the
mount has let it go.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAST_WAIT_S: Final = 0.1  # for a killed child; one in the kernel's hands may stay
_FOLDERS: Final = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")
# Of a variable such as LD_LIBRARY_PATH, part may lie in the mount that hangs.
_ENVIRONMENT: Final = {"LC_ALL": "C", "PATH": ":".join(_FOLDERS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a child said.

    Attributes
    ----------
    returncode
        None where it did not end in time.
    stdout, stderr
        As text; of a child that did not end, what it had written by then.
    seconds
        How long that took.
    """

    returncode: int | None
    stdout: str
    stderr: str
    seconds: float


_lock = threading.Lock()
_left: list[tuple[str, subprocess.Popen[str]]] = []


def program(name: str) -> str | None:
    """Return where a program of the system is; the user's ``PATH`` may lead into the mount.

    Parameters
    ----------
    name
        As ``stat``.
    """
    places = (Path(folder) / name for folder in _FOLDERS)
    return next((str(place) for place in places if place.exists()), None)


def ask(argv: Sequence[str], timeout_s: float, key: str = "") -> Answer:
    """Run a small program; never wait longer than asked, whatever it hangs in.

    Parameters
    ----------
    argv
        Program, by its whole path, and arguments.
    timeout_s
        After so long it is killed.
    key
        Under which a child that cannot be killed is remembered: while it is there, no
        second one is sent after it.

    Raises
    ------
    OSError
        The program cannot be started.
    """
    began = time.monotonic()
    earlier = _still_left(key)
    if earlier is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            earlier.wait(timeout_s)
        left_s = timeout_s - (time.monotonic() - began)
        if left_s <= 0 or _still_left(key) is not None:
            return _late(began)
        timeout_s = left_s
    child = subprocess.Popen(  # noqa: S603 (a list, not a shell line)
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_ENVIRONMENT,
        cwd="/",  # ours may be inside of the mount
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # Ctrl-C is for the cell
    )
    try:
        out, err = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as late:
        _end(child, key)
        return _late(began, late.stdout)
    except BaseException:  # Ctrl-C: leave no orphan
        _end(child, key)
        raise
    return Answer(
        returncode=child.returncode,
        stdout=out,
        stderr=err,
        seconds=time.monotonic() - began,
    )


def left_behind() -> int:
    """Return how many children hang in the kernel; reap those that are free."""
    _still_left("")
    with _lock:
        return len(_left)


def _late(began: float, written: bytes | str | None = None) -> Answer:
    """Return that it did not end; Python gives what was written as bytes, or not at all."""
    text = written or b""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return Answer(
        returncode=None, stdout=text, stderr="", seconds=time.monotonic() - began
    )


def _still_left(key: str) -> subprocess.Popen[str] | None:
    """Reap what has ended; return the child of this key that has not."""
    with _lock:
        _left[:] = [(of, child) for of, child in _left if child.poll() is None]
        return next((child for of, child in _left if key and of == key), None)


def _end(child: subprocess.Popen[str], key: str) -> None:
    """Kill a child, and keep it in mind if it stays."""
    child.kill()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
    try:
        child.wait(_LAST_WAIT_S)
    except subprocess.TimeoutExpired:
        with _lock:
            _left.append((key, child))
