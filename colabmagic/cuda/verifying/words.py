"""Read what compilers write when they fail: its cause, and the lines that tell it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.host.command import CommandOutcome
    from colabmagic.host.process import ProcessOutcome

_MOST_LINES: Final = 3
_LONGEST: Final = 240  # characters of a line
_READ: Final = 20_000  # characters of the end of what was written

_TELLING: Final = re.compile(
    r"error|fatal|not found|no such|cannot|could not|undefined|denied|unsupported"
    r"|no space left|killed|too short|truncated",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
# Where an error came from, and the source line again.
_ECHO: Final = re.compile(r"In file included from|from [^ ]+:\d+|\d* \| ")
# It is never a fix: with it CUDA 11.2 and g++ 11 still do not compile.
_BAD_ADVICE: Final = re.compile(r"\s*The nvcc flag '-allow-unsupported-compiler'.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a program failed.

    Attributes
    ----------
    code
        As in `colabmagic.cuda.errors`.
    what
        A sentence.
    fix
        What to type.
    """

    code: str
    what: str
    fix: str = ""


REINSTALL: Final = "%cuda_install --uninstall VERSION\n%cuda_install VERSION"
_NO_COMPILER: Final = "!apt-get install -y g++\nor\n%cuda_install VERSION   brings one"
BUILT: Final = "The program that was built"  # by the nvcc under test
# Pattern, code, sentence ({1} is the first group of the pattern), fix; the first counts.
_CAUSES: Final = (
    (
        r"No space left on device|Disk quota exceeded",
        "E08",
        "The disk is full.",
        "!df -h   shows which; free some, then run it again",
    ),
    (
        r"unsupported GNU version! gcc versions later than (\d+)",
        "E04",
        "The host compiler is too new: this nvcc takes g++ up to {1}.",
        "%cuda_install VERSION   brings an older g++ beside the toolkit",
    ),
    (
        r"unsupported clang version! clang version must be less than (\d+)",
        "E04",
        "The host compiler is too new: this nvcc takes clang below {1}.",
        "%cuda_install VERSION   brings a g++ beside the toolkit",
    ),
    (
        r"(?:Unsupported gpu architecture|Value) '\w+_(\d+\w*)'",
        "E06",
        "This toolkit makes no code for sm_{1}.",
        "%cuda_install auto   chooses a toolkit for this GPU",
    ),
    (
        r"Could not open output file '([^']*)/tmpxft",
        "E20",
        "nvcc cannot write its temporary files to {1}.",
        "%env TMPDIR=/a/folder/that/you/may/write",
    ),
    (
        r"(\S+): (?:not found\s*$|No such file or directory\s*\nnvcc fatal)",
        "",  # decided by the name
        "",
        "",
    ),
    (
        r"Failed to preprocess host compiler properties|cannot execute '?(cc1plus)",
        "E05",
        "The host compiler does not work.",
        _NO_COMPILER,
    ),
    (
        r"fatal error: ([\w./+]+): No such file or directory",
        "E20",
        "A header is missing: {1}.",
        REINSTALL,
    ),
    (
        r"Unsupported \.version ([\d.]+); current version is '([\d.]+)'",
        "E20",
        "ptxas is of another toolkit than nvcc: it reads PTX {2}, not {1}.",
        REINSTALL,
    ),
    (
        r"cannot find -l([^\s:]+)|/([\w.+-]+\.(?:a|so)[\w.]*): .*(?:short|truncated|malf|recogn)",
        "E20",
        "A library is missing or damaged: {1}.",
        REINSTALL,
    ),
)
_HOST_COMPILERS: Final = re.compile(
    r"(?:^|/)(?:[\w.-]*(?:gcc|g\+\+|clang(?:\+\+)?|cc1plus|c\+\+)[\w.-]*)$"
)


def last_words(text: str, hide: Iterable[str] = ()) -> str:
    """Return the last telling lines of what a program wrote.

    Parameters
    ----------
    text
        All that it wrote.
    hide
        Folders whose paths are shortened.
    """
    lines = []
    for line in _CONTROL.sub("", text[-_READ:]).splitlines():
        short = _BAD_ADVICE.sub("", line).strip()
        for folder in hide:
            short = short.replace(f"{folder}/", "")
        if short and not _ECHO.match(short):
            lines.append(short[:_LONGEST])
    telling = [line for line in lines if _TELLING.search(line)]
    return " / ".join(dict.fromkeys((telling or lines)[-_MOST_LINES:]))


def cause_of(outcome: CommandOutcome | ProcessOutcome, program: str) -> Cause:
    """Return why a program failed, as far as its words tell.

    Parameters
    ----------
    outcome
        How it ended.
    program
        Its name, for a person.
    """
    if outcome.timed_out:
        what = (
            f"{program} did not end within {outcome.elapsed_s:.0f} s and was stopped."
        )
        return Cause(code="E20", what=what, fix=REINSTALL)
    if outcome.flooded:
        what = f"{program} printed without end and was stopped."
        return Cause(code="E20", what=what, fix=REINSTALL)
    if outcome.error is not None:
        return _not_started(outcome.error, program)
    written = outcome.stderr[-_READ:] + getattr(outcome, "stdout", "")[-_READ:]
    for pattern, code, what, fix in _CAUSES:
        match = re.search(pattern, written, re.MULTILINE)
        if match is None:
            continue
        words = [group for group in match.groups() if group]
        if not code:
            return _missing_program(words[0])
        for number, word in enumerate(words, start=1):
            what = what.replace(f"{{{number}}}", word)  # noqa: PLW2901 (filled in)
        return Cause(code=code, what=what, fix=fix)
    return _ended_badly(outcome.returncode, program)


def _not_started(error: str, program: str) -> Cause:
    """Return why the system did not start a program at all."""
    if "Exec format error" in error:
        what = f"{program} is made for another processor."
        return Cause(code="E02", what=what, fix="%cuda_install VERSION")
    if "Permission denied" in error:
        what = f"{program} must not be run: its folder forbids it (noexec?)."
        is_built = program == BUILT  # in the folder for temporary files
        name = "TMPDIR" if is_built else "COLABMAGIC_HOME"
        fix = f"%env {name}=/a/folder/whose/programs/may/run"
        return Cause(code="E20", what=what, fix=fix)
    return Cause(code="E20", what=f"{program} cannot be started.", fix=REINSTALL)


def _missing_program(path: str) -> Cause:
    """Return that a program is missing that nvcc calls."""
    name = path.rpartition("/")[2].strip("'\"")
    if _HOST_COMPILERS.search(name):
        return Cause(
            code="E05",
            what=f"There is no host compiler: {name} is not found.",
            fix=_NO_COMPILER,
        )
    what = f"A part of the toolkit is missing: {name}."
    return Cause(code="E20", what=what, fix=REINSTALL)


def _ended_badly(returncode: int | None, program: str) -> Cause:
    """Return what the status alone tells."""
    if returncode is not None and returncode < 0:
        what = f"{program} was killed by signal {-returncode}"
        why = " (too little memory?)" if returncode == -9 else ""  # noqa: PLR2004 (SIGKILL)
        return Cause(code="E20", what=f"{what}{why}.", fix=REINSTALL)
    what = f"{program} failed with status {returncode}."
    return Cause(code="E20", what=what, fix=REINSTALL)
