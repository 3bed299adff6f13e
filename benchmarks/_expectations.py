"""What is expected of a diagnosis, and how many points a tool gets for what it says."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("gpu_diagnosis.toml")

FAULT, CATCH, HEALTHY = "fault", "catch", "healthy"
CAUSE = "cause named"
FIX = "right fix printed"
NO_ALARM = "no false alarm"
NO_GARBAGE = "no garbage"
NO_TRACEBACK = "no traceback"
IN_TIME = "in time"
STATUS = "exit status or flag"
CRITERIA = (CAUSE, FIX, NO_ALARM, NO_GARBAGE, NO_TRACEBACK, IN_TIME, STATUS)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine to play and what is to be said of it; the fields are those of the table."""

    name: str
    kind: str
    profile: str | None = None
    set: dict[str, Any] = field(default_factory=dict)
    torch: str = "fits"
    place: str = "own"
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    libraries: str = ""
    needs_gpu: bool = False
    cause: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def criteria(self) -> tuple[str, ...]:
        """Return what there is a point for."""
        own = (NO_ALARM,) if self.kind == HEALTHY else (CAUSE, FIX)
        return (*own, NO_GARBAGE, NO_TRACEBACK, IN_TIME, STATUS)


@dataclass(frozen=True)
class General:
    """What holds for all machines."""

    alarm: str
    garbage: str
    traceback: str
    limit_s: float


@dataclass(frozen=True)
class Table:
    """All expectations; `torch` holds version, CUDA and kernels of builds to make up."""

    general: General
    torch: dict[str, list[str] | str]
    machines: dict[str, Machine]


@dataclass(frozen=True)
class Said:
    """What a tool said of a machine.

    Attributes
    ----------
    text
        Standard output and standard error.
    status
        Of its process; None where it had to be ended.
    in_time
        Whether it ended within the limit.
    """

    text: str
    status: int | None
    in_time: bool = True


def load(path: Path = TABLE) -> Table:
    """Read the table."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    machines = {}
    for name, row in data["machine"].items():
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in row.items()
        }
        machines[name] = Machine(name=name, **values)
    return Table(General(**data["general"]), data["torch"], machines)


def has_any(patterns: tuple[str, ...], text: str) -> bool:
    """Tell whether one of the patterns is in a text, however its lines are broken."""
    flat = " ".join(text.split())
    return any(re.search(pattern, flat, re.IGNORECASE) for pattern in patterns)


def points(machine: Machine, general: General, said: Said) -> dict[str, bool]:
    """Return for each criterion of a machine whether its point is earned."""
    spoke = bool(said.text.strip())
    cause = has_any(machine.cause, said.text)
    alarm = has_any((general.alarm,), said.text)
    fix = has_any(machine.fix, said.text) and not has_any(machine.wrong, said.text)
    earned = {
        CAUSE: cause,
        FIX: fix,
        NO_ALARM: spoke and not alarm,
        # Who says nothing has earned nothing.
        NO_GARBAGE: spoke and not has_any((general.garbage,), said.text),
        NO_TRACEBACK: spoke and not has_any((general.traceback,), said.text),
        IN_TIME: said.in_time and said.status is not None,
        STATUS: said.status is not None
        and {
            FAULT: said.status > 0,
            CATCH: said.status > 0 or cause or alarm,
            HEALTHY: said.status == 0,
        }[machine.kind],
    }
    return {criterion: earned[criterion] for criterion in machine.criteria}
