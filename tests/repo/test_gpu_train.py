"""The benchmark for machines with a GPU, where there is none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.repo.project import ROOT


@pytest.mark.parametrize("case", ["ResNet", "MLP", "transformer", "64 MB"])
def test_each_case_runs_in_a_tiny_size(case: str) -> None:
    """It says that its figures mean nothing, and every contestant trains."""
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gpu_train.py", "--case", case],
        env={
            "CUDA_VISIBLE_DEVICES": "",
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No CUDA GPU here")
    for name in ("by hand", "**%%train_on**", "accelerate", "Lightning Fabric"):
        (row,) = [line for line in done.stdout.splitlines() if f"| {name} |" in line]
        assert row.endswith("| ran | ran |")
