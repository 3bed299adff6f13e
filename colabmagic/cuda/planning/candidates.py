"""All ways to a toolkit, judged in their order."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.planning.host_compiler import choose_compiler
from colabmagic.cuda.planning.limits import find_limit
from colabmagic.cuda.planning.plan import (
    METHODS,
    Candidate,
    HostCompiler,
    Options,
    Problem,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.data.compat import Release


def candidates(
    release: Release,
    facts: MachineFacts,
    options: Options,
    compiler: HostCompiler,
    no_compiler: Problem | None,
) -> Iterator[Candidate]:
    """Yield all ways in their order; those that were not asked for do not fit.

    Parameters
    ----------
    release, facts, options, compiler
        Of the plan.
    no_compiler
        Why there is no host compiler; None: there is one.
    """
    for method in METHODS:
        made = _method(method)(release, facts, options, compiler)
        # What is in our folder has its own compiler, and so may what was kept of it.
        if no_compiler is not None and not _has_compiler(made):
            made = refused(made, no_compiler)
        if options.method not in {"auto", method}:
            asked = Problem(code="E21", what=f"--method {options.method} was asked for")
            made = replace(made, problem=made.problem or asked)
        yield made


def refused(candidate: Candidate, problem: Problem) -> Candidate:
    """Return a candidate that would fit, if it were not for a problem.

    Parameters
    ----------
    candidate
        A way; one that does not fit keeps its own reason.
    problem
        What is against all of them.
    """
    if not candidate.fits:
        return candidate
    return replace(
        candidate, why=f"{candidate.why}, but {problem.what}", problem=problem
    )


def works(release: Release, facts: MachineFacts, options: Options) -> bool:
    """Tell whether a release could be had here.

    Parameters
    ----------
    release, facts, options
        Of the plan.
    """
    if find_limit(release, facts) is not None:
        return False
    compiler, no_compiler = choose_compiler(release, facts)
    return any(
        each.fits for each in candidates(release, facts, options, compiler, no_compiler)
    )


def _has_compiler(candidate: Candidate) -> bool:
    """Tell whether a way needs no compiler of this machine."""
    return candidate.method == "reuse" or any(
        getattr(step, "compiler", None) is not None for step in candidate.steps
    )


def _method(
    name: str,
) -> Callable[[Release, MachineFacts, Options, HostCompiler], Candidate]:
    """Return the function that judges one of `METHODS`."""
    module: Any = importlib.import_module(f"colabmagic.cuda.methods.{name}")
    judge: Callable[..., Candidate] = module.candidate
    return judge
