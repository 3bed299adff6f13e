"""What can go wrong with Drive, as data: how it is recognised, what it means, what to do.

Each class of error has an entry, and so has each known cause that its class alone does
not tell, or that `colabmagic.drive.trouble.doctor` finds by itself. Each has a heading of its
code in ``docs/drive.md``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from colabmagic.drive.trouble.causes import CAUSES
from colabmagic.drive.trouble.failures import BY_CLASS
from colabmagic.report.model import Code, Finding

if TYPE_CHECKING:
    from colabmagic.drive.errors import DriveError
    from colabmagic.drive.trouble.failure import Failure

FAILURES: Final[dict[type[DriveError], Failure]] = {
    failure.error: failure for failure in BY_CLASS if failure.error is not None
}
ALL: Final[tuple[Failure, ...]] = (*BY_CLASS, *CAUSES)
_MAGIC: Final = "%mount_drive"
_DOCTOR: Final = "%mount_drive --doctor"  # who reads this has typed it
_SHELL: Final = "gcloud "
_OPTION: Final = re.compile(r"--[a-z][\w-]*")
_BY_CODE: Final = {failure.code: failure for failure in ALL}


def by_code(code: str) -> Failure:
    """Return an entry.

    Parameters
    ----------
    code
        Its name in words.
    """
    return _BY_CODE[code]


def recognise(error: DriveError) -> Failure:
    """Return the entry that fits an error best: a known cause, else its class.

    Parameters
    ----------
    error
        What was raised.
    """
    told = " ".join(filter(None, [error.what, error.seen])).casefold()
    for cause in CAUSES:
        if cause.error is None or not isinstance(error, cause.error):
            continue
        if any(mark.casefold() in told for mark in cause.marks):
            return cause
    kinds = (kind for kind in type(error).__mro__ if kind in FAILURES)
    return FAILURES[next(kinds)]


def explain(error: DriveError) -> Finding:
    """Return an error as a finding: its own words, then what the catalogue knows.

    Parameters
    ----------
    error
        What was raised.
    """
    failure = recognise(error)
    evidence = (f"{type(error).__name__}: {error.what}", error.seen or "")
    steps = _steps(error.hint)
    fixes = [*steps, *(fix for fix in failure.fix if not is_said(fix, steps))]
    return Finding(
        code=failure.code,
        severity=failure.severity,
        title=failure.title,
        evidence=tuple(filter(None, evidence)),
        fix=tuple(fix for fix in fixes if _DOCTOR not in fix),
    )


def _steps(hint: str) -> tuple[str, ...]:
    """Return the steps of a hint, a line each; a long command is not to be wrapped."""
    return tuple(
        Code(line) if line.startswith(_SHELL) else line for line in hint.splitlines()
    )


def is_said(fix: str, steps: tuple[str, ...]) -> bool:
    """Tell whether a step is among others already, maybe with another figure.

    Parameters
    ----------
    fix
        The step.
    steps
        The others.
    """
    if not fix.startswith(_MAGIC):
        wanted = _plain(fix)
        return any(wanted in _plain(step) for step in steps)
    told = [step for step in steps if step.startswith(_MAGIC)]
    options = set(_OPTION.findall(fix))
    return any(fix in step or options == set(_OPTION.findall(step)) for step in told)


def _plain(text: str) -> str:
    """Return a step as it is compared with others: no capitals, and no sign at its end."""
    return text.casefold().strip(" .;:!")


def finding(code: str, *evidence: str, fix: tuple[str, ...] = ()) -> Finding:
    """Return a finding of something that was seen.

    Parameters
    ----------
    code
        Of the entry.
    *evidence
        What was seen, one line each.
    fix
        What to do here, before what the entry says.
    """
    failure = by_code(code)
    return Finding(
        code=code,
        severity=failure.severity,
        title=failure.title,
        evidence=evidence,
        fix=(*fix, *failure.fix),
    )
