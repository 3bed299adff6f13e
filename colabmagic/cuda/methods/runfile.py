"""Unpack NVIDIA's installer without running it: for 9.x and 10.x there is nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.cuda.methods.parts import chosen_parts, wheel_requirement
from colabmagic.cuda.methods.recipe import (
    MB,
    compiler_steps,
    finish,
    make,
    mirrored,
    refuse,
    without_pip,
)
from colabmagic.cuda.planning.limits import ARCHES
from colabmagic.cuda.steps.assemble import Assemble
from colabmagic.cuda.steps.fetch import Unpack
from colabmagic.cuda.steps.runfile import FetchRunfile
from colabmagic.cuda.steps.wheels import FetchWheels
from colabmagic.data import compat

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.planning.plan import Candidate, HostCompiler, Options
    from colabmagic.data.compat import Release

METHOD: Final = "runfile"
# From memory, but for 12: 4.29 GB (read).
_MEGABYTES: Final = {9: 1700, 10: 2500, 11: 3600, 12: 4290, 13: 4400}
# The installer unpacks all of itself before parts can be taken.
_UNPACKED: Final = 3
# NVIDIA's addresses of what the table has none for; from memory.
_URLS: Final = {
    "9.0.176": "https://developer.nvidia.com/compute/cuda/9.0/Prod/local_installers/"
    "cuda_9.0.176_384.81_linux-run",
    "9.1.85": "https://developer.nvidia.com/compute/cuda/9.1/Prod/local_installers/"
    "cuda_9.1.85_387.26_linux",
}
_ARM_SUFFIX: Final = "_linux_sbsa.run"


def candidate(
    release: Release, facts: MachineFacts, options: Options, compiler: HostCompiler
) -> Candidate:
    """Return whether the installer gives this toolkit.

    Parameters
    ----------
    release, facts, options, compiler
        Of the plan.
    """
    url = release.runfile_url or _URLS.get(release.version)
    if url is None:
        return refuse(
            METHOD, f"no address of an installer of {release.version} is known", "E09"
        )
    bases = [release.basis("runfile")]
    wheels = []
    for part in chosen_parts(options.parts):
        if part.is_of_toolkit:
            continue  # the installer has it
        requirement = wheel_requirement(part, release)
        if requirement is None:
            return refuse(
                METHOD, f"{part.name} for CUDA {release.minor} cannot be had", "E09"
            )
        wheels.append(requirement)
    if wheels and not facts.has_pip:
        return without_pip(METHOD)
    if ARCHES.get(facts.arch) == "sbsa":
        url = url.removesuffix("_linux.run") + _ARM_SUFFIX
        bases.append("inferred")
    size = _MEGABYTES.get(release.major, max(_MEGABYTES.values())) * MB
    return make(
        METHOD,
        f"NVIDIA's installer of {release.version} is unpacked, not run; no root is "
        "needed",
        (
            FetchRunfile(url=mirrored(url, options)),
            *((FetchWheels(requirements=tuple(wheels)),) if wheels else ()),
            Unpack(format="runfile"),
            *((Unpack(format="wheels"),) if wheels else ()),
            Assemble(layout="runfile", build=build_of(release)),
            *compiler_steps(compiler, facts),
            *finish(release, facts, options, build=build_of(release), method=METHOD),
        ),
        release=release,
        facts=facts,
        compiler=compiler,
        download=size,
        disk=size * _UNPACKED,
        seconds=None,
        bases=(*bases, "memory"),
    )


def build_of(release: Release) -> str:
    """Return the build that nvcc will tell: before 11 it is the version.

    Parameters
    ----------
    release
        The toolkit.
    """
    first = compat.numbers("11")
    return release.version if release.numbers < first else release.minor
