"""Tests for `colabmagic.cuda.methods.apt`."""

from __future__ import annotations

import re

import pytest

from colabmagic.cuda.methods.apt import packages_of, repository
from colabmagic.cuda.planning.plan import Options
from colabmagic.data import compat
from tests.cuda.methods.judge import judge, kinds
from tests.cuda.planning.machines import load

SYSTEM = Options(system=True)
DRIVER = re.compile(
    r"cuda|cuda-\d+-\d+|cuda-drivers.*|cuda-runtime-.*|nvidia-.*|libnvidia-.*"
)


@pytest.mark.parametrize("minor", compat.minors())
def test_never_a_driver(minor: str) -> None:
    """No package of any release is a metapackage or a driver."""
    release = compat.newest_of(minor)
    names = packages_of(release, Options(parts=("cublas", "nvrtc", "cudnn")))
    assert any(name.startswith("cuda-nvcc-") for name in names)
    assert not [name for name in names if DRIVER.fullmatch(name)]
    assert not set(names) & set(release.apt_never)


def test_steps() -> None:
    """Parts only, without what they recommend; removed again by a rollback."""
    made = judge("apt", "colab_t4", "12.4", SYSTEM)
    assert made.fits, made.problem
    assert kinds(made) == [
        "command",
        "command",
        "use-compiler",
        "verify",
        "activate",
        "system-link",
    ]
    update, install = made.steps[:2]
    assert update.lines() == ("DEBIAN_FRONTEND=noninteractive apt-get update",)
    (line,) = install.lines()
    assert line == (
        "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "
        "cuda-nvcc-12-4 cuda-cudart-dev-12-4 cuda-cccl-12-4"
    )
    assert install.outside == (
        "packages of the system: cuda-nvcc-12-4, cuda-cudart-dev-12-4, cuda-cccl-12-4",
    )
    (undo,) = install.undo()
    assert "apt-get remove -y cuda-nvcc-12-4" in undo.lines()[0]


def test_what_was_here_stays() -> None:
    """Packages that were there before do not go with a rollback."""
    made = judge("apt", "colab_t4", "12.8", SYSTEM)
    assert list(made.steps[1].undo()) == []


@pytest.mark.parametrize(
    ("machine", "version", "options", "code", "word"),
    [
        ("colab_t4", "12.4", Options(), "E13", "--system"),
        ("h100_server", "12.4", SYSTEM, "E13", "root"),
        ("colab_t4", "11.1", SYSTEM, "E09", "Ubuntu 22.04"),
        ("centos7_hpc", "11.8", SYSTEM, "E09", "CentOS"),
    ],
)
def test_refused(
    machine: str, version: str, options: Options, code: str, word: str
) -> None:
    """For each reason its own words."""
    made = judge("apt", machine, version, options)
    assert made.problem is not None
    assert made.problem.code == code
    assert word in made.why


def test_a_repository_that_is_not_set_up() -> None:
    """The command for the modern keyring is given."""
    made = judge("apt", "colab_t4", "12.4", SYSTEM, keyrings=())
    assert made.problem is not None
    name = "cuda-keyring_1.1-1_all.deb"
    folder = (
        "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64"
    )
    assert made.problem.fix == (f"!curl -fLO {folder}/{name} && dpkg -i {name}",)


def test_no_compiler() -> None:
    """None is unpacked for the whole system."""
    made = judge("apt", "colab_t4", "11.8", SYSTEM, compilers=())
    assert made.problem is not None
    assert made.problem.code == "E04"


def test_repository_names() -> None:
    """As NVIDIA writes them."""
    assert repository(load("colab_t4")) == "ubuntu2204"
    assert repository(load("debian12_cpu")) == "debian12"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (Options(system=True, offline=True), "apt fetches packages, and --offline"),
        (Options(system=True, mirror="http://m.example"), "apt asks the servers that"),
    ],
)
def test_options_that_apt_would_not_heed(options: Options, why: str) -> None:
    """They are no way past what was asked for."""
    refused = judge("apt", "colab_t4", "12.4", options)
    assert refused.why.startswith(why)
    assert not refused.fits
