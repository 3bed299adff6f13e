"""What will be done, and why: the answer of the planner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.report.document import Document

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import Compiler, MachineFacts
    from colabmagic.cuda.steps.base import Step
    from colabmagic.data.compat import Release
    from colabmagic.report.model import Report

METHODS = ("reuse", "wheels", "redist", "deb", "apt", "runfile")  # in this order


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for beside the version; see ``%cuda_install``.

    Attributes
    ----------
    method
        One of `METHODS`, or ``auto``.
    parts
        Of ``--with``: "cudnn", "nccl", "cublas", …
    mirror
        A name or a URL.
    """

    method: str = "auto"
    parts: tuple[str, ...] = ()
    torch: bool = False
    system: bool = False
    mirror: str | None = None
    offline: bool = False
    cache: str | None = None
    yes: bool = False
    verify: str = "run"  # "run" or "ext"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why something cannot be, or needs care.

    Attributes
    ----------
    code
        E01 … E20, as in the catalogue (`colabmagic.cuda.errors`).
    what, seen
        As for every error.
    fix
        What to type, the nearest that works first.
    """

    code: str
    what: str
    seen: str = ""
    fix: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to get the toolkit.

    Attributes
    ----------
    method
        One of `METHODS`.
    why
        Why it fits, or why it does not; a sentence.
    problem
        What stands against it; None: it fits.
    steps
        What would be done.
    download_bytes, disk_bytes, seconds
        Estimates; None where nobody has measured.
    basis
        ``measured``, ``read``, ``inferred`` or ``memory``: the weakest of the table's
        rows that it rests on.
    """

    method: str
    why: str
    problem: Problem | None = None
    steps: tuple[Step, ...] = ()
    download_bytes: int | None = None
    disk_bytes: int | None = None
    seconds: float | None = None
    basis: str = "measured"

    @property
    def fits(self) -> bool:
        """Tell whether nothing stands against it."""
        return self.problem is None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCompiler:
    """What compiles the host's half of a program.

    Attributes
    ----------
    here
        One of this machine; None: `packages` bring one, or there is none.
    bring
        Major version of a g++ that is unpacked beside the toolkit; None: none is.
    """

    here: Compiler | None
    bring: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Document):
    """What will happen; `colabmagic.cuda.install` carries it out.

    Attributes
    ----------
    wanted
        As the user wrote it.
    release
        The toolkit; None: the version is not to be had.
    facts
        The machine.
    candidates
        All ways, in the order in which they were tried.
    chosen
        The first that fits; None: none does, and `problems` say why.
    compiler
        Of the host.
    packages
        For pip, from the cell's body; None: there is none.
    problems
        What makes the whole impossible.
    warnings
        What goes, with a catch.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.cuda-plan+json"

    wanted: str
    release: Release | None
    facts: MachineFacts
    options: Options = field(default_factory=Options)
    candidates: tuple[Candidate, ...] = ()
    chosen: Candidate | None = None
    compiler: HostCompiler | None = None
    packages: Any = None  # colabmagic.cuda.packages.route.PackagesPlan
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    def view(self) -> Report:
        """Return what a person sees."""
        from colabmagic.cuda.report import plan_view  # noqa: PLC0415 (not by scripts)

        return plan_view(self)

    @property
    def can_run(self) -> bool:
        """Tell whether the plan ends well, as far as anybody can know."""
        return self.chosen is not None and not self.problems

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return what will be done, in order."""
        mine = self.chosen.steps if self.chosen is not None else ()
        return (*mine, *(self.packages.steps if self.packages is not None else ()))

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what changes outside of our folder, in words."""
        return tuple(
            dict.fromkeys(each for step in self.steps for each in step.outside)
        )
