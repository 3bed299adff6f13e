"""Results of rungs, before it is known how long they took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from colabmagic.cuda.verifying.ladder import FAILED, NO_DRIVER, OK, SKIPPED
from colabmagic.cuda.verifying.words import cause_of, last_words

if TYPE_CHECKING:
    from colabmagic.cuda.verifying.scene import Scene
    from colabmagic.host.process import ProcessOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a rung ended; the fields are those of `ladder.Rung`."""

    verdict: str
    why: str
    code: str = ""
    seen: str = ""
    fix: str = ""


def passed(why: str) -> Result:
    """Return that it passed."""
    return Result(verdict=OK, why=why)


def skipped(why: str, code: str = "", fix: str = "") -> Result:
    """Return that it was not tried."""
    return Result(verdict=SKIPPED, why=why, code=code, fix=fix)


def no_driver(why: str) -> Result:
    """Return that it passed as far as it can without a driver."""
    return Result(verdict=NO_DRIVER, why=why)


def failed(why: str, *, code: str = "E20", seen: str = "", fix: str) -> Result:
    """Return that it failed."""
    return Result(verdict=FAILED, why=why, code=code, seen=seen, fix=fix)


def program_failed(scene: Scene, outcome: ProcessOutcome, program: str) -> Result:
    """Return that a program failed, with its cause and its last words.

    Parameters
    ----------
    scene
        Whose folders are left out of the words.
    outcome
        How it ended.
    program
        Its name, for a person.
    """
    cause = cause_of(outcome, program)
    written = f"{getattr(outcome, 'stdout', '')}\n{outcome.stderr}"
    seen = outcome.error or last_words(written, (str(scene.root), str(scene.scratch)))
    return failed(cause.what, code=cause.code, seen=seen, fix=cause.fix)
