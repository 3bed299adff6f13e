"""Files and variables that show a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.gpu.facts import Unknown
from colabmagic.gpu.sources.platform_files import probe_platform
from colabmagic.gpu.sources.private import mask_uuids
from tests.gpu.scenarios import CARD, MODULE, NODES, write_root

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing(tmp_path: Path) -> None:
    """An empty machine shows nothing, and nothing raises."""
    facts = probe_platform({}, tmp_path)
    assert facts.nvidia_nodes == ()
    assert isinstance(facts.pci_nvidia_count, Unknown)
    assert facts.kernel_module_version is None


def test_nvidia(tmp_path: Path) -> None:
    """Nodes, card and kernel module are seen."""
    facts = probe_platform({}, write_root(tmp_path, {**NODES, **CARD, **MODULE}))
    assert facts.nvidia_nodes == ("/dev/nvidia0", "/dev/nvidiactl")
    assert facts.pci_nvidia_count == 1
    assert facts.kernel_module_version == "550.90.07"


def test_sound_device_of_a_card_is_no_card(tmp_path: Path) -> None:
    """NVIDIA's sound and bridge devices do not count as GPUs."""
    sound = {name: "0x040300" if "class" in name else "0x10de" for name in CARD}
    assert probe_platform({}, write_root(tmp_path, sound)).pci_nvidia_count == 0


def test_tpu_signs(tmp_path: Path) -> None:
    """Filled variables and TPU nodes count; empty variables and Intel's NPU do not."""
    assert probe_platform({"COLAB_TPU_1VM": ""}, tmp_path).tpu_signs == ()
    write_root(tmp_path, {"dev/accel/accel0": ""})
    assert probe_platform({}, tmp_path).tpu_signs == ()
    write_root(tmp_path, {"dev/accel0": ""})
    facts = probe_platform({"TPU_NAME": "local"}, tmp_path)
    assert facts.tpu_signs == ("TPU_NAME", "/dev/accel0")


def test_uuids_are_masked(tmp_path: Path) -> None:
    """Reports get shared, so the serial part of a GPU's name does not leave here."""
    uuid = "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77"
    facts = probe_platform({"CUDA_VISIBLE_DEVICES": f"{uuid},1"}, tmp_path)
    assert facts.cuda_visible_devices == "GPU-(hidden),1"
    assert mask_uuids("MIG-GPU-5d5b/1/0") == "MIG-(hidden)"
