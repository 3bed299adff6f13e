"""A DataLoader's workers, and what they share."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from colabmagic.explain.model import Draft

if TYPE_CHECKING:
    from colabmagic.explain.scene import Scene

_SHARED_FOLDER = "/dev/shm"  # noqa: S108 (its size is looked at)
_SHARED = re.compile(
    r"killed by signal: Bus error|out of shared memory"
    r"|unable to (?:write to|resize|allocate shared memory\(shm\) for|mmap \d+ bytes from) "
    r"(?:the )?file <[^>]*torch_\w+[^>]*>.*(?:No space left|Cannot allocate|memory)"
)
_SHARING_FILES = re.compile(
    r"Too many open files\. Communication with the workers"
    r"|received \d+ items of ancdata"
    r"|unable to open shared memory object <[^>]*> .*Too many open files"
)
_FILES = re.compile(r"\[Errno 24\] Too many open files")
_KILLED = re.compile(
    r"DataLoader worker \(pid\(?s?\)? [\d, ]+\) is killed by signal: (\w[\w ]*)"
)
_EXITED = re.compile(r"DataLoader worker \(pid\(?s?\)? [\d, ]+\) exited unexpectedly")
_SIZES = re.compile(
    r"stack expects each tensor to be equal size, but got (\[[\d, ]*\]) at entry \d+ and "
    r"(\[[\d, ]*\]) at entry (\d+)"
)
_COLLATE = re.compile(r"in collate_tensor_fn|in DataLoader worker process")


def shared_memory(scene: Scene) -> Draft | None:
    """Explain that the memory for batches of workers is full."""
    if not _SHARED.search(scene.text):
        return None
    return Draft(key="shared-memory", evidence=_room())


def _room() -> tuple[str, ...]:
    """Say how large the shared memory is."""
    try:
        room = os.statvfs(_SHARED_FOLDER)
    except (OSError, AttributeError):
        return ()
    total = room.f_blocks * room.f_frsize / 2**20
    free = room.f_bavail * room.f_frsize / 2**20
    return (f"{_SHARED_FOLDER}: {total:.0f} MiB, {free:.0f} MiB of them free now",)


def open_files(scene: Scene) -> Draft | None:
    """Explain that a process has as many files open as it may."""
    if _SHARING_FILES.search(scene.text):
        return Draft(key="open-files.sharing", evidence=_limit())
    if "OSError" in scene.kinds and _FILES.search(scene.text):
        return Draft(key="open-files.files", evidence=_limit())
    return None


def _limit() -> tuple[str, ...]:
    """Say how many files this process may open."""
    try:
        import resource  # noqa: PLC0415 (not on Windows)
    except ImportError:
        return ()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (f"this process may open {soft} files, {hard} at most",)


def worker_killed(scene: Scene) -> Draft | None:
    """Explain that the system ended a worker."""
    match = _KILLED.search(scene.text)
    if match is None:
        return None
    signal = match[1].strip()
    kind = "memory" if signal == "Killed" else "signal"
    return Draft(key=f"worker-killed.{kind}", values={"signal": signal})


def worker_exited(scene: Scene) -> Draft | None:
    """Explain a worker that is gone, and did not say why."""
    return Draft(key="worker-exited") if _EXITED.search(scene.text) else None


def collate_sizes(scene: Scene) -> Draft | None:
    """Explain samples of different sizes in one batch."""
    match = _SIZES.search(scene.text)
    collated = scene.calls("collate_tensor_fn", "default_collate")
    if match is None or not (collated or _COLLATE.search(scene.text)):
        return None
    return Draft(
        key="collate-sizes",
        values={"first": match[1], "second": match[2], "number": match[3]},
    )
