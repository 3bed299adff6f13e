"""Tell nvcc where its parts lie, where the package's own file does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# `+=` puts before, `=+` puts behind: nvcc's own words.
_PROFILE: Final = """\
TOP = $(_HERE_)/..

NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice

LD_LIBRARY_PATH += $(TOP)/lib64:
PATH += $(TOP)/nvvm/bin:$(_HERE_):

INCLUDES += "-I$(TOP)/include" $(_SPACE_)

LIBRARIES =+ $(_SPACE_) "-L$(TOP)/lib64/stubs" "-L$(TOP)/lib64"

CUDAFE_FLAGS +=
PTXAS_FLAGS +=
"""


def append_flags(root: Path) -> str:
    """Return what nvcc must be told besides, for ``NVCC_APPEND_FLAGS``; mostly nothing.

    The runtime wheels before 12.9 hold no static library. Programs are then linked to the
    shared one, with its folder as run path: without it they do not start.

    Parameters
    ----------
    root
        Of the toolkit.
    """
    library = root / "lib64"
    if (library / "libcudart_static.a").exists():
        return ""
    folder = f'"{library}"' if " " in str(library) else str(library)
    return f"-cudart=shared -cudadevrt=none -Xlinker -rpath -Xlinker {folder}"


def write_profile(root: Path) -> None:
    """Write ``bin/nvcc.profile`` for a compiler that came without one of its own kind.

    Parameters
    ----------
    root
        Of the toolkit.
    """
    (root / "bin" / "nvcc.profile").write_text(_PROFILE, encoding="utf-8")
