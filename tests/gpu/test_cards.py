"""Tests for `colabmagic.gpu.sources.cards`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu.facts import Unknown
from colabmagic.gpu.sources.cards import probe_cards, tpu_chip
from tests.gpu.scenarios import AMD, INTEL, TPU_CHIPS, write_root

if TYPE_CHECKING:
    from pathlib import Path


def test_none(tmp_path: Path) -> None:
    """Without the kernel's files there is nothing, and nothing raises."""
    assert probe_cards(tmp_path) == ()
    assert tpu_chip(tmp_path) is None


def test_amd(tmp_path: Path) -> None:
    """Memory, use and temperature come from sysfs, in our units."""
    (card,) = probe_cards(write_root(tmp_path, AMD))
    assert (card.maker, card.name) == ("AMD", "AMD Radeon RX 7900 XTX")
    assert card.memory_total_bytes == 24 * 2**30
    assert card.memory_used_bytes == 2**30
    assert (card.utilization_percent, card.temperature_c) == (3, 43)
    assert isinstance(card.driver, Unknown)


def test_intel(tmp_path: Path) -> None:
    """The kernel module tells the newer cards from those in processors."""
    (card,) = probe_cards(write_root(tmp_path, INTEL))
    assert (card.maker, card.driver) == ("Intel", "xe")
    assert isinstance(card.memory_total_bytes, Unknown)


def test_others_and_outlets_are_no_cards(tmp_path: Path) -> None:
    """NVIDIA is NVML's business, and an outlet is no card."""
    files = {
        "sys/class/drm/card0/device/vendor": "0x10de",
        "sys/class/drm/card1-HDMI-A-1/device/vendor": "0x1002",
        "sys/class/drm/renderD128/device/vendor": "0x1002",
    }
    assert probe_cards(write_root(tmp_path, files)) == ()


@pytest.mark.parametrize("text", ["", "-1", "99999999999999999999999x", "\uff11\uff12"])
def test_odd_numbers_are_unknown(text: str, tmp_path: Path) -> None:
    """What is no plain number is not shown as one."""
    files = {**AMD, "sys/class/drm/card0/device/gpu_busy_percent": text}
    (card,) = probe_cards(write_root(tmp_path, files))
    assert isinstance(card.utilization_percent, Unknown)


def test_tpu(tmp_path: Path) -> None:
    """Kind and number of chips are read from the PCI bus."""
    assert tpu_chip(write_root(tmp_path, TPU_CHIPS)) == "v6e, 4 chips"


def test_googles_other_devices_are_no_tpu(tmp_path: Path) -> None:
    """Virtual network cards have the same maker."""
    files = {
        "sys/bus/pci/devices/0000:00:04.0/vendor": "0x1ae0",
        "sys/bus/pci/devices/0000:00:04.0/device": "0x0042",
    }
    assert tpu_chip(write_root(tmp_path, files)) is None
