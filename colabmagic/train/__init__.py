"""Run a cell, a block or a function on a device; importing this brings in no torch.

`on` is for scripts; `colabmagic.train.service` is what the magic calls.
"""

from colabmagic.train.block import DeviceBlock, on

__all__ = ["DeviceBlock", "on"]
