"""The table of what a good diagnosis says: complete, and fair to tell right from wrong."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes.drivers import profiles

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks are not part of this copy", allow_module_level=True)

from benchmarks import _expectations as score  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = score.load()
ALL = list(TABLE.machines.values())
SICK = [machine for machine in ALL if machine.kind != score.HEALTHY]

# Faults that no profile of the drivers makes alone.
NEEDED = {
    "colab_cpu",
    "colab_tpu",
    "kaggle_none",
    "container_without_gpus",
    "own_no_gpu",
    "torch_cpu_build",
    "torch_missing",
    "p100_kaggle",
    "arch_too_new",
    "driver_too_old",
    "driver_too_old_colab",
    "cuda_hides_all",
    "libcuda_missing_colab",
    "libcuda_stub",
    "compat_library",
    "fabric_manager",
    "mig_slices",
    "mig_without_instances",
    "ecc_bad",
    "exclusive_and_taken",
    "memory_of_a_dead_process",
    "throttled",
    "one_of_two_lost",
    "insane",
    "hung",
    "slow",
}
# What tools print of a healthy machine: no pattern may take it for a diagnosis.
GPUSTAT = (
    "vm  Sat Nov 21 16:14:49 2026  550.54.15\n[0] Tesla T4 | 41°C, 0 % | 3 / 15360 MB |"
)
NVITOP = (
    "NVITOP 1.7.2 Driver Version: 550.54.15 CUDA Driver Version: 12.4\n"
    "GPU Name Persistence-M| Bus-Id Disp.A | Volatile Uncorr. ECC\n"
    "Fan Temp Perf Pwr:Usage/Cap| Memory-Usage | GPU-Util Compute M.\n"
    "0 Tesla T4 Off | 00000000:04:00.0 Off | 0 | 0% Default |\n"
    "No running processes found"
)
OURS = (
    "GPU check: READY  Tesla T4, 14.6 GiB free, use device='cuda'\n"
    "Driver 550.54.15 (CUDA 12.4)   PyTorch 2.11.0+cu128 (not imported)"
)


@pytest.fixture(autouse=True)
def path_as_it_was() -> Iterator[None]:
    """Leave the search path alone."""
    before = list(sys.path)
    yield
    assert sys.path == before


def test_every_profile_and_fault_is_there() -> None:
    """Each profile of the drivers has a machine, and so has each other fault."""
    assert {machine.profile for machine in ALL} >= profiles.PROFILES.keys()
    assert TABLE.machines.keys() >= NEEDED
    healthy = [machine for machine in ALL if machine.kind == score.HEALTHY]
    assert len(healthy) >= 5


@pytest.mark.parametrize("machine", ALL, ids=lambda machine: machine.name)
def test_row(machine: score.Machine) -> None:
    """A row names what exists, and has patterns that nothing empty or healthy meets."""
    assert machine.kind in {score.FAULT, score.CATCH, score.HEALTHY}
    assert machine.profile is None or machine.profile in profiles.PROFILES
    assert machine.torch in TABLE.torch
    assert machine.place in {"own", "colab", "kaggle", "container"}
    assert bool(machine.cause) == bool(machine.fix) == (machine.kind != score.HEALTHY)
    for pattern in (*machine.cause, *machine.fix, *machine.wrong):
        re.compile(pattern)
    for text in ("", GPUSTAT, NVITOP, OURS):
        assert not score.has_any(machine.cause, text)
        assert not score.has_any(machine.fix, text)


@pytest.mark.parametrize("text", [GPUSTAT, NVITOP, OURS, "0 uncorrected errors"])
def test_healthy_words_raise_no_alarm(text: str) -> None:
    """What the tools say of a healthy machine earns all points."""
    machine = TABLE.machines["healthy_t4_colab"]
    said = score.Said(text, 0)
    assert all(score.points(machine, TABLE.general, said).values())


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("Warning: ECC", score.NO_ALARM),
        ("NOT USABLE BY PYTORCH", score.NO_ALARM),
        ("2 errors", score.NO_ALARM),
        ("", score.NO_ALARM),
        ("Tesla T4 4294967295 C", score.NO_GARBAGE),
        ("Tesla T4 18446744073709551615 B", score.NO_GARBAGE),
        ("17592186043966 / 0 MB", score.NO_GARBAGE),
        ("-1C", score.NO_GARBAGE),
        ("Traceback (most recent call last):", score.NO_TRACEBACK),
    ],
)
def test_points_are_lost(text: str, lost: str) -> None:
    """Alarm, garbage and a traceback each cost their point."""
    machine = TABLE.machines["healthy_t4_colab"]
    assert not score.points(machine, TABLE.general, score.Said(text, 0))[lost]


def test_exit_status() -> None:
    """A fault wants a status, a catch a status or words, health neither."""
    fault, catch = TABLE.machines["mismatch"], TABLE.machines["ecc_bad"]

    def earned(machine: score.Machine, text: str, status: int | None) -> bool:
        said = score.Said(text, status)
        return score.points(machine, TABLE.general, said)[score.STATUS]

    assert earned(fault, "x", 1)
    assert not earned(fault, "version mismatch", 0)
    assert earned(catch, "ECC: 3 errors", 0)
    assert not earned(catch, "fine", 0)
    assert not earned(TABLE.machines["healthy_a100"], "fine", 1)
    assert not earned(fault, "x", None)


def test_hanging_costs_its_point() -> None:
    """A tool that had to be ended is not in time and says nothing clean."""
    said = score.Said("", None, in_time=False)
    assert not any(score.points(TABLE.machines["hung"], TABLE.general, said).values())


def test_wrong_advice_costs_the_fix() -> None:
    """A right click beside a wrong command is no right fix."""
    machine = TABLE.machines["colab_cpu"]

    def fixed(text: str) -> bool:
        said = score.Said(text, 1)
        return score.points(machine, TABLE.general, said)[score.FIX]

    assert fixed("Runtime > Change runtime\n   type > T4 GPU")
    assert not fixed("Change runtime type, or reinstall PyTorch: reinstall torch")


def test_recorded_words_are_of_machines_in_the_table() -> None:
    """What a PyTorch for CUDA said belongs to faults that it can be asked about."""
    recorded = json.loads((BENCHMARKS / "gpu_diagnosis_torch.json").read_text("utf-8"))
    for name, answers in recorded["said"].items():
        assert TABLE.machines[name].kind == score.FAULT
        assert not TABLE.machines[name].needs_gpu
        for said in answers.values():
            score.Said(**said)
