"""A toolkit from NVIDIA's double, as large as a real one, compiles when it is unpacked."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.steps.fetch import Unpack
from colabmagic.cuda.steps.redist import FetchRedist
from colabmagic.cuda.steps.runfile import FetchRunfile
from tests.cuda.steps.working import make_work
from tests.fakes.nvidia.redist import FOLDER
from tests.fakes.nvidia.served import REDIST, RUNFILE_PATH, served_folder
from tests.fakes.nvidia.server import FileServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from colabmagic.cuda.steps.base import Work

pytestmark = [pytest.mark.xdist_group("cuda-toolkit"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def nvidia() -> Iterator[FileServer]:
    """Serve the large archives; skip where the package index does not answer."""
    try:
        folder = served_folder()
    except OSError as error:
        pytest.skip(f"CUDA's wheels do not come: {error}")
    with FileServer(folder) as server:
        yield server


def compiles(root: Path, tmp_path: Path, release: str) -> None:
    """Compile a kernel with what was unpacked, and look at what it says of itself."""
    nvcc = root / "bin" / "nvcc"
    assert f"release {release}" in subprocess.check_output(
        [nvcc, "--version"], text=True
    )
    source, cubin = tmp_path / "k.cu", tmp_path / "k.cubin"
    source.write_text("__global__ void k(float *x) { x[0] = 1; }\n", "utf-8")
    subprocess.run(
        [nvcc, "-cubin", "-arch=sm_75", "-o", cubin, source], check=True, timeout=100
    )
    assert cubin.read_bytes()[:4] == b"\x7fELF"


def unpacked(work: Work, layout: str) -> Path:
    """Return where it lies, once it is unpacked."""
    Unpack(format=layout).do(work)
    return work.staging / "parts" / layout


def test_archives_by_their_list(nvidia: FileServer, tmp_path: Path) -> None:
    """One line breaks in the middle of the largest one."""
    work = make_work(tmp_path)
    nvidia.fail("reset", "cuda_nvcc-linux", fraction=0.5)
    FetchRedist(
        manifest_url=f"{nvidia.url}/{FOLDER}/redistrib_{REDIST}.json",
        parts=("cuda_nvcc", "cuda_cudart", "cuda_cccl|cuda_thrust"),
    ).do(work)
    compiles(unpacked(work, "redist"), tmp_path, "11.1, V11.1.105")


def test_a_runfile_in_a_runfile(nvidia: FileServer, tmp_path: Path) -> None:
    """Only the toolkit is unpacked, twice through gzip."""
    work = make_work(tmp_path)
    FetchRunfile(url=f"{nvidia.url}/{RUNFILE_PATH}").do(work)
    compiles(unpacked(work, "runfile"), tmp_path, "9.2, V9.2.148")
