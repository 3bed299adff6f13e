"""Each rule on a GPU's health: a machine that triggers it and one that nearly does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.gpu.facts import (
    Build,
    FrameworkFacts,
    Owner,
    ProcessFacts,
    RemappedRows,
    Unknown,
)
from colabmagic.gpu.rules import health as rules
from colabmagic.report.model import Severity
from tests.gpu.machines import change, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.facts import GpuFacts
    from colabmagic.report.model import Finding

    Rule = Callable[[GpuFacts], Finding | None]

GIB = 2**30
BUSY = {"utilization_percent": 97}
GOOD_ROWS = RemappedRows(corrected=1, uncorrected=2, pending=False, failed=False)


def device(name: str = "colab_t4", **values: Any) -> GpuFacts:  # noqa: ANN401
    """Return a machine whose first GPU has some values changed."""
    facts = load(name)
    first, *others = facts.nvml.devices
    return change(facts, nvml={"devices": (replace(first, **values), *others)})


def used_by(owner: Owner, *, mode: str = "default", free_gib: float = 0.2) -> GpuFacts:
    """Return a T4 with a process on it."""
    process = ProcessFacts(pid=4242, owner=owner, name="python3", memory_bytes=14 * GIB)
    return device(
        processes=(process,),
        compute_mode=mode,
        memory_free_bytes=int(free_gib * GIB),
    )


def framework(name: str) -> FrameworkFacts:
    """Return a framework that is live on the GPU."""
    return FrameworkFacts(
        name=name,
        version="1",
        build=Build.CUDA,
        cuda="12",
        imported=True,
        holds_gpu=True,
    )


@pytest.mark.parametrize(
    ("rule", "hit", "miss"),
    [
        (rules.mem_held, load("zombie"), load("colab_t4")),
        (
            rules.mem_held,
            device(memory_free_bytes=int(2.9 * GIB)),
            device(memory_free_bytes=int(3.1 * GIB)),
        ),
        (
            rules.throttle,
            device(**BUSY, throttle_mask=0x40),
            device(utilization_percent=50, throttle_mask=0x40),
        ),
        (
            rules.throttle,
            device(**BUSY, throttle_mask=0x4),
            device(**BUSY, throttle_mask=0x1 | 0x2 | 0x10 | 0x100),
        ),
        (
            rules.pcie_narrow,
            device(**BUSY, pcie_generation=1, pcie_width=16),
            device(utilization_percent=3, pcie_generation=1, pcie_width=8),
        ),
        (
            rules.pcie_narrow,
            device(**BUSY, pcie_generation=3, pcie_width=8),
            device(**BUSY, pcie_generation=3, pcie_width=16),
        ),
        (
            rules.ecc_bad,
            device(ecc_uncorrected=1),
            device(ecc_uncorrected=0, ecc_corrected=9, ecc_uncorrected_lifetime=3),
        ),
        (
            rules.ecc_bad,
            device(remapped_rows=replace(GOOD_ROWS, pending=True)),
            device(remapped_rows=GOOD_ROWS),
        ),
        (
            rules.ecc_bad,
            device(remapped_rows=replace(GOOD_ROWS, failed=True)),
            device(retired_pages_pending=False),
        ),
        (
            rules.ecc_bad,
            device(retired_pages_pending=True),
            device(retired_pages_pending=Unknown("Not Supported")),
        ),
        (
            rules.exclusive_busy,
            used_by(Owner.OTHER, mode="exclusive process"),
            used_by(Owner.KERNEL, mode="exclusive process"),
        ),
        (
            rules.exclusive_busy,
            device(compute_mode="prohibited"),
            device(compute_mode="exclusive process", processes=()),
        ),
        (rules.exclusive_busy, load("exclusive"), used_by(Owner.OTHER)),
        (rules.mig, load("own_a100_mig"), load("own_h200x8")),
        (rules.mig, load("own_a100_mig"), load("mig_empty")),
        (rules.mig_without_instances, load("mig_empty"), load("own_a100_mig")),
    ],
)
def test_rule(rule: Rule, hit: GpuFacts, miss: GpuFacts) -> None:
    """The rule speaks on the one machine and is silent on the other."""
    assert rule(hit) is not None
    assert rule(miss) is None


def fixes(facts: GpuFacts, rule: Rule = rules.mem_held) -> str:
    """Return all advice of a rule in one line."""
    finding = rule(facts)
    assert finding is not None
    return " ".join(finding.fix)


@pytest.mark.parametrize(
    ("owner", "advice"),
    [
        (Owner.KERNEL, "torch.cuda.empty_cache()"),
        (Owner.OTHER, "shut down its kernel"),
        (Owner.DEAD, "Disconnect and delete runtime"),
        (Owner.FOREIGN, "outside this container"),
    ],
)
def test_advice_is_right_for_who_holds_the_memory(owner: Owner, advice: str) -> None:
    """What frees the memory depends on whose it is; no other advice is given."""
    given = fixes(used_by(owner))
    assert advice in given
    others = {"empty_cache", "its kernel", "has died", "this container"}
    assert sum(word in given for word in others) == 1


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("TensorFlow", "TF_FORCE_GPU_ALLOW_GROWTH=true"),
        ("JAX", "XLA_PYTHON_CLIENT_PREALLOCATE=false"),
    ],
)
def test_a_framework_that_takes_all_is_named(name: str, variable: str) -> None:
    """TensorFlow and JAX reserve memory; the variable that stops it is given."""
    facts = replace(used_by(Owner.KERNEL), frameworks=(framework(name),))
    assert variable in fixes(facts)
    assert "empty_cache" not in fixes(facts)


def test_on_a_machine_of_ones_own_a_dead_holder_is_looked_for() -> None:
    """Without a service to restart, the command that finds it is given."""
    assert "fuser -v /dev/nvidia" in fixes(load("zombie"))


def test_heat_is_a_warning_and_the_power_limit_is_none() -> None:
    """A GPU under full load draws all the power it may: that is normal."""
    hot = rules.throttle(
        device(
            **BUSY,
            throttle_mask=0x20,
            temperature_c=88,
            clock_sm_mhz=885,
            clock_sm_max_mhz=1590,
        )
    )
    assert hot is not None
    assert hot.severity is Severity.WARN
    assert "88 °C, clock 885 of 1590 MHz" in hot.evidence[0]
    capped = rules.throttle(device(**BUSY, throttle_mask=0x4))
    assert capped is not None
    assert capped.severity is Severity.INFO


def test_one_reserved_gpu_of_two_is_a_warning() -> None:
    """The other one is used; where it is the only one, nothing works."""
    one, only = rules.exclusive_busy(load("one_exclusive")), load("exclusive")
    assert one is not None
    assert one.severity is Severity.WARN
    last = rules.exclusive_busy(only)
    assert last is not None
    assert last.severity is Severity.ERROR
    assert "pid 4242" in " ".join(last.evidence)


def test_instances_are_named_with_their_memory() -> None:
    """The profile and the size of each instance are shown."""
    finding = rules.mig(load("own_a100_mig"))
    assert finding is not None
    assert "1g.5gb, 4.8 GiB" in finding.evidence[0]
