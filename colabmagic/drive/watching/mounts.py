"""What is mounted where, read from the kernel's table: that never touches a mount."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from colabmagic.drive.errors import MountFailedError
from colabmagic.drive.words import shown
from colabmagic.host.child import ask, program

TABLE: Final = Path("/proc/self/mounts")
_DEVICES: Final = Path("/proc/self/mountinfo")
SUBTYPE: Final = "colabmagic"
_OURS: Final = f"fuse.{SUBTYPE}"
_COLABS: Final = "fuse.drive"
_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")
_FIELDS: Final = 4
_MOST_LAYERS: Final = 4  # mounts on top of each other


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPoint:
    """A row of the mount table.

    Attributes
    ----------
    path
        Where it is mounted.
    source
        What is mounted.
    kind
        Of the file system, as ``fuse.drive``.
    options
        As the kernel has them.
    """

    path: Path
    source: str
    kind: str
    options: tuple[str, ...]

    @property
    def readonly(self) -> bool:
        """Whether nothing can be written there."""
        return "ro" in self.options

    @property
    def is_colabs(self) -> bool:
        """Whether it is Colab's Drive, and not one of ours."""
        return self.kind == _COLABS


def mount_at(path: Path, table: Path = TABLE) -> MountPoint | None:
    """Return what is mounted at exactly this path; None where nothing is.

    Parameters
    ----------
    path
        Absolute, or below the working directory. The path itself is never looked at.
    table
        The kernel's.
    """
    rows = _rows(table)
    wanted = {Path(os.path.abspath(path))}  # noqa: PTH100 (resolve() would touch it)
    parent = next(iter(wanted)).parent
    if not any(
        row.kind.startswith("fuse") and _holds(row.path, parent) for row in rows
    ):
        wanted.add(Path(os.path.realpath(parent)) / path.name)
    # Of several on top of each other the last one is seen.
    return next((row for row in reversed(rows) if row.path in wanted), None)


def drive_mounts(table: Path = TABLE) -> list[MountPoint]:
    """Return where Drive is mounted: by Colab, or by us.

    Parameters
    ----------
    table
        The kernel's.
    """
    return [
        row
        for row in _rows(table)
        if row.kind in {_OURS, _COLABS}
        or (row.source == "drive" and row.kind.startswith("fuse"))
    ]


def mountpoints(table: Path = TABLE) -> list[Path]:
    """Return where anything is mounted.

    Parameters
    ----------
    table
        The kernel's.
    """
    return [row.path for row in _rows(table)]


def device_at(path: Path) -> str | None:
    """Return the number of the device that is mounted at a path, as ``0:45``.

    A new mount at the same path has another one.

    Parameters
    ----------
    path
        As for `mount_at`; None is returned where nothing is mounted there.
    """
    mounted = mount_at(path)
    if mounted is None:
        return None
    found = None
    for line in _lines(_DEVICES):
        words = line.split(b" ")
        if len(words) > _FIELDS and _decoded(words[4]) == str(mounted.path):
            found = words[2].decode()
    return found


def detach(
    path: Path,
    timeout_s: float = 5.0,
    *,
    table: Path = TABLE,
    umount: str | None = None,
) -> None:
    """Take a mount out of the tree although it is dead, hung or in use.

    What it has not written yet is lost: who calls has asked before.

    Parameters
    ----------
    path
        Where it is mounted; nothing happens where nothing is. Of several on top of each
        other all go, up to a number.
    timeout_s
        For each way that is tried.
    table, umount
        The kernel's table, and the program; the system's by default.

    Raises
    ------
    MountFailedError
        It is still there.
    """
    tools = [
        (umount or program("umount"), ["-f", "-l"])
    ]  # -f lets go of who waits inside
    if os.geteuid() != 0:  # who may not umount may do so with what is his own
        tools += [
            (program(each), ["-u", "-z"]) for each in ("fusermount3", "fusermount")
        ]
    ways = [(tool, options) for tool, options in tools if tool is not None]
    seen = ""
    for tool, options in ways * _MOST_LAYERS:
        mounted = mount_at(path, table)
        if mounted is None:
            return
        try:
            answer = ask([tool, *options, "--", str(mounted.path)], timeout_s)
        except OSError as error:
            seen = f"{tool}: {error.strerror}"
            continue
        late = f"{tool} did not end within {timeout_s:g} s"
        seen = late if answer.returncode is None else answer.stderr.strip()[-200:]
    if mount_at(path, table) is not None:
        raise MountFailedError(
            f"the mount at {shown(path)} cannot be taken away",
            seen=shown(seen) or "umount says nothing",
            hint="restart the machine: Runtime > Disconnect and delete runtime",
        )


def inside(path: str, mountpoint: Path) -> bool:
    """Tell whether a path, as text, lies in a mount.

    Parameters
    ----------
    path
        Absolute.
    mountpoint
        Where it is mounted.
    """
    return path == str(mountpoint) or path.startswith(f"{mountpoint}/")


def _holds(above: Path, path: Path) -> bool:
    """Tell whether a mount holds a path."""
    return path.is_relative_to(above)


def _rows(table: Path) -> list[MountPoint]:
    """Return the rows of the table; none where there is no such table."""
    found = []
    for line in _lines(table):
        words = line.split(b" ")
        if len(words) >= _FIELDS:
            source, path, kind, options = (_decoded(word) for word in words[:_FIELDS])
            found.append(
                MountPoint(
                    path=Path(path),
                    source=source,
                    kind=kind,
                    options=tuple(options.split(",")),
                )
            )
    return found


def _lines(table: Path) -> list[bytes]:
    """Return the lines of a table; none where it cannot be read."""
    try:
        return table.read_bytes().split(b"\n")
    except OSError:
        return []


def _decoded(word: bytes) -> str:
    r"""Return a word of the table; the kernel writes a space as ``\040``."""
    plain = _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 255]), word)
    return os.fsdecode(plain)
