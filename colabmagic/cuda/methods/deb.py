"""Unpack the distribution's own packages beside the system, without root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.methods.recipe import (
    DEBIAN_ARCHES,
    MB,
    compiler_steps,
    finish,
    make,
    refuse,
    without_pip,
)
from colabmagic.cuda.planning.archives import (
    ARCHIVES,
    keyring_for,
    source_line,
    usable_archives,
)
from colabmagic.cuda.steps.assemble import Assemble
from colabmagic.cuda.steps.debs import FetchDebs
from colabmagic.cuda.steps.fetch import Unpack
from colabmagic.cuda.steps.wheels import FetchWheels

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.planning.archives import Archive
    from colabmagic.cuda.planning.plan import Candidate, HostCompiler, Options
    from colabmagic.cuda.steps.base import Step
    from colabmagic.data.compat import Release

METHOD: Final = "deb"
_WHEELS: Final = ("nvidia-cuda-runtime", "nvidia-cuda-nvcc", "nvidia-cuda-cccl")


@dataclass(frozen=True, slots=True)
class _Weight:
    """What a toolkit of a distribution takes."""

    download: int
    disk: int
    seconds: float | None


# Measured, but for disks: 11.2 takes headers and libraries from a package of 557 MB.
_WEIGHTS: Final = {
    "11.2": _Weight(626 * MB, 2_400 * MB, 155.0),
    "11.8": _Weight(115 * MB, 420 * MB, 18.0),
    "12.4": _Weight(122 * MB, 450 * MB, 14.0),
}
_WITH_DEV: Final = _Weight(700 * MB, 2_600 * MB, None)
_WITH_WHEELS: Final = _Weight(125 * MB, 450 * MB, None)


def candidate(
    release: Release, facts: MachineFacts, options: Options, compiler: HostCompiler
) -> Candidate:
    """Return whether an archive that this machine trusts holds this toolkit.

    Parameters
    ----------
    release, facts, options, compiler
        Of the plan.
    """
    holding = [each for each in ARCHIVES if _minor(each) == release.minor]
    usable = [each for each in usable_archives(facts) if each in holding]
    if not usable:
        return refuse(METHOD, _why_not(release, facts, holding), "E09")
    if options.parts:
        return refuse(
            METHOD, "the distribution's packages bring no libraries of --with", "E09"
        )
    archive = usable[0]
    if not facts.has_pip and "nvidia-cuda-dev" not in archive.packages:
        return without_pip(METHOD)
    build, basis = archive.nvcc() or (release.minor, "memory")
    has_dev = "nvidia-cuda-dev" in archive.packages
    weight = _WEIGHTS.get(release.minor, _WITH_DEV if has_dev else _WITH_WHEELS)
    wheels = () if has_dev else _requirements(release)
    keyring, line = keyring_for(archive, facts), source_line(archive, facts)
    assert line is not None, "usable_archives has looked"
    steps: tuple[Step, ...] = (
        FetchDebs(
            suites=(line,),
            packages=archive.packages,
            keyring=keyring,
            arch=DEBIAN_ARCHES[facts.arch],
        ),
        *((FetchWheels(requirements=wheels),) if wheels else ()),
        Unpack(format="deb"),
        *((Unpack(format="wheels"),) if wheels else ()),
        Assemble(layout="deb", build=build),
        *compiler_steps(compiler, facts),
        *finish(release, facts, options, build=build, method=METHOD),
    )
    return make(
        METHOD,
        f"{archive.name} has nvcc {build} in its archive; it is unpacked, not installed",
        steps,
        release=release,
        facts=facts,
        compiler=compiler,
        download=weight.download,
        disk=weight.disk,
        seconds=weight.seconds,
        bases=(basis, "measured" if facts.arch == "x86_64" else "inferred"),
    )


def _minor(archive: Archive) -> str | None:
    """Return "11.8" where an archive holds that."""
    found = archive.nvcc()
    return None if found is None else ".".join(found[0].split(".")[:2])


def _requirements(release: Release) -> tuple[str, ...]:
    """Return the wheels with runtime, libdevice and headers."""
    return tuple(f"{name}-cu{release.major}=={release.minor}.*" for name in _WHEELS)


def _why_not(release: Release, facts: MachineFacts, holding: list[Archive]) -> str:
    """Return why no archive serves."""
    if not holding:
        return f"no release of Debian or Ubuntu has CUDA {release.minor}"
    names = " and ".join(each.name for each in holding)
    if not {"apt-get", "dpkg-deb"} <= set(facts.tools):
        return f"it is in {names}, but apt-get and dpkg-deb are not here"
    if facts.glibc is None or all(each.glibc > facts.glibc for each in holding):
        return f"it is in {names}, whose C library is newer than the one here"
    return f"it is in {names}, whose keys and mirrors this machine does not know"
