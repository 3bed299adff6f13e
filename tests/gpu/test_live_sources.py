"""What a live view reads beside the GPUs of NVML, and what it reads where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu.facts import NvmlFacts, SourceState
from colabmagic.gpu.live.sources import (
    Machine,
    NarrowNvml,
    NvidiaGpus,
    OtherGpus,
    sources_for,
)
from colabmagic.gpu.sources.nvml import NvmlSource
from tests.gpu.machines import load

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30


def test_processors_and_memory_from_files(tmp_path: Path) -> None:
    """Use is the busy share since the reading before; the first has none."""
    (tmp_path / "proc").mkdir()
    stat, memory = tmp_path / "proc/stat", tmp_path / "proc/meminfo"
    memory.write_text("MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\n", "utf-8")
    stat.write_text("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2\n", "utf-8")
    machine = Machine(str(tmp_path))
    ((first,), _) = machine.read()
    stat.write_text("cpu  150 0 125 720 105 0 0 0 0 0\n", "utf-8")
    ((second,), _) = machine.read()
    assert first.use_percent is None
    assert second.use_percent == 75.0
    assert (second.memory_used_bytes, second.memory_total_bytes) == (2 * GIB, 8 * GIB)


def test_a_machine_without_proc(tmp_path: Path) -> None:
    """Not on macOS, for one: the values are unknown, and nothing raises."""
    machine = Machine(str(tmp_path))
    machine.read()
    ((reading,), _) = machine.read()
    assert reading.use_percent is None
    assert reading.memory_used_bytes is None


def test_cards_of_amd(tmp_path: Path) -> None:
    """The kernel's files tell use, memory and temperature of other makers' cards."""
    device = tmp_path / "sys/class/drm/card0/device"
    (device / "hwmon/hwmon0").mkdir(parents=True)
    for name, text in {
        "vendor": "0x1002",
        "product_name": "Instinct MI300X",
        "mem_info_vram_total": str(192 * GIB),
        "mem_info_vram_used": str(3 * GIB),
        "gpu_busy_percent": "42",
        "hwmon/hwmon0/temp1_input": "51000",
    }.items():
        (device / name).write_text(text, "utf-8")
    ((reading,), note) = OtherGpus(str(tmp_path)).read()
    assert note is None
    assert (reading.device, reading.name) == ("GPU 0", "Instinct MI300X")
    assert (reading.use_percent, reading.temperature_c) == (42, 51)
    assert reading.memory_used_bytes == 3 * GIB


@pytest.mark.parametrize(
    ("machine", "count"), [("colab_t4", 2), ("colab_cpu", 1), ("hung", 2)]
)
def test_what_is_read_on_a_machine(machine: str, count: int) -> None:
    """GPUs are read where the check saw some, or where its driver may come back."""
    assert len(sources_for(load(machine))) == count


def test_a_driver_without_gpus_any_more() -> None:
    """NVML that suddenly lists none is a problem of the GPUs that were there."""
    facts = load("colab_t4").nvml

    class Empty(NvmlSource):
        """A source that finds nothing."""

        def start(self, until: float) -> None:
            """Ask nothing."""

        def finish(self, until: float) -> NvmlFacts:  # noqa: ARG002 (as its base)
            """Return an empty list."""
            return NvmlFacts(state=SourceState.OK)

    gpus = NvidiaGpus(facts, Empty(), NarrowNvml())
    ((first,), _) = gpus.read()
    ((second,), _) = gpus.read()
    assert first.problem is None
    assert second.name == first.name
    assert second.problem == "the driver lists no GPU any more"
