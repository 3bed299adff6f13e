"""Small trees laid out as NVIDIA's and Debian's packages are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "\x7fELF program"
PROGRAMS = ("nvcc", "cudafe++", "ptxas", "fatbinary", "nvlink", "bin2c")
HEADER = (
    "#define cuMemAlloc cuMemAlloc_v2\n"
    "CUresult CUDAAPI cuInit(unsigned int Flags);\n"
    "CUresult CUDAAPI cuMemAlloc(CUdeviceptr *dptr, size_t bytesize);\n"
)


def fill(root: Path, files: dict[str, str]) -> Path:
    """Write files below a folder; a text that begins with ``->`` is where a link leads."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            path.symlink_to(text[2:])
        else:
            path.write_text(text, encoding="latin-1")
            path.chmod(0o600)
    return root


def compiler(lib: str = "lib64") -> dict[str, str]:
    """Return the files of a whole toolkit, as in NVIDIA's archives."""
    return {
        **{f"bin/{name}": PROGRAM for name in PROGRAMS},
        "bin/nvcc.profile": "TOP = $(_HERE_)/..\n",
        "bin/crt/link.stub": "stub",
        "nvvm/bin/cicc": PROGRAM,
        "nvvm/libdevice/libdevice.10.bc": "BC",
        "include/cuda_runtime.h": "// runtime",
        "include/cuda.h": HEADER,
        "include/crt/host_config.h": "// 15",
        f"{lib}/libcudart.so.13": "library",
        f"{lib}/libcudart_static.a": "archive",
        f"{lib}/libnvvm.so.4": "library",
    }


def wheels(parts: Path) -> Path:
    """Write what 13.x wheels unpack to."""
    files = {
        f"wheels/nvidia/cu13/{name}": text for name, text in compiler("lib").items()
    }
    licence = "wheels/nvidia_cuda_nvcc-13.0.88.dist-info/licenses/License.txt"
    return fill(parts, {**files, "wheels/nvidia/__init__.py": "", licence: "EULA",
                        "wheels/nvidia/cu13/include/__init__.py": ""})  # fmt: skip


def hybrid(parts: Path) -> Path:
    """Write Debian's packages and the wheels beside them."""
    own = "deb/usr/lib/nvidia-cuda-toolkit"
    files = {
        **{f"deb/usr/bin/{name}": "of Debian" for name in PROGRAMS if name != "nvcc"},
        "deb/usr/bin/nvcc": "#!/bin/sh\n# sets variables and calls the other one",
        f"{own}/bin/nvcc": PROGRAM,
        f"{own}/bin/cicc": PROGRAM,
        f"{own}/bin/g++": "->/usr/bin/g++-11",
        f"{own}/bin/crt/link.stub": "stub",
        f"{own}/bin/nvcc.profile": "->/etc/nvcc.profile",
        f"{own}/libdevice/libdevice.10.bc": "BC",
        f"{own}/compute-sanitizer/libsanitizer.so": "large",
        "deb/usr/lib/x86_64-linux-gnu/libnvvm.so.4.0.0": "library",
        "deb/usr/lib/x86_64-linux-gnu/libnvvm.so.4": "->libnvvm.so.4.0.0",
        "deb/usr/share/doc/nvidia-cuda-toolkit/copyright": "EULA",
        "wheels/nvidia/cuda_nvcc/bin/ptxas": "of the wheel",
        "wheels/nvidia/cuda_nvcc/include/crt/host_config.h": "// 11",
        "wheels/nvidia/cuda_runtime/include/cuda_runtime.h": "// runtime",
        "wheels/nvidia/cuda_runtime/include/cuda.h": HEADER,
        "wheels/nvidia/cuda_runtime/lib/libcudart.so.11.0": "library",
        "wheels/nvidia/cuda_cccl/include/cub/cub.cuh": "// cub",
    }
    return fill(parts, files)


def links(root: Path) -> dict[str, str]:
    """Return where all links below a folder lead."""
    return {
        path.relative_to(root).as_posix(): os.readlink(path)  # noqa: PTH115 (the text as it stands)
        for path in root.rglob("*")
        if path.is_symlink()
    }
