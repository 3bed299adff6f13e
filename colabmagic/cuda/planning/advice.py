"""What goes, with a catch: the warnings of a plan."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.planning.limits import (
    GPU_RUNTIME,
    code_for,
    find_limit,
    is_managed,
    known_gpus,
    no_code,
)
from colabmagic.cuda.planning.plan import Problem
from colabmagic.data import compat
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from colabmagic.cuda.machine.facts import MachineFacts, TorchHere
    from colabmagic.cuda.planning.plan import Candidate, Options
    from colabmagic.data.compat import Release

# A toolkit's libraries, and stubs; the driver's own folders are none of them.
_SHADOWS: Final = re.compile(
    r"/cuda[^/]*/(?:lib64|lib|targets/[^/]+/lib)(?:/stubs)?/?$|/nvidia/cu\w+/lib/?$"
    r"|/stubs/?$"
)
_FIRST_MINOR_COMPATIBLE: Final = 11
_OF_NVIDIAS_SERVER: Final = ("redist", "runfile")
# Groups of the table, in words.
_ROWS: Final = (
    ("gcc", "the newest g++ that it takes"),
    ("sm", "the GPUs that it knows"),
    ("driver_min", "the oldest driver"),
    ("runfile", "the installer's address"),
)
# Functions of that C library have the names of some in CUDA's headers (from memory).
_CLASHING_GLIBC: Final = (2, 41)
_FIRST_WITHOUT_CLASH: Final = 13


def advise(
    release: Release, facts: MachineFacts, options: Options, chosen: Candidate | None
) -> tuple[Problem, ...]:
    """Return all that a user should know before, the most important first.

    Parameters
    ----------
    release, facts, options
        Of the plan.
    chosen
        The way that is taken.
    """
    found: list[Problem] = []
    for rule in _RULES:
        found += rule(release, facts)
    if options.offline and chosen is not None and chosen.method != "reuse":
        found.append(
            Problem(
                code="E09",
                what="only what the cache holds is used",
                seen="--offline; if a file is missing, it stops and nothing changes",
                fix=("leave --offline out",),
            )
        )
    if chosen is not None and chosen.method == "wheels" and options.mirror:
        found.append(
            Problem(
                code="E09",
                what="NVIDIA's wheels come from pip's own index, not from --mirror",
                seen="PIP_INDEX_URL and pip.conf name it",
                fix=("--method redist   takes NVIDIA's archives, from the mirror",)
                if "://" in options.mirror
                else (),
            )
        )
    if chosen is not None and chosen.method in _OF_NVIDIAS_SERVER and _is_name(options):
        found.append(
            Problem(
                code="E09",
                what=f"--mirror {options.mirror} has PyTorch's wheels only: the toolkit "
                "comes from NVIDIA",
                fix=("--mirror URL   names another root for NVIDIA's files",),
            )
        )
    if chosen is not None and chosen.basis == "memory":
        rows = [word for group, word in _ROWS if release.basis(group) == "memory"]
        found.append(
            Problem(
                code="basis",
                what="not all that this plan rests on has been checked",
                seen=f"from memory: {', '.join(rows) or f'the way {chosen.method!r}'}; "
                "what does not pass the proof is taken back",
            )
        )
    return tuple(found)


def _is_name(options: Options) -> bool:
    """Tell whether a mirror is named that has no files of NVIDIA."""
    return bool(options.mirror) and "://" not in str(options.mirror)


def _driver(release: Release, facts: MachineFacts) -> Iterator[Problem]:
    """Tell that there is no driver, or that it does not answer."""
    del release
    if facts.driver is None:
        where = {
            "colab": (GPU_RUNTIME,),
            "kaggle": ("Settings > Accelerator > GPU T4 x2",),
        }
        yield Problem(
            code="no-driver",
            what="there is no GPU driver here: programs compile, and do not run",
            fix=where.get(facts.host, ()),
        )
    elif isinstance(facts.driver, Unknown):
        yield Problem(
            code="E03",
            what="whether the driver runs this CUDA is not known",
            seen=facts.driver.reason,
            fix=("%gpu_check",),
        )


def _libc(release: Release, facts: MachineFacts) -> Iterator[Problem]:
    """Tell that headers of an older CUDA clash with those of a new C library."""
    if facts.glibc is None or facts.glibc < _CLASHING_GLIBC:
        return
    if release.major < _FIRST_WITHOUT_CLASH:
        newer = compat.newest_of(f"{_FIRST_WITHOUT_CLASH}.0")
        is_no_way = find_limit(newer, facts) is not None  # its GPU or driver is too old
        yield Problem(
            code="E02",
            what=f"headers of CUDA {release.minor} may clash with this C library",
            seen=f"glibc {facts.glibc[0]}.{facts.glibc[1]}, from memory; the proof tells",
            fix=() if is_no_way else (f"%cuda_install {newer.minor}",),
        )


def _gpus(release: Release, facts: MachineFacts) -> Iterator[Problem]:
    """Tell of GPUs that the toolkit makes older code for, or none."""
    seen: set[tuple[int, int]] = set()
    for gpu, capability in known_gpus(facts):
        if capability in seen:
            continue
        seen.add(capability)
        code, own = code_for(release, capability), capability[0] * 10 + capability[1]
        if code is None:
            yield no_code(release, gpu.name, capability)
        elif code != own:
            yield Problem(
                code="E06",
                what=f"nvcc {release.minor} does not know {gpu.name}, sm_{own}",
                seen=f"code for sm_{code} runs on it",
                fix=(f"!nvcc -arch=sm_{code} YOUR_FILE.cu",),
            )


def _ptx(release: Release, facts: MachineFacts) -> Iterator[Problem]:
    """Tell that the driver compiles no PTX of a toolkit that is newer than it."""
    newest = facts.driver_cuda
    if not isinstance(newest, tuple) or release.major < _FIRST_MINOR_COMPATIBLE:
        return
    if release.numbers[:2] <= newest or not isinstance(facts.driver, str):
        return
    codes = [
        code
        for _, capability in known_gpus(facts)
        if (code := code_for(release, capability)) is not None
    ]
    yield Problem(
        code="E15",
        what=f"the driver does not compile PTX of CUDA {release.minor}",
        seen=f"driver {facts.driver} knows PTX up to CUDA {newest[0]}.{newest[1]}",
        fix=tuple(
            f"!nvcc -arch=sm_{code} YOUR_FILE.cu   so that no PTX is needed"
            for code in codes[:1]
        ),
    )


def _torch(release: Release, facts: MachineFacts) -> Iterator[Problem]:
    """Tell where PyTorch does not go with the toolkit, or with the GPU."""
    torch = facts.torch
    if torch is None:
        return
    if torch.cuda is None:
        if "+rocm" not in torch.version and "+xpu" not in torch.version:
            yield _cpu_torch(torch, release, facts)
        return
    if compat.numbers(torch.cuda)[:1] != release.numbers[:1]:
        fitting = torch.cuda if torch.cuda in compat.minors() else None
        yield Problem(
            code="E18",
            what=f"PyTorch is built with CUDA {torch.cuda}, so it builds no extension "
            f"with {release.minor}",
            seen=f"torch {torch.version}; !nvcc works all the same",
            fix=("%cuda_install torch",) if fitting else (),
        )
    yield from _kernels(torch, facts)


def _cpu_torch(torch: TorchHere, release: Release, facts: MachineFacts) -> Problem:
    """Return that this PyTorch uses no GPU."""
    if facts.host == "colab" and facts.driver is None:
        fix = f"{GPU_RUNTIME}   brings the other PyTorch"
    else:
        fix = _cell_with_torch(release, facts)
    return Problem(
        code="E14",
        what="this PyTorch is built for the CPU: it takes no toolkit",
        seen=f"torch {torch.version}; !nvcc works all the same",
        fix=(fix,),
    )


def _cell_with_torch(release: Release, facts: MachineFacts) -> str:
    """Return the cell that brings a PyTorch of a CUDA, and that CUDA: one step."""
    from colabmagic.cuda.packages.choose import choose_torch  # noqa: PLC0415 (lazy)

    build = choose_torch((), release.minor, facts, torch_asked=True).build
    if build is None:
        return "%%cuda_install auto\ntorch"
    words = f"brings both, CUDA {build.cuda} and PyTorch {build.version}"
    return f"%%cuda_install {build.cuda}\ntorch   {words}"


def _kernels(torch: TorchHere, facts: MachineFacts) -> Iterator[Problem]:
    """Tell that this PyTorch has no kernels for a GPU here."""
    if not torch.archs:
        return
    seen: set[tuple[int, int]] = set()
    for gpu, capability in known_gpus(facts):
        if capability in seen or _runs_on(torch.archs, capability):
            continue
        seen.add(capability)
        own = capability[0] * 10 + capability[1]
        yield Problem(
            code="E07",
            what=f"this PyTorch has no kernels for {gpu.name}, sm_{own}",
            seen=f"torch {torch.version} has {' '.join(torch.archs)}",
            fix=("%gpu_check   says which PyTorch has",),
        )


def _runs_on(archs: tuple[str, ...], capability: tuple[int, int]) -> bool:
    """Tell whether one of the architectures of a build runs on a GPU."""
    own = capability[0] * 10 + capability[1]
    for arch in archs:
        kind, _, digits = arch.rstrip("af").partition("_")
        number = int(digits) if digits.isdigit() else 0
        if number <= own and (kind == "compute" or number // 10 == capability[0]):
            return True
    return False


def _library_path(release: Release, facts: MachineFacts) -> Iterator[Problem]:
    """Tell that LD_LIBRARY_PATH puts another CUDA's libraries first."""
    del release
    folders = [each for each in facts.library_path.split(":") if _SHADOWS.search(each)]
    if folders:
        where = "the kernel's environment"
        if is_managed(facts):
            where = "the cell that sets it"
        yield Problem(
            code="E17",
            what="LD_LIBRARY_PATH puts libraries of another CUDA before all others",
            seen=":".join(folders),
            fix=(f"take {folders[0]} out of {where}, then restart the kernel",),
        )


def _metapackage(release: Release, facts: MachineFacts) -> Iterator[Problem]:
    """Tell that a wheel is installed that is called after nvcc and has none."""
    for toolkit in facts.toolkits:
        is_old_wheel = toolkit.root.rstrip("/").endswith("/cuda_nvcc")
        if toolkit.origin == "wheels" and is_old_wheel and not toolkit.has_compiler:
            yield Problem(
                code="E16",
                what="a wheel of NVIDIA's is here that is called after nvcc and has none",
                seen=toolkit.root,
                fix=(f"%cuda_install {release.minor}   brings a compiler",),
            )
            return


_RULES: Final[tuple[Callable[[Release, MachineFacts], Iterator[Problem]], ...]] = (
    _driver,
    _libc,
    _gpus,
    _ptx,
    _torch,
    _library_path,
    _metapackage,
)
