"""Each rule on usable devices: a machine that triggers it and one that nearly does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu.facts import Accelerator, Unknown
from colabmagic.gpu.rules import device as rules
from tests.gpu.machines import change, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.facts import GpuFacts
    from colabmagic.report.model import Finding

    Rule = Callable[[GpuFacts], Finding | None]


def with_last_field(reason: str) -> GpuFacts:
    """Return a T4 without the field that is asked last, for this reason."""
    facts = load("colab_t4")
    (device,) = facts.nvml.devices
    late = replace(device, pcie_width_max=Unknown(reason))
    return change(facts, nvml={"devices": (late,)})


def accelerator(kind: str) -> GpuFacts:
    """Return a machine whose PyTorch offers this type."""
    return change(
        load("own_no_gpu"), torch={"accelerator": Accelerator(kind=kind, count=1)}
    )


@pytest.mark.parametrize(
    ("rule", "hit", "miss"),
    [
        (rules.torch_accelerator, accelerator("fake"), accelerator("mps")),
        (rules.framework_cpu_build, load("tensorflow_cpu"), load("colab_t4")),
        (rules.insane, load("insane"), load("colab_t4")),
        (
            rules.driver_slow,
            with_last_field("the driver did not answer in time"),
            with_last_field("Not Supported"),
        ),
        (
            rules.probe_failed,
            replace(load("colab_t4"), failures=("files: OSError",)),
            load("colab_t4"),
        ),
    ],
)
def test_rule(rule: Rule, hit: GpuFacts, miss: GpuFacts) -> None:
    """The rule speaks on the one machine and is silent on the other."""
    assert rule(hit) is not None
    assert rule(miss) is None


def test_insane_values_are_named() -> None:
    """Each is named; the number that the driver gave would only confuse."""
    finding = rules.insane(load("insane"))
    assert finding is not None
    assert "GPU 0: utilization percent is impossible" in finding.evidence
    assert "4294967295" not in str(finding)
