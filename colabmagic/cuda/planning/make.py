"""From a wish and a machine to a plan; nothing is read, nothing is done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.machine.facts import Compiler
from colabmagic.cuda.methods.parts import unknown_parts
from colabmagic.cuda.planning.advice import advise
from colabmagic.cuda.planning.candidates import candidates, refused, works
from colabmagic.cuda.planning.host_compiler import choose_compiler, install_commands
from colabmagic.cuda.planning.keeping import keeping
from colabmagic.cuda.planning.limits import (
    GPU_RUNTIME,
    find_limit,
    is_managed,
    system_limit,
)
from colabmagic.cuda.planning.plan import (
    METHODS,
    Candidate,
    Options,
    Plan,
    Problem,
)
from colabmagic.cuda.version import choose_release, parse_wanted
from colabmagic.data import compat
from colabmagic.report.model import Unknown
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.packages.body import Body
    from colabmagic.cuda.packages.route import PackagesPlan
    from colabmagic.data.compat import Release

# Of several reasons why no way fits, the one that is told: the first of these.
_OF_TORCH: Final = frozenset({"E07", "E14", "E18"})
_OF_MACHINE: Final = frozenset({"no-driver", "E17"})
_TOLD: Final = ("E08", "E04", "E05", "E13", "E02", "E16", "E09", "E23")


def make_plan(
    wanted_text: str,
    body: str = "",
    facts: MachineFacts | None = None,
    options: Options | None = None,
) -> Plan:
    """Return what would be done, and why; pure.

    Parameters
    ----------
    wanted_text
        As the user wrote it: "11.1", "cu118", "auto", "torch".
    body
        The cell's lines for pip; empty: the toolkit alone.
    facts
        The machine.
    options
        Of the magic.

    Returns
    -------
    Plan
        With ``can_run``; where that is False, each of ``problems`` has a fix.

    Raises
    ------
    TypeError
        The machine is left out.
    """
    if facts is None:
        raise TypeError("a plan needs the facts of a machine: see probe_machine()")
    options = Options() if options is None else options
    try:
        wanted = parse_wanted(wanted_text)
        release = choose_release(wanted, facts)
    except CudaError as error:
        return _without_release(wanted_text, error, facts, options)
    cell = _read(body, options)
    if wanted.minor is None and wanted.kind != "torch":
        release = _newest_to_be_had(release, wanted.major, cell, facts, options)
    return _plan(wanted_text, release, cell, facts, options)


def _newest_to_be_had(
    newest: Release,
    major: int | None,
    cell: Body | None,
    facts: MachineFacts,
    options: Options,
) -> Release:
    """Return the newest release that some way brings, of those that the machine runs.

    Where the cell wants a PyTorch, the newest that has one: else the user would be sent
    from the newest toolkit to that of its PyTorch.
    """
    first, seen = None, set()
    for each in reversed(compat.releases()):
        is_asked = major is None or each.major == major
        if each.numbers > newest.numbers or not is_asked or each.minor in seen:
            continue
        if not works(each, facts, options):
            continue
        packages = _packages(cell, each, facts, options)
        if packages is None or packages.suits(each.minor):
            return each
        first = first or each
        seen.add(each.minor)
    return first or newest


def _without_release(
    wanted: str, error: CudaError, facts: MachineFacts, options: Options
) -> Plan:
    """Return that there is no such version, or none for this machine."""
    limit = system_limit(facts) if error.code != "E01" or wanted == "torch" else None
    if limit is not None:
        return Plan(
            wanted=wanted,
            release=None,
            facts=facts,
            options=options,
            problems=(limit,),
        )
    fix, why = _that_works(tuple(error.hint.splitlines()), wanted, facts)
    seen = "; ".join(part for part in (error.seen, why) if part)
    if error.code == "E14" and facts.driver is None and facts.host == "colab":
        fix = (f"{GPU_RUNTIME}   brings the other PyTorch", *fix)
    problem = Problem(code=error.code, what=error.what, seen=seen, fix=fix)
    return Plan(
        wanted=wanted,
        release=None,
        facts=facts,
        options=options,
        problems=(problem,),
    )


def _that_works(
    fix: tuple[str, ...], wanted: str, facts: MachineFacts
) -> tuple[tuple[str, ...], str]:
    """Return a fix whose command works on this machine, or what mends that first.

    With it comes why the nearest version is not the one that is offered.
    """
    if not fix or not fix[0].startswith("%cuda_install "):
        return fix, ""
    version = fix[0].split()[1]
    if version == wanted:
        return fix, ""
    plan = make_plan(version, "", facts)
    if plan.can_run or not plan.problems:
        return fix, ""
    first = plan.problems[0]
    return first.fix, f"{version} cannot be had here: {first.what}"


def _plan(
    wanted: str,
    release: Release,
    cell: Body | None,
    facts: MachineFacts,
    options: Options,
) -> Plan:
    """Return the plan for a release."""
    compiler, no_compiler = choose_compiler(release, facts)
    limit = find_limit(release, facts) or _no_method(options)
    limit = limit or unknown_parts(options.parts) or _no_root(facts, options)
    # These have a fix of their own: no other version, no other way mends them.
    by_option = None if limit else _no_mirror(options) or _no_cache(facts, options)
    limit = limit or by_option
    judged = tuple(
        each if limit is None else refused(each, limit)
        for each in candidates(release, facts, options, compiler, no_compiler)
    )
    chosen = next((each for each in judged if each.fits), None)
    problems: tuple[Problem, ...] = ()
    if by_option is not None:
        problems = (by_option,)
    elif limit is not None:
        problems = (_with_way_out(limit, release, facts, options),)
    elif chosen is None:
        told = _told(judged, release, options)
        problems = (_with_way_out(told, release, facts, options),)
    packages = _packages(cell, release, facts, options)
    warnings = advise(release, facts, options, chosen)
    if packages is not None:
        both = (*problems, *_with_runtime(packages.problems, facts))
        problems = tuple(dict.fromkeys(both))
        warnings = tuple(each for each in warnings if _still_holds(each, packages))
    if problems:  # the rest is of a toolkit that does not come
        warnings = tuple(each for each in warnings if each.code in _OF_MACHINE)
    if packages is not None:
        warnings = (*warnings, *packages.warnings)
    return Plan(
        wanted=wanted,
        release=release,
        facts=facts,
        options=options,
        candidates=judged,
        chosen=chosen,
        compiler=compiler,
        packages=packages,
        afterwards=() if problems else keeping(release, facts, options, chosen),
        problems=problems,
        warnings=warnings,
    )


def _still_holds(warning: Problem, packages: PackagesPlan) -> bool:
    """Tell whether a warning holds where the cell brings a PyTorch of its own."""
    return warning.code not in _OF_TORCH or packages.torch is None


def _no_method(options: Options) -> Problem | None:
    """Return that ``--method`` is none, if so."""
    if options.method in {"auto", *METHODS}:
        return None
    return Problem(
        code="E21",
        what=f"--method does not know {options.method!r}",
        seen=f"it knows auto, {', '.join(METHODS)}",
        fix=("--method auto",),
    )


def _no_mirror(options: Options) -> Problem | None:
    """Return that ``--mirror`` is none, if so."""
    if options.mirror is None:
        return None
    from colabmagic.cuda.packages.sources import unknown_mirror  # noqa: PLC0415 (lazy)

    return unknown_mirror(options.mirror)


def _no_cache(facts: MachineFacts, options: Options) -> Problem | None:
    """Return that the folder of ``--cache`` hangs, if so: a download would, too."""
    if options.cache is None or not isinstance(facts.kept, Unknown):
        return None
    return Problem(
        code="E09",
        what="the folder of --cache does not answer",
        seen=f"{clean(options.cache)}: {facts.kept.reason}",
        fix=(
            "%mount_drive --status   tells whether Drive hangs",
            "leave --cache out: then all is fetched to the local disk",
        ),
    )


def _no_root(facts: MachineFacts, options: Options) -> Problem | None:
    """Return that ``--system`` is asked for without root, if so."""
    if not options.system or facts.is_root:
        return None
    return Problem(
        code="E13",
        what="--system changes /usr/local/cuda, which needs root",
        seen="this kernel does not run as root",
        fix=("leave --system out: this kernel uses the toolkit all the same",),
    )


def _told(
    candidates: tuple[Candidate, ...], release: Release, options: Options
) -> Problem:
    """Return the reason that a user can do most about."""
    asked = [
        each
        for each in candidates
        if each.problem is not None and options.method in {"auto", each.method}
    ]
    first = min(asked, key=lambda each: _rank(each.problem))
    assert first.problem is not None, "none of them fits"
    if options.method == "auto" and first.problem.code in {"E09", "E13", "E16", "E23"}:
        return Problem(
            code="E09",
            what=f"there is no way to get CUDA {release.version} here",
            seen=first.why,
        )
    if options.method != "auto":
        return replace(
            first.problem,
            what=f"--method {options.method} cannot bring CUDA {release.version}",
            seen="; ".join(
                part for part in (first.problem.what, first.problem.seen) if part
            ),
        )
    return first.problem


def _rank(problem: Problem | None) -> int:
    """Return how early a reason is told."""
    code = problem.code if problem is not None else ""
    return _TOLD.index(code) if code in _TOLD else len(_TOLD)


def _with_way_out(
    problem: Problem, release: Release, facts: MachineFacts, options: Options
) -> Problem:
    """Return a problem whose fix begins with what works here."""
    first: list[str] = []
    plain = replace(options, method="auto", system=False, parts=())
    if options.method != "auto" and works(release, facts, plain):
        first.append(f"%cuda_install {release.version} --method auto")
    elif problem.code not in {"E13", "E21"}:
        first += _nearest(release, facts, plain, or_with_compiler=not problem.fix)
    fix = tuple(dict.fromkeys((*first, *problem.fix)))
    if not fix:
        fix = _elsewhere(facts)
    return replace(problem, fix=fix)


def _nearest(
    release: Release, facts: MachineFacts, options: Options, *, or_with_compiler: bool
) -> list[str]:
    """Return what to type for the nearest CUDA that works here as it is.

    Where there is none, perhaps the nearest that wants no more than a compiler.
    """
    for each in _by_distance(release):
        if works(each, facts, options):
            return [f"%cuda_install {each.minor}"]
    for each in _by_distance(release) if or_with_compiler else ():
        commands = install_commands(each, facts)
        if commands and works(each, _with_compiler(each, facts), options):
            return [*commands, f"%cuda_install {each.minor}"]
    return []


def _with_compiler(release: Release, facts: MachineFacts) -> MachineFacts:
    """Return the machine as it would be with the compiler that is wanted."""
    top = release.gcc_max
    wanted = Compiler(path=f"/usr/bin/g++-{top}", version=(top,))
    return replace(facts, compilers=(*facts.compilers, wanted))


def _by_distance(release: Release) -> list[Release]:
    """Return the newest release of each other minor, the nearest first, then the newer."""
    minors = list(compat.minors())
    here = minors.index(release.minor)
    order = sorted(
        (index for index in range(len(minors)) if index != here),
        key=lambda index: (abs(index - here), -index),
    )
    return [compat.newest_of(minors[index]) for index in order]


def _elsewhere(facts: MachineFacts) -> tuple[str, ...]:
    """Return what is left where nothing works on this machine."""
    if facts.host == "colab":
        return (f"{GPU_RUNTIME}   another GPU, another driver",)
    if is_managed(facts):
        return ("choose another accelerator in the settings of the notebook",)
    return (f"open the notebook on Colab: {GPU_RUNTIME}",)


def _read(body: str, options: Options) -> Body | None:
    """Return the lines for pip; None: there are none."""
    if not body.strip() and not options.torch:
        return None
    from colabmagic.cuda.packages.body import parse_body  # noqa: PLC0415 (lazy)

    cell = parse_body(body)
    is_empty = not (cell.requirements or cell.options or cell.problems)
    return None if is_empty and not options.torch else cell  # remarks ask for nothing


def _packages(
    cell: Body | None, release: Release, facts: MachineFacts, options: Options
) -> PackagesPlan | None:
    """Return what pip shall do; None: nothing."""
    if cell is None:
        return None
    from colabmagic.cuda.packages.route import route  # noqa: PLC0415 (lazy)

    found = route(cell, release, facts, options)
    if facts.has_pip or found.problems:
        return found
    from colabmagic.cuda.packages.failure import ENSURE_PIP  # noqa: PLC0415 (rare)

    problem = Problem(
        code="E09",
        what="this Python has no pip for the lines of the cell",
        fix=(f"{ENSURE_PIP}\n(then run this cell again)",),
    )
    return replace(found, problems=(problem,))


def _with_runtime(
    problems: tuple[Problem, ...], facts: MachineFacts
) -> tuple[Problem, ...]:
    """Add Colab's older runtimes to what is told of a PyTorch that this Python lacks."""
    if facts.host != "colab":
        return problems
    return tuple(
        replace(each, fix=(*each.fix, _RUNTIMES)) if each.code == "E11" else each
        for each in problems
    )


_RUNTIMES: Final = (
    "Runtime > Change runtime type > Runtime version: 2025.07 has Python 3.11 and "
    "PyTorch 2.6, 2025.10 has 3.12 and 2.8, 2026.01 has 2.9 (chosen anew each session)"
)
