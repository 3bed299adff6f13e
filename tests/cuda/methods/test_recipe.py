"""Tests for `colabmagic.cuda.methods.recipe`."""

from __future__ import annotations

from dataclasses import replace

from colabmagic.cuda.machine.facts import Gpu
from colabmagic.cuda.methods.recipe import capability_of, mirrored, no_room
from colabmagic.cuda.packages.failure import ENSURE_PIP
from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import Options
from colabmagic.data import compat
from tests.cuda.methods.judge import judge
from tests.cuda.planning.machines import load


def test_what_is_proven_with() -> None:
    """Code that the first GPU which the toolkit knows can run."""
    facts = load("kaggle_2xt4")
    assert capability_of(compat.newest_of("12.4"), facts) == 75
    assert capability_of(compat.newest_of("9.2"), facts) == 70
    assert capability_of(compat.newest_of("12.4"), load("colab_cpu")) is None
    mixed = replace(
        facts,
        gpus=(Gpu(name="K80", capability=(3, 7)), Gpu(name="T4", capability=(7, 5))),
    )
    assert capability_of(compat.newest_of("12.4"), mixed) == 75


def test_room_that_is_not_known() -> None:
    """A disk that does not tell is no full disk."""
    facts = replace(load("colab_t4"), disk_free={})
    assert no_room(facts, 10**12, 10**12) is None


def test_only_nvidias_hosts_are_mirrored() -> None:
    """Old installers lie on another one than archives; what is not NVIDIA's stays."""
    options = Options(mirror="http://127.0.0.1:1")
    for host in ("developer.nvidia.com", "developer.download.nvidia.com"):
        old = f"https://{host}/compute/cuda/9.2/x"
        assert mirrored(old, options) == "http://127.0.0.1:1/compute/cuda/9.2/x"
    other = "https://developer.nvidia.com.example/x"
    assert mirrored(other, options) == other


def test_the_weakest_row_counts() -> None:
    """The GPUs of 11.1 are from memory: they matter where there is a GPU."""
    assert judge("redist", "colab_t4", "11.1").basis == "memory"
    assert judge("redist", "debian11_cpu", "11.1").basis == "read"


def test_room_for_temporary_files() -> None:
    """The proof compiles there; its folder is another one than ours."""
    facts = load("colab_t4")
    full = replace(facts, disk_free={**facts.disk_free, "tmp": 10_000_000})
    problem = no_room(full, 1, 1)
    assert problem is not None
    assert problem.what == "there is not enough room for temporary files"
    assert problem.fix[1] == "%env TMPDIR=/a/folder/on/a/larger/disk"


def test_a_python_without_pip() -> None:
    """Wheels are found by pip, so the archives are taken; they need none without --with."""
    plan = make_plan("13.0", "", replace(load("debian12_cpu"), has_pip=False))
    assert plan.chosen is not None
    assert plan.chosen.method == "redist"
    cell = make_plan("13.0", "numpy", replace(load("debian12_cpu"), has_pip=False))
    assert [each.what for each in cell.problems] == [
        "this Python has no pip for the lines of the cell"
    ]
    wheels = judge("wheels", "debian12_cpu", "13.0", has_pip=False)
    assert wheels.problem is not None
    assert wheels.problem.fix == (ENSURE_PIP,)
    for method, minor in (("redist", "12.4"), ("runfile", "12.4"), ("deb", "11.8")):
        with_nccl = Options(parts=() if method == "deb" else ("nccl",))
        refused = judge(method, "debian12_cpu", minor, with_nccl, has_pip=False)
        assert refused.problem is not None
        assert refused.problem.what == wheels.why
