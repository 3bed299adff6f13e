"""Wheels come as pip finds them, and are unpacked without being installed."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import ChecksumError, SourceUnreachableError
from colabmagic.cuda.fetching.download import Wanted
from colabmagic.cuda.fetching.pip_resolver import as_pip_fetches
from colabmagic.cuda.steps.fetch import Unpack
from colabmagic.cuda.steps.wheels import FetchWheels
from colabmagic.host.command import run
from tests.cuda.steps.working import make_work, parts_of
from tests.fakes.nvidia.server import FileServer
from tests.fakes.nvidia.wheels import make_index, make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEP = FetchWheels(requirements=("nvidia-cuda-nvcc==13.0.*", "nvidia-nvvm==13.0.*"))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Serve two tiny wheels, and let pip know of nothing else."""
    folder = tmp_path / "served" / "simple"
    nvcc = {"nvidia/cu13/bin/nvcc": b"#!/bin/sh\n"}
    make_wheel(folder, "nvidia-cuda-nvcc", "13.0.88", nvcc, executable=tuple(nvcc))
    make_wheel(folder, "nvidia-nvvm", "13.0.88", {"nvidia/cu13/nvvm/bin/cicc": b"x"})
    make_index(tmp_path / "served", "simple")
    with FileServer(tmp_path / "served") as server:
        for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        monkeypatch.setenv("PIP_RETRIES", "0")
        yield server


def test_wheels_come_and_are_unpacked(index: FileServer, tmp_path: Path) -> None:
    """Then they are in the cache: offline they come again."""
    work = make_work(tmp_path)
    STEP.do(work)
    Unpack(format="wheels", only=("nvidia/*",)).do(work)
    assert parts_of(work, "wheels") == {
        "nvidia/cu13/bin/nvcc",
        "nvidia/cu13/nvvm/bin/cicc",
    }
    wheels = {path: sent for path, sent in index.sent.items() if path.endswith("whl")}
    assert wheels == {  # once each: a dry run of pip would fetch them as well
        f"/simple/{name}": path.stat().st_size for name, path in work.files.items()
    }
    before = len(index.requests)
    again = make_work(tmp_path, offline=True)
    STEP.do(again)
    assert again.files == work.files
    assert len(index.requests) == before


def test_offline_without_them_says_so(index: FileServer, tmp_path: Path) -> None:
    """Before pip was ever asked, the requirements are what is missing."""
    del index
    with pytest.raises(SourceUnreachableError, match=r"missing: nvidia-cuda-nvcc==13"):
        STEP.do(make_work(tmp_path, offline=True))


def test_wrong_bytes_are_one_error(index: FileServer, tmp_path: Path) -> None:
    """The hash of the index tells."""
    index.fail("corrupt", "nvvm-13", times=-1)
    with pytest.raises(ChecksumError):
        STEP.do(make_work(tmp_path))


def test_a_private_index_is_used_with_its_login(
    index: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is written nowhere: neither in the cache nor in an error."""
    index.login = "Basic " + base64.b64encode(b"me:s3cret").decode()
    host = index.url.removeprefix("http://")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:s3cret@{host}/simple")
    work = make_work(tmp_path)
    STEP.do(work)
    assert len(work.files) == 2
    for path in work.cache.root.rglob("*"):
        if path.is_file():
            assert b"s3cret" not in path.read_bytes(), path
    index.login = "Basic other"
    with pytest.raises(Exception, match=r".") as caught:
        STEP.do(make_work(tmp_path / "new"))
    assert "s3cret" not in str(caught.value)


def test_the_plan_shows_pips_command() -> None:
    """As it is run, but for the path of the interpreter."""
    first, _ = STEP.lines()
    assert first == (
        "python -P -m colabmagic.cuda.fetching.pip_finder "
        "'nvidia-cuda-nvcc==13.0.*' 'nvidia-nvvm==13.0.*'"
    )
    assert json.loads(json.dumps(STEP.to_dict())) == {
        "kind": "fetch-wheels",
        "requirements": list(STEP.requirements),
    }
    assert (STEP.outside, STEP.undo()) == ((), ())


def test_certificates_that_only_pip_knows_are_used_too(
    index: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many a company's machine tells pip alone of its own authority, or of its proxy."""
    del index
    bundle = tmp_path / "company.pem"
    config = tmp_path / "pip.conf"
    config.write_text(
        f"[global]\ncert = /elsewhere.pem\nproxy = http://proxy.example:3128\n"
        f"[install]\ncert = {bundle}\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.delenv("PIP_CERT", raising=False)
    wanted = (Wanted(url="https://index.example/a.whl", name="a.whl"),)
    same, session = as_pip_fetches(wanted, run=run)
    assert same == wanted
    assert session.verify == str(bundle)
    assert session.proxies["https"] == "http://proxy.example:3128"
    monkeypatch.setenv("PIP_CERT", "/of/the/environment.pem")
    assert as_pip_fetches(wanted, run=run)[1].verify == "/of/the/environment.pem"
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_CERT")
    assert as_pip_fetches(wanted, run=run)[1] is None
