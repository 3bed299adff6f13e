"""Clocks, heat and power while GPUs work."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.gpu.trials.sampler import Conditions, Sampler, same_bus
from colabmagic.report.model import Unknown
from tests.fakes.drivers import build, profiles

if TYPE_CHECKING:
    from pathlib import Path

WATCH = """
import json, sys, time
from colabmagic.gpu.trials.sampler import Sampler
from colabmagic.report.plain import to_plain
sampler = Sampler()
begin = time.monotonic()
sampler.start()
time.sleep(float(sys.argv[1]))
sampler.stop()
fared = [sampler.conditions(bus, begin, time.monotonic()) for bus in sys.argv[2:]]
print(json.dumps([{**to_plain(one), "words": getattr(one, "words", "")} for one in fared]))
"""


def watch(
    libraries: Path, folder: Path, profile: str, settings: dict[str, Any], *buses: str
) -> list[dict[str, Any]]:
    """Watch the GPUs of a fake driver in a process of its own."""
    config = profiles.write_profile(profile, folder / "gpu.cfg", settings)
    done = subprocess.run(
        [sys.executable, "-c", WATCH, "0.6", *buses],
        env=build.fake_gpu_env(libraries, config),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def test_two_cards(libraries: Path, tmp_path: Path) -> None:
    """Each card is found by its PCI address, as CUDA writes it."""
    settings = {
        "d0.temp": 88,
        "d0.throttle": 0x24,
        "d0.clock.1": 885,
        "d0.clock.max.1": 1590,
        "d0.power": 69_500,
        "d0.power.limit": 70_000,
        "d1.temp": 40,
        "d1.throttle": 1,  # idle is no reason to complain
    }
    buses = ("0000:04:00.0", "00000000:05:00.0", "0000:06:00.0")
    first, second, third = watch(libraries, tmp_path, "2xt4_kaggle", settings, *buses)
    assert first["words"] == (
        "clock 885 of 1590 MHz, up to 88 °C, up to 70 of 70 W,"
        " held back by heat (all the time), the power limit (all the time)"
    )
    assert first["is_hot"]
    assert first["samples"] >= 2
    assert (second["temperature_c"], second["is_hot"]) == (40, False)
    assert second["held_back"] == []
    assert second["words"].endswith("not held back")
    assert third == {"unknown": "NVML does not list this GPU", "words": ""}


def test_impossible_values(libraries: Path, tmp_path: Path) -> None:
    """What a driver cannot mean is left out."""
    (fared,) = watch(
        libraries, tmp_path, "insane", {"d0.pci": "00000000:04:00.0"}, "0:04:00.0"
    )
    assert fared["temperature_c"] is None
    assert "4294967295" not in fared["words"]


def test_a_driver_that_hangs(libraries: Path, tmp_path: Path) -> None:
    """Nobody waits for a driver that does not answer."""
    (fared,) = watch(libraries, tmp_path, "hung", {}, "0000:04:00.0")
    assert fared["unknown"] == "the driver did not answer in time"


def broken() -> Any:  # noqa: ANN401 (stands for a module)
    """Stand for a missing package."""
    raise ImportError("No module named 'pynvml'")


def test_no_binding() -> None:
    """Without pynvml there is a reason, and no error."""
    sampler = Sampler(broken)
    sampler.start()
    sampler.stop()
    fared = sampler.conditions("0000:04:00.0", 0, time.monotonic())
    assert fared == Unknown("NVML: No module named 'pynvml'")


def test_not_started() -> None:
    """What was never asked has no answer."""
    sampler = Sampler(broken)
    sampler.stop()
    assert sampler.conditions(None, 0, 1) == Unknown("NVML was not asked")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("00000000:04:00.0", "0000:04:00.0", True),
        ("00000000:0A:00.0", "0000:0a:00.0", True),
        ("00000000:04:00.0", "0000:05:00.0", False),
        ("00000001:04:00.0", "0000:04:00.0", False),
    ],
)
def test_addresses(left: str, right: str, *, same: bool) -> None:
    """NVML and CUDA write the domain with different lengths."""
    assert same_bus(left, right) is same


def test_words_without_values() -> None:
    """What the driver does not tell is not said."""
    fared = Conditions(
        samples=3,
        temperature_c=None,
        clock_mhz=900,
        clock_max_mhz=None,
        power_w=None,
        power_limit_w=70,
        held_back=(("the power limit", 0.4),),
        is_hot=False,
    )
    assert (
        fared.words == "clock 900 MHz, held back by the power limit (40% of the time)"
    )
