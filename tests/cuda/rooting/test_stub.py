"""The stand-in for the driver's library is a real library for linkers and loaders."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.rooting.stub import function_names, shared_library, write_stub
from tests.cuda.rooting.trees import HEADER, fill

if TYPE_CHECKING:
    from pathlib import Path

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc here")


def test_names() -> None:
    """Both names of a function that has versions, and those for streams per thread."""
    names = function_names(HEADER)
    assert {"cuInit", "cuMemAlloc", "cuMemAlloc_v2", "cuMemAlloc_v2_ptds"} <= set(names)
    assert names == sorted(names)


def test_it_loads_and_answers(tmp_path: Path) -> None:
    """Every function says that it is a stand-in: CUDA_ERROR_STUB_LIBRARY."""
    path = tmp_path / "libcuda.so"
    path.write_bytes(shared_library(function_names(HEADER), platform.machine()))
    library = ctypes.CDLL(str(path))
    assert library.cuInit(0) == 34
    assert library.cuMemAlloc_v2(0, 0) == 34
    with pytest.raises(AttributeError):
        library.cuNothing  # noqa: B018 (looks it up)


@needs_gcc
def test_programs_link_and_ask_for_the_driver(tmp_path: Path) -> None:
    """A program that was linked to it wants ``libcuda.so.1`` when it starts."""
    fill(
        tmp_path,
        {
            "include/cuda.h": HEADER,
            "a.c": "int cuInit(int); int main(void) { return cuInit(0); }",
        },
    )
    assert write_stub(tmp_path, platform.machine())
    stubs = tmp_path / "lib64" / "stubs"
    program = tmp_path / "program"
    subprocess.run(
        ["gcc", tmp_path / "a.c", "-o", program, f"-L{stubs}", "-lcuda"],  # noqa: S607 (the user's)
        check=True,
    )
    alone = subprocess.run(
        [program], env={}, capture_output=True, text=True, check=False
    )
    assert "libcuda.so.1" in alone.stderr
    found = subprocess.run([program], env={"LD_LIBRARY_PATH": str(stubs)}, check=False)
    assert found.returncode == 34


def test_a_stub_that_is_there_stays(tmp_path: Path) -> None:
    """NVIDIA's own is better; without the header none is made."""
    assert not write_stub(tmp_path, "x86_64")
    fill(tmp_path, {"include/cuda.h": HEADER, "lib64/stubs/libcuda.so": "own"})
    assert not write_stub(tmp_path, "x86_64")
    assert (tmp_path / "lib64" / "stubs" / "libcuda.so").read_text("utf-8") == "own"


def test_the_other_processor() -> None:
    """For arm64 the machine number and the code are that processor's."""
    made = shared_library(["cuInit"], "aarch64")
    assert int.from_bytes(made[18:20], "little") == 183
    assert bytes.fromhex("40048052c0035fd6") in made
