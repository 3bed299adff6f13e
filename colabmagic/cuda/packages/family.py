"""PyTorch and its companions: which build goes with CUDA, Python and GPU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from colabmagic.data import compat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.specifiers import SpecifierSet

    from colabmagic.data.compat import TorchRelease

# They are compiled against each other: their versions go together.
FAMILY = ("torch", "torchvision", "torchaudio")
# From here on also torchaudio's wheels name their CUDA. Before, one wheel did for all.
_AUDIO_LABELLED = (1, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One build of a PyTorch.

    Attributes
    ----------
    release
        The PyTorch.
    build
        "cu118".
    """

    release: TorchRelease
    build: str

    @property
    def version(self) -> str:
        """Return "2.7.1+cu118"."""
        return f"{self.release.version}+{self.build}"

    @property
    def cuda(self) -> str:
        """Return "11.8"."""
        return f"{self.build[2:-1]}.{self.build[-1]}"

    @property
    def is_plain(self) -> bool:
        """Tell whether pip's default index has it, without a label.

        Of the time when there was one page of links for all builds: the default
        build's wheels had no label, and only some of that page's have one.
        """
        return (
            self.release.index_kind == "find_links"
            and self.build == self.release.pypi_default
        )

    @property
    def basis(self) -> str:
        """Return the weakest basis of that there is such a wheel."""
        release = self.release
        return compat.weakest((release.basis("cuda_builds"), release.basis("pythons")))

    def version_of(self, name: str) -> str | None:
        """Return the version of one of `FAMILY`, without a label; None: there is none."""
        if name == "torch":
            return self.release.version
        if name == "torchvision":
            return self.release.torchvision
        return self.release.torchaudio

    def pin(self, name: str) -> str | None:
        """Return what pip is to be given for one of `FAMILY`; None: there is none."""
        version = self.version_of(name)
        if version is None:
            return None
        if self.is_plain:
            return f"{name}=={version}"
        if name == "torchaudio" and self.release.numbers[:2] < _AUDIO_LABELLED:
            return f"{name}==={version}"  # no label, also where others have one
        return f"{name}=={version}+{self.build}"

    def meets(self, wanted: Mapping[str, SpecifierSet]) -> bool:
        """Tell whether all versions are what the user asked for."""
        for name, specifier in wanted.items():
            version = self.version_of(name)
            if version is None:
                return False
            label = f"{version}+{self.build}"
            if not specifier.contains(label, prereleases=True) and not (
                self.is_plain and specifier.contains(version, prereleases=True)
            ):
                return False
        return True

    def runs_on(self, capabilities: Iterable[tuple[int, int]]) -> bool:
        """Tell whether it has code for all these GPUs."""
        row = compat.kernels_of(self.release.version, self.build)
        return row is not None and all(row.runs_on(each) for each in capabilities)


@cache
def all_builds() -> tuple[Build, ...]:
    """Return all builds of all releases, oldest release first."""
    return tuple(
        Build(release=release, build=build)
        for release in compat.torch_releases()
        for build in release.cuda_builds
    )


def find_build(version: str, cuda: str | None) -> Build | None:
    """Return the build of an installed PyTorch, if it is one of the table's.

    Parameters
    ----------
    version
        "2.11.0+cu128"; PyPI's own has no label.
    cuda
        What it was built with, "12.8".
    """
    plain = version.partition("+")[0]
    for each in all_builds():
        if each.release.version == plain and each.cuda == cuda:
            return each
    return None


def distance(build: Build, cuda: str) -> tuple[int, int]:
    """Return how far a build is from a CUDA: in major versions, then in releases."""
    mine, wanted = compat.numbers(build.cuda), compat.numbers(cuda)
    return abs(mine[0] - wanted[0]), abs(_place(build.cuda) - _place(cuda))


@cache
def _place(cuda: str) -> int:
    """Return where a minor version of CUDA stands among all."""
    wanted = compat.numbers(cuda)
    return sum(compat.numbers(each) < wanted for each in compat.minors())


def is_same_major(build: Build, cuda: str) -> bool:
    """Tell whether a build can live with a toolkit in one program."""
    return compat.numbers(build.cuda)[0] == compat.numbers(cuda)[0]


def best(builds: Iterable[Build], cuda: str) -> Build | None:
    """Return the build that is nearest to a CUDA; of equals, the newest PyTorch."""

    def order(build: Build) -> tuple[int, ...]:
        far = distance(build, cuda)
        return (*far, *(-number for number in build.release.numbers))

    return min(builds, key=order, default=None)


def nearest_torch(
    cuda_minor: str | None,
    python_tag: str,
    capability: tuple[int, int] | None,
    *,
    near: str | None = None,
) -> tuple[Build, ...]:
    """Return builds that this Python and this GPU run, the best advice first.

    Parameters
    ----------
    cuda_minor
        "11.1"; None: any.
    python_tag
        "cp313".
    capability
        (7, 5); None: not known, or there is no GPU.
    near
        The PyTorch that was wanted; the nearest version comes first.

    Returns
    -------
    tuple of Build
        At most one for each CUDA; first those of the same major version.
    """
    gpus = () if capability is None else (capability,)
    fitting = [
        each
        for each in all_builds()
        if python_tag in each.release.pythons and each.runs_on(gpus)
    ]
    wanted = _series(near) if near is not None else 0

    def key(build: Build) -> tuple[int, ...]:
        far = distance(build, cuda_minor) if cuda_minor is not None else (0, 0)
        newest_first = tuple(-number for number in build.release.numbers)
        if near is None:
            return (*far, *newest_first)
        away = abs(_series(build.release.version) - wanted)
        return (far[0], away, far[1], *newest_first)

    found: dict[str, Build] = {}
    for each in sorted(fitting, key=key):
        found.setdefault(each.build, each)
    return tuple(found.values())


def _series(version: str) -> int:
    """Return where 2.5 of "2.5.1" stands, or would stand, among all that there are."""
    known = sorted({each.numbers[:2] for each in compat.torch_releases()})
    return sum(each < compat.numbers(version)[:2] for each in known)
