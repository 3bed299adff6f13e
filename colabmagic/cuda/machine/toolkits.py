"""Find the toolkits that are here already, without running them where files tell."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import re
import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.machine.facts import Toolkit
from colabmagic.cuda.store.inventory import read_card
from colabmagic.host.system import read_text
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from colabmagic.cuda.store.layout import Home
    from colabmagic.host.command import CommandOutcome

_BANNER: Final = b"Cuda compilation tools, release "
_BUILD: Final = re.compile(_BANNER + rb"\d+\.\d+, V(\d+\.\d+\.\d+)")
_SAYS: Final = re.compile(r"release \d+\.\d+, V(\d+\.\d+\.\d+)")
_IN_SCRIPT: Final = re.compile(rb"(/[\w./+-]+/nvcc)\b")
_IN_TEXT: Final = re.compile(r"CUDA Version (\d+\.\d+\.\d+)")
_IN_HEADER: Final = re.compile(r"#define\s+CUDART_VERSION\s+(\d{4,6})")
# Of each library of ``--with``, a header that it is compiled with.
HEADERS: Final = {
    "cublas": "cublas_v2.h",
    "cufft": "cufft.h",
    "curand": "curand.h",
    "cusolver": "cusolverDn.h",
    "cusparse": "cusparse.h",
    "npp": "npp.h",
    "nvjpeg": "nvjpeg.h",
    "nvrtc": "nvrtc.h",
    "cupti": "cupti.h",
    "nvtx": "nvtx3/nvToolsExt.h",
    "cudnn": "cudnn.h",
    "nccl": "nccl.h",
}
_HEADER_BYTES: Final = 1 << 16
_SCRIPT_BYTES: Final = 1 << 12
_ASK_S: Final = 2.0
_NO_NVCC: Final = Unknown("there is no nvcc in it")
_DISTRIBUTION: Final = "usr/lib/nvidia-cuda-toolkit"


def find_toolkits(
    env: Mapping[str, str],
    sysroot: Path,
    home: Home,
    site_packages: Iterable[Path],
    run: Callable[..., CommandOutcome],
) -> tuple[Toolkit, ...]:
    """Return each toolkit once: ours, then those of the system, then those of wheels.

    Parameters
    ----------
    env
        Variables: ``CUDA_HOME``, ``CUDA_PATH``, ``PATH``.
    sysroot
        The root of the file system.
    home
        Our folder.
    site_packages
        Where wheels are installed.
    run
        Runs an nvcc whose files do not tell its build.
    """
    found: dict[str, Toolkit] = {}
    for folder, origin in _places(env, sysroot, home, site_packages):
        real = os.path.realpath(folder)
        with contextlib.suppress(OSError):  # one folder that is shut hides no other
            if real not in found and (toolkit := _look(folder, origin, run)):
                found[real] = toolkit
    return tuple(found.values())


def _places(
    env: Mapping[str, str], sysroot: Path, home: Home, site_packages: Iterable[Path]
) -> Iterator[tuple[Path, str]]:
    """Yield all folders where a toolkit may be."""
    for name in _sorted_names(home.toolkits):
        if not name.startswith("."):  # one that is made, or taken away
            yield home.toolkits / name, "ours"
    local = sysroot / "usr/local"
    for name in _sorted_names(local):
        if name == "cuda" or name.startswith("cuda-"):
            yield local / name, "system"
    yield sysroot / _DISTRIBUTION, "distribution"
    yield from _by_variables(env)
    for folder in site_packages:
        for name in _sorted_names(folder / "nvidia"):
            if re.fullmatch(r"cu\d\d|cuda_nvcc", name):
                yield folder / "nvidia" / name, "wheels"


def _by_variables(env: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Yield what the environment names."""
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if env.get(variable):
            yield Path(env[variable]), "path"
    nvcc = shutil.which("nvcc", path=env.get("PATH", ""))
    if nvcc:
        yield behind_script(Path(nvcc)).parent.parent, "path"


def _sorted_names(folder: Path) -> list[str]:
    """Return the names in a folder, newest version first; none where it is shut."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 (names are all that is wanted)
    except OSError:
        return []
    return sorted(names, key=_newest_first)


def _newest_first(name: str) -> tuple[bool, list[int], str]:
    """Order 12.8 before 12.4 before 9.2, and last the link that another may turn."""
    numbers = [-int(number) for number in re.findall(r"\d+", name)]
    return not numbers, numbers, name


def _look(
    root: Path, origin: str, run: Callable[..., CommandOutcome]
) -> Toolkit | None:
    """Return the toolkit in a folder; None where there is none."""
    nvcc = root / "bin/nvcc"
    if nvcc.is_file():
        return Toolkit(
            root=str(root),
            build=_build(nvcc, run),
            origin=origin,
            has_compiler=_has_compiler(root),
            variables=_variables(root) if origin == "ours" else (),
            parts=parts_of(root),
        )
    if origin != "wheels":
        return None  # such as /usr/local/cuda with libraries only
    return Toolkit(
        root=str(root),
        build=_of_header(root) or _NO_NVCC,
        origin=origin,
        has_compiler=False,
    )


def _variables(root: Path) -> tuple[tuple[str, str], ...]:
    """Return what a toolkit of ours wants in the environment, as its card says."""
    card = read_card(root)
    return () if card is None else tuple(sorted(card.variables().items()))


def _has_compiler(root: Path) -> bool:
    """Tell whether the programs behind nvcc are there, and nvcc may be run."""
    behind = ("nvvm/bin/cicc", "bin/cicc")  # the second: distributions
    return (
        os.access(root / "bin/nvcc", os.X_OK)
        and any((root / path).is_file() for path in behind)
        and all((root / "bin" / name).is_file() for name in ("cudafe++", "ptxas"))
    )


def _build(nvcc: Path, run: Callable[..., CommandOutcome]) -> str | Unknown:
    """Return the build, as ``12.8.93``: from files, else from nvcc itself."""
    root = nvcc.parent.parent
    try:
        program = behind_script(nvcc.resolve(strict=True))
        seen = program.stat()
    except OSError as error:
        return Unknown(error.strerror or "it cannot be read")
    return (
        _of_json(root)
        or _in_program(str(program), seen.st_mtime_ns, seen.st_size)
        or _says(nvcc, run)
        or _of_text(root)
        or Unknown("it does not tell its version")
    )


def parts_of(root: Path) -> tuple[str, ...]:
    """Return the libraries whose headers are in a toolkit, as ``--with`` calls them.

    Parameters
    ----------
    root
        Of the toolkit.
    """
    return tuple(name for name in HEADERS if _has_header(root, name))


def _has_header(root: Path, name: str) -> bool:
    """Tell whether a library of ``--with`` can be compiled with."""
    folders = (root / "include", root / "extras/CUPTI/include")
    return any((folder / HEADERS[name]).is_file() for folder in folders)


def behind_script(program: Path) -> Path:
    """Return the program that a small script starts (Debian), or what was given.

    Parameters
    ----------
    program
        Of the name ``nvcc``.
    """
    try:
        with program.open("rb") as file:
            start = file.read(_SCRIPT_BYTES)
    except OSError:
        return program
    target = _IN_SCRIPT.search(start) if start.startswith(b"#!") else None
    return program if target is None else Path(os.fsdecode(target[1]))


def _of_json(root: Path) -> str | None:
    """Return what version.json says of nvcc: since 11.1, where it is."""
    text = read_text(root / "version.json")
    try:
        version = json.loads(text or "")["cuda_nvcc"]["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return version if isinstance(version, str) else None


def _of_text(root: Path) -> str | None:
    """Return what version.txt says: up to 10.2."""
    found = _IN_TEXT.search(read_text(root / "version.txt") or "")
    return found[1] if found else None


def _of_header(root: Path) -> str | None:
    """Return ``13.0`` from the runtime's header, where there is no nvcc."""
    try:
        with (root / "include/cuda_runtime_api.h").open("rb") as file:
            text = file.read(_HEADER_BYTES).decode("ascii", "replace")
    except OSError:
        return None
    found = _IN_HEADER.search(text)
    if found is None:
        return None
    return f"{int(found[1]) // 1000}.{int(found[1]) % 1000 // 10}"


@lru_cache(maxsize=16)
def _in_program(path: str, _mtime_ns: int, size: int) -> str | None:
    """Search nvcc for what it prints as its version; remembered while it stays."""
    if not size:
        return None
    try:
        with (
            Path(path).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            # Plain text first: a pattern takes 70 ms for 30 MB. It is in the second
            # half of the releases seen.
            at = data.find(_BANNER, size // 2)
            at = data.find(_BANNER) if at < 0 else at
            found = _BUILD.match(data, at) if at >= 0 else None
            return found[1].decode("ascii") if found else None
    except (OSError, ValueError):
        return None


def _says(nvcc: Path, run: Callable[..., CommandOutcome]) -> str | None:
    """Return what ``nvcc --version`` says."""
    if not os.access(nvcc, os.X_OK):
        return None
    outcome = run([str(nvcc), "--version"], timeout_s=_ASK_S)
    found = _SAYS.search(outcome.stdout)
    return found[1] if found else None
