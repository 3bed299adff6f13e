"""Find the CUDA toolkit that a shell would use, without running it."""

from __future__ import annotations

import json
import mmap
import os
import re
import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.gpu.facts import ToolkitFacts, Unknown
from colabmagic.gpu.sources.private import mask_home
from colabmagic.host.system import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_NVCC: Final = "nvcc.exe" if os.name == "nt" else "nvcc"
_SCRIPT_BYTES: Final = 4096
# Patterns, compiled when they are needed, which is seldom.
_IN_SCRIPT: Final = rb"(/[\w./+-]+/nvcc)\b"
_IN_HEADER: Final = r"#define\s+CUDA_VERSION\s+(\d{4,6})"
# nvcc carries its build: cuda_12.5.r12.5/compiler.34385749_0
_BUILD: Final = rb"cuda_(\d+\.\d+)\.r\d+\.\d+/compiler"


def probe_toolkit(env: Mapping[str, str], sysroot: Path) -> ToolkitFacts | None:
    """Return the toolkit of the first ``nvcc``; None where there is none.

    Parameters
    ----------
    env
        Variables: ``PATH``, ``CUDA_HOME``, ``CUDA_PATH``.
    sysroot
        The root of the file system, for the usual place.
    """
    nvcc = _find(env, sysroot)
    return (
        None
        if nvcc is None
        else ToolkitFacts(path=mask_home(str(nvcc)), version=_version(nvcc))
    )


def _find(env: Mapping[str, str], sysroot: Path) -> Path | None:
    """Return the path of nvcc, as a build would look for it."""
    on_path = shutil.which(_NVCC, path=env.get("PATH", ""))
    if on_path:
        return Path(on_path)
    homes = [Path(env[name]) for name in ("CUDA_HOME", "CUDA_PATH") if env.get(name)]
    for home in (*homes, sysroot / "usr/local/cuda"):
        nvcc = home / "bin" / _NVCC
        if nvcc.is_file():
            return nvcc
    return None


def _version(nvcc: Path) -> str | Unknown:
    """Return the version, as ``12.5``, from the file beside it or from nvcc itself."""
    try:
        program = _behind_script(nvcc.resolve(strict=True))
        seen = program.stat()
    except OSError as error:
        return Unknown(error.strerror or "it cannot be read")
    text = read_text(program.parent.parent / "version.json")
    if text is not None:
        try:
            return str(json.loads(text)["cuda"]["version"])
        except (ValueError, KeyError, TypeError):
            pass  # of another make: ask the headers
    header = read_text(program.parent.parent / "include/cuda.h") or ""
    number = re.search(_IN_HEADER, header)
    if number is not None:
        return f"{int(number[1]) // 1000}.{int(number[1]) % 1000 // 10}"
    return _search(str(program), seen.st_mtime_ns, seen.st_size)


def _behind_script(program: Path) -> Path:
    """Return the program that a small shell script starts, or what was given."""
    with program.open("rb") as file:
        start = file.read(_SCRIPT_BYTES)
    target = re.search(_IN_SCRIPT, start) if start.startswith(b"#!") else None
    if target is None:
        return program
    return Path(os.fsdecode(target[1])).resolve(strict=True)


@lru_cache(maxsize=4)
def _search(path: str, _mtime_ns: int, size: int) -> str | Unknown:
    """Search the program for its build; remembered while it stays."""
    missing = Unknown("it does not tell")
    if not size:
        return missing
    try:
        with (
            Path(path).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            found = re.search(_BUILD, data)
            return found[1].decode("ascii") if found else missing
    except (OSError, ValueError):
        return missing
