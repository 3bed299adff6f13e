"""Does a mount answer? Another process asks it, for a mount that hangs takes who asks.

The child is the system's own ``stat``, about a millisecond; it is told not to take the
kernel's cached answer, which would be good for a mount whose daemon is gone.
"""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from colabmagic.drive.watching.child import Answer, ask, program
from colabmagic.drive.watching.mounts import device_at, mount_at
from colabmagic.drive.words import shown

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S: Final = 2.0
_ASK: Final = ("--cached=never", "--printf=%F", "--")
_ASK_OLD: Final = ("-f", "--")  # asks for the file system, which is never cached
_DEAD: Final = frozenset({errno.ENOTCONN, errno.ECONNABORTED, errno.ENXIO})
_NUMBERS: Final = {
    **{os.strerror(number): number for number in errno.errorcode},
    # In English also where the texts of this process are in another language.
    "Transport endpoint is not connected": errno.ENOTCONN,
    "Software caused connection abort": errno.ECONNABORTED,
    "Input/output error": errno.EIO,
    "No such file or directory": errno.ENOENT,
    "Permission denied": errno.EACCES,
}


class Health(Enum):
    """How a mount answers."""

    ALIVE = "alive"
    DEAD = "dead"  # ENOTCONN: nothing is behind it
    HUNG = "hung"  # no answer in time
    FAILING = "failing"  # it answers with another error
    ABSENT = "absent"  # nothing is mounted there


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a mount answered.

    Attributes
    ----------
    health
        In one word.
    errno
        Of the system; None where there was none.
    seen
        In words.
    seconds
        How long it took.
    """

    health: Health
    errno: int | None
    seen: str
    seconds: float


def probe(path: Path, timeout_s: float = TIMEOUT_S) -> Probe:
    """Ask a mount for an answer; never touch it in this process.

    Parameters
    ----------
    path
        Where it is mounted.
    timeout_s
        How long it may take.
    """
    began = time.monotonic()
    mounted = mount_at(path)
    if mounted is None:
        return Probe(
            health=Health.ABSENT,
            errno=None,
            seen="nothing is mounted there",
            seconds=time.monotonic() - began,
        )
    return look(mounted.path, timeout_s, f"{mounted.path} {device_at(path)}")


def look(path: Path, timeout_s: float = TIMEOUT_S, key: str = "") -> Probe:
    """Ask for a file or folder that may lie in a mount, as `probe` does.

    Parameters
    ----------
    path
        Absolute.
    timeout_s
        How long it may take.
    key
        As for `colabmagic.drive.watching.child.ask`.
    """
    began = time.monotonic()
    stat = program("stat")
    if stat is None:
        return _probe(Health.FAILING, began, "no program stat is here to ask with")
    try:
        answer = ask([stat, *_ASK, str(path)], timeout_s, key)
        if answer.returncode and "option" in answer.stderr:  # before coreutils 8.32
            answer = ask([stat, *_ASK_OLD, str(path)], timeout_s, key)
    except OSError as error:
        return _probe(Health.FAILING, began, f"stat: {error.strerror}", error.errno)
    return _judged(answer, timeout_s, began)


def _judged(answer: Answer, timeout_s: float, began: float) -> Probe:
    """Return what an answer means."""
    if answer.returncode is None:
        return _probe(Health.HUNG, began, f"no answer within {timeout_s:g} s")
    if answer.returncode == 0:
        return _probe(Health.ALIVE, began, "it answers")
    said = answer.stderr.strip().rpartition(": ")[2]
    number = _NUMBERS.get(said)
    health = Health.DEAD if number in _DEAD else Health.FAILING
    words = shown(said[:200]) or f"stat ended with {answer.returncode}"
    return _probe(health, began, words, number)


def _probe(health: Health, began: float, seen: str, number: int | None = None) -> Probe:
    """Return the result."""
    name = errno.errorcode.get(number, "") if number else ""
    return Probe(
        health=health,
        errno=number,
        seen=f"{name} {number}: {seen}" if number else seen,
        seconds=time.monotonic() - began,
    )
