"""The benchmark for machines with a GPU, where there is none."""

from __future__ import annotations

import subprocess
import sys

from tests.repo.project import ROOT

CASES = ("ResNet", "MLP", "transformer", "64 MB")


def test_each_case_runs_in_a_tiny_size() -> None:
    """It says that its figures mean nothing, and every contestant trains.

    In one process: what takes long is to import the peers.
    """
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gpu_train.py", "--case", ", "],
        env={
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    head, *tables = done.stdout.split("\n\n")
    assert head.startswith("No CUDA GPU here")
    tables = [
        f"{title}\n{rows}"
        for title, rows in zip(tables[::2], tables[1::2], strict=True)
    ]
    assert len(tables) == len(CASES), done.stdout
    for case, table in zip(CASES, tables, strict=True):
        assert table.startswith(case)
        for name in ("by hand", "**%%train_on**", "accelerate", "Lightning Fabric"):
            (row,) = [line for line in table.splitlines() if f"| {name} |" in line]
            assert row.endswith("| ran | ran |")
