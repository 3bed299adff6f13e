"""A runfile comes, and only its toolkit is unpacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import ChecksumError
from colabmagic.cuda.steps.fetch import Unpack
from colabmagic.cuda.steps.runfile import FetchRunfile
from tests.cuda.steps.working import make_work, parts_of
from tests.fakes.nvidia.runfile import make_runfile
from tests.fakes.nvidia.server import FileServer
from tests.fakes.nvidia.trees import tiny_trees

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "name", ["cuda_9.2.148_396.37_linux", "cuda_10.2.89_linux.run"]
)
def test_a_runfile_comes_and_is_unpacked(name: str, tmp_path: Path) -> None:
    """Old ones have no ending in their name; nothing of it is run."""
    (tmp_path / "served").mkdir()
    trees = tiny_trees(tmp_path / "trees")
    make_runfile(tmp_path / "served" / name, name.split("_")[1], trees)
    work = make_work(tmp_path)
    with FileServer(tmp_path / "served") as server:
        server.fail("truncate", fraction=0.4)
        step = FetchRunfile(url=f"{server.url}/{name}")
        step.do(work)
        assert step.lines() == (f"download {server.url}/{name}",)
    assert list(work.files) == [name.removesuffix(".run") + ".run"]
    Unpack(format="runfile").do(work)
    assert {"bin/nvcc", "nvvm/bin/cicc"} <= parts_of(work, "runfile")
    assert not list(tmp_path.rglob("driver-was-run"))
    again = make_work(tmp_path, offline=True)
    step.do(again)
    assert again.files == work.files


def test_an_announced_hash_is_checked(tmp_path: Path) -> None:
    """Where somebody has one."""
    (tmp_path / "served").mkdir()
    make_runfile(tmp_path / "served" / "a.run", "10.2.89", tiny_trees(tmp_path / "t"))
    with FileServer(tmp_path / "served") as server, pytest.raises(ChecksumError):
        FetchRunfile(url=f"{server.url}/a.run", sha256="0" * 64).do(make_work(tmp_path))


def test_a_login_is_not_shown() -> None:
    """Neither in a plan's lines nor in its plain data."""
    step = FetchRunfile(url="https://me:s3cret@host/a.run")
    assert "s3cret" not in f"{step.lines()} {step.to_dict()}"


def test_bytes_that_changed_on_the_way_are_fetched_anew(tmp_path: Path) -> None:
    """Nobody announces its hash, and the server has no newer one: it is thrown away."""
    (tmp_path / "served").mkdir()
    make_runfile(tmp_path / "served" / "a.run", "10.2.89", tiny_trees(tmp_path / "t"))
    with FileServer(tmp_path / "served") as server:
        server.fail("corrupt")
        step = FetchRunfile(url=f"{server.url}/a.run")
        work = make_work(tmp_path)
        step.do(work)
        with pytest.raises(ChecksumError, match="no whole archive"):
            Unpack(format="runfile").do(work)
        step.do(work)
        Unpack(format="runfile").do(work)
    assert "bin/nvcc" in parts_of(work, "runfile")
