"""Each rule on the place: a machine that triggers it and one that nearly does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu.facts import SourceState
from colabmagic.gpu.rules import place as rules
from colabmagic.report.model import Severity
from tests.gpu.machines import change, change_system, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.facts import GpuFacts
    from colabmagic.report.model import Finding

    Rule = Callable[[GpuFacts], Finding | None]

MAC = change_system(load("own_no_gpu"), os="Darwin", machine="arm64")
OLD_MAC = change_system(load("own_no_gpu"), os="Darwin", machine="x86_64")
INTEL = load("intel_card")
IN_PROCESSOR = change(
    INTEL, platform={"cards": (replace(INTEL.platform.cards[0], driver="i915"),)}
)


@pytest.mark.parametrize(
    ("rule", "hit", "miss"),
    [
        (rules.tpu_runtime, load("colab_tpu"), load("colab_cpu")),
        (rules.colab_cpu_runtime, load("colab_cpu"), load("colab_mismatch")),
        (rules.colab_cpu_runtime, load("colab_cpu"), load("own_no_gpu")),
        (rules.kaggle_no_accel, load("kaggle_none"), load("kaggle_2xt4")),
        (rules.colab_quota, load("colab_cpu"), load("kaggle_none")),
        (rules.colab_quota, load("colab_cpu"), load("colab_tpu")),
        (rules.xpu, load("intel_card"), IN_PROCESSOR),
        (rules.xpu, load("intel_ready"), load("amd_card")),
        (rules.mps, MAC, OLD_MAC),
        (rules.rocm, load("rocm_wrong_build"), load("own_no_gpu")),
        (rules.container_no_gpus, load("container_no_gpus"), load("driver_missing")),
        (rules.container_no_gpus, load("container_no_gpus"), load("colab_cpu")),
        (rules.no_gpu, load("own_no_gpu"), load("not_loaded")),
        (rules.no_gpu, load("own_driver_without_gpu"), load("all_lost")),
    ],
)
def test_rule(rule: Rule, hit: GpuFacts, miss: GpuFacts) -> None:
    """The rule speaks on the one machine and is silent on the other."""
    assert rule(hit) is not None
    assert rule(miss) is None


def test_colab_cpu_runtime_says_what_to_click() -> None:
    """The first step is the menu entry, and the quota is named."""
    finding = rules.colab_cpu_runtime(load("colab_cpu"))
    assert finding is not None
    assert finding.fix[0].startswith("Runtime > Change runtime type > T4 GPU")
    note = rules.colab_quota(load("colab_cpu"))
    assert note is not None
    assert "quota" in note.title


def test_rocm_build_is_good_news() -> None:
    """AMD with the right build is a note, with the wrong one an error."""
    right, wrong = rules.rocm(load("rocm")), rules.rocm(load("rocm_wrong_build"))
    assert right is not None
    assert wrong is not None
    assert (right.severity, wrong.severity) == (Severity.INFO, Severity.ERROR)


def test_hung_driver_on_colab_is_no_cpu_runtime() -> None:
    """A driver that does not answer is there, whatever the files say."""
    facts = change(load("colab_cpu"), nvml={"state": SourceState.HUNG})
    assert rules.colab_cpu_runtime(facts) is None
