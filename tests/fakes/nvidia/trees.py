"""What the archives of the doubles hold: a tiny toolkit, or one that really compiles.

The real one is made of CUDA 13.0's wheels and says so in ``double.json``; its ``nvcc``
and its helpers are scripts that answer ``--version`` with the version that the double
plays, and hand everything else to those of 13.0; headers and runtime say it too.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
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

TOOL = """#!/bin/sh
# A double: it says {version}, and CUDA 13.0's {name} does the work.
for word in "$@"; do
    case "$word" in
    --version | -V)
        echo "{name}: NVIDIA (R) Cuda double"
        echo "Copyright (c) 2005-2025 NVIDIA Corporation"
        echo "Built on Mon_Oct_12_20:09:46_PDT_2020"
        echo "Cuda compilation tools, release {minor}, V{version}"
        echo "Build cuda_{minor}.double/compiler.0_0"
        exit 0
        ;;
    esac
done
{rest}
"""
TOOLS = ("nvcc", "ptxas", "nvlink", "fatbinary")  # those that tell a version
_WORKS = 'exec "$(dirname "$0")/{name}-13.0" "$@"'
_FAILS = 'echo "{name} fatal   : a double" >&2\nexit 1'

# cudaRuntimeGetVersion: movl $13000, (%rdi); xorl %eax, %eax
_RUNTIME = b"\xc7\x07%s\x31\xc0"


def tool(name: str, version: str, rest: str = _FAILS) -> str:
    """Return a script that says a version and then does something else."""
    return TOOL.format(
        name=name,
        version=version,
        minor=minor_of(version),
        rest=rest.format(name=name),
    )


def minor_of(version: str) -> str:
    """Return "11.1" of "11.1.105"."""
    return ".".join(version.split(".")[:2])


def tiny_parts(version: str = "11.1.105") -> dict[str, dict[str, bytes]]:
    """Return small parts of a toolkit: for each, path → content. No compiler is in it."""
    return {
        "cuda_nvcc": {
            "LICENSE": b"a double\n",
            "bin/nvcc": tool("nvcc", version).encode(),
            "bin/ptxas": tool("ptxas", version).encode(),
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
    for name in TOOLS:
        place = found["cuda_nvcc"] / "bin" / name
        place.rename(place.with_name(f"{name}-{REAL}"))
        place.write_text(tool(name, version, _WORKS), "utf-8")
        place.chmod(0o755)
    _say(found["cuda_cudart"], version)
    (found["cuda_nvcc"] / "double.json").write_text(
        json.dumps({"says": version, "is": REAL}), "utf-8"
    )
    return found


def _say(cudart: Path, version: str) -> None:
    """Let headers and runtime say another version, as ``cudaRuntimeGetVersion`` does."""
    major, minor = (int(each) for each in version.split(".")[:2])
    played, real = 1000 * major + 10 * minor, 13_000
    for name in ("CUDART_VERSION", "CUDA_VERSION"):
        header = "cuda_runtime_api.h" if name == "CUDART_VERSION" else "cuda.h"
        place = cudart / "include" / header
        text, count = re.subn(
            rf"(?m)^(#define {name}\s+){real}$",
            rf"\g<1>{played}",
            place.read_text("utf-8"),
        )
        assert count == 1, f"{name} is not in {header} as expected"
        place.unlink()  # a link to the one that is kept
        place.write_text(text, "utf-8")
    for place in (
        *cudart.glob("lib/libcudart.so.*"),
        cudart / "lib/libcudart_static.a",
    ):
        old, new = (_RUNTIME % each.to_bytes(4, "little") for each in (real, played))
        content = place.read_bytes()
        assert content.count(old) in {1, 2}, f"{place.name} says its version otherwise"
        place.unlink()
        place.write_bytes(content.replace(old, new))


def old_compiler(folder: Path, version: str = "7.5.0") -> Path:
    """Write a ``g++`` that says it is an old one and compiles as the one here does.

    Parameters
    ----------
    folder
        Where; for ``PATH``.
    version
        What it says.

    Returns
    -------
    Path
        Of the program, ``g++-7``.
    """
    real = shutil.which("g++")
    assert real is not None, "there is no g++ here"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("g++", "gcc"):
        place = folder / f"{name}-{version.split('.', 1)[0]}"
        place.write_text(
            f"""#!/bin/sh
# A double: it says {version}, and {real} does the work.
case "$1" in
-dumpfullversion | -dumpversion) echo {version}; exit 0 ;;
--version) echo "{place.name} (double) {version}"; exit 0 ;;
esac
exec {real.removesuffix("++") + name[1:]} "$@"
""",
            "utf-8",
        )
        place.chmod(0o755)
    return folder / f"g++-{version.split('.', 1)[0]}"


def _link(source: str, target: str) -> None:
    """Link a file, or copy it to another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
