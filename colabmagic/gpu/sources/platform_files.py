"""Read what files and variables show of GPUs, without any driver call."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from colabmagic.gpu.facts import PlatformFacts, Unknown
from colabmagic.gpu.sources.cards import probe_cards, tpu_chip
from colabmagic.gpu.sources.private import mask_uuids, plain_word, public_folders
from colabmagic.gpu.sources.toolkit import probe_toolkit
from colabmagic.host.system import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NVIDIA_VENDOR = "0x10de"
_DISPLAY_CLASSES = ("0x0300", "0x0302")  # VGA controller, 3D controller
_CARD_NODE = re.compile(r"nvidia(\d+|ctl)")
# v4 has /dev/accel0; Intel's NPU lies one folder deeper, in /dev/accel/.
_TPU_NODE = re.compile(r"accel\d+")
_TPU_VARIABLES = (
    "COLAB_TPU_ADDR",
    "COLAB_TPU_1VM",
    "TPU_NAME",
    "TPU_ACCELERATOR_TYPE",
    "TPU_WORKER_ID",
)
_KERNEL_MODULE = re.compile(r"Module(?: for \w+)?\s+(\d+(?:\.\d+)+)")


def probe_platform(env: Mapping[str, str], sysroot: Path) -> PlatformFacts:
    """Gather the signs of GPUs and TPUs; what is absent is no error."""
    names = _names(sysroot / "dev")
    nodes = tuple(f"/dev/{name}" for name in names if _CARD_NODE.fullmatch(name))
    visible = env.get("CUDA_VISIBLE_DEVICES")
    return PlatformFacts(
        nvidia_nodes=nodes,
        nodes_writable=_all_writable(sysroot, nodes),
        kernel_module_version=_kernel_module(sysroot),
        pci_nvidia_count=_count_pci(sysroot),
        has_dxg="dxg" in names,
        has_kfd="kfd" in names,
        tpu_signs=_tpu_signs(env, names, sysroot),
        cuda_visible_devices=None if visible is None else mask_uuids(visible),
        ld_library_path=public_folders(env.get("LD_LIBRARY_PATH")),
        cuda_device_order=plain_word(env.get("CUDA_DEVICE_ORDER")),
        tpu_name=plain_word(env.get("TPU_ACCELERATOR_TYPE")) or tpu_chip(sysroot),
        cards=probe_cards(sysroot),
        toolkit=probe_toolkit(env, sysroot),
    )


def _names(folder: Path) -> list[str]:
    """Return the sorted names in a folder, none where it cannot be read."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def _all_writable(sysroot: Path, nodes: tuple[str, ...]) -> bool:
    """Tell whether this user may open every device node."""
    return all(
        os.access(sysroot / node.lstrip("/"), os.R_OK | os.W_OK) for node in nodes
    )


def _kernel_module(sysroot: Path) -> str | None:
    """Return the version of the loaded kernel module."""
    found = _KERNEL_MODULE.search(
        read_text(sysroot / "proc/driver/nvidia/version") or ""
    )
    return found[1] if found else read_text(sysroot / "sys/module/nvidia/version")


def _count_pci(sysroot: Path) -> int | Unknown:
    """Count NVIDIA's display controllers on the PCI bus."""
    devices = sysroot / "sys/bus/pci/devices"
    if not devices.is_dir():
        return Unknown("the system shows no PCI bus")
    return sum(
        read_text(devices / name / "vendor") == _NVIDIA_VENDOR
        and (read_text(devices / name / "class") or "").startswith(_DISPLAY_CLASSES)
        for name in _names(devices)
    )


def _tpu_signs(
    env: Mapping[str, str], dev_names: list[str], sysroot: Path
) -> tuple[str, ...]:
    """Return the variables, nodes and chips that only a TPU machine has."""
    nodes = (f"/dev/{name}" for name in dev_names if _TPU_NODE.fullmatch(name))
    # Colab sets its variables on all machines, but fills them on TPU machines only.
    chip = tpu_chip(sysroot)  # v5e and later show no node of their own
    return (
        *(name for name in _TPU_VARIABLES if env.get(name)),
        *nodes,
        *((f"PCI: TPU {chip}",) if chip else ()),
    )
