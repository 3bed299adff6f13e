"""Run a cell, a block or a function on a device; importing this brings in no torch.

`on` is for scripts; `colabmagic.train.service` is what the magic calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.train.block import DeviceBlock, on

if TYPE_CHECKING:
    from colabmagic.train.outcome import TrainOutcome

__all__ = ["DeviceBlock", "last_outcome", "on"]


def last_outcome() -> TrainOutcome | None:
    """Return what the last cell or block did; None before the first."""
    from colabmagic.train import measuring  # noqa: PLC0415 (brings in torch)

    return measuring.last_outcome()
