"""Each rule on the driver's installation: what triggers it, and what nearly does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu.facts import SourceState
from colabmagic.gpu.rules import install as rules
from tests.gpu.machines import change, change_system, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.facts import GpuFacts
    from colabmagic.report.model import Finding

    Rule = Callable[[GpuFacts], Finding | None]


def on_wsl(library_path: str) -> GpuFacts:
    """Return a WSL machine whose CUDA driver fails, from this library."""
    facts = change_system(load("cuda_init_failed"), wsl=True)
    return change(facts, driver={"library_path": library_path})


IDLE_MODULE = change(
    load("driver_missing"),
    driver={"state": SourceState.REFUSED, "code": 100},
)
MODULE_LOADED = change(IDLE_MODULE, platform={"kernel_module_version": "550.54.15"})
CLOSED = change(load("own_no_gpu"), platform={"nodes_writable": False})
CLOSED_BUT_SEEN = change(load("colab_t4"), platform={"nodes_writable": False})


@pytest.mark.parametrize(
    ("rule", "hit", "miss"),
    [
        (rules.wsl, on_wsl("/usr/lib/libcuda.so.1"), on_wsl("/usr/lib/wsl/lib/l.so")),
        (rules.container_lost_gpu, load("container_lost_gpu"), load("unknown")),
        (rules.driver_not_loaded, load("not_loaded"), load("mismatch")),
        (rules.driver_not_loaded, IDLE_MODULE, MODULE_LOADED),
        (rules.lib_rm_mismatch, load("mismatch"), load("not_loaded")),
        (rules.no_permission, load("noperm"), load("not_loaded")),
        (rules.no_permission, CLOSED, CLOSED_BUT_SEEN),
        (rules.driver_missing, load("driver_missing"), load("own_no_gpu")),
        (rules.nvml_error, load("unknown"), load("own_no_gpu")),
        (rules.nvml_missing, load("no_pynvml"), load("colab_cpu")),
    ],
)
def test_rule(rule: Rule, hit: GpuFacts, miss: GpuFacts) -> None:
    """The rule speaks on the one machine and is silent on the other."""
    assert rule(hit) is not None
    assert rule(miss) is None


def test_mismatch_fix_fits_the_place() -> None:
    """One reboots one's own machine, and gives back one that is lent."""
    own = rules.lib_rm_mismatch(load("mismatch"))
    colab = rules.lib_rm_mismatch(load("colab_mismatch"))
    assert own is not None
    assert colab is not None
    assert own.fix == ("Reboot.",)
    assert "Disconnect and delete runtime" in colab.fix[0]
    assert "550.90.07" in own.evidence[1]


def test_nothing_is_installed_in_a_container() -> None:
    """In a container the driver is loaded on the host."""
    facts = change_system(load("not_loaded"), container="docker")
    finding = rules.driver_not_loaded(facts)
    assert finding is not None
    assert finding.fix[0].startswith("On the host")
