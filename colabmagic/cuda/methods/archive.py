"""Take a toolkit out of the archive that an earlier machine has kept of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.methods.recipe import compiler_steps, finish, make, refuse
from colabmagic.cuda.methods.wheels import brought_by_torch
from colabmagic.cuda.steps.kept import UnpackKept
from colabmagic.report.model import Unknown
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import Kept, MachineFacts
    from colabmagic.cuda.planning.plan import Candidate, HostCompiler, Options
    from colabmagic.data.compat import Release

METHOD: Final = "archive"
_SECONDS: Final = 5.0  # measured: 113 MB from a local disk, on two slow cores


def candidate(
    release: Release, facts: MachineFacts, options: Options, compiler: HostCompiler
) -> Candidate:
    """Return whether an archive of this release lies in the folder of ``--cache``.

    Parameters
    ----------
    release, facts, options, compiler
        Of the plan.
    """
    if options.cache is None:
        return refuse(METHOD, "no folder is named by --cache", "E23")
    if isinstance(facts.kept, Unknown):
        return refuse(METHOD, f"{clean(options.cache)}: {facts.kept.reason}", "E23")
    of_release = [each for each in facts.kept if each.release in {release.version, ""}]
    reasons = {each.path: why_not(each, release, facts, options) for each in of_release}
    usable = [each for each in of_release if not reasons[each.path]]
    if not usable:
        return _none(release, options, reasons)
    chosen = min(usable, key=lambda each: (not _has_its_own(each, compiler), each.size))
    own = chosen.compiler if _has_its_own(chosen, compiler) else None
    if own is not None:  # it need not be brought
        compiler = replace(compiler, bring=None)
    linked = brought_by_torch(release, facts)
    if linked is not None and options.method != METHOD:
        # Extensions of PyTorch want its headers, which a kept toolkit does not link to.
        return refuse(
            METHOD,
            f"a toolkit that links to PyTorch's own libraries in {linked.root} is better",
            "E23",
        )
    made = make(
        METHOD,
        f"the toolkit was kept in {clean(chosen.path)}{_else(options)}",
        (
            UnpackKept(
                path=chosen.path,
                sha256=chosen.sha256,
                size=chosen.size,
                files=chosen.files,
                unpacked_bytes=chosen.unpacked_bytes,
                arch=facts.arch,
                compiler=own,
            ),
            *compiler_steps(compiler, facts),
            *finish(release, facts, options, build=chosen.build, method=chosen.method),
        ),
        release=release,
        facts=facts,
        compiler=compiler,
        download=0,  # it is not copied into a cache
        disk=chosen.unpacked_bytes,
        seconds=_SECONDS,
        bases=("measured",),  # it was proven before it was kept
    )
    return replace(made, download_bytes=(made.download_bytes or 0) + chosen.size)


def _else(options: Options) -> str:
    """Return what happens where the archive does not pass."""
    if options.method == METHOD:
        return ""
    return "; if it does not pass, the next possible way is taken"


def why_not(kept: Kept, release: Release, facts: MachineFacts, options: Options) -> str:
    """Return why an archive of a release is not for this machine; empty: it is.

    Parameters
    ----------
    kept
        The archive.
    release, facts, options
        Of the plan.
    """
    if kept.problem:
        return kept.problem
    if kept.arch != facts.arch:
        return f"it is for {kept.arch}"
    if kept.system and kept.system != facts.system:
        return f"it has packages of {kept.system} in it"
    if not f"{kept.build}.".startswith(f"{release.minor}."):
        return f"it holds CUDA {kept.build}"
    lacking = [name for name in options.parts if name not in kept.parts]
    return f"it has no {', '.join(lacking)}" if lacking else ""


def _has_its_own(kept: Kept, compiler: HostCompiler) -> bool:
    """Tell whether nvcc shall use the g++ in the archive."""
    if compiler.here is not None or kept.compiler is None:
        return False
    return compiler.bring in {kept.compiler, None}


def _none(release: Release, options: Options, reasons: dict[str, str]) -> Candidate:
    """Return that there is none that fits."""
    why = f"no CUDA {release.version} is kept in {clean(options.cache or '')}"
    if reasons:
        path, reason = next(iter(reasons.items()))
        why = f"{clean(path)} is not used: {reason}"
    return refuse(METHOD, why, "E23")
