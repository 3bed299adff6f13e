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
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("compat.json")

# GPUs of boards with processor and GPU in one: no other GPU runs their code.
_BOARDS = frozenset({32, 53, 62, 72, 87, 88, 101, 110})
# What lies in the range of a compiler that nobody has asked for its list.
_OLD = (30, 32, 35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90)

# The weakest last.
BASES = ("measured", "read", "inferred", "memory")
GROUPS = (
    "release_date",
    "driver_min",
    "driver_bundled",
    "gcc",
    "clang",
    "sm",
    "runfile",
    "redistrib",
    "apt",
    "ubuntu_repos",
    "debian_repos",
    "pypi",
)
TORCH_GROUPS = (
    "release_date",
    "cuda_builds",
    "pypi_default",
    "pythons",
    "vision_audio",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release of the CUDA toolkit.

    Attributes
    ----------
    version, minor
        "11.1.1" and "11.1". Where the third number is not known, as for "13.5", both
        are the same; before 11 it is a build number ("9.2.148").
    release_date
        "2022-10-03"; a month alone where the day is not known.
    driver_min
        Oldest Linux driver that runs what this toolkit compiles for one GPU.
    driver_min_kind
        ``strict``, or ``minor_compat``: all of one major version run on it, without
        compiling PTX.
    driver_bundled
        The driver in the runfile; None: not known.
    gcc_max, clang_max
        Newest major version of the host's compiler.
    sm_min, sm_max
        Oldest and newest GPU, 75 for compute capability 7.5.
    sm
        All of them, where a compiler has listed them; there are gaps.
    apt_minimal, apt_toolkit, apt_torch_extension
        NVIDIA's names of packages: compiler and headers; everything; what PyTorch's
        headers ask for.
    apt_never
        Those that bring a driver.
    redistrib_json
        URL of the manifest; None: none was seen, which proves nothing.
    ubuntu_repos, debian_repos
        Names such as "ubuntu2204".
    nvcc_package, nvcc_wheels
        Package of that name and its versions for this minor version.
    has_nvcc_binary
        Whether these wheels bring a compiler.
    metapackage
        Such as "cuda-toolkit==12.4.1", which may bring no compiler.
    """

    version: str
    minor: str
    release_date: str
    driver_min: str
    driver_min_kind: str
    driver_bundled: str | None
    gcc_max: int
    clang_max: int
    sm_min: int
    sm_max: int
    sm: tuple[int, ...]
    runfile_url: str | None
    redistrib_json: str | None
    apt_minimal: tuple[str, ...]
    apt_toolkit: str
    apt_never: tuple[str, ...]
    apt_torch_extension: tuple[str, ...]
    ubuntu_repos: tuple[str, ...]
    debian_repos: tuple[str, ...]
    nvcc_package: str | None
    nvcc_wheels: tuple[str, ...]
    has_nvcc_binary: bool
    metapackage: str | None
    bases: tuple[tuple[str, str | None], ...] = field(repr=False)
    sources: tuple[tuple[str, str | None], ...] = field(repr=False)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return (11, 1, 1), which sorts."""
        return numbers(self.version)

    @property
    def major(self) -> int:
        """Return 11 of "11.1.1"."""
        return self.numbers[0]

    def basis(self, group: str) -> str | None:
        """Return how one of `GROUPS` is known; None: it has no value.

        Raises
        ------
        KeyError
            There is no such group.
        """
        return dict(self.bases)[group]

    def source(self, group: str) -> str | None:
        """Return where one of `GROUPS` comes from."""
        return dict(self.sources)[group]

    def code_for(self, capability: tuple[int, int]) -> int | None:
        """Return the newest code that this compiler makes and such a GPU runs.

        Parameters
        ----------
        capability
            (8, 9).

        Returns
        -------
        int or None
            89, or where the compiler does not know it an older one of the same major
            version (86), which runs as well; None: only PTX could help.
        """
        wanted = capability[0] * 10 + capability[1]
        known = self.sm or [sm for sm in _OLD if self.sm_min <= sm <= self.sm_max]
        fitting = [sm for sm in known if sm // 10 == capability[0] and sm <= wanted]
        return max(
            (sm for sm in fitting if sm == wanted or sm not in _BOARDS), default=None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchRelease:
    """One release of PyTorch, as it is published for Linux.

    Attributes
    ----------
    version
        "2.4.1".
    cuda_builds
        ("cu118", "cu121", …).
    pypi_default
        The build that plain pip installs.
    pythons
        Tags of its wheels, ("cp39", …); empty: not known.
    torchvision, torchaudio
        The versions that go with it; None: there is none, or it is not known.
    index_kind
        ``index_url``: one index for each CUDA; ``find_links``: one page of links.
    """

    version: str
    cuda_builds: tuple[str, ...]
    pypi_default: str
    pythons: tuple[str, ...]
    torchvision: str | None
    torchaudio: str | None
    index_kind: str
    release_date: str | None
    bases: tuple[tuple[str, str | None], ...] = field(repr=False)
    sources: tuple[tuple[str, str | None], ...] = field(repr=False)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return (2, 4, 1), which sorts."""
        return numbers(self.version)

    def basis(self, group: str) -> str | None:
        """Return how one of `TORCH_GROUPS` is known; None: it has no value."""
        return dict(self.bases)[group]


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchKernels:
    """For which GPUs the builds of PyTorch for one CUDA have code.

    Attributes
    ----------
    build
        "cu118".
    torch_since
        First PyTorch of which it is true; until the next row of the same build.
    sm
        (50, 60, …).
    ptx
        Newer GPUs can compile from this one (120); None: from none.
    """

    build: str
    torch_since: str
    sm: tuple[int, ...]
    ptx: int | None
    basis: str
    source: str

    def runs_on(self, capability: tuple[int, int]) -> bool:
        """Tell whether a GPU of this compute capability runs the build."""
        wanted = capability[0] * 10 + capability[1]
        if self.ptx is not None and self.ptx <= wanted:
            return True
        return any(sm // 10 == capability[0] and sm <= wanted for sm in self.sm)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuModel:
    """A GPU by the name that its maker sells it under.

    Attributes
    ----------
    capability
        (7, 5).
    memory_gb
        The sizes in which it is sold.
    """

    name: str
    arch: str
    capability: tuple[int, int]
    aliases: tuple[str, ...]
    memory_gb: tuple[int, ...]
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DistroNvcc:
    """The toolkit that a distribution's own archive holds."""

    suite: str
    nvcc: str
    basis: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NvccBuild:
    """What one build of the compiler says of itself.

    Attributes
    ----------
    build
        "12.4.131".
    clang_below
        The limits in ``crt/host_config.h``; two where that file has two.
    sm
        With the variants, ("sm_90", "sm_90a"); empty: not read.
    """

    build: str
    minor: str
    gcc_max: int
    clang_below: tuple[int, ...]
    sm: tuple[str, ...]


def numbers(version: str) -> tuple[int, ...]:
    """Return (12, 4, 1) of "12.4.1"; what is no number ends it."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ColabRuntime:
    """An older runtime that Colab's menu offers.

    Attributes
    ----------
    python
        Tag of its Python, "cp311".
    torch
        Beginning of its PyTorch's version, "2.6".
    """

    name: str
    python: str
    torch: str
    basis: str
    source: str


@cache
def colab_runtimes() -> tuple[ColabRuntime, ...]:
    """Return Colab's older runtimes, oldest first."""
    return tuple(ColabRuntime(**row) for row in _table()["colab_runtimes"])
