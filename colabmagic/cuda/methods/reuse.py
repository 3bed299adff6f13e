"""Use a toolkit that is here already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.cuda.methods.recipe import capability_of, refuse
from colabmagic.cuda.planning.plan import Candidate
from colabmagic.cuda.steps.activate import Activate
from colabmagic.cuda.steps.compiler import UseCompiler
from colabmagic.cuda.steps.system_link import SystemLink
from colabmagic.cuda.steps.verify import Verify

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts, Toolkit
    from colabmagic.cuda.planning.plan import HostCompiler, Options
    from colabmagic.cuda.steps.base import Step
    from colabmagic.data.compat import Release

METHOD: Final = "reuse"
_SECONDS_OURS: Final = 1.0
_SECONDS_FIRST: Final = 5.0  # of another's, which is linked and run once
_ORDER: Final = ("ours", "system", "path", "distribution", "wheels")
_WORDS: Final = {
    "ours": "in our folder",
    "system": "installed on this system",
    "path": "on PATH or in CUDA_HOME",
    "distribution": "of the distribution",
    "wheels": "in site-packages",
}


def candidate(
    release: Release, facts: MachineFacts, options: Options, compiler: HostCompiler
) -> Candidate:
    """Return whether a toolkit of this minor version is here.

    Parameters
    ----------
    release, facts, options, compiler
        Of the plan.
    """
    there = [each for each in facts.toolkits if each.minor == release.minor]
    complete = [each for each in there if each.has_compiler]
    if not complete:
        return _absent(release, there)
    # What was made with a compiler of its own needs none.
    usable = [
        each for each in complete if each.origin == "ours" or compiler.here is not None
    ]
    if not usable:
        return refuse(
            METHOD,
            f"CUDA {release.minor} is in {complete[0].root}, but no g++ here suits it",
            "E04",
        )
    whole = [each for each in usable if set(options.parts) <= set(each.parts)]
    if not whole:
        lacking = [name for name in options.parts if name not in usable[0].parts]
        return refuse(METHOD, f"{usable[0].root} has no {', '.join(lacking)}", "E23")
    found = min(whole, key=lambda each: (_ORDER.index(each.origin), each.root))
    if found.origin == "wheels":
        # The layout of wheels has no lib64 and no plain lib*.so, so linking fails.
        return refuse(
            METHOD,
            f"the wheels in {found.root} do not link by themselves: a root is made",
            "E16",
        )
    return Candidate(
        method=METHOD,
        why=f"CUDA {found.build} is here already, {_WORDS[found.origin]}: {found.root}",
        steps=_steps(found, release, facts, options, compiler),
        download_bytes=0,
        disk_bytes=0,
        seconds=_SECONDS_OURS if found.origin == "ours" else _SECONDS_FIRST,
        basis="measured",
    )


def _absent(release: Release, there: list[Toolkit]) -> Candidate:
    """Return that there is none, or one without a compiler."""
    if there:
        return refuse(
            METHOD,
            f"what is in {there[0].root} has no compiler",
            "E16",
        )
    return refuse(METHOD, f"no CUDA {release.minor} is here yet", "E23")


def _steps(
    toolkit: Toolkit,
    release: Release,
    facts: MachineFacts,
    options: Options,
    compiler: HostCompiler,
) -> tuple[Step, ...]:
    """Return: prove it, then use it."""
    steps: list[Step] = []
    is_ours = toolkit.origin == "ours"
    if not is_ours and compiler.here is not None:
        steps.append(UseCompiler(path=compiler.here.path))
    build = toolkit.build if isinstance(toolkit.build, str) else release.minor
    steps.append(
        Verify(
            build=build,
            capability=capability_of(release, facts),
            ext=options.verify == "ext",
            root=toolkit.root,
            variables=toolkit.variables,
            # Ours has linked and run before it got its name; another's nobody has tried.
            until="cubin" if is_ours and options.verify != "ext" else "ext",
        )
    )
    steps.append(Activate(root=toolkit.root, variables=toolkit.variables))
    if options.system:
        steps.append(SystemLink(root=toolkit.root))
    return tuple(steps)
