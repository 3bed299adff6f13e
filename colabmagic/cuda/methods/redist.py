"""Make a root of NVIDIA's redistributable archives: parts, with SHA-256."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

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
from colabmagic.cuda.steps.redist import FetchRedist
from colabmagic.cuda.steps.wheels import FetchWheels

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.planning.plan import Candidate, HostCompiler, Options
    from colabmagic.cuda.steps.base import Step
    from colabmagic.data.compat import Release

METHOD: Final = "redist"
# 11.8: nvcc 43.2, cudart 0.9, cccl 1.0 MB; the compilers of 12 and 13 are larger.
_DOWNLOAD: Final = {11: 45 * MB, 12: 65 * MB, 13: 110 * MB}
_DISK: Final = {11: 160 * MB, 12: 220 * MB, 13: 290 * MB}
_SECONDS: Final = 12.0
_GROWTH: Final = 3
# From here on the compiler comes in three parts.
_SPLIT: Final = 13
# Thrust and CUB: their archive was renamed with 11.3 or 11.4, the sources differ.
_HEADERS: Final = "cuda_cccl|cccl|cuda_thrust?"


def candidate(
    release: Release, facts: MachineFacts, options: Options, compiler: HostCompiler
) -> Candidate:
    """Return whether archives give this toolkit.

    Parameters
    ----------
    release, facts, options, compiler
        Of the plan.
    """
    manifest = release.redistrib_json
    if manifest is None:
        return refuse(
            METHOD,
            f"no list of archives was seen for CUDA {release.version}",
            "E09",
        )
    parts = ["cuda_nvcc", "cuda_cudart", _HEADERS]
    if release.major >= _SPLIT:
        parts += ["cuda_crt", "libnvvm"]
    download = _DOWNLOAD.get(release.major, 110 * MB)
    disk = _DISK.get(release.major, 290 * MB)
    wheels = []
    for part in chosen_parts(options.parts):
        download += part.megabytes * MB
        disk += part.megabytes * MB * _GROWTH
        requirement = wheel_requirement(part, release)
        if part.redist is not None:
            parts.append(part.redist)
        elif requirement is not None:
            wheels.append(requirement)
    if wheels and not facts.has_pip:
        return without_pip(METHOD)
    url = mirrored(manifest, options)
    steps: tuple[Step, ...] = (
        FetchRedist(
            manifest_url=url,
            parts=tuple(parts),
            platform=f"linux-{ARCHES.get(facts.arch, 'x86_64')}",
        ),
        *((FetchWheels(requirements=tuple(wheels)),) if wheels else ()),
        Unpack(format="redist"),
        *((Unpack(format="wheels"),) if wheels else ()),
        Assemble(layout="redist", build=release.minor),
        *compiler_steps(compiler, facts),
        *finish(release, facts, options, build=release.minor, method=METHOD),
    )
    return make(
        METHOD,
        f"NVIDIA's archives of {release.version}, only the parts that are needed "
        f"({_host(url)}); no root is needed",
        steps,
        release=release,
        facts=facts,
        compiler=compiler,
        download=download,
        disk=disk,
        seconds=None if options.parts else _SECONDS,  # libraries: not measured
        bases=(release.basis("redistrib"), "read"),
    )


def _host(url: str) -> str:
    """Return the server of an address, without a login."""
    return urlsplit(url).netloc.rpartition("@")[2]
