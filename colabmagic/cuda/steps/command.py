"""Run a program of the system."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.errors import AptBusyError, CudaError, NeedsRootError
from colabmagic.cuda.packages.scrub import scrub
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from colabmagic.cuda.steps.base import Step, Work
    from colabmagic.host.command import CommandOutcome

_LINES_SHOWN = 3
_APT_IS_BUSY = (
    "could not get lock",
    "unable to lock",
    "is locked by",
    "dpkg frontend lock",
)
_APT_HOLDS = ("held broken packages", "pinned", "held packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program with its arguments; no shell is involved.

    Attributes
    ----------
    argv
        Program and arguments.
    what
        In words: "install cuda-nvcc-12-4".
    needs_root
        Whether it is refused without.
    env
        Variables beside ours, by pairs.
    undo_argv
        What takes it back; empty: nothing does.
    changes
        What changes outside of our folder, in words.
    timeout_s
        After so many seconds it is killed.
    """

    argv: tuple[str, ...]
    what: str
    needs_root: bool = False
    env: tuple[tuple[str, str], ...] = ()
    undo_argv: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    timeout_s: float = 1800.0

    @property
    def kind(self) -> str:
        """Return the name of the step."""
        return "command"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what changes elsewhere."""
        return self.changes

    def lines(self) -> tuple[str, ...]:
        """Return the command as a shell would take it."""
        before = [f"{name}={shlex.quote(value)}" for name, value in self.env]
        return (" ".join([*before, shlex.join(self.argv)]),)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, **asdict(self)}

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse, where there is one."""
        if not self.undo_argv:
            return ()
        return (
            Command(
                argv=self.undo_argv,
                what=f"take back: {self.what}",
                needs_root=self.needs_root,
                env=self.env,
                changes=self.changes,
                timeout_s=self.timeout_s,
            ),
        )

    def do(self, work: Work) -> None:
        """Run it.

        Raises
        ------
        NeedsRootError
            It needs root, and we are not.
        AptBusyError
            Apt is locked or holds a package back.
        CudaError
            It ended with an error.
        """
        if self.needs_root and os.geteuid() != 0:
            raise NeedsRootError(
                f"{self.what} needs root",
                seen=f"user {os.geteuid()}",
                hint="leave --system out: toolkits then go into your own folder",
            )
        work.progress.start(self.what)
        try:
            outcome = work.run(
                list(self.argv),
                timeout_s=self.timeout_s,
                env={**os.environ, **dict(self.env)},
            )
        finally:
            work.progress.finish()
        if not outcome.ok:
            raise _failed(self, outcome)


def _failed(step: Command, outcome: CommandOutcome) -> CudaError:
    """Return the error for a program that did not end well."""
    text = f"{outcome.stdout}\n{outcome.stderr}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "dpkg:", "error"))]
    seen = clean(scrub("; ".join((errors or lines)[-_LINES_SHOWN:]))) or (
        outcome.error or outcome.how
    )
    if outcome.timed_out:
        seen = f"no end after {step.timeout_s:.0f} s"
    if outcome.flooded:
        seen = outcome.how
    low = text.lower()
    if any(word in low for word in _APT_IS_BUSY):
        return AptBusyError(
            "another program is installing packages",
            seen=seen,
            hint="wait until it is done (!ps -C apt-get,dpkg,unattended-upgr), then run "
            "this cell again",
        )
    if any(word in low for word in _APT_HOLDS):
        return AptBusyError(
            "apt holds back a package that is needed",
            seen=seen,
            hint="!apt-mark showhold\n(shows which; or leave --system out)",
        )
    return CudaError(
        f"{step.what} did not work",
        seen=seen,
        hint=f"!{shlex.join(step.argv)}\n(shows all that it says; without --system no "
        "package of the system is needed)",
    )
