"""Devices that are not there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from colabmagic.explain.model import Draft

if TYPE_CHECKING:
    from colabmagic.explain.scene import Scene

_NOT_COMPILED = re.compile(r"Torch not compiled with (CUDA|XPU|MPS) enabled")
_NO_DRIVER = re.compile(r"Found no NVIDIA driver on your system")
_ORDINAL = re.compile(
    r"CUDA error: invalid device ordinal|Invalid device id|CUDA_ERROR_INVALID_DEVICE\b"
)


def not_compiled(scene: Scene) -> Draft | None:
    """Explain that a build for the CPU is asked for a device."""
    match = _NOT_COMPILED.search(scene.text)
    if match is None:
        return None
    return Draft(key="not-compiled", values={"api": match[1]}, evidence=_asked(scene))


def no_driver(scene: Scene) -> Draft | None:
    """Explain that a machine without a GPU is asked for one."""
    if not _NO_DRIVER.search(scene.text):
        return None
    return Draft(key="no-driver", evidence=_asked(scene))


def invalid_ordinal(scene: Scene) -> Draft | None:
    """Explain a number that no GPU has."""
    if not _ORDINAL.search(scene.text):
        return None
    return Draft(key="invalid-ordinal", evidence=_asked(scene))


def _asked(scene: Scene) -> tuple[str, ...]:
    """Say where the device was asked for."""
    spot = scene.spot
    if spot is None or spot.source is None:
        return ()
    return (f"asked for in {scene.where(spot)}: {spot.source.line(spot.line).strip()}",)
