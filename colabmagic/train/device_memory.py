"""What a device tells of its memory, through torch."""

from __future__ import annotations

import contextlib

import torch


def device_memory(name: str, device: torch.device) -> int | None:
    """Ask torch for a figure of a device's memory.

    Parameters
    ----------
    name
        A function of ``torch.accelerator`` or of the device's own module, such as
        ``memory_allocated``.
    device
        The device.

    Returns
    -------
    int or None
        Bytes; None where the device does not tell.
    """
    function = getattr(getattr(torch, "accelerator", None), name, None)
    if function is None:
        function = getattr(getattr(torch, device.type, None), name, None)
    if function is None or device.type == "meta":
        return None
    with contextlib.suppress(Exception):  # some back ends do not tell
        return int(function(device))
    return None
