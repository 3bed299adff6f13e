"""Each rule on CUDA's start: a machine that triggers it and one that nearly does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu.facts import SourceState, Unknown
from colabmagic.gpu.rules import driver as rules
from colabmagic.report.model import Severity
from tests.gpu.machines import change, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.facts import GpuFacts
    from colabmagic.report.model import Finding

    Rule = Callable[[GpuFacts], Finding | None]

UNTRIED = change(
    load("colab_t4"), driver={"state": SourceState.FAILED, "devices": (), "code": None}
)


def visible(value: str) -> GpuFacts:
    """Return a machine with one GPU, where the driver could not be asked."""
    return change(UNTRIED, platform={"cuda_visible_devices": value})


def mute(reason: str) -> GpuFacts:
    """Return a T4 that tells neither its name nor its memory, for this reason."""
    facts = load("colab_t4")
    (device,) = facts.nvml.devices
    said = Unknown(reason)
    quiet = replace(device, name=said, memory_total_bytes=said)
    return change(facts, nvml={"devices": (quiet,)})


STUB_FOLDER = change(
    load("cuda_init_failed"),
    driver={"library_path": "/usr/local/cuda/lib64/stubs/libcuda.so.1"},
)


@pytest.mark.parametrize(
    ("rule", "hit", "miss"),
    [
        (rules.driver_hung, load("hung"), load("own_no_gpu")),
        (rules.driver_hung, load("cuda_hung"), load("cuda_init_failed")),
        (rules.gpu_lost, load("one_lost"), load("kaggle_2xt4")),
        (rules.gpu_lost, mute("Unknown Error"), mute("Not Supported")),
        (rules.gpu_lost, mute("Unknown Error"), mute("it did not answer in time")),
        (rules.cvd_hides_all, load("cvd_hides_all"), load("own_second_of_two")),
        (rules.cvd_hides_some, load("own_second_of_two"), load("kaggle_2xt4")),
        (rules.cvd_hides_some, load("own_second_of_two"), load("one_lost")),
        (rules.cvd_hides_all, visible(""), visible("0")),
        (rules.cvd_hides_all, visible("1"), visible("0,1")),
        (rules.cvd_hides_all, visible("NoDevFiles"), visible("GPU-(hidden)")),
        (rules.libcuda_missing, load("colab_libcuda_missing"), load("own_no_gpu")),
        (rules.libcuda_stub, load("libcuda_stub"), load("cuda_init_failed")),
        (rules.libcuda_stub, STUB_FOLDER, load("compat_wrong")),
        (rules.compat_wrong, load("compat_wrong"), load("cuda_init_failed")),
        (rules.fabric_not_ready, load("fabric_not_ready"), load("compat_wrong")),
        (rules.cuda_init_failed, load("cuda_init_failed"), load("own_h200x8")),
        (rules.driver_unproven, UNTRIED, load("own_no_gpu")),
    ],
)
def test_rule(rule: Rule, hit: GpuFacts, miss: GpuFacts) -> None:
    """The rule speaks on the one machine and is silent on the other."""
    assert rule(hit) is not None
    assert rule(miss) is None


def test_lost_gpus_matter_by_number() -> None:
    """One lost GPU of two is a warning that names it; all lost is an error."""
    one, every = rules.gpu_lost(load("one_lost")), rules.gpu_lost(load("all_lost"))
    assert one is not None
    assert every is not None
    assert one.severity is Severity.WARN
    assert one.title.startswith("GPU 1 ")
    assert every.severity is Severity.ERROR


def test_library_path_on_colab() -> None:
    """Colab's known cure is offered where its library got lost."""
    finding = rules.libcuda_missing(load("colab_libcuda_missing"))
    assert finding is not None
    assert finding.fix[0] == "!ldconfig /usr/lib64-nvidia"


def test_compat_folder_is_named() -> None:
    """A compatibility library is removed from the path; else a reboot helps."""
    facts = change(
        load("compat_wrong"),
        driver={"library_path": "/usr/local/cuda/compat/libcuda.so.1"},
    )
    folder, other = rules.compat_wrong(facts), rules.compat_wrong(load("compat_wrong"))
    assert folder is not None
    assert other is not None
    assert "LD_LIBRARY_PATH" in folder.fix[0]
    assert "Reboot" in other.fix[0]
