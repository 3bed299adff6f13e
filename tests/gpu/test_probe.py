"""All sources together, each of which may break."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from colabmagic.gpu import probe
from colabmagic.gpu.facts import SourceState, TorchState
from colabmagic.gpu.sources.nvml import NvmlSource
from tests.gpu.scenarios import NODES, write_root

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def broken(*_: object, **__: object) -> None:
    """Stand for a source with a bug."""
    raise RuntimeError("bug")


def no_binding() -> None:
    """Stand for a Python without nvidia-ml-py."""
    raise ImportError


def test_broken_sources_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in every source still gives facts, and each bug is named."""
    for name in ("probe_driver", "probe_platform", "probe_torch"):
        monkeypatch.setattr(probe, name, broken)
    facts = probe.probe_all(nvml=NvmlSource(no_binding))
    assert facts.driver.state is SourceState.FAILED
    assert facts.torch.state is TorchState.UNREADABLE
    assert [failure.partition(":")[0] for failure in facts.failures] == [
        "CUDA driver",
        "files",
        "PyTorch",
    ]


def test_root_is_looked_at(tmp_path: Path) -> None:
    """The root folder of a test takes the place of the real one."""
    root = write_root(tmp_path, NODES)
    facts = probe.probe_all(sysroot=str(root), nvml=NvmlSource(no_binding))
    assert facts.platform.nvidia_nodes == ("/dev/nvidia0", "/dev/nvidiactl")
    assert facts.nvml.state is SourceState.NO_BINDING


def test_no_time_at_all() -> None:
    """A deadline of almost nothing gives a report, not an exception."""
    started = time.monotonic()
    facts = probe.probe_all(0.001, nvml=NvmlSource(no_binding))
    assert time.monotonic() - started < 2
    assert facts.host.name
