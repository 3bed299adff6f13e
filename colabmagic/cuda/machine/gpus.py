"""Ask which GPUs and which driver are here, without initialising CUDA."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.machine.facts import Gpu
from colabmagic.gpu.facts import SourceState
from colabmagic.host.system import read_text
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.cuda.machine.facts import Pair
    from colabmagic.gpu.facts import NvmlFacts
    from colabmagic.gpu.sources.nvml import NvmlSource
    from colabmagic.host.command import CommandOutcome

_QUERY: Final = "--query-gpu=name,compute_cap,driver_version"
_CUDA: Final = re.compile(r"CUDA Version:\s*(\d+)\.(\d+)")
_MODULE: Final = re.compile(r"Module(?: for \w+)?\s+(\d+(?:\.\d+)+)")
_ASK_S: Final = 3.0
_NOT_TOLD: Final = Unknown("the driver does not tell")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpusHere:
    """What is known of the driver and its GPUs; the fields are those of the facts."""

    gpus: tuple[Gpu, ...] = ()
    driver: str | Unknown | None = None
    driver_cuda: Pair | Unknown | None = None


def find_gpus(
    until: float,
    sysroot: Path,
    nvml: NvmlSource,
    run: Callable[..., CommandOutcome],
) -> GpusHere:
    """Return the driver's answer, which `nvml` has been asked for already.

    Parameters
    ----------
    until
        A time of ``time.monotonic``.
    sysroot
        The root of the file system.
    nvml
        NVML; where its Python package is missing, ``nvidia-smi`` is asked.
    run
        Runs it.
    """
    facts = nvml.finish(until)
    if facts.state is SourceState.OK:
        return _answered(facts)
    if facts.state is SourceState.NO_LIBRARY:
        return GpusHere()  # a CPU runtime, or a container without its GPU
    if facts.state is SourceState.NO_BINDING:
        return _without_binding(sysroot, run, max(0.1, until - time.monotonic()))
    reason = Unknown(facts.reason or "NVML does not answer")
    return GpusHere(driver=reason, driver_cuda=reason)


def _answered(facts: NvmlFacts) -> GpusHere:
    """Return what NVML says."""
    gpus = []
    for device in facts.devices:
        name = "GPU" if isinstance(device.name, Unknown) else device.name
        gpus.append(Gpu(name=name, capability=device.compute_capability))
    return GpusHere(
        gpus=tuple(gpus), driver=facts.driver_version, driver_cuda=facts.cuda_version
    )


def _without_binding(
    sysroot: Path, run: Callable[..., CommandOutcome], left_s: float
) -> GpusHere:
    """Return what the kernel module and ``nvidia-smi`` tell."""
    text = read_text(sysroot / "proc/driver/nvidia/version") or ""
    found = _MODULE.search(text)
    module = found[1] if found else read_text(sysroot / "sys/module/nvidia/version")
    has_dxg = (sysroot / "dev/dxg").exists()
    if module is None and not has_dxg:
        return GpusHere()
    argv = ["nvidia-smi", _QUERY, "--format=csv,noheader"]
    outcome = run(argv, timeout_s=min(_ASK_S, left_s))
    if not outcome.ok:
        return GpusHere(driver=module or _NOT_TOLD, driver_cuda=_NOT_TOLD)
    gpus = []
    for line in outcome.stdout.splitlines():
        name, _, rest = line.partition(",")
        capability, _, version = rest.partition(",")
        if version.strip():
            gpus.append(Gpu(name=name.strip(), capability=_pair(capability)))
            module = module or version.strip()
    return GpusHere(
        gpus=tuple(gpus),
        driver=module or _NOT_TOLD,
        driver_cuda=_newest_cuda(run, left_s),
    )


def _newest_cuda(run: Callable[..., CommandOutcome], left_s: float) -> Pair | Unknown:
    """Return the CUDA version in the head of nvidia-smi's table."""
    outcome = run(["nvidia-smi"], timeout_s=min(_ASK_S, left_s))
    found = _CUDA.search(outcome.stdout)
    return (int(found[1]), int(found[2])) if found else _NOT_TOLD


def _pair(text: str) -> Pair | Unknown:
    """Return ``(7, 5)`` of ``7.5``."""
    found = re.fullmatch(r"\s*(\d+)\.(\d+)\s*", text)
    return (int(found[1]), int(found[2])) if found else _NOT_TOLD
