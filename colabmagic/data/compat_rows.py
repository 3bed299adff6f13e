"""The rows of ``compat.json`` as values; `colabmagic.data.compat` reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

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


@lru_cache(maxsize=2048)
def numbers(version: str) -> tuple[int, ...]:
    """Return (12, 4, 1) of "12.4.1"; what is no number ends it."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


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
