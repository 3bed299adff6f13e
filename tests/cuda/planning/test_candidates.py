"""All ways are judged, whatever stands against them."""

from __future__ import annotations

from colabmagic.cuda.planning.candidates import candidates, refused, works
from colabmagic.cuda.planning.host_compiler import choose_compiler
from colabmagic.cuda.planning.plan import METHODS, Candidate, Options, Problem
from colabmagic.data import compat
from tests.cuda.planning.machines import load

NO_COMPILER = Problem(code="E05", what="there is no C++ compiler here")


def judged(
    machine: str, version: str, options: Options, no_compiler: Problem | None = None
) -> dict[str, Candidate]:
    """Return the ways to a CUDA by their names."""
    facts, release = load(machine), compat.newest_of(version)
    compiler, _ = choose_compiler(release, facts)
    found = candidates(release, facts, options, compiler, no_compiler)
    return {each.method: each for each in found}


def test_each_way_is_judged_in_its_order() -> None:
    """Also after one that fits."""
    found = judged("colab_t4", "12.8", Options())
    assert tuple(found) == METHODS
    assert found["reuse"].fits
    assert all(each.why for each in found.values())


def test_a_method_that_was_asked_for_is_the_only_one() -> None:
    """The others say so, but for those that have a reason of their own."""
    found = judged("colab_t4", "12.8", Options(method="redist"))
    assert [name for name, each in found.items() if each.fits] == ["redist"]
    assert found["reuse"].problem is not None
    assert found["reuse"].problem.what == "--method redist was asked for"
    assert found["wheels"].problem is not None
    assert found["wheels"].problem.code == "E16"


def test_without_a_compiler_only_what_is_here_may_do() -> None:
    """A toolkit of ours has its own; what is fetched would need one."""
    found = judged("colab_t4", "12.8", Options(), NO_COMPILER)
    assert [name for name, each in found.items() if each.fits] == ["reuse"]
    assert found["redist"].problem == NO_COMPILER
    assert found["redist"].why.endswith(", but there is no C++ compiler here")


def test_a_reason_is_not_covered_by_another() -> None:
    """Who does not fit anyway keeps what he said."""
    own = Problem(code="E16", what="no nvcc in it")
    lame = Candidate(method="wheels", why="no nvcc in it", problem=own)
    assert refused(lame, NO_COMPILER) is lame


def test_works() -> None:
    """System, driver and GPU come before the ways."""
    newest = compat.newest_of
    assert works(newest("12.4"), load("colab_t4"), Options())
    assert not works(newest("13.0"), load("kaggle_p100"), Options())  # no Pascal
    assert not works(newest("12.4"), load("colab_t4"), Options(method="wheels"))
