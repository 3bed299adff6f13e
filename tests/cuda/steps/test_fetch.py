"""A file comes into the cache, and what is an archive is known by its name."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.steps.fetch import Fetch, Unpack, format_of
from tests.cuda.steps.working import make_work, parts_of
from tests.fakes.nvidia.server import FileServer

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_comes_under_its_name(tmp_path: Path) -> None:
    """`Work.files` leads to it."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "a.bin").write_bytes(b"hello")
    work = make_work(tmp_path)
    with FileServer(tmp_path / "served") as server:
        step = Fetch(
            url=f"{server.url}/a.bin",
            name="a",
            sha256=hashlib.sha256(b"hello").hexdigest(),
            size=5,
        )
        step.do(work)
    assert work.files["a"].read_bytes() == b"hello"
    assert step.lines() == (f"download {step.url} (5 bytes)",)


def test_a_step_is_plain_data_without_a_login() -> None:
    """And changes nothing outside of our folder."""
    step = Fetch(url="https://me:s3cret@h.invalid/a?token=s3cret#x", name="a")
    assert json.loads(json.dumps(step.to_dict())) == {
        "kind": "fetch",
        "url": "https://h.invalid/a",
        "name": "a",
        "sha256": None,
        "size": None,
    }
    assert step.lines() == ("download https://h.invalid/a",)
    assert (step.outside, step.undo()) == ((), ())
    unpack = Unpack(format="redist", only=("bin/*",))
    assert unpack.to_dict() == {
        "kind": "unpack",
        "format": "redist",
        "only": ["bin/*"],
        "skip": [],
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nvidia_nvvm-13.0.88-py3-none-any.whl", "wheels"),
        ("cuda_nvcc-linux-x86_64-11.8.89-archive.tar.xz", "redist"),
        ("a.tar.gz", "redist"),
        ("g++-11_11.3.0-12_amd64.deb", "deb"),
        ("cuda_10.2.89_440.33.01_linux.run", "runfile"),
        ("cuda_9.2.148_396.37_linux", "runfile"),
        ("redistrib_11.1.1.json", None),
    ],
)
def test_a_name_tells_how_a_file_is_packed(name: str, kind: str | None) -> None:
    """By its ending."""
    assert format_of(name) == kind


def test_unpack_takes_its_own_kind_only(tmp_path: Path) -> None:
    """Other files are left to other steps; without any there is nothing to do."""
    work = make_work(tmp_path)
    (tmp_path / "x").write_bytes(b"no archive")
    work.files["x.deb"] = tmp_path / "x"
    Unpack(format="wheels").do(work)
    assert parts_of(work, "wheels") == set()
