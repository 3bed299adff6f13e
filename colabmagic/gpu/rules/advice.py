"""Words that several rules share: what was seen, and commands right for the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.data.tables import best_wheel, oldest_capability
from colabmagic.gpu.facts import GpuFacts, Pair, SourceState, Unknown
from colabmagic.gpu.rules.signs import cuda_of_driver, first_capability
from colabmagic.host.facts import HostKind

if TYPE_CHECKING:
    from colabmagic.data.tables import TorchWheel

_GIB = 2**30
NEW_RUNTIME = {
    HostKind.COLAB: "Runtime > Disconnect and delete runtime, then connect again.",
    HostKind.KAGGLE: "Stop the session (power button), then start it again.",
}


def mend(facts: GpuFacts, own: str) -> str:
    """Return what mends a driver, right for the place.

    Parameters
    ----------
    own
        What to do on a machine of one's own, in the imperative.
    """
    if facts.host.is_managed:
        return NEW_RUNTIME.get(facts.host.kind, "Stop the machine and start it again.")
    if facts.host.is_container:
        return f"On the host, not in this container: {own}"
    return own[:1].upper() + own[1:]


def gib(size_bytes: int | Unknown) -> str:
    """Return a size in words."""
    return (
        "unknown" if isinstance(size_bytes, Unknown) else f"{size_bytes / _GIB:.1f} GiB"
    )


def dotted(pair: Pair | Unknown | None) -> str:
    """Return ``12.4`` for a pair of numbers."""
    return f"{pair[0]}.{pair[1]}" if isinstance(pair, tuple) else "unknown"


def torch_label(facts: GpuFacts) -> str:
    """Name the installed PyTorch."""
    version = facts.torch.version
    return "torch" if isinstance(version, Unknown) else f"torch {version}"


def driver_label(facts: GpuFacts) -> str:
    """Name the driver and the CUDA it supports."""
    version = facts.nvml.driver_version
    name = (
        facts.platform.kernel_module_version
        if isinstance(version, Unknown)
        else version
    )
    cuda = cuda_of_driver(facts)
    supports = f" (CUDA {dotted(cuda)})" if cuda else ""
    return f"driver {name or 'of unknown version'}{supports}"


def seen_nodes(facts: GpuFacts) -> str:
    """Say which device nodes exist."""
    nodes = facts.platform.nvidia_nodes
    return ", ".join(nodes) if nodes else "no /dev/nvidia* device"


def seen_nvml(facts: GpuFacts) -> str:
    """Say what NVML answered."""
    nvml = facts.nvml
    if nvml.state is SourceState.OK:
        return (
            f"NVML lists {len(nvml.devices)} GPU{'' if len(nvml.devices) == 1 else 's'}"
        )
    code = "" if nvml.code is None else f" (code {nvml.code})"
    return f"NVML: {nvml.reason}{code}"


def seen_driver(facts: GpuFacts) -> str:
    """Say what the CUDA driver answered."""
    driver = facts.driver
    if driver.state is SourceState.OK:
        return f"CUDA driver: cuInit is fine, {len(driver.devices)} visible"
    path = driver.library_path
    where = "" if isinstance(path, Unknown) else f", library {path}"
    return f"CUDA driver: {driver.reason}{where}"


def seen_torch(facts: GpuFacts) -> str:
    """Say how PyTorch was built."""
    torch = facts.torch
    if isinstance(torch.version, Unknown):
        return f"PyTorch: {torch.reason}"
    if torch.cuda:
        return f"{torch_label(facts)}, built for CUDA {dotted(torch.cuda)}"
    return f"{torch_label(facts)}, built {'for ROCm' if torch.hip else 'without CUDA'}"


def seen_host(facts: GpuFacts) -> str:
    """Say where this runs, and how that was recognised."""
    evidence = ", ".join(facts.host.evidence)
    return f"{facts.host.name} ({evidence})" if evidence else facts.host.name


def restart(facts: GpuFacts) -> str:
    """Say how to restart what runs the code."""
    return {
        HostKind.COLAB: "Then Runtime > Restart session.",
        HostKind.KAGGLE: "Then Run > Restart & clear cell outputs.",
        HostKind.PLAIN: "Then start Python again.",
    }.get(facts.host.kind, "Then restart the kernel.")


def pip_install(facts: GpuFacts, arguments: str) -> str:
    """Return the command that installs into the running Python."""
    if facts.host.kind is HostKind.PLAIN:
        return f"pip install {arguments}"
    return f"%pip install {arguments}"


def fitting_wheel(facts: GpuFacts) -> TorchWheel | None:
    """Return the PyTorch builds for this driver and this GPU."""
    cuda = cuda_of_driver(facts)
    if cuda is None:
        return None
    return best_wheel(cuda[0], first_capability(facts))


def install_torch(facts: GpuFacts) -> tuple[str, ...]:
    """Return the steps that bring a PyTorch which fits driver and GPU."""
    wheel = fitting_wheel(facts)
    if wheel is None:
        cc = first_capability(facts)
        if cc is not None and cc < oldest_capability():
            outdated = (
                f"This GPU (compute capability {dotted(cc)}) is too old for every"
                " PyTorch build that is still offered: use another GPU, or"
                " device='cpu'."
            )
            return (outdated,)
        return ("No PyTorch build fits this driver and this GPU: update the driver.",)
    index = f"https://download.pytorch.org/whl/{wheel.wheel}"
    return (
        pip_install(facts, f"--force-reinstall torch -i {index}"),
        restart(facts),
    )
