"""The libraries of ``--with``, as archives, wheels and packages call them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.planning.plan import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.data.compat import Release

MB: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One library.

    Attributes
    ----------
    name
        As ``--with`` takes it.
    redist
        Its name in NVIDIA's manifest of a toolkit; None: it is not in there.
    wheel
        Its package, without the suffix for the CUDA major (``-cu12``).
    apt
        Its package in NVIDIA's repository, without version.
    megabytes
        What it takes to download, roughly.
    is_of_toolkit
        Whether it is released with the toolkit and has its version.
    """

    name: str
    redist: str | None
    wheel: str
    apt: str | None
    megabytes: int
    is_of_toolkit: bool = True


_ALL: Final = (
    Part(
        name="cublas",
        redist="libcublas",
        wheel="nvidia-cublas",
        apt="libcublas-dev",
        megabytes=420,
    ),
    Part(
        name="cufft",
        redist="libcufft",
        wheel="nvidia-cufft",
        apt="libcufft-dev",
        megabytes=200,
    ),
    Part(
        name="curand",
        redist="libcurand",
        wheel="nvidia-curand",
        apt="libcurand-dev",
        megabytes=80,
    ),
    Part(
        name="cusolver",
        redist="libcusolver",
        wheel="nvidia-cusolver",
        apt="libcusolver-dev",
        megabytes=400,
    ),
    Part(
        name="cusparse",
        redist="libcusparse",
        wheel="nvidia-cusparse",
        apt="libcusparse-dev",
        megabytes=330,
    ),
    Part(
        name="npp",
        redist="libnpp",
        wheel="nvidia-npp",
        apt="libnpp-dev",
        megabytes=340,
    ),
    Part(
        name="nvjpeg",
        redist="libnvjpeg",
        wheel="nvidia-nvjpeg",
        apt="libnvjpeg-dev",
        megabytes=5,
    ),
    Part(
        name="nvrtc",
        redist="cuda_nvrtc",
        wheel="nvidia-cuda-nvrtc",
        apt="cuda-nvrtc-dev",
        megabytes=80,
    ),
    Part(
        name="cupti",
        redist="cuda_cupti",
        wheel="nvidia-cuda-cupti",
        apt="cuda-cupti-dev",
        megabytes=25,
    ),
    Part(
        name="nvtx",
        redist="cuda_nvtx",
        wheel="nvidia-nvtx",
        apt="cuda-nvtx",
        megabytes=1,
    ),
    Part(
        name="cudnn",
        redist=None,
        wheel="nvidia-cudnn",
        apt=None,
        megabytes=700,
        is_of_toolkit=False,
    ),
    Part(
        name="nccl",
        redist=None,
        wheel="nvidia-nccl",
        apt=None,
        megabytes=280,
        is_of_toolkit=False,
    ),
)
PARTS: Final = {part.name: part for part in _ALL}
# What cuda-toolkit of each minor asks for (read in the metadata of 13.0.3, 13.1.2, 13.2.2,
# 13.3.1, 13.4.3 and 13.5.0, on 2026-11-30): without, pip takes the newest, whose headers
# and PTX are of another CUDA.
_LIBRARIES: Final = (
    "cublas",
    "cufft",
    "curand",
    "cusolver",
    "cusparse",
    "npp",
    "nvjpeg",
)
_PINS: Final = {
    "13.0": "13.1.1.3 12.0.0.61 10.4.0.35 12.0.4.66 12.6.3.3 13.0.1.2 13.0.1.86",
    "13.1": "13.2.2.2 12.1.0.78 10.4.1.81 12.0.9.81 12.7.3.1 13.0.3.3 13.0.3.75",
    "13.2": "13.4.1.3 12.2.0.57 10.4.2.66 12.2.0.11 12.7.10.12 13.1.0.59 13.1.0.59",
    "13.3": "13.6.0.2 12.3.0.29 10.4.3.29 12.2.6.9 12.8.2.51 13.1.2.81 13.2.1.68",
    "13.4": "13.8.0.4 12.4.0.43 10.4.4.72 12.3.5.3 12.8.6.72 13.2.0.58 13.2.3.58",
    "13.5": "13.10.0.20 12.5.0.14 10.4.5.25 12.4.1.2 12.9.4.2 13.2.0.93 13.3.2.43",
}
_LIKE_CUDA: Final = frozenset({"nvrtc", "cupti", "nvtx"})  # they have its version
_FIRST_WHEELS: Final = 11  # before, NVIDIA published no wheels
_UNSUFFIXED: Final = 13  # from here on wheels are called without -cuXX


def unknown_parts(names: Iterable[str]) -> Problem | None:
    """Return that a name of ``--with`` is none, if so.

    Parameters
    ----------
    names
        As the user wrote them.
    """
    unknown = [name for name in names if name not in PARTS]
    if not unknown:
        return None
    meant = get_close_matches(unknown[0], PARTS, n=1) or sorted(PARTS)[:3]
    return Problem(
        code="E21",
        what=f"--with does not know {', '.join(unknown)}",
        seen=f"it knows {', '.join(sorted(PARTS))}",
        fix=(f"--with {','.join(meant)}   or leave it out",),
    )


def chosen_parts(names: Iterable[str]) -> list[Part]:
    """Return the parts that are known, each once."""
    return [PARTS[name] for name in dict.fromkeys(names) if name in PARTS]


def wheel_requirement(part: Part, release: Release) -> str | None:
    """Return what pip is asked for; None where there is no such wheel.

    Libraries have version numbers of their own. Before 13 the name of a wheel tells for
    which CUDA major it is, and no more is asked.

    Parameters
    ----------
    part
        One of `PARTS`.
    release
        The toolkit.
    """
    if release.major < _FIRST_WHEELS:
        return None
    if release.major >= _UNSUFFIXED and part.is_of_toolkit:
        return f"{part.wheel}{_pin(part, release)}"
    return f"{part.wheel}-cu{release.major}"


def _pin(part: Part, release: Release) -> str:
    """Return which version of a library goes with a minor; nothing: that is not known."""
    if part.name in _LIKE_CUDA:
        return f"=={release.minor}.*"
    versions = dict(zip(_LIBRARIES, _PINS.get(release.minor, "").split(), strict=False))
    known = versions.get(part.name)
    return f"=={known}.*" if known else ""
