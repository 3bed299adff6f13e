"""Tests for `colabmagic.cuda.machine.compilers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.cuda.machine.compilers import find_compilers
from tests.cuda.machine.tree import Programs, program

if TYPE_CHECKING:
    from pathlib import Path


def debian(root: Path, *majors: int) -> None:
    """Write g++-N as Debian has them, the last one as g++."""
    for major in majors:
        program(root / f"usr/bin/x86_64-linux-gnu-g++-{major}")
        (root / f"usr/bin/g++-{major}").symlink_to(f"x86_64-linux-gnu-g++-{major}")
        (root / f"usr/lib/gcc/x86_64-linux-gnu/{major}").mkdir(parents=True)
    (root / "usr/bin/g++").symlink_to(f"g++-{majors[-1]}")
    (root / "usr/bin/x86_64-linux-gnu-g++").symlink_to(f"g++-{majors[-1]}")


def test_by_name(tmp_path: Path) -> None:
    """Each once, the newest first, by the name that one would type; none is run."""
    debian(tmp_path, 9, 12, 11)
    programs = Programs()
    found = find_compilers({}, tmp_path, programs.run)
    assert [each.version for each in found] == [(12,), (11,), (9,)]
    assert found[0].path == str(tmp_path / "usr/bin/g++-12")
    assert {each.kind for each in found} == {"gcc"}
    assert programs.asked == []


def test_in_full_by_its_folder(tmp_path: Path) -> None:
    """Ubuntu links 11.4.0 to 11."""
    debian(tmp_path, 11)
    (tmp_path / "usr/lib/gcc/x86_64-linux-gnu/11.4.0").symlink_to("11")
    (compiler,) = find_compilers({}, tmp_path, Programs().run)
    assert compiler.version == (11, 4, 0)


def test_without_a_number(tmp_path: Path) -> None:
    """CentOS calls it g++; its folder of libraries tells, unless there are two."""
    program(tmp_path / "usr/bin/g++")
    (tmp_path / "usr/lib/gcc/x86_64-redhat-linux/4.8.5").mkdir(parents=True)
    programs = Programs({"g++": "8.5.0\n"})
    (compiler,) = find_compilers({}, tmp_path, programs.run)
    assert (compiler.version, programs.asked) == ((4, 8, 5), [])
    (tmp_path / "usr/lib/gcc/x86_64-redhat-linux/8.5.0").mkdir()
    (compiler,) = find_compilers({}, tmp_path, programs.run)
    assert compiler.version == (8, 5, 0)
    assert programs.asked[0][1:] == ["-dumpfullversion", "-dumpversion"]


def test_on_the_path(tmp_path: Path) -> None:
    """A module of a cluster puts a folder there; a folder of links is none."""
    program(tmp_path / "opt/gcc-10/bin/g++")
    (tmp_path / "opt/gcc-10/lib/gcc/x86_64-pc-linux-gnu/10.2.0").mkdir(parents=True)
    program(tmp_path / "usr/bin/ccache")
    links = tmp_path / "usr/lib/ccache"
    links.mkdir(parents=True)
    (links / "g++").symlink_to("../../bin/ccache")
    env = {"PATH": f"{links}:{tmp_path / 'opt/gcc-10/bin'}:{tmp_path / 'none'}"}
    (compiler,) = find_compilers(env, tmp_path, Programs().run)
    assert compiler.version == (10, 2, 0)


def test_the_one_that_the_user_names_comes_first(tmp_path: Path) -> None:
    """As CXX, perhaps behind another word."""
    debian(tmp_path, 9, 12)
    env = {"CXX": "ccache g++-9", "PATH": str(tmp_path / "usr/bin")}
    found = find_compilers(env, tmp_path, Programs().run)
    assert [each.major for each in found] == [9, 12]
    env = {"CXX": str(tmp_path / "usr/bin/g++-9")}
    assert find_compilers(env, tmp_path, Programs().run)[0].major == 9
    broken = find_compilers({"CXX": "'g++"}, tmp_path, Programs().run)
    assert [each.major for each in broken] == [12, 9]


def test_clang(tmp_path: Path) -> None:
    """Its number is in the name or in its home; else it is asked."""
    program(tmp_path / "usr/lib/llvm-14/bin/clang")
    (tmp_path / "usr/lib/llvm-14/bin/clang++").symlink_to("clang")
    (tmp_path / "usr/bin").mkdir()
    (tmp_path / "usr/bin/clang++-14").symlink_to("../lib/llvm-14/bin/clang++")
    program(tmp_path / "usr/local/bin/clang++")
    programs = Programs({"clang++ -dumpversion": "17.0.6"})
    found = find_compilers({}, tmp_path, programs.run)
    assert [(each.kind, each.version) for each in found] == [
        ("clang", (17, 0, 6)),
        ("clang", (14,)),
    ]


def test_broken_ones(tmp_path: Path) -> None:
    """A link to nothing, a file that may not be run, one that says nonsense."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/g++-8").symlink_to("gone")
    (tmp_path / "usr/bin/g++-9").write_text("")
    program(tmp_path / "usr/bin/g++")
    (tmp_path / "usr/bin/g++-10").mkdir()
    assert find_compilers({}, tmp_path, Programs({"g++": "who knows"}).run) == ()


def test_none(tmp_path: Path) -> None:
    """An empty system has none."""
    assert find_compilers({}, tmp_path, Programs().run) == ()
