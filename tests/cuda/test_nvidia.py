"""CUDA 11.1 and 9.2 from NVIDIA's double, from the plan to a toolkit that is proven."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from colabmagic import cuda
from colabmagic.cuda.errors import ChecksumError, NoHostCompilerError
from colabmagic.cuda.machine.facts import Compiler
from colabmagic.cuda.machine.probe import probe_machine
from colabmagic.cuda.planning.plan import Options
from colabmagic.cuda.steps.runfile import FetchRunfile
from colabmagic.cuda.store.layout import Home
from colabmagic.cuda.switching import environment
from tests.fakes.nvidia.served import RUNFILE_PATH, served_folder
from tests.fakes.nvidia.server import FileServer
from tests.fakes.nvidia.trees import old_compiler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from colabmagic.cuda.planning.plan import Plan

pytestmark = [
    pytest.mark.xdist_group("cuda-toolkit"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("g++") is None, reason="install g++"),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    """Return what NVIDIA's double serves; skip where the package index is away."""
    try:
        return served_folder()
    except OSError as error:
        pytest.skip(f"CUDA's wheels do not come: {error}")


@pytest.fixture
def nvidia(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FileServer]:
    """Serve it, for a kernel with an empty folder of ours."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path / "home"))
    with FileServer(folder) as server:
        yield server
    environment.deactivate()


def plan_of(nvidia: FileServer, tmp_path: Path, version: str, method: str) -> Plan:
    """Plan on this machine, with a g++ 7 that does not exist any more."""
    facts = probe_machine(Home(tmp_path / "home"))
    old = Compiler(path=str(old_compiler(tmp_path / "gcc")), version=(7, 5, 0))
    facts = replace(facts, compilers=(*facts.compilers, old), gpus=())
    options = Options(mirror=nvidia.url, method=method)
    return cuda.plan(version, facts=facts, options=options)


def verdicts(ladder: object) -> dict[str, str]:
    """Return what each rung of a ladder says."""
    return {rung.name: rung.verdict for rung in ladder.rungs}  # type: ignore[attr-defined]


def test_eleven_one_by_its_archives(nvidia: FileServer, tmp_path: Path) -> None:
    """A line breaks on the way; what is there in the end compiles, links and starts."""
    nvidia.fail("truncate", "cuda_nvcc-linux", fraction=0.6)
    plan = plan_of(nvidia, tmp_path, "11.1", "redist")
    assert plan.can_run
    outcome = cuda.install(plan)
    assert outcome.root == tmp_path / "home" / "cuda" / "11.1.1"
    found = verdicts(outcome.ladder)
    assert {found[name] for name in ("files", "version", "cubin", "library")} == {"ok"}
    assert found["run"] in {"ok", "no driver"}
    assert outcome.fetched_bytes == sum(nvidia.sent.values())


def test_nine_two_by_its_installer(nvidia: FileServer, tmp_path: Path) -> None:
    """Which is unpacked and never run."""
    plan = plan_of(nvidia, tmp_path, "9.2", "runfile")
    assert plan.can_run
    assert plan.chosen is not None
    url = f"{nvidia.url}/{RUNFILE_PATH}"
    steps = tuple(
        replace(step, url=url) if isinstance(step, FetchRunfile) else step
        for step in plan.chosen.steps
    )
    outcome = cuda.install(replace(plan, chosen=replace(plan.chosen, steps=steps)))
    found = verdicts(outcome.ladder)
    assert {found[name] for name in ("files", "version", "cubin")} == {"ok"}
    assert found["run"] in {"ok", "no driver"}
    assert not list((tmp_path / "home").rglob("driver-was-run"))


def test_wrong_bytes_leave_nothing(nvidia: FileServer, tmp_path: Path) -> None:
    """The error is the download's; no toolkit and no staging folder is left."""
    nvidia.fail("corrupt", "cuda_cudart-linux", times=-1)
    with pytest.raises(ChecksumError):
        cuda.install(plan_of(nvidia, tmp_path, "11.1", "redist"))
    left = [path.name for path in (tmp_path / "home" / "cuda").iterdir()]
    assert not [name for name in left if name.startswith((".staging", "11"))]


def test_the_compiler_goes_between_plan_and_installation(
    nvidia: FileServer, tmp_path: Path
) -> None:
    """A real nvcc says so; nothing is left, and the cell is planned anew."""
    plan = plan_of(nvidia, tmp_path, "9.2", "runfile")
    gone = tmp_path / "gcc" / "g++-7"
    gone.rename(tmp_path / "gcc" / "moved")
    with pytest.raises(NoHostCompilerError) as caught:
        cuda.install(plan)
    assert "g++-7" in str(caught.value)
    left = [path.name for path in (tmp_path / "home" / "cuda").iterdir()]
    assert not [name for name in left if name.startswith((".staging", "9"))]
