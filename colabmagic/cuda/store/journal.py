"""What was done to our folder and beyond, with its inverse, on disk before it is done.

One JSON object a line, synced. A change has the records ``begin``, for each step
``step`` (with its inverse) and ``done``, and at the end ``commit`` or ``undone``. One
that has neither was cut off, and is taken back by whoever comes next.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from colabmagic.cuda.steps.base import Step


_NONSENSE: Final = (
    ValueError,
    KeyError,
    TypeError,
    OverflowError,
    OSError,
    RecursionError,
)
_ID: Final = re.compile(r"\w[\w-]*", re.ASCII)


@dataclass(slots=True, kw_only=True)
class Change:
    """One change, as the journal tells it.

    Attributes
    ----------
    id
        Its name.
    what
        In words: "install 13.0.3".
    staging
        Name of the folder that it filled.
    began
        Seconds since the epoch.
    undo
        For each step that began, in order: the plain data of its inverse.
    details
        What its commit said.
    state
        ``open``, ``committed`` or ``undone``.
    """

    id: str
    what: str
    staging: str
    began: float
    undo: list[list[dict[str, Any]]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    state: str = "open"


@dataclass(frozen=True, slots=True)
class Journal:
    """The file.

    Attributes
    ----------
    path
        Where it lies.
    """

    path: Path

    def begin(self, what: str) -> Change:
        """Note that a change begins.

        Parameters
        ----------
        what
            In words.
        """
        name = uuid.uuid4().hex[:12]
        change = Change(
            id=name, what=what, staging=f".staging-{name}", began=time.time()
        )
        self._write(
            id=name, event="begin", what=what, staging=change.staging, time=change.began
        )
        return change

    def step(self, change: Change, step: Step, undo: Sequence[Step]) -> None:
        """Note that a step is about to be done, and how to take it back."""
        inverse = [dict(each.to_dict()) for each in undo]
        self._write(id=change.id, event="step", kind=step.kind, undo=inverse)
        change.undo.append(inverse)

    def done(self, change: Change) -> None:
        """Note that the last step is done."""
        self._write(id=change.id, event="done")

    def commit(self, change: Change, **details: Any) -> None:  # noqa: ANN401 (JSON)
        """Note that a change is whole, with what one may want to know of it later."""
        self._write(id=change.id, event="commit", details=details)
        change.state, change.details = "committed", details

    def undone(self, change: Change) -> None:
        """Note that a change was taken back."""
        self._write(id=change.id, event="undone")
        change.state = "undone"

    def changes(self) -> list[Change]:
        """Return all changes, oldest first; a line that was cut off says nothing."""
        found: dict[str, Change] = {}
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        for line in lines:
            with contextlib.suppress(*_NONSENSE):
                _read(json.loads(line), found)
        return list(found.values())

    def is_ours_alone(self) -> bool:
        """Tell whether nobody else can have written it, so that it may be obeyed."""
        try:
            seen = self.path.stat()
        except OSError:
            return False
        is_shut = not seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return is_shut and seen.st_uid in {0, os.geteuid()}

    def _write(self, **record: Any) -> None:  # noqa: ANN401 (JSON)
        """Append a record; it is on disk when this returns.

        A record begins with a line feed too: what a killed process left of a line is
        then a line of its own, and not the beginning of this one.
        """
        text = "\n" + json.dumps(record) + "\n"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        # A link in its place was made by somebody else, and leads to a file of another.
        descriptor = os.open(self.path, flags | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            try:
                data = text.encode()
                while data:
                    data = data[os.write(descriptor, data) :]
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def _read(record: dict[str, Any], found: dict[str, Change]) -> None:
    """Add what a record says.

    Raises
    ------
    ValueError, KeyError, TypeError
        It makes no sense, and says nothing.
    """
    event, name = record["event"], record["id"]
    if event == "begin":
        # The folder is removed in the end: it is one of ours, and nothing else.
        if not _ID.fullmatch(name) or record["staging"] != f".staging-{name}":
            raise ValueError(name)
        time.localtime(record["time"])
        found[name] = Change(
            id=name,
            what=str(record["what"]),
            staging=record["staging"],
            began=record["time"],
        )
        return
    change = found[name]
    if event == "step":
        change.undo.append([dict(each) for each in record["undo"]])
    elif event == "commit":
        change.state, change.details = "committed", dict(record["details"])
    elif event == "undone":
        change.state = "undone"
