"""Choose what compiles the host's half of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.cuda.planning.archives import keyring_for, source_line, usable_archives
from colabmagic.cuda.planning.plan import HostCompiler, Problem

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import Compiler, MachineFacts
    from colabmagic.cuda.planning.archives import Archive
    from colabmagic.data.compat import Release

NONE: Final = HostCompiler(here=None)
# Oldest gcc; from memory of NVIDIA's tables: 11.x was made for CentOS 7 with its 4.8.
_OLDEST: Final = ((12, (6,)), (0, (4, 8)))


def choose_compiler(
    release: Release, facts: MachineFacts
) -> tuple[HostCompiler, Problem | None]:
    """Return the host's compiler, or what stands against all of them.

    The highest g++ that nvcc takes; if there is none, one is brought from the
    distribution's archive and unpacked beside the toolkit. nvcc is never told to take
    one that it does not know: the headers of a newer g++ break it all the same.

    Parameters
    ----------
    release
        The toolkit.
    facts
        The machine.
    """
    gcc = [each for each in facts.compilers if each.kind == "gcc"]
    fitting = [each for each in gcc if _fits(each, release)]
    if fitting:
        return HostCompiler(here=max(fitting, key=lambda each: each.version)), None
    brought = _bring(release, facts)
    if brought is not None:
        return brought, None
    return NONE, _problem(release, facts, gcc)


def oldest(release: Release) -> tuple[int, ...]:
    """Return the oldest gcc that the toolkit works with."""
    return next(version for major, version in _OLDEST if release.major >= major)


def is_default(compiler: Compiler, facts: MachineFacts) -> bool:
    """Tell whether nvcc would take this compiler without being told: it is ``g++``."""
    gcc = [each for each in facts.compilers if each.kind == "gcc"]
    return len(gcc) == 1 and compiler.path.rpartition("/")[2] == "g++"


def _fits(compiler: Compiler, release: Release) -> bool:
    """Tell whether nvcc takes a compiler."""
    return compiler.major <= release.gcc_max and compiler.version >= oldest(release)


def _bring(release: Release, facts: MachineFacts) -> HostCompiler | None:
    """Return the newest g++ that can be brought; the machine's own archive first."""
    for archive in usable_archives(facts):
        majors, line = _majors(archive, release), source_line(archive, facts)
        if majors and line is not None:
            return HostCompiler(
                here=None,
                bring=max(majors),
                suites=(line,),
                keyring=keyring_for(archive, facts),
                basis=archive.basis,
                archive=archive.name,
            )
    return None


def _majors(archive: Archive, release: Release) -> list[int]:
    """Return the compilers of an archive that nvcc takes."""
    return [
        major
        for major in archive.gcc
        if oldest(release) <= (major,) and major <= release.gcc_max
    ]


def _problem(release: Release, facts: MachineFacts, gcc: list[Compiler]) -> Problem:
    """Return why there is none."""
    seen = ", ".join(f"g++ {_dotted(each.version)}" for each in gcc) or "no g++"
    top, low = release.gcc_max, _dotted(oldest(release))
    fix = (install_command(release, facts),)
    if not gcc:
        return Problem(
            code="E05",
            what=f"there is no C++ compiler here, and CUDA {release.minor} needs one",
            seen=f"{seen} in /usr/bin and on PATH",
            fix=fix,
        )
    if min(each.major for each in gcc) > top:
        return Problem(
            code="E04",
            what=f"the C++ compiler is newer than CUDA {release.minor} takes",
            seen=f"{seen}; wanted g++ {top} or older, and none can be brought here",
            fix=fix,
        )
    return Problem(
        code="E05",
        what=f"no C++ compiler here suits CUDA {release.minor}",
        seen=f"{seen}; wanted g++ {low} to {top}",
        fix=fix,
    )


def install_command(release: Release, facts: MachineFacts) -> str:
    """Return what installs a compiler that nvcc takes, by the system's own means."""
    top = release.gcc_max
    sudo = "" if facts.is_root else "sudo "
    if "apt-get" in facts.tools or facts.os_id in {"debian", "ubuntu"}:
        return f"!{sudo}apt-get install -y g++-{top}   then run this cell again"
    if facts.os_id in {"centos", "rhel", "rocky", "almalinux", "ol"}:
        name = "devtoolset-10" if facts.os_version.startswith("7") else "gcc-toolset-12"
        return (
            f"{sudo}yum install {name}-gcc-c++, or on a cluster: module load gcc/{top}; "
            "then start the kernel from that shell"
        )
    if facts.os_id in {"fedora", "arch", "opensuse-leap", "alpine"}:
        return f"install g++ {top} or older by the system's package manager"
    return f"put g++ {top} or older on PATH and start the kernel from that shell"


def _dotted(version: tuple[int, ...]) -> str:
    """Return "11.4"."""
    return ".".join(str(number) for number in version)
