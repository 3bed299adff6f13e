"""Rules for: the GPU works, but this PyTorch does not fit it. Each is pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from colabmagic.data.tables import oldest_capability, oldest_driver
from colabmagic.gpu.facts import TorchState, Unknown
from colabmagic.gpu.rules.advice import (
    dotted,
    driver_label,
    fitting_wheel,
    install_torch,
    pip_install,
    restart,
    seen_driver,
    seen_nvml,
    seen_torch,
    torch_label,
)
from colabmagic.gpu.rules.signs import cuda_of_driver, first_capability, gpu_is_seen
from colabmagic.gpu.sources.torch_build import DAMAGED, SHADOWS
from colabmagic.host.facts import HostKind
from colabmagic.report.model import Finding, Severity

if TYPE_CHECKING:
    from colabmagic.gpu.facts import GpuFacts, Pair

_ARCH = re.compile(r"(?:sm|compute)_\d{2,3}[af]?", re.ASCII)
_MINOR_COMPATIBLE_SINCE = 11  # before CUDA 11 a driver ran no newer minor version


def torch_missing(facts: GpuFacts) -> Finding | None:
    """Notice that there is no PyTorch."""
    if facts.torch.state is not TorchState.MISSING:
        return None
    fix = (
        install_torch(facts)
        if fitting_wheel(facts)
        else (pip_install(facts, "torch"), restart(facts))
    )
    return Finding(
        code="torch-missing",
        severity=Severity.ERROR,
        title="PyTorch is not installed in this Python.",
        evidence=(f"Python {facts.host.system.python}", seen_torch(facts)),
        fix=fix,
    )


def torch_unreadable(facts: GpuFacts) -> Finding | None:
    """Notice a PyTorch whose files are damaged."""
    archs = facts.torch.archs
    is_damaged = isinstance(archs, Unknown) and archs.reason.startswith(DAMAGED)
    if facts.torch.state is not TorchState.UNREADABLE and not is_damaged:
        return None
    fix = (pip_install(facts, "--force-reinstall torch"), restart(facts))
    title = "PyTorch is there, but its files cannot be read."
    if SHADOWS in (facts.torch.reason or ""):
        title = "Something of your own stands in the place of PyTorch."
        fix = ("Rename it: `import torch` finds it first.", restart(facts))
    return Finding(
        code="torch-unreadable",
        severity=Severity.ERROR,
        title=title,
        evidence=(seen_torch(facts), *([archs.reason] if is_damaged else [])),  # type: ignore[union-attr]
        fix=fix,
    )


def forked(facts: GpuFacts) -> Finding | None:
    """Notice a process that was forked off one where CUDA was live."""
    if not facts.torch.in_bad_fork:
        return None
    return Finding(
        code="forked",
        severity=Severity.ERROR,
        title="This process was forked off one that had started CUDA, so CUDA cannot"
        " work in it.",
        evidence=("torch.cuda._is_in_bad_fork() is True", seen_torch(facts)),
        fix=(
            (
                "import torch.multiprocessing as mp; mp.set_start_method('spawn',"
                " force=True), before the processes are started."
            ),
            "Or touch CUDA only in the child processes, never before they are forked.",
        ),
    )


def cuda_minor_newer(facts: GpuFacts) -> Finding | None:
    """Notice a PyTorch for a newer minor version of CUDA than the driver's."""
    driver, torch = cuda_of_driver(facts), facts.torch.cuda
    if driver is None or not isinstance(torch, tuple) or not gpu_is_seen(facts):
        return None
    if driver[0] != torch[0] or driver >= torch or not _runs(driver, torch):
        return None
    return Finding(
        code="cuda-minor-newer",
        severity=Severity.INFO,
        title=f"PyTorch is built for CUDA {dotted(torch)}, the driver runs"
        f" {dotted(driver)}: PyTorch works all the same.",
        evidence=(seen_torch(facts), driver_label(facts)),
        fix=(
            (
                "If an extension that you compile fails (PTX, unsupported toolchain),"
                f" build it with CUDA {dotted(driver)}."
            ),
        ),
    )


def torch_cpu_build(facts: GpuFacts) -> Finding | None:
    """Notice a PyTorch without CUDA beside a GPU that works."""
    torch = facts.torch
    if torch.state is not TorchState.INSTALLED or torch.cuda or torch.hip:
        return None
    if not gpu_is_seen(facts):
        return None  # then the build is not the trouble
    return Finding(
        code="torch-cpu-build",
        severity=Severity.ERROR,
        title=f"{torch_label(facts)} was built without CUDA, so it cannot use the GPU.",
        evidence=(seen_torch(facts), driver_label(facts), seen_nvml(facts)),
        fix=install_torch(facts),
    )


def driver_too_old(facts: GpuFacts) -> Finding | None:
    """Notice a PyTorch that was built for a newer CUDA than the driver runs."""
    driver, torch = cuda_of_driver(facts), facts.torch.cuda
    if driver is None or not isinstance(torch, tuple) or _runs(driver, torch):
        return None
    oldest = oldest_driver(torch[0])
    needs = f"driver {oldest} or newer" if oldest else f"CUDA {dotted(torch)}"
    label = driver_label(facts).replace(" (", ", ").rstrip(")")
    if fitting_wheel(facts) is None and _is_outdated(facts):
        last = ""  # no driver brings its kernels back
    elif facts.host.is_managed:
        last = (
            "The driver cannot be changed here; a new session brings back the"
            " service's own PyTorch, which fits it."
        )
    elif facts.host.is_container:
        last = "Or update the driver, on the host and not in the container."
    else:
        last = f"Or update the NVIDIA driver to {oldest or 'the newest'} or newer."
    return Finding(
        code="driver-too-old",
        severity=Severity.ERROR,
        title=f"{torch_label(facts)} needs {needs}; here is {label}.",
        evidence=(driver_label(facts), seen_torch(facts), seen_driver(facts)),
        fix=(*install_torch(facts), *([last] if last else [])),
    )


def _is_outdated(facts: GpuFacts) -> bool:
    """Tell whether no PyTorch that is still offered has kernels for the GPU."""
    cc = first_capability(facts)
    return cc is not None and cc < oldest_capability()


def _runs(driver: Pair, torch: Pair) -> bool:
    """Tell whether a driver's CUDA runs a build for another."""
    if torch[0] < _MINOR_COMPATIBLE_SINCE:
        return driver >= torch
    return driver[0] >= torch[0]


def arch_too_old(facts: GpuFacts) -> Finding | None:
    """Notice a GPU that this PyTorch no longer has kernels for."""
    return _arch(facts, "arch-too-old", is_older=True)


def arch_too_new(facts: GpuFacts) -> Finding | None:
    """Notice a GPU that this PyTorch does not have kernels for yet."""
    return _arch(facts, "arch-too-new", is_older=False)


def _arch(facts: GpuFacts, code: str, *, is_older: bool) -> Finding | None:
    """Compare the GPU with the kernels in the build."""
    cc, archs = first_capability(facts), facts.torch.archs
    if cc is None or isinstance(archs, Unknown):
        return None
    known = [arch for arch in archs if _ARCH.fullmatch(arch)]
    if not known or any(_covers(arch, cc) for arch in known):
        return None
    if (cc < min(map(_numbers, known))) is not is_older:
        return None
    switch = {
        HostKind.KAGGLE: ("Or Settings > Accelerator > GPU T4 x2.",),
        HostKind.COLAB: ("Or Runtime > Change runtime type, another GPU.",),
    }.get(facts.host.kind, ())
    return Finding(
        code=code,
        severity=Severity.ERROR,
        title=f"{torch_label(facts)} has no kernels for this GPU (compute capability"
        f" {dotted(cc)}); torch.cuda.is_available() says True all the same.",
        evidence=(f"kernels for: {' '.join(archs)}", driver_label(facts)),
        fix=(*install_torch(facts), *switch),
    )


def _numbers(arch: str) -> Pair:
    """Return ``(7, 5)`` for ``sm_75`` and ``(10, 0)`` for ``sm_100a``."""
    digits = arch.partition("_")[2].rstrip("af")
    return int(digits[:-1]), int(digits[-1])


def _covers(arch: str, cc: Pair) -> bool:
    """Tell whether kernels of an architecture run on a GPU."""
    numbers = _numbers(arch)
    if arch.startswith("compute_"):  # PTX is compiled for any newer GPU
        return numbers <= cc
    return numbers[0] == cc[0] and numbers <= cc
