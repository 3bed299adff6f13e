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

GPU_RUNTIME: Final = "Runtime > Change runtime type > T4 GPU"  # in Colab's menu
OLDEST_GLIBC: Final = (2, 17)  # of NVIDIA's archives and wheels
ARCHES: Final = {"x86_64": "x86_64", "aarch64": "sbsa", "arm64": "sbsa"}
_FIRST_ARM: Final = (11, 0)
_CARDS: Final = {72: 70, 87: 86}  # a board's code, and the card's before it
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


def system_limit(facts: MachineFacts) -> Problem | None:
    """Return why no toolkit at all can be had on this system, if so.

    Parameters
    ----------
    facts
        The machine.
    """
    newest = compat.releases()[-1]
    return _system(newest, facts) or _libc(newest, facts)


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
            fix=(f"open the notebook on Colab: {GPU_RUNTIME}",),
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
    return Problem(
        code="E03",
        what=f"the driver is too old for CUDA {release.minor}",
        seen=f"driver {driver}{runs}; wanted {release.driver_min} or newer",
        fix=newer_driver(release, facts),
    )


def newer_driver(release: Release, facts: MachineFacts) -> tuple[str, ...]:
    """Return who can change the driver; in a notebook of others nobody can.

    Parameters
    ----------
    release
        What it shall run.
    facts
        Of the machine.
    """
    if is_managed(facts):
        return ()
    if facts.is_wsl:
        return ("update NVIDIA's driver in Windows, not in WSL",)
    whose = "this computer's driver" if facts.container is None else "the host's driver"
    return (f"update {whose} to {release.driver_min} or newer",)


def _gpu(release: Release, facts: MachineFacts) -> Problem | None:
    """Refuse a toolkit that makes code for none of the GPUs here."""
    known = known_gpus(facts)
    if not known or any(code_for(release, each) is not None for _, each in known):
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


def code_for(release: Release, capability: tuple[int, int]) -> int | None:
    """Return the code that this toolkit makes for a GPU: its own, or an older that runs.

    Parameters
    ----------
    release
        The toolkit.
    capability
        (7, 5).
    """
    code = release.code_for(capability)
    if code is None and not release.sm:
        # Where there is no list, the newest may be a small board's: 72 is Xavier.
        card = _CARDS.get(release.sm_max)
        own = capability[0] * 10 + capability[1]
        if card is not None and card <= own and card // 10 == capability[0]:
            return card
    return code


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
    _gpu,  # before the driver: a newer one would not help
    _driver,
)
