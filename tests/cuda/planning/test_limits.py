"""Tests for `colabmagic.cuda.planning.limits`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from colabmagic.cuda.machine.facts import Gpu
from colabmagic.cuda.planning.limits import code_for, find_limit, system_limit
from colabmagic.data import compat
from colabmagic.report.model import Unknown
from tests.cuda.planning.machines import load

T4, K80 = (7, 5), (3, 7)


@pytest.mark.parametrize(
    ("driver", "minor", "fits"),
    [
        ("450.36.06", "11.0", True),
        ("450.36.05", "11.0", False),
        ("450.80.02", "11.8", True),  # one driver runs all of 11
        ("450.80.01", "11.8", False),
        ("525.60.13", "12.9", True),
        ("525.60.12", "12.0", False),
        ("580", "13.5", True),
        ("579.99", "13.0", False),
        ("440.33", "10.2", True),  # before 11 each has its own
        ("440.32", "10.2", False),
        ("580.82.07", "10.2", True),  # a newer driver runs the old
    ],
)
def test_driver(driver: str, minor: str, *, fits: bool) -> None:
    """The oldest driver is exact to the last number."""
    facts = replace(load("colab_t4"), driver=driver)
    problem = find_limit(compat.newest_of(minor), facts)
    assert (problem is None) is fits
    if problem is not None:
        assert problem.code == "E03"
        assert driver in problem.seen


def test_a_driver_that_is_not_known_forbids_nothing() -> None:
    """None and Unknown are no reasons."""
    for driver in (None, Unknown("it hangs")):
        facts = replace(load("colab_t4"), driver=driver, driver_cuda=driver)
        assert find_limit(compat.newest_of("13.0"), facts) is None


@pytest.mark.parametrize(
    ("capability", "minor", "code"),
    [
        ((7, 5), "13.0", 75),
        ((6, 0), "13.0", None),
        ((6, 0), "12.9", 60),
        ((3, 7), "11.8", 37),
        ((3, 7), "12.0", None),
        ((9, 0), "11.7", None),
        ((9, 0), "11.8", 90),
        ((12, 0), "12.6", None),
        ((12, 0), "12.8", 120),
        ((10, 0), "12.8", 100),
        ((8, 9), "11.1", 86),
        ((7, 5), "9.2", 70),  # not Xavier's 72
        ((8, 6), "10.2", None),
    ],
)
def test_code(capability: tuple[int, int], minor: str, code: int | None) -> None:
    """A GPU runs its own code, or older code of its major version."""
    assert code_for(compat.newest_of(minor), capability) == code


def test_one_gpu_of_several_is_enough() -> None:
    """An old card beside a new one does not forbid; warnings tell of it."""
    mixed = replace(
        load("colab_t4"),
        gpus=(Gpu(name="K80", capability=K80), Gpu(name="T4", capability=T4)),
    )
    assert find_limit(compat.newest_of("12.4"), mixed) is None
    silent = replace(
        mixed, gpus=(Gpu(name="GPU", capability=Unknown("it does not tell")),)
    )
    assert find_limit(compat.newest_of("12.4"), silent) is None


def test_systems() -> None:
    """Each system that has no toolkit is told why, with what to do."""
    for name in ("windows", "macos", "alpine_musl", "centos6_old"):
        problem = system_limit(load(name))
        assert problem is not None
        assert problem.code == "E02"
        assert problem.fix
    for name in ("colab_t4", "gh200_arm64", "centos7_hpc"):
        assert system_limit(load(name)) is None
    odd = replace(load("colab_t4"), arch="riscv64")
    problem = system_limit(odd)
    assert problem is not None
    assert "riscv64" in problem.what


@pytest.mark.parametrize(
    ("machine", "fix"),
    [
        ("colab_2025_07", ()),  # the driver is Colab's
        ("kaggle_2xt4", ()),
        ("wsl_rtx4070", ("update NVIDIA's driver in Windows, not in WSL",)),
        ("h100_server", ("update this computer's driver to 580 or newer",)),
    ],
)
def test_who_can_change_the_driver(machine: str, fix: tuple[str, ...]) -> None:
    """In a notebook of others nobody is told to install one."""
    problem = find_limit(compat.newest_of("13.0"), load(machine))
    assert problem is not None
    assert problem.fix == fix


def test_a_container_needs_its_host() -> None:
    """A driver is never installed into a container."""
    facts = replace(load("h100_server"), container="docker")
    problem = find_limit(compat.newest_of("13.0"), facts)
    assert problem is not None
    assert problem.fix == ("update the host's driver to 580 or newer",)
