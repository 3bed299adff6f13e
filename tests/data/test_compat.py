"""The table of what goes with what, and its readers."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from colabmagic.data import compat

FILE = Path(compat.__file__).with_name("compat.json")
RAW: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
URL = re.compile(r"https://[\w.-]+/\S+")


def test_one_release_stands_on_one_line() -> None:
    """A change of a release is a change of one line."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    for kind in ("cuda", "torch", "gpus", "nvcc_builds"):
        for name, row in RAW[kind].items():
            assert f"  {json.dumps(name)}: {json.dumps(row)}" in {
                line.removesuffix(",") for line in lines
            }


@pytest.mark.parametrize("version", RAW["cuda"])
def test_a_release_is_well_formed(version: str) -> None:
    """Every field has its type, every group its basis, every value its source."""
    row = RAW["cuda"][version]
    assert row["minor"] == ".".join(version.split(".")[:2])
    assert re.fullmatch(r"\d{4}-\d\d(-\d\d)?", row["release_date"])
    assert re.fullmatch(r"\d+(\.\d+)*", row["driver_min_linux"])
    assert row["driver_min_kind"] in {"strict", "minor_compat"}
    assert isinstance(row["gcc_max"], int)
    assert row["sm_min"] < row["sm_max"]
    for name in ("runfile_url", "redistrib_json"):
        assert row[name] is None or URL.fullmatch(row[name])
    for group in compat.GROUPS:
        basis, source = row[f"{group}_basis"], row[f"{group}_source"]
        assert (basis is None) == (source is None)
        assert basis is None or basis in RAW["basis_words"]
    assert {name.removesuffix("_basis") for name in row if name.endswith("_basis")} == (
        set(compat.GROUPS)
    )


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("torch_kernels", ("basis", "source")),
        ("gpus", ("basis", "source")),
        ("distro_nvcc", ("basis", "source")),
        ("routes", ("basis", "source")),
        ("never_released", ("basis", "source")),
        ("minor_version_compat", ("basis", "source")),
        ("nvcc_builds", ("host_compiler_basis", "host_compiler_source")),
    ],
)
def test_every_other_row_has_basis_and_source(
    kind: str, names: tuple[str, str]
) -> None:
    """What cannot be traced cannot be checked."""
    rows = RAW[kind].values() if isinstance(RAW[kind], dict) else RAW[kind]
    assert rows
    for row in rows:
        assert row[names[0]] in RAW["basis_words"]
        assert row[names[1]]


@pytest.mark.parametrize("version", RAW["torch"])
def test_a_torch_is_well_formed(version: str) -> None:
    """Builds, tags of Python and the companions' versions look as pip writes them."""
    row = RAW["torch"][version]
    assert row["pypi_default"] in row["cuda_builds"]
    assert all(re.fullmatch(r"cu\d{2,3}", build) for build in row["cuda_builds"])
    assert all(re.fullmatch(r"cp\d{2,3}", tag) for tag in row["pythons_pypi_linux"])
    assert row["index_kind"] in {"find_links", "index_url"}
    for group in compat.TORCH_GROUPS:
        basis, source = row[f"{group}_basis"], row[f"{group}_source"]
        assert (basis is None) == (source is None)
        assert basis is None or basis in RAW["basis_words"]


def test_releases_come_oldest_first_and_the_file_too() -> None:
    """Who reads the file finds the newest at the end."""
    assert [each.version for each in compat.releases()] == list(RAW["cuda"])
    for older, newer in pairwise(compat.releases()):
        assert older.numbers < newer.numbers


def test_limits_never_fall() -> None:
    """A newer CUDA takes no older driver, no older compiler and no fewer GPUs."""
    for older, newer in pairwise(compat.releases()):
        assert compat.numbers(older.driver_min) <= compat.numbers(newer.driver_min)
        assert older.gcc_max <= newer.gcc_max
        assert older.clang_max <= newer.clang_max
        assert older.sm_min <= newer.sm_min
        assert older.sm_max <= newer.sm_max
        if older.minor == newer.minor:
            assert older.release_date[:7] <= newer.release_date[:7]


def test_minor_versions_were_released_in_order() -> None:
    """The first release of a minor version is not older than that of the last one."""
    first = {each.minor: each for each in reversed(compat.releases())}
    dates = [first[minor].release_date[:7] for minor in compat.minors()]
    assert dates == sorted(dates)


def test_listed_gpus_agree_with_the_range() -> None:
    """Where a compiler has listed its GPUs, the list begins and ends as the range."""
    listed = [each for each in compat.releases() if each.sm]
    assert {each.minor for each in listed} >= {"11.2", "11.8", "12.8", "13.0", "13.5"}
    for each in listed:
        assert (each.sm[0], each.sm[-1]) == (each.sm_min, each.sm_max), each.version
        assert list(each.sm) == sorted(set(each.sm))


def test_measured_compilers_agree_with_the_releases() -> None:
    """What was read from a compiler is what its release says."""
    for build in compat.nvcc_builds():
        release = compat.newest_of(build.minor)
        assert (release.gcc_max, release.clang_max) == (
            build.gcc_max,
            max(build.clang_below) - 1,
        )
        assert release.basis("gcc") == "measured"


def test_wheels_are_of_their_minor_version() -> None:
    """Versions, packages and metapackages of the wheels are named as they should be."""
    for each in compat.releases():
        for wheel in each.nvcc_wheels:
            assert wheel.startswith(f"{each.minor}.")
        suffix = "" if each.major >= 13 else f"-cu{each.major}"
        assert each.nvcc_package in {None, f"nvidia-cuda-nvcc{suffix}"}
        assert each.metapackage in {None, f"cuda-toolkit=={each.version}"}
        assert each.has_nvcc_binary == (each.major >= 13)
        assert "cuda-drivers" in each.apt_never
        assert not set(each.apt_minimal) & set(each.apt_never)


def test_a_minor_without_patch_number_says_so() -> None:
    """13.5 is known by its wheels alone."""
    assert compat.newest_of("13.5").version == "13.5"
    assert compat.newest_of("13.5").metapackage is None


@pytest.mark.parametrize(
    ("minor", "newest"),
    [
        ("9.2", "9.2.148"),
        ("10.2", "10.2.89"),
        ("11.0", "11.0.3"),
        ("11.1", "11.1.1"),
        ("11.8", "11.8.0"),
        ("12.4", "12.4.1"),
        ("12.9", "12.9.2"),
        ("13.0", "13.0.3"),
        ("13.4", "13.4.3"),
    ],
)
def test_newest_of_a_minor(minor: str, newest: str) -> None:
    """The minor version alone means its newest release."""
    assert compat.newest_of(minor).version == newest


def test_what_does_not_exist_is_a_key_error() -> None:
    """The readers invent nothing."""
    with pytest.raises(KeyError):
        compat.release("12.7.0")
    with pytest.raises(KeyError):
        compat.newest_of("12.7")
    with pytest.raises(KeyError):
        compat.release("12.4.1").basis("colour")


def test_rows_from_memory_can_be_found() -> None:
    """A plan can tell what nobody has checked."""
    old, new = compat.release("10.2.89"), compat.newest_of("13.0")
    assert old.basis("gcc") == "memory"
    assert new.basis("gcc") == "measured"
    assert new.basis("runfile") is None
    assert "host_config.h" in (new.source("gcc") or "")
    assert compat.weakest(("measured", None, "memory", "read")) == "memory"
    assert compat.weakest((None,)) == "measured"


@pytest.mark.parametrize(
    ("version", "capability", "code"),
    [
        ("13.0.3", (7, 5), 75),
        ("13.0.3", (6, 0), None),  # Pascal went with 13
        ("13.0.3", (7, 0), None),
        ("12.9.2", (6, 0), 60),
        ("11.1.1", (8, 9), 86),  # Ada runs Ampere's code
        ("11.1.1", (9, 0), None),
        ("9.2.148", (7, 5), 70),  # Turing runs code of Volta
        ("12.8.1", (12, 0), 120),
        ("12.6.3", (12, 0), None),
        ("12.8.1", (10, 3), 100),
        ("11.8.0", (3, 7), 37),
        ("12.0.1", (3, 7), None),
    ],
)
def test_code_for_a_gpu(
    version: str, capability: tuple[int, int], code: int | None
) -> None:
    """A GPU runs code of its own major version that is not newer than itself."""
    assert compat.release(version).code_for(capability) == code


@pytest.mark.parametrize(
    ("torch", "build", "capability", "runs"),
    [
        ("2.0.1", "cu118", (3, 7), True),
        ("2.7.1", "cu118", (3, 7), False),
        ("2.7.1", "cu118", (8, 9), True),
        ("2.7.1", "cu128", (7, 0), False),
        ("2.8.0", "cu128", (7, 0), True),
        ("2.8.0", "cu128", (6, 0), False),
        ("2.13.0", "cu126", (6, 0), True),
        ("2.15.0", "cu132", (12, 1), True),
        ("1.10.1", "cu111", (9, 0), False),
    ],
)
def test_code_in_torch(
    torch: str, build: str, capability: tuple[int, int], *, runs: bool
) -> None:
    """Each build of PyTorch has code for some GPUs only, and that changes in time."""
    row = compat.kernels_of(torch, build)
    assert row is not None
    assert row.runs_on(capability) == runs


def test_every_build_of_torch_has_kernels() -> None:
    """No build is without a row about its GPUs."""
    for torch in compat.torch_releases():
        for build in torch.cuda_builds:
            assert compat.kernels_of(torch.version, build), (torch.version, build)


def test_torch_releases_come_oldest_first() -> None:
    """1.10 is newer than 1.9, and its wheels end at Python 3.9."""
    torches = compat.torch_releases()
    assert [each.version for each in torches] == list(RAW["torch"])
    for older, newer in pairwise(torches):
        assert older.numbers < newer.numbers
    found = next(each for each in torches if each.version == "1.10.1")
    assert found.pythons[-1] == "cp39"
    assert found.torchvision == "0.11.2"
    assert found.basis("cuda_builds") == "read"


def test_other_readers() -> None:
    """GPUs, distributions, addresses and the day of the table."""
    models = {each.name: each for each in compat.gpu_models()}
    assert models["Tesla T4"].capability == (7, 5)
    assert {each.nvcc for each in compat.distro_nvcc()} >= {"11.8.89", "12.4.131"}
    assert compat.urls()["torch_index"].endswith("/{cuXXX}")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", compat.as_of())
    assert compat.never_released() == ("12.7",)
