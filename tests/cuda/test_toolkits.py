"""Every toolkit that can be fetched here is fetched, put together and really compiles.

Run by ``make test-cuda``. What cannot be fetched is skipped, with the reason.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.verifying import verify_toolkit
from tests.cuda.toolkits import HYBRIDS, MINORS_13, NotToBeHadError, make

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.cuda_toolkits, pytest.mark.timeout(900)]


@pytest.mark.parametrize("version", [*MINORS_13, *HYBRIDS])
def test_it_compiles(
    version: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """All rungs pass, after the folder was renamed as a finished toolkit is."""
    staging, final = tmp_path / ".staging-1", tmp_path / version
    try:
        made = make(version, staging)
    except NotToBeHadError as error:
        pytest.skip(f"CUDA {version} cannot be fetched here: {error}")
    staging.rename(final)
    own = {
        name: value.replace(str(staging), str(final))
        for name, value in made["environment"].items()
    }
    began = time.monotonic()
    ladder = verify_toolkit(final, build=version, own=own, torch=False)
    seconds = time.monotonic() - began
    steps = ", ".join(f"{name} {value} s" for name, value in made["seconds"].items())
    lines = [f"{made['megabytes']} MB; {steps}; verify {seconds:.1f} s"]
    lines += [f"{rung.title}: {rung.verdict}, {rung.why}" for rung in ladder.rungs]
    record_property("table", "\n".join(lines))
    assert ladder.ok, ladder
    names = [rung.name for rung in ladder.rungs]
    assert names == [
        "files",
        "version",
        "cubin",
        "run",
        "library",
        "flags",
        "gpu",
        "ptx",
    ]


TORCH_PYTHON = os.environ.get("COLABMAGIC_TEST_TORCH", "")


@pytest.mark.skipif(
    not TORCH_PYTHON,
    reason="COLABMAGIC_TEST_TORCH names no Python with a PyTorch for CUDA 13 (5 GB)",
)
def test_an_extension_of_pytorch(tmp_path: Path) -> None:
    """Beside a PyTorch for CUDA, its libraries are linked and an extension is built."""
    code = (
        "import nvidia.cu13, torch; print(nvidia.cu13.__path__[0], torch.version.cuda)"
    )
    told = subprocess.check_output([TORCH_PYTHON, "-c", code], text=True).split()
    root = tmp_path / "toolkit"
    before = {path: path.stat().st_mtime_ns for path in Path(told[0]).rglob("*")}
    make(told[1], root, told[0])
    ladder = verify_toolkit(root, build=told[1], ext=True, python=TORCH_PYTHON)
    assert ladder.ok, ladder
    ext = ladder.rung("ext")
    assert ext is not None
    assert ext.verdict in {"ok", "no driver"}
    assert {
        path: path.stat().st_mtime_ns for path in Path(told[0]).rglob("*")
    } == before
