"""Make a root of NVIDIA's wheels: from 13.0 on they bring a compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.cuda.methods.parts import chosen_parts, wheel_requirement
from colabmagic.cuda.methods.recipe import (
    MB,
    compiler_steps,
    finish,
    make,
    refuse,
    without_pip,
)
from colabmagic.cuda.steps.assemble import Assemble
from colabmagic.cuda.steps.fetch import Unpack
from colabmagic.cuda.steps.wheels import FetchWheels
from colabmagic.data import compat

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts, Toolkit
    from colabmagic.cuda.planning.plan import Candidate, HostCompiler, Options
    from colabmagic.data.compat import Release

METHOD: Final = "wheels"
_HEADERS: Final = "nvidia-cuda-cccl"
_FIRST_OF_CCCL: Final = (13, 3)
_COMPILER: Final = (
    "nvidia-cuda-nvcc",
    "nvidia-nvvm",
    "nvidia-cuda-crt",
    _HEADERS,
)
_RUNTIME: Final = "nvidia-cuda-runtime"
# These have the build number of the compiler.
_SAME_BUILD: Final = frozenset({"nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cuda-crt"})
# What PyTorch does not bring, or puts elsewhere than into the tree that is linked.
_NOT_OF_TORCH: Final = frozenset({"npp", "nvjpeg", "cudnn", "nccl"})
_RUNTIME_BYTES: Final = 2_200_000
# Measured: download and unpacked size in MB.
_SIZES: Final = {
    "13.0": (105, 271),
    "13.1": (112, 293),
    "13.2": (117, 304),
    "13.3": (122, 318),
    "13.4": (127, 342),
    "13.5": (129, 345),
}
_SECONDS: Final = 7.0
_GROWTH: Final = 3  # of a library's wheel when it is unpacked


def candidate(
    release: Release, facts: MachineFacts, options: Options, compiler: HostCompiler
) -> Candidate:
    """Return whether wheels give this toolkit.

    Parameters
    ----------
    release, facts, options, compiler
        Of the plan.
    """
    if not release.has_nvcc_binary:
        return _no_compiler(release)
    if not facts.has_pip:
        return without_pip(METHOD)
    torch_root = brought_by_torch(release, facts)
    requirements = requirements_of(release, shadow=torch_root is not None)
    download, disk = (size * MB for size in _SIZES.get(release.minor, (130, 350)))
    if torch_root is not None:
        download -= _RUNTIME_BYTES
    for part in chosen_parts(options.parts):
        # What PyTorch has brought is linked; asking again would have it twice.
        if torch_root is not None and part.name not in _NOT_OF_TORCH:
            continue
        requirement = wheel_requirement(part, release)
        if requirement is not None:
            requirements.append(requirement)
            download += part.megabytes * MB
            disk += part.megabytes * MB * _GROWTH
    return make(
        METHOD,
        _why(release, torch_root),
        (
            FetchWheels(requirements=tuple(requirements)),
            Unpack(format="wheels"),
            Assemble(
                layout="shadow" if torch_root is not None else "wheels",
                build=release.minor,
                from_root=torch_root.root if torch_root is not None else None,
            ),
            *compiler_steps(compiler, facts),
            *finish(release, facts, options, build=_build(release), method=METHOD),
        ),
        release=release,
        facts=facts,
        compiler=compiler,
        download=download,
        disk=disk,
        seconds=None if options.parts else _SECONDS,  # libraries: not measured
        bases=(
            release.basis("pypi"),
            "measured" if _is_x86(facts) and _is_newest(release) else "inferred",
        ),
    )


def _is_x86(facts: MachineFacts) -> bool:
    """Tell whether the machine has the processor that was measured."""
    return facts.arch == "x86_64"


def _no_compiler(release: Release) -> Candidate:
    """Return that the wheels of this version bring no compiler, or that there are none."""
    if release.nvcc_wheels:
        return refuse(
            METHOD,
            f"the wheel {release.nvcc_package} {release.nvcc_wheels[-1]} holds ptxas "
            "and headers, but no nvcc",
            "E16",
        )
    return refuse(METHOD, f"there are no wheels of CUDA {release.minor}", "E16")


def brought_by_torch(release: Release, facts: MachineFacts) -> Toolkit | None:
    """Return the libraries of this very minor that PyTorch has brought.

    Parameters
    ----------
    release, facts
        Of the plan.
    """
    return next(
        (
            each
            for each in facts.toolkits
            if each.origin == "wheels"
            and each.minor == release.minor
            and each.root.rstrip("/").endswith(f"cu{release.major}")
        ),
        None,
    )


def requirements_of(release: Release, *, shadow: bool) -> list[str]:
    """Return what pip is asked for.

    All are pinned to the minor version, whose newest build is taken; where an older
    release is wanted, the compiler is pinned to the build that belongs to it.

    Parameters
    ----------
    release
        The toolkit, of 13.0 or later.
    shadow
        Whether the libraries are here already.
    """
    names = _COMPILER if shadow else (*_COMPILER, _RUNTIME)
    pins = dict.fromkeys(names, f"{release.minor}.*")
    pins[_HEADERS] = f"{_headers_minor(release)}.*"
    if not _is_newest(release):
        pins |= dict.fromkeys(_SAME_BUILD, _build(release))
    return [f"{name}=={pins[name]}" for name in names]


def _headers_minor(release: Release) -> str:
    """Return the beginning of the version that the wheel of Thrust and CUB has.

    Up to 13.2 it is that of CUDA. From 13.3 on it is CUDA's major version, then that of
    CCCL itself, which is 3.3 with 13.3, 3.4 with 13.4, 3.5 with 13.5 (read in what
    cuda-toolkit 13.3.0 to 13.5.0 ask for): "13.3.4" with CUDA 13.4.
    """
    major, minor = release.numbers[:2]
    if (major, minor) < _FIRST_OF_CCCL:
        return release.minor
    return f"{major}.3.{minor}"


def _is_newest(release: Release) -> bool:
    """Tell whether it is the newest release of its minor version."""
    return compat.newest_of(release.minor).version == release.version


def _build(release: Release) -> str:
    """Return the build that nvcc will tell.

    Which build belongs to an older release is inferred: both are counted from the first.
    """
    builds = release.nvcc_wheels
    if _is_newest(release):
        # A wheel that came after the table is as good.
        return release.minor
    patches = [
        each.version for each in compat.releases() if each.minor == release.minor
    ]
    return builds[min(patches.index(release.version), len(builds) - 1)]


def _why(release: Release, torch_root: Toolkit | None) -> str:
    """Return why it fits."""
    if torch_root is None:
        return f"NVIDIA's wheels of {release.minor} bring nvcc; no root is needed"
    return (
        f"PyTorch has brought the libraries of {release.minor}; only the compiler is "
        "added, in a folder of our own that links to them"
    )
