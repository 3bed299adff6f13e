"""All fault profiles through the real pynvml, in processes of their own."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.fakes.drivers import profiles
from tests.gpu.scenarios import NODES, Scenario, play

if TYPE_CHECKING:
    from pathlib import Path

START_S = 3.0  # for Python itself, on a machine with other work
DEADLINE_S = 3.0

# What must be said of each profile, beside whatever else there is.
EXPECTED: dict[str, tuple[str | None, str]] = {
    "t4": (None, "cuda:0"),
    "t4_busy": ("mem-held", "cuda:0"),
    "p100_kaggle": ("arch-too-old", "cpu"),
    "2xt4_kaggle": (None, "cuda:0"),
    "a100": (None, "cuda:0"),
    "a100_mig": ("mig", "cuda:0"),
    "h200x8": (None, "cuda:0"),
    "b200": (None, "cuda:0"),
    "none": ("no-gpu", "cpu"),
    "not_loaded": ("driver-not-loaded", "cpu"),
    "mismatch": ("lib-rm-mismatch", "cpu"),
    "noperm": ("no-permission", "cpu"),
    "unknown": ("nvml-error", "cpu"),
    "lost": ("gpu-lost", "cuda:0"),
    "lost_handle": ("gpu-lost", "cuda:0"),
    "reset_required": ("gpu-lost", "cuda:0"),
    "ecc_bad": ("ecc-bad", "cuda:0"),
    "old_driver": ("driver-too-old", "cpu"),
    "exclusive": ("exclusive-busy", "cpu"),
    "zombie": ("mem-held", "cuda:0"),
    "unsupported_fields": (None, "cuda:0"),
    "insane": ("insane", "cuda:0"),
    "slow": (None, "cuda:0"),
    "hung": ("driver-hung", "cpu"),
    "cuda_hung": ("driver-hung", "cpu"),
    "cuda_stub": ("libcuda-stub", "cpu"),
    "cuda_fabric": ("fabric-not-ready", "cpu"),
    "cuda_compat": ("compat-wrong", "cpu"),
    "cuda_unknown": ("cuda-init-failed", "cpu"),
}
# The fake CUDA driver starts whatever NVML says; the real one would not.
NVML_ONLY = {"not_loaded", "mismatch", "noperm", "unknown"}


def test_every_profile_has_an_expectation() -> None:
    """The table and the profiles are the same set."""
    assert EXPECTED.keys() == profiles.PROFILES.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_profile(name: str, libraries: Path, tmp_path: Path) -> None:
    """Each profile gives a report in time, with the cause and the device."""
    code, device = EXPECTED[name]
    env = {"FAKE_GPU_SET": "cuInit.ret=999"} if name in NVML_ONLY else {}
    deadline_s = 1.0 if "hung" in name else DEADLINE_S
    scenario = Scenario(
        codes=(), profile=name, files=NODES, env=env, deadline_s=deadline_s
    )
    started = time.monotonic()
    report = play(scenario, libraries, tmp_path)
    assert time.monotonic() - started < deadline_s + START_S
    codes = [finding["code"] for finding in report["findings"]]
    assert code in codes or (code is None and not report["reason"])
    assert report["device"] == device
    assert report["facts"]["failures"] == []


def test_h200_by_name_and_memory(libraries: Path, tmp_path: Path) -> None:
    """The values of a profile come through unchanged."""
    scenario = Scenario(codes=(), profile="h200x8", files=NODES)
    report = play(scenario, libraries, tmp_path)
    nvml = report["facts"]["nvml"]
    assert len(nvml["devices"]) == 8
    first = nvml["devices"][0]
    assert first["name"] == "NVIDIA H200"
    assert first["memory_total_bytes"] == 143771 * 2**20
    assert first["compute_capability"] == [9, 0]
    assert (nvml["driver_version"], nvml["cuda_version"]) == ("570.124.06", [12, 8])


def test_second_gpu_is_the_ready_one(libraries: Path, tmp_path: Path) -> None:
    """With the first GPU hidden the headline is about the second, by PCI address."""
    env = {
        "CUDA_VISIBLE_DEVICES": "1",
        "FAKE_GPU_SET": "d1.name=Second card;d1.mem.used=8053063680;d1.mem.reserved=0",
    }
    scenario = Scenario(codes=(), profile="2xt4_kaggle", files=NODES, env=env)
    headline = play(scenario, libraries, tmp_path)["headline"]
    assert headline == "GPU check: READY  Second card, 7.5 GiB free, use device='cuda'"


def test_cuda_is_started_in_the_child_only(libraries: Path, tmp_path: Path) -> None:
    """No CUDA function is called under the pid that asks NVML."""
    trace = tmp_path / "trace.txt"
    play(Scenario(codes=(), profile="t4", files=NODES), libraries, tmp_path, trace)
    calls = [line.split() for line in trace.read_text(encoding="utf-8").splitlines()]
    own = {pid for pid, function in calls if function.startswith("nvml")}
    cuda = {pid for pid, function in calls if function.startswith("cu")}
    assert [pid for pid, function in calls if function == "cuInit"]
    assert own
    assert not own & cuda


SECOND_CHECK = """
import json, sys, time
from colabmagic.gpu.check import check
check(deadline_s=0.6)
started = time.monotonic()
second = check(deadline_s=0.6)
print(json.dumps({
    "seconds": time.monotonic() - started,
    "reason": second.facts.nvml.reason,
    "torch": "torch" in sys.modules,
}))
"""


def test_hung_driver_is_asked_once(libraries: Path, tmp_path: Path) -> None:
    """While a call is stuck NVML is left alone, and PyTorch is never imported."""
    import os
    import subprocess
    import sys

    from tests.fakes.drivers import build

    config = profiles.write_profile("hung", tmp_path / "gpu.cfg")
    trace = tmp_path / "trace.txt"
    done = subprocess.run(
        [sys.executable, "-c", SECOND_CHECK],
        env=build.fake_gpu_env(libraries, config, trace, dict(os.environ)),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    answer = json.loads(done.stdout)
    assert answer["seconds"] < 2
    assert "earlier" in answer["reason"]
    assert answer["torch"] is False
    calls = trace.read_text(encoding="utf-8").split()
    assert calls.count("nvmlInitWithFlags") == 1
