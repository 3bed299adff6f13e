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

    Libraries have version numbers of their own, so that only the CUDA major tells which
    one goes with a toolkit.

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
        return part.wheel
    return f"{part.wheel}-cu{release.major}"
