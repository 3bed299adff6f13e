"""Choose what compiles the host's half of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.cuda.planning.archives import (
    keyring_for,
    own_archive,
    source_line,
    usable_archives,
)
from colabmagic.cuda.planning.plan import HostCompiler, Problem

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import Compiler, MachineFacts
    from colabmagic.cuda.planning.archives import Archive
    from colabmagic.data.compat import Release

# What brings the distribution's own g++, whose version nobody knows beforehand.
_DNF: Final = "dnf install -y gcc-c++"
_APT: Final = "apt-get install -y g++"
_MANAGERS: Final = {
    "fedora": _DNF,
    "rhel": _DNF,
    "rocky": _DNF,
    "almalinux": _DNF,
    "ol": _DNF,
    "amzn": _DNF,
    "centos": "yum install -y gcc-c++",
    "arch": "pacman -S --noconfirm gcc",
    "manjaro": "pacman -S --noconfirm gcc",
    "opensuse-leap": "zypper install -y gcc-c++",
    "opensuse-tumbleweed": "zypper install -y gcc-c++",
    "sles": "zypper install -y gcc-c++",
    **dict.fromkeys(
        ("debian", "ubuntu", "linuxmint", "pop", "kali", "raspbian", "elementary"), _APT
    ),
}
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
                is_whole=_is_whole(archive, facts),
            )
    return None


def _is_whole(archive: Archive, facts: MachineFacts) -> bool:
    """Tell whether the machine lacks what a compiler of an archive loads."""
    own = own_archive(facts)
    has_gcc = any(each.kind == "gcc" for each in facts.compilers)
    return not has_gcc or own is None or own.isl != archive.isl


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
    fix = tuple(install_commands(release, facts))
    if not gcc:
        return Problem(
            code="E05",
            what=f"there is no C++ compiler here, and CUDA {release.minor} needs one",
            seen=f"{seen} in /usr/bin and on PATH{_clang(facts)}",
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


def _clang(facts: MachineFacts) -> str:
    """Return that a clang++ which is here is not what is looked for, if there is one."""
    found = next((each for each in facts.compilers if each.kind == "clang"), None)
    return f"; clang++ {found.major} is here, and not tried" if found else ""


def install_commands(release: Release, facts: MachineFacts) -> list[str]:
    """Return what gives the machine a compiler that nvcc takes; perhaps nothing does.

    Parameters
    ----------
    release
        The toolkit.
    facts
        The machine.
    """
    top = release.gcc_max
    sudo = "" if facts.is_root else "sudo "
    archive = own_archive(facts)
    if archive is not None:
        majors = _majors(archive, release)
        return [f"!{sudo}apt-get install -y g++-{max(majors)}"] if majors else []
    has_gcc = any(each.kind == "gcc" for each in facts.compilers)
    if not has_gcc and facts.os_id in _MANAGERS:
        return [f"!{sudo}{_MANAGERS[facts.os_id]}"]
    if facts.os_id in {"centos", "rhel", "rocky", "almalinux", "ol"}:
        return [f"module load gcc/{top}   on a cluster; then start the kernel there"]
    return [f"put g++ {top} or older on PATH, then start the kernel from that shell"]


def _dotted(version: tuple[int, ...]) -> str:
    """Return "11.4"."""
    return ".".join(str(number) for number in version)
