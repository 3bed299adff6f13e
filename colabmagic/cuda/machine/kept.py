"""Find the finished toolkits that lie in the folder of ``--cache``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.keeping.label import FOLDER, from_label, judged
from colabmagic.cuda.machine.facts import Kept
from colabmagic.report.model import Unknown
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.host.command import CommandOutcome

ANSWER_S: Final = 10.0  # the first look into a folder of Drive may take seconds
# In a child: a mount that hangs holds up whoever touches it. Small files are read, of
# archives only their size. Of a hundred labels, none makes the answer longer than may be
# printed, or deeper than can be read: each is one flat table of ASCII.
_LOOK: Final = """\
import json, os, stat, sys
folder, found = sys.argv[1], []
try:
    names = sorted(os.listdir(folder))
except FileNotFoundError:
    names = []
for name in [each for each in names if each.endswith('.json')][:100]:
    label = os.path.join(folder, name)
    row = {'data': None, 'size': None, 'owners': [], 'modes': []}
    if name.startswith('.'):
        continue
    try:
        # A pipe is opened without waiting for who writes to it; what is read is what is
        # judged, whatever gets that name meanwhile.
        descriptor = os.open(label, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, 'rb') as file:
            seen = os.fstat(descriptor)
            is_file = stat.S_ISREG(seen.st_mode)
            text = file.read(8193).decode('ascii') if is_file else ''
        row['owners'].append(seen.st_uid)
        row['modes'].append(stat.S_IMODE(seen.st_mode))
        data = json.loads(text) if len(text) <= 8192 else None
        flat = (str, int, type(None))
        for each in data.values():
            for part in each if isinstance(each, list) else [each]:
                if not isinstance(part, flat):
                    raise TypeError
        row['data'] = data
        seen = os.stat(os.path.join(folder, os.path.basename(data['file'])))
        row['owners'].append(seen.st_uid)
        row['modes'].append(stat.S_IMODE(seen.st_mode))
        if stat.S_ISREG(seen.st_mode):
            row['size'] = seen.st_size
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    found.append(row)
print(json.dumps(found, separators=(',', ':')))
"""


def find_kept(
    cache: Path,
    run: Callable[..., CommandOutcome],
    *,
    timeout_s: float = ANSWER_S,
) -> tuple[Kept, ...] | Unknown:
    """Return what is told of each archive; Unknown where the folder does not answer.

    Parameters
    ----------
    cache
        The folder of ``--cache``.
    run
        Runs the child.
    timeout_s
        After so many seconds it counts as not answering.
    """
    folder = cache / FOLDER
    argv = [sys.executable, "-I", "-S", "-c", _LOOK, str(folder)]
    outcome = run(argv, timeout_s=timeout_s)
    if outcome.timed_out:
        return Unknown(f"no answer within {timeout_s:g} s")
    if not outcome.ok:
        words = (outcome.error or outcome.stderr or "").strip().splitlines()
        why = clean(words[-1])[:200] if words else "it cannot be looked into"
        return (Kept(path=str(folder), problem=why),)
    rows: list[dict[str, Any]] = json.loads(outcome.stdout)
    return tuple(
        judged(
            from_label(folder, row["data"]),
            row["size"],
            set(row["owners"]),
            set(row["modes"]),
        )
        for row in rows
    )
