"""What will be done, and why: the answer of the planner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.report.document import Document
from colabmagic.report.plain import to_plain

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import Compiler, MachineFacts
    from colabmagic.cuda.steps.base import Step
    from colabmagic.data.compat import Release
    from colabmagic.report.model import Report

METHODS = (
    "reuse",
    "archive",
    "wheels",
    "redist",
    "deb",
    "apt",
    "runfile",
)  # in this order


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
    mirror: str | None = field(default=None, repr=False)  # it may hold a password
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
    suites, keyring
        Where it comes from ("jammy main universe multiverse") and what checks it.
    archive
        In words: "Ubuntu 22.04".
    basis
        How it is known that it is there.
    is_whole
        Whether what it loads and links with has to be brought too.
    """

    here: Compiler | None
    bring: int | None = None
    suites: tuple[str, ...] = ()
    keyring: str | None = None
    archive: str = ""
    basis: str = "measured"
    is_whole: bool = False

    @property
    def is_there(self) -> bool:
        """Tell whether there will be one."""
        return self.here is not None or self.bring is not None


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
    afterwards
        What is done when all is finished, and nothing depends on.
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
    afterwards: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    def view(self) -> Report:
        """Return what a person sees."""
        from colabmagic.cuda.report import plan_view  # noqa: PLC0415 (not by scripts)

        return plan_view(self)

    @property
    def basis(self) -> str | None:
        """Return how surely the chosen way is known to work."""
        return self.chosen.basis if self.chosen is not None else None

    @property
    def is_reuse(self) -> bool:
        """Tell whether a toolkit that is here is used, and nothing else happens."""
        is_here = self.chosen is not None and self.chosen.method == "reuse"
        return is_here and self.packages is None

    @property
    def deed(self) -> str:
        """Return what is done in a few words, as ``--rollback`` tells it later."""
        version = self.release.version if self.release is not None else self.wanted
        is_here = self.chosen is not None and self.chosen.method == "reuse"
        if is_here and self.packages is not None:
            return f"install packages for CUDA {version}"
        return f"{'use' if is_here else 'install'} CUDA {version}"

    @property
    def rejected(self) -> tuple[Candidate, ...]:
        """Return the ways that are not taken."""
        return tuple(each for each in self.candidates if each is not self.chosen)

    def lines(self) -> tuple[str, ...]:
        """Return what will be run, a line each."""
        steps = (*self.steps, *self.afterwards)
        return tuple(line for step in steps for line in step.lines())

    def to_dict(self) -> dict[str, Any]:
        """Return plain data.

        Returns
        -------
        dict
            ``can_run``, ``wanted``, ``release`` (its version), ``method``, ``steps``,
            ``afterwards``, ``outside``, ``candidates``, ``compiler``, ``problems``, ``warnings``,
            ``packages``, ``options``, and ``machine``, from which the facts can be
            made again. No address in it has a login.
        """
        from colabmagic.cuda.machine.facts import facts_to_dict  # noqa: PLC0415 (rare)

        packages = self.packages
        if packages is not None:
            packages = _listed(packages.to_dict())
        plain: dict[str, Any] = {
            "schema": 1,
            "can_run": self.can_run,
            "wanted": self.wanted,
            "release": self.release.version if self.release is not None else None,
            "method": self.chosen.method if self.chosen is not None else None,
            "basis": self.basis,
            "steps": [_step(step) for step in self.steps],
            "afterwards": [_step(step) for step in self.afterwards],
            "outside": list(self.outside),
            "problems": [to_plain(each) for each in self.problems],
            "warnings": [to_plain(each) for each in self.warnings],
            "candidates": [_candidate(each) for each in self.candidates],
            "compiler": to_plain(self.compiler),
            "packages": packages,
            "options": to_plain(self.options),
            "machine": facts_to_dict(self.facts),
        }
        return {name: _scrubbed(each) for name, each in plain.items()}

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


def _step(step: Step) -> dict[str, Any]:
    """Return a step as plain data, with the lines that a person sees."""
    return {**_listed(dict(step.to_dict())), "lines": list(step.lines())}


def _scrubbed(value: Any) -> Any:  # noqa: ANN401 (plain data)
    """Return plain data without passwords: it stays in the notebook."""
    from colabmagic.cuda.packages.scrub import scrub  # noqa: PLC0415 (lazy)

    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {name: _scrubbed(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_scrubbed(each) for each in value]
    return value


def _listed(value: Any) -> Any:  # noqa: ANN401 (whatever a step has)
    """Return lists for tuples, as JSON has them."""
    if isinstance(value, dict):
        return {name: _listed(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_listed(each) for each in value]
    return value


def _candidate(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate as plain data; its steps by their lines."""
    return {
        "method": candidate.method,
        "fits": candidate.fits,
        "why": candidate.why,
        "problem": to_plain(candidate.problem),
        "download_bytes": candidate.download_bytes,
        "disk_bytes": candidate.disk_bytes,
        "seconds": candidate.seconds,
        "basis": candidate.basis,
        "lines": [line for step in candidate.steps for line in step.lines()],
    }
