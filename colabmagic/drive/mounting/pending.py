"""Files under Colab's mount that are not on Google's servers yet.

Colab's Drive program uploads by its own schedule. A file that it has not uploaded has an
id that begins with ``local`` in the attribute ``user.drive.id``. One that was there and is
written again has its id already: such a write cannot be seen from here.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from colabmagic.drive.mounting.drive_log import clean
from colabmagic.drive.watching.mounts import device_at
from colabmagic.host.child import ask

TIMEOUT_S: Final = 10.0
LIMIT: Final = 1000

# Runs in a child, as a mount that hangs holds up whoever touches it. Each file is one
# line, so that what was found stays when the child is killed. Folders that were written
# last come first: a Drive may be larger than the time.
_CHILD: Final = r"""
import heapq, json, os, sys
root, since, limit = os.fsencode(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
found, seen, folders = 0, 0, [(0.0, root)]
while folders and found < limit:
    folder = heapq.heappop(folders)[1]
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        print(json.dumps({"trouble": error.strerror}), flush=True)
        continue
    names = {entry.name for entry in entries}
    for entry in entries:
        try:
            if entry.is_symlink():
                continue
            if folder == root and entry.name == b"My Drive" and b"MyDrive" in names:
                continue
            written = entry.stat(follow_symlinks=False).st_mtime
            if entry.is_dir():
                heapq.heappush(folders, (-written, entry.path))
                continue
            if written < since:
                continue
            seen += 1
            name = os.getxattr(entry.path, "user.drive.id", follow_symlinks=False)
        except (OSError, AttributeError):
            continue
        if name.startswith(b"local"):
            found += 1
            print(json.dumps({"path": os.fsdecode(entry.path)}), flush=True)
            if found >= limit:
                break
done = not folders and found < limit
print(json.dumps({"seen": seen, "complete": done}), flush=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What was found out; `complete` tells whether everything was looked at."""

    paths: tuple[Path, ...]
    seen: int  # files that were asked
    complete: bool
    trouble: str | None = None


def look_for_pending(
    root: Path,
    since_s: float = 0.0,
    limit: int = LIMIT,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Pending:
    """Look for files that are not uploaded yet; never raises, never takes long.

    Parameters
    ----------
    root
        Where to look, with what is below it.
    since_s
        Only files that were written at this time (seconds of the epoch) or later.
    limit
        Stop after so many.
    timeout_s
        Stop after so many seconds; what was found until then counts.
    """
    given = [str(root), str(since_s), str(limit)]
    # A mount that hangs keeps a child that is stuck in it: no second one is sent after it.
    key = f"pending {root} {device_at(root)}"
    paths: list[Path] = []
    summary: dict[str, object] = {}
    try:
        child = ask([sys.executable, "-I", "-S", "-c", _CHILD, *given], timeout_s, key)
    except OSError as error:
        return Pending(paths=(), seen=0, complete=False, trouble=error.strerror)
    trouble = "it does not answer" if child.returncode is None else None
    for line in child.stdout.splitlines():
        try:
            said = json.loads(line)
        except ValueError:  # cut off by the kill
            continue
        if "path" in said:
            paths.append(Path(said["path"]))
        elif "trouble" in said:
            trouble = clean(str(said["trouble"]))
        else:
            summary = said
    if trouble is None and not summary:  # that it found nothing must not be concluded
        trouble = (
            clean(child.stderr[-200:]) or f"its child ended with {child.returncode}"
        )
    seen = summary.get("seen", len(paths))
    return Pending(
        paths=tuple(paths),
        seen=seen if isinstance(seen, int) else len(paths),
        complete=bool(summary.get("complete")) and trouble is None,
        trouble=trouble,
    )


def pending_writes(
    root: Path,
    since_s: float = 0.0,
    limit: int = LIMIT,
    *,
    timeout_s: float = TIMEOUT_S,
) -> list[Path]:
    """Return files that are not uploaded yet, as far as can be seen in that time.

    Parameters
    ----------
    root, since_s, limit, timeout_s
        As for `look_for_pending`, which also tells whether that was all.
    """
    return list(look_for_pending(root, since_s, limit, timeout_s=timeout_s).paths)
