"""What the archives of the doubles hold: a tiny toolkit, or one that really compiles.

The real one is made of CUDA 13.0's wheels and says so in ``double.json``; its ``nvcc``
is a script that answers ``--version`` with the version that the double plays, and hands
everything else to the compiler of 13.0.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REAL = "13.0"
WHEELS = {  # which wheel belongs to which part of a toolkit
    "nvidia-cuda-nvcc": "cuda_nvcc",
    "nvidia-cuda-crt": "cuda_nvcc",
    "nvidia-nvvm": "cuda_nvcc",
    "nvidia-cuda-runtime": "cuda_cudart",
    "nvidia-cuda-cccl": "cuda_cccl",
}

NVCC = """#!/bin/sh
# A double: it says {version}, and CUDA 13.0's nvcc does the work.
for word in "$@"; do
    case "$word" in
    --version | -V)
        echo "nvcc: NVIDIA (R) Cuda compiler driver"
        echo "Copyright (c) 2005-2025 NVIDIA Corporation"
        echo "Built on Mon_Oct_12_20:09:46_PDT_2020"
        echo "Cuda compilation tools, release {minor}, V{version}"
        echo "Build cuda_{minor}.double/compiler.0_0"
        exit 0
        ;;
    esac
done
exec "$(dirname "$0")/nvcc-13.0" "$@"
"""

TINY_NVCC = NVCC.replace(
    'exec "$(dirname "$0")/nvcc-13.0" "$@"', 'echo "nvcc fatal   : a double"\nexit 1'
)


def minor_of(version: str) -> str:
    """Return "11.1" of "11.1.105"."""
    return ".".join(version.split(".")[:2])


def tiny_parts(version: str = "11.1.105") -> dict[str, dict[str, bytes]]:
    """Return small parts of a toolkit: for each, path → content. No compiler is in it."""
    nvcc = TINY_NVCC.format(version=version, minor=minor_of(version))
    return {
        "cuda_nvcc": {
            "LICENSE": b"a double\n",
            "bin/nvcc": nvcc.encode(),
            "bin/ptxas": b"#!/bin/sh\nexit 1\n",
            "bin/nvcc.profile": b"TOP = $(_HERE_)/..\n",
            "nvvm/bin/cicc": b"#!/bin/sh\nexit 1\n",
            "nvvm/libdevice/libdevice.10.bc": b"BC",
            "include/crt/host_config.h": b"/* a double */\n",
        },
        "cuda_cudart": {
            "LICENSE": b"a double\n",
            "include/cuda_runtime.h": b"/* a double */\n",
            "lib/libcudart.so.11.1.74": b"\x7fELF double",
            "lib/libcudart_static.a": b"!<arch>\n",
            "lib/stubs/libcuda.so": b"\x7fELF double",
        },
        "cuda_cccl": {"LICENSE": b"a double\n", "include/cub/cub.cuh": b"/* */\n"},
    }


def write_tree(root: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder; what lies in a ``bin`` can be run."""
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        if "/bin/" in f"/{path}" and content.startswith(b"#!"):
            place.chmod(0o755)
    return root


def tiny_trees(folder: Path, version: str = "11.1.105") -> dict[str, Path]:
    """Write the parts of a tiny toolkit; return part → folder."""
    return {
        part: write_tree(folder / part, files)
        for part, files in tiny_parts(version).items()
    }


# --- the one that compiles -----------------------------------------------------------


def store() -> Path:
    """Return where expensive things are kept between runs, outside of the repository."""
    chosen = os.environ.get("COLABMAGIC_TEST_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(chosen or f"{base}/colabmagic-tests").expanduser()


@contextmanager
def made_once(name: str) -> Iterator[tuple[Path, bool]]:
    """Give a folder of the store, and whether it must be made; one process makes it."""
    folder = store()
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.is_dir():
            yield place, False
            return
        fresh = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
        try:
            yield fresh, True
            fresh.chmod(0o755)
            fresh.rename(place)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise


def real_trees() -> dict[str, Path]:
    """Return part → folder of a toolkit that compiles; the wheels come by pip, once.

    Raises
    ------
    OSError
        The package index does not answer.
    """
    with made_once(f"toolkit-{REAL}-a") as (folder, is_new):
        if is_new:
            _fetch(folder)
        name = folder.name
    root = store() / f"toolkit-{REAL}-a" if is_new else folder
    assert root.is_dir(), name
    return {part: root / part for part in dict.fromkeys(WHEELS.values())}


def _fetch(folder: Path) -> None:
    """Download the wheels and sort their files into parts."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as wheels:
        asked = [f"{name}=={REAL}.*" for name in WHEELS]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps",
             "--only-binary", ":all:", "-d", wheels, *asked],
            capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        if done.returncode:
            raise OSError(done.stderr.strip().splitlines()[-1])
        for name, part in WHEELS.items():
            (wheel,) = Path(wheels).glob(f"{name.replace('-', '_')}-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                _sort(archive, folder / part)


def _sort(archive: zipfile.ZipFile, target: Path) -> None:
    """Write the files of a wheel that are a toolkit's."""
    for member in archive.infolist():
        _, found, path = member.filename.partition("nvidia/cu13/")
        if not found or member.is_dir():
            continue
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, place.open("wb") as out:
            shutil.copyfileobj(source, out)
        place.chmod(0o755 if (member.external_attr >> 16) & 0o100 else 0o644)


def renamed_trees(folder: Path, version: str) -> dict[str, Path]:
    """Write the parts of a toolkit that compiles and says another version.

    Files are hard links where that can be: nobody may write into them.
    """
    found = {}
    for part, source in real_trees().items():
        target = folder / part
        shutil.copytree(source, target, copy_function=_link, symlinks=True)
        found[part] = target
    nvcc = found["cuda_nvcc"] / "bin" / "nvcc"
    nvcc.rename(nvcc.with_name("nvcc-13.0"))
    nvcc.write_text(NVCC.format(version=version, minor=minor_of(version)), "utf-8")
    nvcc.chmod(0o755)
    (found["cuda_nvcc"] / "double.json").write_text(
        json.dumps({"says": version, "is": REAL}), "utf-8"
    )
    return found


def _link(source: str, target: str) -> None:
    """Link a file, or copy it to another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
