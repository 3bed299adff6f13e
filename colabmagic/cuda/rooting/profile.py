"""Tell nvcc where its parts lie, where the package's own file does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# `+=` puts before, `=+` puts behind: nvcc's own words. The run path is there for the
# runtime as a library: without it a program that was just built does not start.
_PROFILE: Final = """\
TOP = $(_HERE_)/..

NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice

LD_LIBRARY_PATH += $(TOP)/lib64:
PATH += $(TOP)/nvvm/bin:$(_HERE_):

INCLUDES += "-I$(TOP)/include" $(_SPACE_)

LIBRARIES =+ $(_SPACE_) "-L$(TOP)/lib64/stubs" "-L$(TOP)/lib64"{run_path}

CUDAFE_FLAGS +=
PTXAS_FLAGS +=
"""
_RUN_PATH: Final = ' "-Wl,-rpath,$(TOP)/lib64"'

SHARED_FLAGS: Final = "-cudart=shared -cudadevrt=none"


def lacks_static_runtime(root: Path) -> bool:
    """Tell whether programs can only be linked to the runtime as a shared library.

    Parameters
    ----------
    root
        Of the toolkit.
    """
    return not (root / "lib64" / "libcudart_static.a").exists()


def write_profile(root: Path) -> None:
    """Write ``bin/nvcc.profile`` for a compiler that came without one of its own kind.

    Parameters
    ----------
    root
        Of the toolkit.
    """
    run_path = _RUN_PATH if lacks_static_runtime(root) else ""
    text = _PROFILE.replace("{run_path}", run_path)
    (root / "bin" / "nvcc.profile").write_text(text, encoding="utf-8")
