"""Each rule on PyTorch's build: a machine that triggers it and one that nearly does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu.facts import TorchState
from colabmagic.gpu.rules import judge, usable_device
from colabmagic.gpu.rules import torch as rules
from tests.gpu.machines import change, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.facts import GpuFacts
    from colabmagic.report.model import Finding

    Rule = Callable[[GpuFacts], Finding | None]


def built_for(*archs: str) -> GpuFacts:
    """Return a T4 (7.5) with a PyTorch for these architectures."""
    return change(load("colab_t4"), torch={"archs": archs})


SAME_MAJOR = change(load("driver_too_old"), torch={"cuda": (12, 9)})
FORKED = change(load("colab_t4"), torch={"imported": True, "in_bad_fork": True})
UNREADABLE = change(load("colab_t4"), torch={"state": TorchState.UNREADABLE})


@pytest.mark.parametrize(
    ("rule", "hit", "miss"),
    [
        (rules.torch_missing, load("torch_missing"), UNREADABLE),
        (rules.torch_unreadable, UNREADABLE, load("torch_missing")),
        (rules.forked, FORKED, load("colab_t4")),
        (rules.cuda_minor_newer, load("colab_t4"), load("own_h200x8")),
        (rules.cuda_minor_newer, load("colab_t4"), load("driver_too_old")),
        (rules.torch_cpu_build, load("torch_cpu_build"), load("own_no_gpu")),
        (rules.torch_cpu_build, load("torch_cpu_build"), load("rocm")),
        (rules.driver_too_old, load("driver_too_old"), SAME_MAJOR),
        (rules.driver_too_old, load("driver_too_old"), load("own_b200")),
        (rules.arch_too_old, load("kaggle_p100"), load("kaggle_2xt4")),
        (rules.arch_too_old, built_for("sm_80", "sm_90"), built_for("sm_70")),
        (rules.arch_too_old, built_for("sm_80", "sm_90"), built_for("compute_50")),
        (rules.arch_too_new, load("arch_too_new"), load("own_b200")),
        (rules.arch_too_new, built_for("sm_50", "sm_60"), built_for("sm_75")),
    ],
)
def test_rule(rule: Rule, hit: GpuFacts, miss: GpuFacts) -> None:
    """The rule speaks on the one machine and is silent on the other."""
    assert rule(hit) is not None
    assert rule(miss) is None


def test_a_forked_process_has_no_device() -> None:
    """The GPU is there and PyTorch fits; in this process it is of no use."""
    assert usable_device(FORKED) == "cpu"
    assert judge(FORKED)[0].code == "forked"


def test_driver_too_old_names_both_sides() -> None:
    """The title says what is needed and what is here, the fix what to install."""
    finding = rules.driver_too_old(load("driver_too_old"))
    assert finding is not None
    assert finding.title == (
        "torch 2.15.0+cu132 needs driver 580 or newer;"
        " here is driver 550.54.15, CUDA 12.4."
    )
    assert finding.fix[0] == (
        "pip install --force-reinstall torch -i https://download.pytorch.org/whl/cu126"
    )


def test_driver_of_a_service_is_left_alone() -> None:
    """Nobody is told to update Colab's driver, and there pip is a magic."""
    finding = rules.driver_too_old(load("colab_driver_too_old"))
    assert finding is not None
    assert finding.fix[0].startswith("%pip install")
    assert "cannot be changed" in finding.fix[-1]
    assert not any("update" in step.lower() for step in finding.fix)


def test_old_gpu_gets_a_build_that_still_knows_it() -> None:
    """A P100 is offered the last family with Pascal kernels, or another card."""
    finding = rules.arch_too_old(load("kaggle_p100"))
    assert finding is not None
    assert finding.fix[0].endswith("/cu126")
    assert "T4 x2" in finding.fix[-1]


def test_cuda_ten_needed_the_exact_version() -> None:
    """Before CUDA 11 a driver ran no newer minor version."""
    assert not rules._runs((10, 1), (10, 2))
    assert rules._runs((11, 0), (11, 8))
