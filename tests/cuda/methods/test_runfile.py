"""Tests for `colabmagic.cuda.methods.runfile`."""

from __future__ import annotations

import pytest

from colabmagic.cuda.methods.runfile import build_of
from colabmagic.cuda.planning.plan import Options
from colabmagic.data import compat
from tests.cuda.methods.judge import fields, judge, kinds


def test_unpacked_and_not_run() -> None:
    """No step runs the installer."""
    made = judge("runfile", "ubuntu1710_driver396", "9.2")
    assert kinds(made) == [
        "fetch-runfile",
        "unpack",
        "assemble",
        "use-compiler",
        "verify",
        "publish",
        "activate",
    ]
    url = fields(made, "fetch-runfile")["url"]
    assert url.endswith("/cuda_9.2.148_396.37_linux")
    assert fields(made, "verify")["build"] == "9.2.148"
    assert made.basis == "memory"


def test_three_times_the_room() -> None:
    """All of it is unpacked before parts are taken."""
    made = judge("runfile", "colab_t4", "10.2")
    assert made.download_bytes is not None
    assert made.disk_bytes is not None
    assert made.disk_bytes >= 2.9 * made.download_bytes
    small = {"home": 10**9, "cache": 10**9}
    made = judge("runfile", "colab_t4", "10.2", disk_free=small)
    assert made.problem is not None
    assert made.problem.code == "E08"


def test_arm() -> None:
    """The installer for such servers has another name."""
    url = fields(judge("runfile", "gh200_arm64", "12.4"), "fetch-runfile")["url"]
    assert url.endswith("_linux_sbsa.run")


@pytest.mark.parametrize("version", ["9.0", "9.1"])
def test_addresses_from_memory(version: str) -> None:
    """They are marked as such."""
    made = judge("runfile", "colab_t4", version)
    assert made.fits
    assert made.basis == "memory"


@pytest.mark.parametrize("version", ["13.5", "11.1.0", "10.1.105"])
def test_no_address(version: str) -> None:
    """None is made up: the name holds a driver's version."""
    made = judge("runfile", "colab_t4", version)
    assert made.problem is not None
    assert made.problem.code == "E09"


def test_parts() -> None:
    """The installer has the toolkit's libraries; cuDNN for 10 nobody has."""
    assert judge("runfile", "colab_t4", "10.2", Options(parts=("cublas",))).fits
    assert not judge("runfile", "colab_t4", "10.2", Options(parts=("cudnn",))).fits
    made = judge("runfile", "colab_t4", "11.8", Options(parts=("cudnn",)))
    assert fields(made, "fetch-wheels")["requirements"] == ["nvidia-cudnn-cu11"]


def test_builds() -> None:
    """Before 11 the third number is the build."""
    assert build_of(compat.newest_of("10.2")) == "10.2.89"
    assert build_of(compat.newest_of("11.8")) == "11.8"
