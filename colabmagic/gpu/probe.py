"""Ask all sources about GPUs, side by side, within one deadline."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from colabmagic.gpu.facts import (
    DriverFacts,
    FrameworkFacts,
    GpuFacts,
    NvmlFacts,
    PlatformFacts,
    SourceState,
    TorchFacts,
    TorchState,
    Unknown,
)
from colabmagic.gpu.sources.driver import DriverFork, probe_driver
from colabmagic.gpu.sources.frameworks import probe_frameworks
from colabmagic.gpu.sources.nvml import SOURCE
from colabmagic.gpu.sources.owners import lives_under, with_owners
from colabmagic.gpu.sources.platform_files import probe_platform
from colabmagic.gpu.sources.torch_build import probe_torch
from colabmagic.host.detect import detect

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.sources.nvml import NvmlSource
    from colabmagic.host.facts import HostFacts

Facts = TypeVar("Facts")

DEADLINE_S = 3.0
LONGEST_S = 3600
_SPARE_S = 0.3  # for killing the child and writing the report


def probe_all(
    deadline_s: float = DEADLINE_S,
    *,
    sysroot: str = "/",
    nvml: NvmlSource = SOURCE,
    all_fields: bool = False,
    is_alone: bool = False,
) -> GpuFacts:
    """Return all that can be known in `deadline_s` seconds; never raises.

    NVML answers in its thread and the CUDA driver in its process while the files
    are read here.

    Parameters
    ----------
    deadline_s
        After so many seconds there is an answer, whatever the driver does.
    sysroot
        The root of the file system.
    nvml
        Where NVML is asked.
    all_fields
        Whether NVML is asked for every field.
    is_alone
        Whether nothing else runs in this process: a fork of it may try CUDA then.
    """
    until = time.monotonic() + max(0.0, deadline_s - min(_SPARE_S, deadline_s / 2))
    root = Path(sysroot)
    forked = DriverFork() if is_alone else None
    try:
        return _probe(until, root, nvml, forked, all_fields=all_fields)
    finally:
        if forked is not None:
            forked.close()  # after an interrupt it is still there


def _probe(
    until: float,
    root: Path,
    nvml: NvmlSource,
    forked: DriverFork | None,
    *,
    all_fields: bool,
) -> GpuFacts:
    """Ask all sources."""
    failures: list[str] = []

    def guard(source: str, ask: Callable[[], Facts], fallback: Facts) -> Facts:
        """Return what a source says, or `fallback` when it breaks."""
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 (the border of each source)
            failures.append(f"{source}: {type(error).__name__}: {error}")
            return fallback

    if forked is not None:
        guard("CUDA driver", forked.start, None)
    wants_nvml = sys.platform != "darwin"
    if wants_nvml:
        guard("NVML", lambda: nvml.start(until, all_fields=all_fields), None)
    if forked is None:
        driver = guard("CUDA driver", lambda: _ask_driver(until), _NO_DRIVER)
    platform = guard("files", lambda: probe_platform(os.environ, root), _NO_PLATFORM)
    torch = guard("PyTorch", lambda: probe_torch(sys.modules), _NO_TORCH)
    frameworks = guard(
        "frameworks", lambda: probe_frameworks(sys.modules), _NO_FRAMEWORKS
    )
    host = detect(sysroot=root)
    if forked is not None:
        ask = forked.finish
        driver = guard("CUDA driver", lambda: ask(_left(until)), _NO_DRIVER)
    devices = _NVML_NOT_ASKED
    if wants_nvml:
        devices = guard("NVML", lambda: nvml.finish(until), _NO_NVML)
        devices = guard("processes", lambda: _owned(devices, host, root), devices)
    if any(device.error is not None for device in devices.devices):
        from colabmagic.gpu.sources.kernel_log import last_xid  # noqa: PLC0415 (rare)

        xid = guard("system log", lambda: last_xid(root), None)
        platform = replace(platform, xid=xid)
    return GpuFacts(
        host=host,
        platform=platform,
        nvml=devices,
        driver=driver,
        torch=torch,
        frameworks=frameworks,
        failures=tuple(failures),
    )


def _ask_driver(until: float) -> DriverFacts:
    """Ask the driver in the time that is left."""
    return probe_driver(_left(until))


def _left(until: float) -> float:
    """Return the seconds that are left."""
    return max(0.0, until - time.monotonic())


def _owned(nvml: NvmlFacts, host: HostFacts, root: Path) -> NvmlFacts:
    """Find out whose processes the GPUs serve."""
    return with_owners(
        nvml,
        is_alive=lives_under(root / "proc"),
        in_container=host.system.container is not None,
    )


_BROKE = "asking broke"
_NO_DRIVER = DriverFacts(state=SourceState.FAILED, reason=_BROKE)
_NO_NVML = NvmlFacts(state=SourceState.FAILED, reason=_BROKE)
_NVML_NOT_ASKED = NvmlFacts(
    state=SourceState.NOT_ASKED, reason="there is no NVIDIA driver for macOS"
)
_NO_FRAMEWORKS: tuple[FrameworkFacts, ...] = ()
_NO_TORCH = TorchFacts(state=TorchState.UNREADABLE, reason=_BROKE)
_NO_PLATFORM = PlatformFacts(
    nvidia_nodes=(),
    nodes_writable=True,
    kernel_module_version=None,
    pci_nvidia_count=Unknown(_BROKE),
    has_dxg=False,
    has_kfd=False,
    tpu_signs=(),
    cuda_visible_devices=None,
    ld_library_path=None,
)
