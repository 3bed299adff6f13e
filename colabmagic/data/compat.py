"""What goes with what: CUDA, drivers, compilers, GPUs, Python and PyTorch.

The facts are in ``compat.json``, one release a line. Each group of fields has a basis:

``measured``
    Run or opened, and seen.
``read``
    In the source that is named.
``inferred``
    By a rule, or from a neighbour.
``memory``
    Not checked: a plan that rests on it says so.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from colabmagic.data.compat_rows import (
    BASES,
    GROUPS,
    TORCH_GROUPS,
    ColabRuntime,
    DistroNvcc,
    GpuModel,
    NvccBuild,
    Release,
    TorchKernels,
    TorchRelease,
    numbers,
)

__all__ = [
    "BASES",
    "GROUPS",
    "TORCH_GROUPS",
    "ColabRuntime",
    "DistroNvcc",
    "GpuModel",
    "NvccBuild",
    "Release",
    "TorchKernels",
    "TorchRelease",
    "as_of",
    "colab_runtimes",
    "distro_nvcc",
    "gpu_models",
    "kernels_of",
    "minors",
    "never_released",
    "newest_of",
    "numbers",
    "nvcc_builds",
    "release",
    "releases",
    "torch_kernels",
    "torch_releases",
    "urls",
    "weakest",
]

_FILE = Path(__file__).with_name("compat.json")


@cache
def _table() -> dict[str, Any]:
    """Return the file as JSON has it."""
    table: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return table


def as_of() -> str:
    """Return the day of the table, "2026-11-21"."""
    return str(_table()["as_of"])


def _provenance(
    row: dict[str, Any], groups: tuple[str, ...]
) -> dict[str, tuple[tuple[str, str | None], ...]]:
    """Return bases and sources of a row."""
    return {
        "bases": tuple((group, row[f"{group}_basis"]) for group in groups),
        "sources": tuple((group, row[f"{group}_source"]) for group in groups),
    }


def _release(version: str, row: dict[str, Any]) -> Release:
    """Return one row as a value."""
    apt, pypi = row["apt"], row["pypi"]
    return Release(
        version=version,
        minor=row["minor"],
        release_date=row["release_date"],
        driver_min=row["driver_min_linux"],
        driver_min_kind=row["driver_min_kind"],
        driver_bundled=row["driver_bundled_linux"],
        gcc_max=row["gcc_max"],
        clang_max=int(row["clang_max"]),  # 3.9: the major version is what counts
        sm_min=row["sm_min"],
        sm_max=row["sm_max"],
        sm=_listed(row["minor"]),
        runfile_url=row["runfile_url"],
        redistrib_json=row["redistrib_json"],
        apt_minimal=tuple(apt["minimal"]),
        apt_toolkit=apt["toolkit"],
        apt_never=tuple(apt["never"]),
        apt_torch_extension=tuple(apt["torch_extension"]),
        ubuntu_repos=tuple(row["ubuntu_repos"]),
        debian_repos=tuple(row["debian_repos"]),
        nvcc_package=pypi["nvcc_package"],
        nvcc_wheels=tuple(pypi["nvcc_wheels"]),
        has_nvcc_binary=pypi["has_nvcc_binary"],
        metapackage=pypi["metapackage"],
        **_provenance(row, GROUPS),
    )


def _listed(minor: str) -> tuple[int, ...]:
    """Return the GPUs that a compiler of this minor version has listed."""
    found = {
        int(sm.removeprefix("sm_").rstrip("af"))
        for build in nvcc_builds()
        if build.minor == minor
        for sm in build.sm
    }
    return tuple(sorted(found))


@cache
def releases() -> tuple[Release, ...]:
    """Return all releases, oldest first."""
    rows = [_release(version, row) for version, row in _table()["cuda"].items()]
    return tuple(sorted(rows, key=lambda each: each.numbers))


@cache
def minors() -> tuple[str, ...]:
    """Return "9.0" … "13.5", oldest first."""
    return tuple(dict.fromkeys(each.minor for each in releases()))


def release(version: str) -> Release:
    """Return the release of this full version.

    Raises
    ------
    KeyError
        There is none.
    """
    for each in releases():
        if each.version == version:
            return each
    raise KeyError(version)


def newest_of(minor: str) -> Release:
    """Return the newest release of a minor version.

    Raises
    ------
    KeyError
        There is none.
    """
    for each in reversed(releases()):
        if each.minor == minor:
            return each
    raise KeyError(minor)


@cache
def never_released() -> tuple[str, ...]:
    """Return the minor versions that were left out, ("12.7",)."""
    return tuple(row["version"] for row in _table()["never_released"])


@cache
def torch_releases() -> tuple[TorchRelease, ...]:
    """Return all releases of PyTorch, oldest first."""
    rows = [
        TorchRelease(
            version=version,
            cuda_builds=tuple(row["cuda_builds"]),
            pypi_default=row["pypi_default"],
            pythons=tuple(row["pythons_pypi_linux"]),
            torchvision=row["torchvision"],
            torchaudio=row["torchaudio"],
            index_kind=row["index_kind"],
            release_date=row["release_date"],
            **_provenance(row, TORCH_GROUPS),
        )
        for version, row in _table()["torch"].items()
    ]
    return tuple(sorted(rows, key=lambda each: each.numbers))


@cache
def torch_kernels() -> tuple[TorchKernels, ...]:
    """Return the rows about the code in PyTorch's builds."""
    return tuple(
        TorchKernels(**{**row, "sm": tuple(row["sm"])})
        for row in _table()["torch_kernels"]
    )


def kernels_of(torch: str, build: str) -> TorchKernels | None:
    """Return for which GPUs a build of a PyTorch has code; None: not known."""
    fitting = [
        row
        for row in torch_kernels()
        if row.build == build and numbers(row.torch_since) <= numbers(torch)
    ]
    return max(fitting, key=lambda row: numbers(row.torch_since), default=None)


@cache
def gpu_models() -> tuple[GpuModel, ...]:
    """Return the known GPUs."""
    rows = []
    for name, row in _table()["gpus"].items():
        major, minor = map(int, row["cc"].split("."))
        rows.append(
            GpuModel(
                name=name,
                arch=row["arch"],
                capability=(major, minor),
                aliases=tuple(row["aliases"]),
                memory_gb=tuple(row["mem_gb"]),
                basis=row["basis"],
            )
        )
    return tuple(rows)


@cache
def distro_nvcc() -> tuple[DistroNvcc, ...]:
    """Return the toolkits of the distributions."""
    return tuple(
        DistroNvcc(suite=suite, **row) for suite, row in _table()["distro_nvcc"].items()
    )


@cache
def nvcc_builds() -> tuple[NvccBuild, ...]:
    """Return the builds of the compiler that were looked into."""
    return tuple(
        NvccBuild(
            build=build,
            minor=row["minor"],
            gcc_max=row["gcc_max"],
            clang_below=tuple(row["clang_below"]),
            sm=tuple(row["sm"] or ()),
        )
        for build, row in _table()["nvcc_builds"].items()
    )


def urls() -> dict[str, Any]:
    """Return addresses, with {places} to fill in."""
    return dict(_table()["urls"])


def weakest(bases: tuple[str | None, ...]) -> str:
    """Return the weakest basis of several; what has no value does not count."""
    known = [basis for basis in bases if basis is not None]
    return max(known, key=BASES.index, default=BASES[0])


@cache
def colab_runtimes() -> tuple[ColabRuntime, ...]:
    """Return Colab's older runtimes, oldest first."""
    return tuple(ColabRuntime(**row) for row in _table()["colab_runtimes"])
