"""Tests for `colabmagic.cuda.planning.host_compiler`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from colabmagic.cuda.machine.facts import Compiler
from colabmagic.cuda.planning.host_compiler import (
    choose_compiler,
    install_commands,
    oldest,
)
from colabmagic.data import compat
from tests.cuda.planning.machines import load


def gcc(*version: int) -> Compiler:
    """Return a g++."""
    return Compiler(path=f"/usr/bin/g++-{version[0]}", version=version)


@pytest.mark.parametrize(
    ("minor", "taken"), [("10.2", 8), ("11.8", 11), ("12.4", 13), ("13.0", 14)]
)
def test_the_highest_that_fits(minor: str, taken: int) -> None:
    """Of several the newest that nvcc takes."""
    facts = replace(
        load("colab_t4"), compilers=tuple(gcc(major) for major in (14, 13, 11, 8))
    )
    compiler, problem = choose_compiler(compat.newest_of(minor), facts)
    assert problem is None
    assert compiler.here is not None
    assert compiler.here.major == taken
    assert compiler.bring is None


def test_one_is_brought_from_the_own_release_first() -> None:
    """Then from another release of the distribution, with what it loads."""
    facts = load("colab_t4")
    compiler, _ = choose_compiler(compat.newest_of("11.1"), facts)
    assert (compiler.bring, compiler.archive) == (10, "Ubuntu 22.04")
    assert compiler.suites == (
        "http://archive.ubuntu.com/ubuntu jammy main universe multiverse",
    )
    assert compiler.keyring == "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
    assert not compiler.is_whole
    compiler, _ = choose_compiler(compat.newest_of("10.2"), facts)
    assert (compiler.bring, compiler.archive) == (8, "Ubuntu 20.04")
    assert compiler.is_whole  # its libisl is another
    compiler, _ = choose_compiler(compat.newest_of("11.1"), load("debian12_cpu"))
    assert (compiler.bring, compiler.archive) == (10, "Debian 11")
    assert not compiler.is_whole
    compiler, _ = choose_compiler(compat.newest_of("13.0"), load("no_compiler_slim"))
    assert (compiler.bring, compiler.is_whole) == (12, True)


@pytest.mark.parametrize(
    "change",
    [
        {"tools": ("xz",)},
        {"keyrings": ()},
        {"keyrings": ("/usr/share/keyrings/debian-archive-removed-keys.gpg",)},
        {"apt_sources": ()},
        {"apt_sources": ("http://mirror.example/debian-security x-security",)},
        {"glibc": (2, 30)},
    ],
)
def test_none_is_brought_unchecked(change: dict[str, object]) -> None:
    """It takes apt, keys, a mirror, and a C library that is new enough."""
    facts = replace(load("debian12_cpu"), **change)  # type: ignore[arg-type]
    compiler, problem = choose_compiler(compat.newest_of("11.1"), facts)
    assert not compiler.is_there
    assert problem is not None
    assert problem.code == "E04"


def test_too_old() -> None:
    """CUDA 12 wants g++ 6; 11 was made for the 4.8 of CentOS 7 too."""
    facts = replace(load("centos7_hpc"), driver=None)
    compiler, problem = choose_compiler(compat.newest_of("12.4"), facts)
    assert not compiler.is_there
    assert problem is not None
    assert (problem.code, problem.seen) == ("E05", "g++ 4.8.5; wanted g++ 6 to 13")
    compiler, problem = choose_compiler(compat.newest_of("11.8"), facts)
    assert problem is None
    assert oldest(compat.newest_of("11.8")) == (4, 8)


def test_clang_is_not_taken() -> None:
    """It would take the headers of the newest g++, which an old nvcc cannot read."""
    clang = Compiler(path="/usr/bin/clang++-14", version=(14,), kind="clang")
    facts = replace(load("no_compiler_fedora"), compilers=(clang,))
    compiler, problem = choose_compiler(compat.newest_of("12.4"), facts)
    assert not compiler.is_there
    assert problem is not None
    assert problem.code == "E05"


@pytest.mark.parametrize(
    ("machine", "minor", "expected"),
    [
        ("colab_t4", "11.1", ["!apt-get install -y g++-10"]),
        ("h100_server", "11.1", ["!sudo apt-get install -y g++-10"]),
        ("debian12_cpu", "9.2", []),  # Debian 12 has none
        ("no_compiler_fedora", "13.0", ["!sudo dnf install -y gcc-c++"]),
        (
            "centos7_hpc",
            "12.4",
            ["module load gcc/13   on a cluster; then start the kernel there"],
        ),
    ],
)
def test_what_installs_one(machine: str, minor: str, expected: list[str]) -> None:
    """Only what the system really has is named."""
    assert install_commands(compat.newest_of(minor), load(machine)) == expected


@pytest.mark.parametrize(
    ("os_id", "command"),
    [
        ("linuxmint", "!sudo apt-get install -y g++"),
        ("ubuntu", "!sudo apt-get install -y g++"),  # a release that is not known
        ("amzn", "!sudo dnf install -y gcc-c++"),
        ("nixos", "put g++ 15 or older on PATH, then start the kernel from that shell"),
    ],
)
def test_a_clang_is_no_gcc(os_id: str, command: str) -> None:
    """A g++ is asked for all the same, by the system's own manager."""
    clang = Compiler(path="/usr/bin/clang++-18", version=(18,), kind="clang")
    facts = replace(
        load("fedora42_gcc15"),
        compilers=(clang,),
        os_id=os_id,
        os_version="99",
        is_root=False,
    )
    release = compat.newest_of("13.0")
    assert install_commands(release, facts) == [command]
    _, problem = choose_compiler(release, facts)
    assert problem is not None
    assert problem.seen.endswith("; clang++ 18 is here, and not tried")
