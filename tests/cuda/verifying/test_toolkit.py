"""Files and versions are compared with what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.rooting.manifest import write_manifest
from colabmagic.cuda.verifying.ladder import FAILED, OK, SKIPPED
from colabmagic.cuda.verifying.scene import Scene
from colabmagic.cuda.verifying.toolkit import (
    build_of,
    check_cubin,
    check_files,
    check_version,
    same_build,
)
from colabmagic.host.command import CommandOutcome, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("wanted", "seen", "same"),
    [
        ("13.0.88", "13.0.88", True),
        ("13.0.88", "13.0.48", False),
        ("13.0", "13.0.88", True),
        ("13.0.3", "13.0.88", True),  # a release: nvcc does not tell its patch
        ("12.4", "13.0.88", False),
        ("13", "13.0.88", True),
        ("9.2.148", "9.2.148", True),
        ("12.1", "12.10.5", False),
    ],
)
def test_same_build(wanted: str, seen: str, *, same: bool) -> None:
    """What the plan knows is compared, and no more."""
    assert same_build(wanted, seen) is same


def test_build_of() -> None:
    """The build is read from what nvcc tells since CUDA 9."""
    text = "Cuda compilation tools, release 9.2, V9.2.148\n"
    good = CommandOutcome(
        returncode=0, stdout=text, stderr="", timed_out=False, elapsed_s=0.0
    )
    assert build_of(good) == "9.2.148"


def test_files(tmp_path: Path) -> None:
    """A toolkit of ours has a list; another one is not judged; an empty folder fails."""
    assert check_files(tmp_path, hashes=True).verdict == FAILED
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text("nvcc", "utf-8")
    assert check_files(tmp_path, hashes=True).verdict == SKIPPED
    for number in range(5):
        (tmp_path / f"file{number}").write_text("12345", "utf-8")
    write_manifest(tmp_path)
    found = check_files(tmp_path, hashes=True)
    assert (found.verdict, found.why) == (OK, "6 files, 0 MB, hashes as installed.")
    for number in range(5):
        (tmp_path / f"file{number}").unlink()
    assert check_files(tmp_path, hashes=False).seen == (
        "file0 is gone; file1 is gone; file2 is gone, and 2 more"
    )


def test_an_nvcc_that_names_no_gpu(tmp_path: Path) -> None:
    """Without a GPU there is nothing to compile for: it fails, in words."""
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    nvcc.chmod(0o755)
    result, target = check_cubin(Scene(root=tmp_path, scratch=tmp_path, run=run))
    assert (result.verdict, target) == (FAILED, None)
    assert result.why


def test_an_nvcc_that_prints_without_end(tmp_path: Path) -> None:
    """It is stopped by how much it prints, and that is what is told."""
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\nexec yes release 13.0, V13.0.88\n", "utf-8")
    nvcc.chmod(0o755)
    scene = Scene(root=tmp_path, scratch=tmp_path, run=run)
    result, build = check_version(scene, "13.0")
    assert build is None
    assert result.why == "nvcc printed without end and was stopped."
