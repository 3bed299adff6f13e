"""Tests for `colabmagic.cuda.methods.deb`."""

from __future__ import annotations

from typing import Any

import pytest

from colabmagic.cuda.planning.plan import Options
from tests.cuda.methods.judge import fields, judge, kinds


def test_with_wheels() -> None:
    """Compiler of Debian 12; runtime, libdevice and headers are wheels."""
    made = judge("deb", "debian12_cpu", "11.8")
    assert fields(made, "fetch-debs") == {
        "kind": "fetch-debs",
        "suites": ["http://mirror.example/debian bookworm main contrib non-free"],
        "packages": ["nvidia-cuda-toolkit", "libnvvm4"],
        "keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
        "arch": "amd64",
    }
    assert fields(made, "fetch-wheels")["requirements"] == [
        "nvidia-cuda-runtime-cu11==11.8.*",
        "nvidia-cuda-nvcc-cu11==11.8.*",
        "nvidia-cuda-cccl-cu11==11.8.*",
    ]
    assert fields(made, "verify")["build"] == "11.8.89"
    assert fields(made, "bring-compiler")["major"] == 11
    assert (made.basis, made.download_bytes) == ("measured", 157_000_000)


def test_with_the_distributions_libraries() -> None:
    """For 11.2 there are no wheels: Debian's own package has them, at a price."""
    made = judge("deb", "debian11_cpu", "11.2")
    assert "nvidia-cuda-dev" in fields(made, "fetch-debs")["packages"]
    assert "fetch-wheels" not in kinds(made)
    assert made.download_bytes == 626_000_000


def test_from_another_release() -> None:
    """Debian 13 can take what Debian 12 has; the other way its C library forbids."""
    made = judge("deb", "debian13_cpu", "11.8")
    assert " bookworm " in fields(made, "fetch-debs")["suites"][0]
    made = judge("deb", "debian12_cpu", "12.4")
    assert made.problem is not None
    assert "C library" in made.why


def test_ubuntu_is_from_memory() -> None:
    """And a plan says so."""
    assert judge("deb", "colab_cpu", "11.5").basis == "memory"


@pytest.mark.parametrize(
    ("machine", "version", "word", "change"),
    [
        ("debian12_cpu", "11.1", "no release", {}),
        ("debian12_cpu", "11.8", "apt-get", {"tools": ()}),
        ("debian12_cpu", "11.8", "keys and mirrors", {"keyrings": ()}),
        ("debian12_cpu", "11.8", "keys and mirrors", {"apt_sources": ()}),
        ("colab_t4", "11.8", "Debian 12", {}),
    ],
)
def test_not_here(
    machine: str, version: str, word: str, change: dict[str, Any]
) -> None:
    """Each reason is another one."""
    made = judge("deb", machine, version, **change)
    assert made.problem is not None
    assert made.problem.code == "E09"
    assert word in made.why


def test_libraries_are_not_in_it() -> None:
    """--with is not quietly left out."""
    made = judge("deb", "debian12_cpu", "11.8", Options(parts=("cublas",)))
    assert not made.fits
