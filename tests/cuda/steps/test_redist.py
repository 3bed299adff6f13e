"""NVIDIA's archives come by their list, checked by its hashes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import ChecksumError, SourceUnreachableError
from colabmagic.cuda.steps.fetch import Unpack
from colabmagic.cuda.steps.redist import FetchRedist
from tests.cuda.steps.working import make_work, parts_of
from tests.fakes.nvidia.redist import FOLDER, make_redist, spoil
from tests.fakes.nvidia.server import FileServer
from tests.fakes.nvidia.trees import tiny_trees

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTS = ("cuda_nvcc", "cuda_cudart", "cuda_cccl|cccl|cuda_thrust", "cuda_crt?")


@pytest.fixture
def nvidia(tmp_path: Path) -> Iterator[FileServer]:
    """Serve the archives of a tiny toolkit."""
    (tmp_path / "served").mkdir()
    trees = tiny_trees(tmp_path / "trees")
    trees["cuda_thrust"] = trees.pop("cuda_cccl")
    make_redist(tmp_path / "served", "11.1.1", trees)
    with FileServer(tmp_path / "served") as server:
        yield server


def step_of(nvidia: FileServer, *parts: str) -> FetchRedist:
    """Return the step for parts."""
    url = f"{nvidia.url}/{FOLDER}/redistrib_11.1.1.json"
    return FetchRedist(manifest_url=url, parts=parts or PARTS)


def manifest(nvidia: FileServer) -> Path:
    """Return the list that is served."""
    return nvidia.root / FOLDER / "redistrib_11.1.1.json"


def test_parts_are_fetched_and_unpacked_into_one_tree(
    nvidia: FileServer, tmp_path: Path
) -> None:
    """The first of several names that is there is taken; one with ``?`` may lack."""
    work = make_work(tmp_path)
    step_of(nvidia).do(work)
    assert work.fetched_bytes == sum(nvidia.sent.values())
    assert sorted(work.files) == [
        f"{part}-linux-x86_64-11.1.105-archive.tar.xz"
        for part in ("cuda_cudart", "cuda_nvcc", "cuda_thrust")
    ]
    Unpack(format="redist").do(work)
    found = parts_of(work, "redist")
    assert {"bin/nvcc", "lib/stubs/libcuda.so", "include/cub/cub.cuh"} <= found
    assert (work.staging / "parts/redist/bin/nvcc").stat().st_mode & 0o111


def test_the_second_time_only_the_list_is_asked_for(
    nvidia: FileServer, tmp_path: Path
) -> None:
    """And that with its ETag; offline nothing is asked at all."""
    step_of(nvidia).do(make_work(tmp_path))
    before = len(nvidia.requests)
    step_of(nvidia).do(make_work(tmp_path))
    assert [each.path for each in nvidia.requests[before:]] == [
        f"/{FOLDER}/redistrib_11.1.1.json"
    ]
    work = make_work(tmp_path, offline=True)
    step_of(nvidia).do(work)
    assert len(work.files) == 3
    assert len(nvidia.requests) == before + 1


def test_offline_says_what_is_missing(nvidia: FileServer, tmp_path: Path) -> None:
    """First the list itself, then the archive."""
    work = make_work(tmp_path, offline=True)
    with pytest.raises(
        SourceUnreachableError, match=r"missing: redistrib_11\.1\.1\.json"
    ):
        step_of(nvidia).do(work)
    step_of(nvidia, "cuda_nvcc").do(make_work(tmp_path))
    with pytest.raises(SourceUnreachableError, match=r"missing: cuda_cudart-linux"):
        step_of(nvidia).do(make_work(tmp_path, offline=True))


def test_a_wrong_hash_in_the_list_is_one_error(
    nvidia: FileServer, tmp_path: Path
) -> None:
    """Both hashes are shown, and nothing of it is unpacked or kept."""
    spoil(manifest(nvidia), "cuda_nvcc", sha256="0" * 64)
    work = make_work(tmp_path)
    with pytest.raises(ChecksumError) as caught:
        step_of(nvidia).do(work)
    assert caught.value.render()[0] == (
        "ChecksumError: what came as cuda_nvcc-linux-x86_64-11.1.105-archive.tar.xz is "
        "damaged, or another file; it was thrown away"
    )
    assert "should be 0000000000000000…" in str(caught.value.seen)
    assert not work.cache.has("0" * 64)
    assert not list(work.cache.partial.glob("0000*"))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"relative_path": "../../../evil.tar.xz"},
            SourceUnreachableError,
            "leads out",
        ),
        ({"relative_path": "//127.0.0.2/x"}, SourceUnreachableError, "leads out"),
        ({"relative_path": "http://h/x"}, SourceUnreachableError, "leads out"),
        ({"relative_path": 5}, ChecksumError, "no relative_path"),
        ({"sha256": "abc"}, ChecksumError, "no SHA-256"),
        ({"size": "7"}, ChecksumError, "bytes, and should have 7"),
    ],
)
def test_a_list_that_cannot_be_trusted_is_one_error(
    changes: dict[str, object],
    error: type[Exception],
    words: str,
    nvidia: FileServer,
    tmp_path: Path,
) -> None:
    """It leads to no other place, and without a hash nothing is taken."""
    spoil(manifest(nvidia), "cuda_nvcc", **changes)
    with pytest.raises(error, match=words):
        step_of(nvidia).do(make_work(tmp_path))


@pytest.mark.parametrize("text", ["<html>log in</html>", "[]", "", "nul", "[" * 99999])
def test_no_list_at_all_is_one_error(
    text: str, nvidia: FileServer, tmp_path: Path
) -> None:
    """As a proxy's page would be."""
    manifest(nvidia).write_text(text, "utf-8")
    with pytest.raises((ChecksumError, SourceUnreachableError)) as caught:
        step_of(nvidia).do(make_work(tmp_path))
    assert "redistrib_11.1.1.json" in caught.value.what


def test_an_old_list_without_sizes_does(nvidia: FileServer, tmp_path: Path) -> None:
    """Neither size nor md5 is needed."""
    listed = json.loads(manifest(nvidia).read_text("utf-8"))
    for row in listed.values():
        if isinstance(row, dict):
            del row["linux-x86_64"]["size"], row["linux-x86_64"]["md5"]
    manifest(nvidia).write_text(json.dumps(listed), "utf-8")
    work = make_work(tmp_path)
    step_of(nvidia).do(work)
    assert len(work.files) == 3


def test_a_part_that_is_not_listed_is_named(nvidia: FileServer, tmp_path: Path) -> None:
    """With what there is."""
    with pytest.raises(SourceUnreachableError) as caught:
        step_of(nvidia, "cuda_cccl|cccl").do(make_work(tmp_path))
    assert caught.value.what == (
        "redistrib_11.1.1.json has no cuda_cccl or cccl for linux-x86_64"
    )
    assert caught.value.seen == "it has cuda_cudart, cuda_nvcc, cuda_thrust"


def test_a_version_that_is_not_there_is_named(
    nvidia: FileServer, tmp_path: Path
) -> None:
    """The server's 404 is what is seen."""
    url = f"{nvidia.url}/{FOLDER}/redistrib_11.1.0.json"
    with pytest.raises(SourceUnreachableError) as caught:
        FetchRedist(manifest_url=url, parts=PARTS).do(make_work(tmp_path))
    assert caught.value.what == "the server does not have redistrib_11.1.0.json"
    assert caught.value.seen == f"{url}: 404 Not Found"
    assert "%cuda_install auto" in caught.value.hint


def test_the_plan_shows_what_is_done(nvidia: FileServer) -> None:
    """And its data can be made again; a login is in neither."""
    step = step_of(nvidia, "cuda_nvcc")
    assert step.lines() == (
        f"download {step.manifest_url}",
        "download its archives for linux-x86_64: cuda_nvcc",
    )
    assert json.loads(json.dumps(step.to_dict())) == {
        "kind": "fetch-redist",
        "manifest_url": step.manifest_url,
        "parts": ["cuda_nvcc"],
        "platform": "linux-x86_64",
    }
    secret = FetchRedist(manifest_url="https://me:s3cret@h/r.json", parts=("a",))
    assert "s3cret" not in json.dumps([secret.to_dict(), secret.lines()])
    assert (step.outside, step.undo()) == ((), ())
