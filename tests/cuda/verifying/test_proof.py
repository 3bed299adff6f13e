"""What was proven holds as long as nothing that it rests on has changed."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.cuda.rooting.manifest import write_manifest
from colabmagic.cuda.verifying.ladder import Ladder, Rung
from colabmagic.cuda.verifying.proof import Proofs, key_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LADDER = Ladder(
    root="/elsewhere",
    build="13.0.88",
    rungs=(Rung(name="version", verdict="ok", why="CUDA 13.0.88.", seconds=1.0),),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a toolkit of ours, with a link to a library of somebody else's."""
    made = tmp_path / "13.0.3"
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "nvcc").write_text("a compiler")
    (made / "lib64").mkdir()
    other = tmp_path / "site-packages"
    other.mkdir()
    (other / "libcudart.so").write_text("a library")
    (made / "lib64" / "libcudart.so").symlink_to(other / "libcudart.so")
    (made / "lib").symlink_to("lib64")
    (made / "include").symlink_to(other)
    write_manifest(made)
    return made


def key(root: Path, **changed: Any) -> str | None:  # noqa: ANN401
    """Return the key of a toolkit, with some of what it rests on changed."""
    known: dict[str, Any] = {"own": {}, "user": {}, "capability": 75, "until": "ext"}
    return key_of(root, **{**known, **changed})


def test_it_is_found_again_under_another_name(root: Path, tmp_path: Path) -> None:
    """A toolkit is proven in its staging folder, and gets its name afterwards."""
    flags = {"NVCC_PREPEND_FLAGS": f"-ccbin {root}/host/bin/g++"}
    before = key(root, own=flags)
    assert before is not None
    proofs = Proofs.below(tmp_path / "cuda")
    proofs.keep(before, LADDER)
    (root / "toolkit.json").write_text("{}")  # its card, written afterwards
    moved = root.rename(tmp_path / "named")
    flags = {"NVCC_PREPEND_FLAGS": f"-ccbin {moved}/host/bin/g++"}
    assert key(moved, own=flags) == before
    found = proofs.find(before, moved)
    assert found is not None
    assert found.ladder == replace(LADDER, root=str(moved))


def changed_time(root: Path) -> None:
    """Change a file's time."""
    os.utime(root / "bin" / "nvcc", (1, 1))


def changed_size(root: Path) -> None:
    """Change a file's size, and give it its old time back."""
    path = root / "bin" / "nvcc"
    status = path.stat()
    path.write_text("another compiler")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def changed_link(root: Path) -> None:
    """Change what a link leads to."""
    os.utime(root / "lib64" / "libcudart.so", (1, 1))


def removed(root: Path) -> None:
    """Take a file away."""
    (root / "bin" / "nvcc").unlink()


def added(root: Path) -> None:
    """Add a file."""
    (root / "lib64" / "libcuda.so").write_text("")


@pytest.mark.parametrize(
    "change", [changed_time, changed_size, changed_link, removed, added]
)
def test_a_changed_file_is_seen(root: Path, change: Callable[[Path], None]) -> None:
    """Also one that only a link leads to."""
    before = key(root)
    assert key(root) == before
    change(root)
    assert key(root) != before


@pytest.mark.parametrize(
    "changed",
    [
        {"capability": 90},
        {"until": "cubin"},
        {"user": {"NVCC_APPEND_FLAGS": "-arch=sm_90"}},
        {"user": {"LD_LIBRARY_PATH": "/usr/local/cuda-11.3/lib64"}},
        {"own": {"CUDAHOSTCXX": "/bin/sh"}},
    ],
)
def test_another_session_is_seen(root: Path, changed: dict[str, Any]) -> None:
    """Another GPU, other flags, another host compiler: it is tried anew."""
    assert key(root, **changed) != key(root)


def test_what_a_toolkit_sets_itself_does_not_count(root: Path) -> None:
    """Its own flags are in the session once it is in use."""
    flags = {"NVCC_APPEND_FLAGS": "-cudart=shared"}
    assert key(root, own=flags, user=flags) == key(root, own=flags)


def test_of_others_only_the_compilers_files_count(tmp_path: Path) -> None:
    """Libraries of 10 GB are not looked at."""
    root = tmp_path / "cuda-12.8"
    (root / "bin").mkdir(parents=True)
    (root / "lib64").mkdir()
    (root / "bin" / "nvcc").write_text("a compiler")
    before = key(root)
    (root / "lib64" / "libcublas.so").write_text("")
    assert key(root) == before
    (root / "bin" / "ptxas").write_text("")
    assert key(root) != before


def test_what_cannot_be_kept_or_read_is_tried_anew(tmp_path: Path) -> None:
    """A file in the way, a torn file, a host compiler that is gone: no proof, no error."""
    (tmp_path / "cuda").write_text("in the way")
    proofs = Proofs.below(tmp_path / "cuda")
    proofs.keep("x", LADDER)
    assert proofs.find("x", tmp_path) is None
    proofs = Proofs.below(tmp_path)
    proofs.keep("y", LADDER)
    assert proofs.find("y", tmp_path) is not None
    (tmp_path / ".proofs" / "y.json").write_text('{"at": 1, "ladder"')
    assert proofs.find("y", tmp_path) is None
    assert key(tmp_path, own={"CUDAHOSTCXX": str(tmp_path / "gone")}) is None
