"""What no method can get round: system, driver and GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.cuda.planning.plan import Problem
from colabmagic.data import compat
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.cuda.machine.facts import Gpu, MachineFacts
    from colabmagic.data.compat import Release

OLDEST_GLIBC: Final = (2, 17)  # of NVIDIA's archives and wheels
ARCHES: Final = {"x86_64": "x86_64", "aarch64": "sbsa", "arm64": "sbsa"}
_FIRST_ARM: Final = (11, 0)
_MANAGED: Final = frozenset(
    {"colab", "kaggle", "lightning", "studio-lab", "sagemaker", "paperspace"}
)


def find_limit(release: Release, facts: MachineFacts) -> Problem | None:
    """Return the first limit that this release breaks on this machine.

    The fix says what can be changed here; another release that works is looked for by
    the caller.

    Parameters
    ----------
    release
        The toolkit.
    facts
        The machine.
    """
    for check in _CHECKS:
        problem = check(release, facts)
        if problem is not None:
            return problem
    return None


def is_managed(facts: MachineFacts) -> bool:
    """Tell whether somebody else runs the machine and its driver."""
    return facts.host in _MANAGED


def _system(release: Release, facts: MachineFacts) -> Problem | None:
    """Refuse systems and processors for which there is no such toolkit."""
    seen = f"{facts.os_name} on {facts.arch}"
    if facts.os_id == "windows":
        return Problem(
            code="E02",
            what="toolkits are installed on Linux only",
            seen=seen,
            fix=("wsl --install   in a terminal, then start the notebook in it",),
        )
    if facts.os_id == "macos":
        return Problem(
            code="E02",
            what=f"there is no CUDA {release.minor} for macOS",
            seen=seen,
            fix=("open the notebook on Colab: Runtime > Change runtime type > T4 GPU",),
        )
    if facts.arch not in ARCHES:
        return Problem(
            code="E02",
            what=f"CUDA {release.minor} cannot be had for {facts.arch}",
            seen=seen,
            fix=("use a machine with an x86_64 or aarch64 processor",),
        )
    if ARCHES[facts.arch] == "sbsa" and release.numbers[:2] < _FIRST_ARM:
        return Problem(
            code="E02",
            what=f"NVIDIA published CUDA {release.minor} for x86_64 only",
            seen=seen,
        )
    return None


def _libc(release: Release, facts: MachineFacts) -> Problem | None:
    """Refuse C libraries that NVIDIA's programs do not start on."""
    if facts.glibc is not None and facts.glibc >= OLDEST_GLIBC:
        return None
    if facts.glibc is None:
        what = f"CUDA {release.minor} wants the GNU C library, and here is another one"
        seen = f"{facts.os_name}: no glibc, as in images with musl"
    else:
        what = f"CUDA {release.minor} wants glibc 2.17 or newer"
        seen = f"glibc {facts.glibc[0]}.{facts.glibc[1]} of {facts.os_name}"
    return Problem(
        code="E02",
        what=what,
        seen=seen,
        fix=("run the notebook in a container of Ubuntu: docker run … ubuntu:22.04",),
    )


def _driver(release: Release, facts: MachineFacts) -> Problem | None:
    """Refuse a driver that does not run programs of this toolkit.

    From 11 on one driver runs all of a major version; before, each has its own. No
    driver, or one that does not answer, is no reason: there are only warnings.
    """
    driver = facts.driver
    if not isinstance(driver, str):
        return None
    if compat.numbers(driver) >= compat.numbers(release.driver_min):
        return None
    runs = ""
    if isinstance(facts.driver_cuda, tuple):
        runs = f", which runs CUDA up to {facts.driver_cuda[0]}.{facts.driver_cuda[1]}"
    fix: tuple[str, ...] = ()
    if facts.container is None and not is_managed(facts):
        fix = (f"update this computer's driver to {release.driver_min} or newer",)
    elif facts.host == "colab":
        fix = ("the driver is Colab's own and cannot be changed from a notebook",)
    elif facts.container is not None:
        fix = (f"update the driver of the host, to {release.driver_min} or newer",)
    return Problem(
        code="E03",
        what=f"the driver is too old for CUDA {release.minor}",
        seen=f"driver {driver}{runs}; wanted {release.driver_min} or newer",
        fix=fix,
    )


def _gpu(release: Release, facts: MachineFacts) -> Problem | None:
    """Refuse a toolkit that makes code for none of the GPUs here."""
    known = known_gpus(facts)
    if not known or any(release.code_for(each) is not None for _, each in known):
        return None
    gpu, capability = known[0]
    return no_code(release, gpu.name, capability)


def no_code(release: Release, name: str, capability: tuple[int, int]) -> Problem:
    """Return that a toolkit makes no code for a GPU.

    Parameters
    ----------
    release
        The toolkit.
    name
        Of the GPU.
    capability
        (6, 0).
    """
    number = f"{capability[0]}{capability[1]}"
    age = "older" if int(number) < release.sm_min else "newer"
    return Problem(
        code="E06",
        what=f"CUDA {release.minor} makes no code for {name}",
        seen=f"it is sm_{number}, {age} than all that nvcc {release.minor} knows: "
        f"sm_{release.sm_min} to sm_{release.sm_max}",
    )


def known_gpus(facts: MachineFacts) -> list[tuple[Gpu, tuple[int, int]]]:
    """Return the GPUs that tell their compute capability, with it."""
    return [
        (gpu, gpu.capability)
        for gpu in facts.gpus
        if not isinstance(gpu.capability, Unknown)
    ]


_CHECKS: Final[tuple[Callable[[Release, MachineFacts], Problem | None], ...]] = (
    _system,
    _libc,
    _driver,
    _gpu,
)
