"""Tests for `colabmagic.cuda.machine.system`."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import types
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.machine import system
from tests.cuda.machine.tree import program

if TYPE_CHECKING:
    from pathlib import Path

# As the distributions ship them, shortened to what is read and what is beside it.
UBUNTU = """PRETTY_NAME="Ubuntu 22.04.5 LTS"
NAME="Ubuntu"
VERSION_ID="22.04"
VERSION="22.04.5 LTS (Jammy Jellyfish)"
VERSION_CODENAME=jammy
ID=ubuntu
ID_LIKE=debian
"""
CENTOS = """NAME="CentOS Linux"
VERSION="7 (Core)"
ID="centos"
ID_LIKE="rhel fedora"
VERSION_ID="7"
PRETTY_NAME="CentOS Linux 7 (Core)"
"""
ALPINE = """NAME="Alpine Linux"
ID=alpine
VERSION_ID=3.20.3
PRETTY_NAME="Alpine Linux v3.20"
"""
ARCH = """NAME="Arch Linux"
PRETTY_NAME="Arch Linux"
ID=arch
BUILD_ID=rolling
"""
on_linux = pytest.mark.skipif(
    platform.system() != "Linux", reason="os-release is of Linux"
)


def write(path: Path, text: str) -> None:
    """Write a file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@on_linux
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UBUNTU, ("ubuntu", "22.04", "Ubuntu 22.04.5 LTS")),
        (CENTOS, ("centos", "7", "CentOS Linux 7 (Core)")),
        (ALPINE, ("alpine", "3.20.3", "Alpine Linux v3.20")),
        (ARCH, ("arch", "", "Arch Linux")),
        ("# nothing\n\n=\nbroken line\n", ("linux", "", "linux")),
        ("", ("linux", "", "linux")),
    ],
)
def test_os(tmp_path: Path, text: str, expected: tuple[str, str, str]) -> None:
    """Quoted, bare, incomplete or broken: what is there is read."""
    write(tmp_path / "etc/os-release", text)
    assert system.read_os(tmp_path) == expected


@on_linux
def test_os_elsewhere(tmp_path: Path) -> None:
    """The file may lie in /usr/lib, hold bytes that are no text, or be missing."""
    assert system.read_os(tmp_path) == ("linux", "", "linux")
    write(tmp_path / "usr/lib/os-release", CENTOS)
    assert system.read_os(tmp_path)[0] == "centos"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_bytes(b"ID=\xff\xfe\nVERSION_ID=1\n")
    assert system.read_os(tmp_path)[1] == "1"


def test_glibc_is_pythons_own() -> None:
    """The same that Python says of itself."""
    name, version = platform.libc_ver()
    found = system.read_glibc()
    assert (found is None) is (name != "glibc")
    if found is not None:
        assert version == f"{found[0]}.{found[1]}"


@pytest.mark.parametrize("answer", ["musl", "", "glibc two"])
def test_no_glibc(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another C library, or one that says nothing."""
    monkeypatch.setattr(os, "confstr", lambda _: answer)
    assert system.read_glibc() is None


def test_no_confstr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Musl does not know the name; Windows not even the function."""

    def refuse(name: str) -> str:
        raise ValueError(name)

    monkeypatch.setattr(os, "confstr", refuse)
    assert system.read_glibc() is None
    monkeypatch.delattr(os, "confstr")
    assert system.read_glibc() is None


def test_free_bytes(tmp_path: Path) -> None:
    """Of folders that do not exist yet, the disk that they will lie on."""
    free = system.free_bytes(tmp_path / "a/b/c", tmp_path / "d")
    assert set(free) == {"home", "cache", "tmp"}
    assert free["home"] > 0


def test_tools(tmp_path: Path) -> None:
    """On PATH, and where a user's PATH does not lead."""
    program(tmp_path / "opt/uv")
    program(tmp_path / "usr/sbin/ldconfig")
    program(tmp_path / "usr/bin/apt-get")
    (tmp_path / "usr/bin/xz").write_text("not to be run")
    env = {"PATH": str(tmp_path / "opt")}
    assert system.find_tools(env, tmp_path) == ("apt-get", "uv", "ldconfig")


def test_keyrings(tmp_path: Path) -> None:
    """By the names that the system has for them."""
    for name in (
        "usr/share/keyrings/ubuntu-archive-keyring.gpg",
        "etc/apt/trusted.gpg.d/debian-archive-bookworm-stable.asc",
        "etc/apt/keyrings/readme.txt",
    ):
        write(tmp_path / name, "")
    assert system.find_keyrings(tmp_path) == (
        "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
        "/etc/apt/trusted.gpg.d/debian-archive-bookworm-stable.asc",
    )


def test_apt_sources(tmp_path: Path) -> None:
    """Both forms; sources of sources, what is off, and logins are left out."""
    apt = tmp_path / "etc/apt"
    write(
        apt / "sources.list",
        "# a remark\n"
        "deb http://archive.ubuntu.com/ubuntu/ jammy main restricted\n"
        "deb-src http://archive.ubuntu.com/ubuntu jammy main\n"
        "deb [arch=amd64 signed-by=/k.gpg] https://x.example/r jammy main\n"
        "deb https://me:secret@private.example/ubuntu jammy main\n",
    )
    write(
        apt / "sources.list.d/debian.sources",
        "Types: deb\nURIs: http://mirror.example/debian\n"
        "Suites: bookworm bookworm-updates\nComponents: main\n\n"
        "Types: deb-src\nURIs: http://other.example/debian\nSuites: sid\n\n"
        "Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: sid\n",
    )
    assert system.find_apt_sources(tmp_path) == (
        "http://archive.ubuntu.com/ubuntu jammy",
        "https://x.example/r jammy",
        "http://mirror.example/debian bookworm",
        "http://mirror.example/debian bookworm-updates",
    )
    assert system.find_apt_sources(tmp_path / "none") == ()


def test_imported_packages() -> None:
    """Installed ones with the version that they tell; nothing is computed."""

    class Lazy(types.ModuleType):
        """A module whose attributes cost much."""

        def __getattr__(self, name: str) -> object:
            raise AssertionError(name)

    def module(kind: type[types.ModuleType], name: str, file: object) -> object:
        made = kind(name)
        made.__file__ = file  # type: ignore[assignment]
        return made

    folder = "/v/lib/python3.12/site-packages"
    numpy = module(types.ModuleType, "numpy", f"{folder}/numpy/__init__.py")
    numpy.__version__ = "2.1.3"  # type: ignore[attr-defined]
    modules = {
        "numpy": numpy,
        "numpy.linalg": numpy,
        "lazy": module(Lazy, "lazy", f"{folder}/lazy.py"),
        "mine": module(types.ModuleType, "mine", "/content/mine.py"),
        "json": sys,
        "_private": numpy,
        "odd": module(types.ModuleType, "odd", 7),
        "none": None,
    }
    assert system.imported_packages(modules) == {"numpy": "2.1.3", "lazy": ""}


def test_root_is_told_by_the_system() -> None:
    """It is what the operating system says."""
    assert system.is_root() is (os.geteuid() == 0 and os.access("/usr", os.W_OK))


def test_room_of_a_folder_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder above it tells; temporary files go where the variable says now."""
    shut = tmp_path / ("x" * 300)
    monkeypatch.setenv("TMPDIR", str(shut / "tmp"))
    assert set(system.free_bytes(shut, tmp_path)) == {"home", "cache", "tmp"}
    assert system.has_pip() == (importlib.util.find_spec("pip") is not None)
