"""Tests for `colabmagic.cuda.planning.archives`."""

from __future__ import annotations

from dataclasses import replace

from colabmagic.cuda.planning.archives import (
    ARCHIVES,
    keyring_for,
    own_archive,
    source_line,
    usable_archives,
)
from colabmagic.data import compat
from tests.cuda.planning.machines import load


def test_each_toolkit_of_the_table_has_an_archive() -> None:
    """But Debian's development branch, which nobody plans on."""
    named = {each.table_name for each in ARCHIVES if each.table_name}
    assert named == {row.suite for row in compat.distro_nvcc()} - {"sid non-free"}
    assert all(each.nvcc() for each in ARCHIVES if each.table_name)


def test_own_first_then_the_newest() -> None:
    """Only what this machine's C library can run."""
    suites = [each.suite for each in usable_archives(load("colab_t4"))]
    assert suites == ["jammy", "focal", "bionic"]
    suites = [each.suite for each in usable_archives(load("debian11_cpu"))]
    assert suites == ["bullseye"]
    assert usable_archives(load("centos7_hpc")) == ()
    assert usable_archives(load("alpine_musl")) == ()


def test_a_release_without_mirrors_serves_itself_alone() -> None:
    """Ubuntu 17.10 is on no usual mirror any more."""
    suites = [each.suite for each in usable_archives(load("ubuntu1710_driver390"))]
    assert suites == ["artful"]
    assert "artful" not in [each.suite for each in usable_archives(load("colab_t4"))]


def test_the_mirror_is_the_machines_own() -> None:
    """Repositories of others with the same suite are not taken for it."""
    jammy = next(each for each in ARCHIVES if each.suite == "jammy")
    facts = replace(
        load("colab_t4"),
        apt_sources=(
            "https://cloud.example/r jammy",
            "http://mirror.example/ubuntu jammy-updates",
            "http://mirror.example/ubuntu/ jammy",
        ),
    )
    line = source_line(jammy, facts)
    assert line == "http://mirror.example/ubuntu/ jammy main universe multiverse"
    assert source_line(jammy, replace(facts, apt_sources=())) is None


def test_keyrings() -> None:
    """The one of all releases, else that of the release; never the removed keys."""
    bookworm = next(each for each in ARCHIVES if each.suite == "bookworm")
    folder = "/etc/apt/trusted.gpg.d"
    rings = (
        "/usr/share/keyrings/debian-archive-removed-keys.gpg",
        f"{folder}/debian-archive-bullseye-stable.asc",
        f"{folder}/debian-archive-bookworm-stable.asc",
    )
    facts = replace(load("debian12_cpu"), keyrings=rings)
    assert keyring_for(bookworm, facts) == rings[2]
    whole = "/usr/share/keyrings/debian-archive-keyring.gpg"
    assert keyring_for(bookworm, replace(facts, keyrings=(*rings, whole))) == whole
    assert keyring_for(bookworm, replace(facts, keyrings=rings[:1])) is None


def test_own_archive() -> None:
    """By name and version of the system."""
    found = own_archive(load("debian13_cpu"))
    assert found is not None
    assert (found.suite, found.name) == ("trixie", "Debian 13")
    assert own_archive(load("centos7_hpc")) is None
