"""What the methods share: how a recipe ends, what it weighs, what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.cuda.planning.limits import code_for, known_gpus
from colabmagic.cuda.planning.plan import Candidate, Problem
from colabmagic.cuda.steps.activate import Activate
from colabmagic.cuda.steps.compiler import BringCompiler, UseCompiler
from colabmagic.cuda.steps.publish import Publish
from colabmagic.cuda.steps.system_link import SystemLink
from colabmagic.cuda.steps.verify import Verify
from colabmagic.data import compat

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.planning.plan import HostCompiler, Options
    from colabmagic.cuda.steps.base import Step
    from colabmagic.data.compat import Release

MB: Final = 1_000_000
# Installers of 9.x and 10.x lie on the second.
_NVIDIA: Final = (
    "https://developer.download.nvidia.com",
    "https://developer.nvidia.com",
)
# An unpacked g++-10: measured.
COMPILER_DOWNLOAD: Final = 42 * MB
COMPILER_DISK: Final = 170 * MB
COMPILER_S: Final = 3.0
DEBIAN_ARCHES: Final = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# Up to link and run, on two slow cores.
VERIFY_S: Final = 4.0
# Room that is wanted: staging, and what others write meanwhile.
_SPARE: Final = 1.5
_GB: Final = 1e9
# The proof compiles there, and pip writes what it reads of wheels.
_SCRATCH: Final = 50 * MB
_PLACES: Final = {
    "home": "COLABMAGIC_HOME",
    "cache": "COLABMAGIC_HOME",
    "tmp": "TMPDIR",
}


def capability_of(release: Release, facts: MachineFacts) -> int | None:
    """Return the code that the toolkit is proven with: 75; None without a GPU.

    For a GPU that is newer than the toolkit this is older code that runs on it.

    Parameters
    ----------
    release
        The toolkit.
    facts
        The machine.
    """
    codes = [code_for(release, capability) for _, capability in known_gpus(facts)]
    return next((code for code in codes if code is not None), None)


def compiler_steps(compiler: HostCompiler, facts: MachineFacts) -> tuple[Step, ...]:
    """Return what has nvcc use the chosen compiler.

    Parameters
    ----------
    compiler
        Of the plan.
    facts
        The machine.
    """
    if compiler.here is not None:
        return (UseCompiler(path=compiler.here.path),)
    if compiler.bring is None or compiler.keyring is None:
        return ()
    return (
        BringCompiler(
            major=compiler.bring,
            suites=compiler.suites,
            keyring=compiler.keyring,
            arch=DEBIAN_ARCHES.get(facts.arch, facts.arch),  # the limits refuse it
            whole=compiler.is_whole,
        ),
    )


def finish(
    release: Release,
    facts: MachineFacts,
    options: Options,
    *,
    build: str,
    method: str,
) -> tuple[Step, ...]:
    """Return the end of each recipe that makes a toolkit: prove, name, use.

    Parameters
    ----------
    release, facts, options
        Of the plan.
    build
        That nvcc has to tell: "12.4.131", or as much of it as is known, "12.4".
    method
        For the toolkit's card.
    """
    system: tuple[Step, ...] = (SystemLink(),) if options.system else ()
    return (
        Verify(
            build=build,
            capability=capability_of(release, facts),
            ext=options.verify == "ext",
        ),
        Publish(name=release.version, build=build, method=method),
        Activate(),
        *system,
    )


def make(  # noqa: PLR0913 (a recipe has as many figures)
    method: str,
    why: str,
    steps: tuple[Step, ...],
    *,
    release: Release,
    facts: MachineFacts,
    compiler: HostCompiler,
    download: int,
    disk: int,
    seconds: float | None,
    bases: tuple[str | None, ...],
) -> Candidate:
    """Return a candidate that fits, or one that has not the room.

    Parameters
    ----------
    method, why, steps
        Of the candidate.
    release, facts
        Of the plan: what the table says of them, and the free room.
    compiler
        Its weight is added where it is brought.
    download, disk
        Bytes.
    seconds
        Beyond the download; None: nobody has measured.
    bases
        Of the rows that it rests on.
    """
    bases = (*bases, *_table_bases(release, facts))
    if compiler.bring is not None:
        download, disk = download + COMPILER_DOWNLOAD, disk + COMPILER_DISK
        seconds = None if seconds is None else seconds + COMPILER_S
        bases = (*bases, compiler.basis)
    problem = no_room(facts, download, disk)
    return Candidate(
        method=method,
        why=why if problem is None else f"{why}, but {problem.what}",
        problem=problem,
        steps=steps,
        download_bytes=download,
        disk_bytes=disk,
        seconds=None if seconds is None else seconds + VERIFY_S,
        basis=compat.weakest(bases),
    )


def _table_bases(release: Release, facts: MachineFacts) -> tuple[str | None, ...]:
    """Return how the limits are known that every way rests on."""
    groups = ["gcc"]
    if known_gpus(facts):
        groups.append("sm")
    if isinstance(facts.driver, str):
        groups.append("driver_min")
    return tuple(release.basis(group) for group in groups)


def no_room(facts: MachineFacts, download: int, disk: int) -> Problem | None:
    """Return that a disk is too full, half as much again being wanted.

    Parameters
    ----------
    facts
        The machine.
    download
        Bytes for the cache.
    disk
        Bytes for our folder.
    """
    wanted = {"cache": download * _SPARE, "home": disk * _SPARE}
    free = facts.disk_free
    if free.get("cache") is not None and free.get("cache") == free.get("home"):
        # One disk for both, as nearly everywhere.
        wanted = {"home": wanted["cache"] + wanted["home"]}
    wanted["tmp"] = _SCRATCH
    words = {
        "home": "our folder",
        "cache": "the cache",
        "tmp": "temporary files",
    }
    for purpose, need in wanted.items():
        left = free.get(purpose)
        if left is not None and left < need:
            return Problem(
                code="E08",
                what=f"there is not enough room for {words[purpose]}",
                seen=f"{left / _GB:.1f} GB free, {need / _GB:.1f} GB wanted",
                fix=(
                    "!pip cache purge   and delete what is not needed any more",
                    f"%env {_PLACES[purpose]}=/a/folder/on/a/larger/disk",
                ),
            )
    return None


def refuse(
    method: str, why: str, code: str, *, seen: str = "", fix: tuple[str, ...] = ()
) -> Candidate:
    """Return a candidate that does not fit, with its reason.

    Parameters
    ----------
    method, why
        Of the candidate.
    code
        Of the problem, as in the catalogue.
    seen, fix
        Of the problem.
    """
    return Candidate(
        method=method,
        why=why,
        problem=Problem(code=code, what=why, seen=seen, fix=fix),
    )


def without_pip(method: str) -> Candidate:
    """Return that a method needs pip, which finds its wheels, and there is none.

    Parameters
    ----------
    method
        Of the candidate.
    """
    from colabmagic.cuda.packages.failure import ENSURE_PIP  # noqa: PLC0415 (rare)

    why = "this Python has no pip, by which NVIDIA's wheels are found"
    return refuse(method, why, "E09", fix=(ENSURE_PIP,))


def mirrored(url: str, options: Options) -> str:
    """Return an address of NVIDIA's at the mirror, if one is named.

    Parameters
    ----------
    url
        At one of NVIDIA's hosts.
    options
        Of the plan; a mirror that is no address has PyTorch's wheels alone.
    """
    mirror = options.mirror
    host = next((each for each in _NVIDIA if url.startswith(f"{each}/")), None)
    if mirror is None or "://" not in mirror or host is None:
        return url
    return mirror.rstrip("/") + url.removeprefix(host)
