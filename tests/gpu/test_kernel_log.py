"""Tests for `colabmagic.gpu.sources.kernel_log`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.gpu.sources.kernel_log import last_xid
from tests.gpu.scenarios import write_root

if TYPE_CHECKING:
    from pathlib import Path


def test_the_last_number_counts(tmp_path: Path) -> None:
    """The driver writes one line for each error; the newest is at the end."""
    log = (
        "4,1,2,-;NVRM: Xid (PCI:0000:01:00): 31, pid=7, MMU Fault\n"
        "4,2,3,-;something else\n"
        "4,3,4,-;NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.\n"
    )
    assert last_xid(write_root(tmp_path, {"dev/kmsg": log})) == 79


def test_no_error_and_no_log(tmp_path: Path) -> None:
    """Most users may not read it, and most logs hold nothing of the kind."""
    assert last_xid(tmp_path) is None
    assert last_xid(write_root(tmp_path, {"dev/kmsg": "4,1,2,-;usb 1-1"})) is None
