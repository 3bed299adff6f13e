"""Every toolkit that can be fetched here is fetched, put together and really compiles.

Run by ``make test-cuda``. What cannot be fetched is skipped, with the reason.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.keeping.write import write_archive
from colabmagic.cuda.machine.facts import Kept
from colabmagic.cuda.steps.base import Work
from colabmagic.cuda.steps.kept import UnpackKept
from colabmagic.cuda.store.layout import Home
from colabmagic.cuda.verifying import verify_toolkit
from colabmagic.host.command import run
from colabmagic.report.progress import SILENT
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


@pytest.mark.parametrize("version", ["13.0", "11.8"])
def test_a_kept_one_compiles_elsewhere(
    version: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Out of its archive, in another folder; 11.8 has brought a g++ of its own."""
    first = tmp_path / version
    try:
        made = make(version, first)
    except NotToBeHadError as error:
        pytest.skip(f"CUDA {version} cannot be fetched here: {error}")
    compiler = 11 if (first / "host").exists() else None
    what = Kept(path="", release=version, build=version, arch=platform.machine())
    began = time.monotonic()
    kept = write_archive(first, tmp_path / "drive", replace(what, compiler=compiler))
    written = time.monotonic() - began
    first.rename(tmp_path / "gone")
    home, second = Home(tmp_path / "home"), tmp_path / "home/cuda/.staging-1"
    work = Work(
        home=home, staging=second, cache=Cache(home.cache), run=run, progress=SILENT
    )
    names = ("path", "sha256", "size", "files", "unpacked_bytes", "arch", "compiler")
    began = time.monotonic()
    UnpackKept(**{name: getattr(kept, name) for name in names}).do(work)
    unpacked = time.monotonic() - began
    told = (
        f"{kept.size / 1e6:.1f} MB, written {written:.1f} s, unpacked {unpacked:.1f} s"
    )
    record_property("table", told)
    own = {
        name: value.replace(str(first), str(second))
        for name, value in made["environment"].items()
    }
    assert work.environment == own
    assert verify_toolkit(second, build=version, own=own, torch=False, hashes=True).ok


PROGRAM = """
#include <iostream>
#include <string>
#include <vector>
int main() {
  std::vector<std::string> words{"compiled", "by"};
  try { throw __GNUC__; } catch (int major) { words.push_back(std::to_string(major)); }
  for (auto &word : words) std::cout << word << ' ';
}
"""


def test_a_compiler_where_there_is_none(tmp_path: Path) -> None:
    """It brings its own assembler, linker and headers, and uses no other."""
    try:
        made = make("g++-11", tmp_path / "toolkit")
    except NotToBeHadError as error:
        pytest.skip(f"g++ 11 cannot be fetched here: {error}")
    compiler = made["environment"]["CUDAHOSTCXX"]
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname"):
        (tools / name).symlink_to(shutil.which(name) or "")
    source, program = tmp_path / "a.cpp", tmp_path / "program"
    source.write_text(PROGRAM, "utf-8")
    built = subprocess.run(
        [compiler, "-H", source, "-o", program],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=True,
    )
    headers = [line for line in built.stderr.splitlines() if line.startswith(".")]
    assert headers
    assert not [line for line in headers if "/host/" not in line]
    assert subprocess.check_output([program], text=True) == "compiled by 11 "


@pytest.mark.skipif(
    tuple(map(int, platform.libc_ver()[1].split("."))) >= (2, 38),
    reason="the C library is new enough for Debian 13's compiler",
)
def test_a_compiler_of_a_newer_distribution(tmp_path: Path) -> None:
    """Its programs are in packages of their own; that it does not run here is told."""
    with pytest.raises(NotToBeHadError) as caught:
        make("g++-13", tmp_path / "toolkit")
    words = str(caught.value)
    if "NoHostCompilerError" not in words:
        pytest.skip(f"g++ 13 cannot be fetched here: {words}")
    assert "The g++ 13 that was brought does not run here" in words
    assert "GLIBC" in words


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
