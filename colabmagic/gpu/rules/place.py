"""Rules for: the place offers no NVIDIA GPU. Each is pure; its code is its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.gpu.facts import SourceState, TorchState, Unknown
from colabmagic.gpu.rules.advice import (
    pip_install,
    restart,
    seen_driver,
    seen_host,
    seen_nodes,
    seen_nvml,
    seen_torch,
)
from colabmagic.gpu.rules.signs import SILENT, gpu_is_seen, has_card, is_bare
from colabmagic.host.facts import HostKind
from colabmagic.report.model import Finding, Severity

if TYPE_CHECKING:
    from colabmagic.gpu.facts import GpuFacts

CUDA_NO_DEVICE = 100


def tpu_runtime(facts: GpuFacts) -> Finding | None:
    """Notice a TPU machine: CUDA never works there."""
    if not facts.platform.tpu_signs or gpu_is_seen(facts):
        return None
    kind = f" ({facts.platform.tpu_name})" if facts.platform.tpu_name else ""
    change = (
        ("For a GPU: Runtime > Change runtime type > T4 GPU.",)
        if facts.host.kind is HostKind.COLAB
        else ("For a GPU: choose another accelerator.",)
    )
    return Finding(
        code="tpu-runtime",
        severity=Severity.ERROR,
        title=f"This machine has a TPU{kind}; CUDA never works here.",
        evidence=(", ".join(facts.platform.tpu_signs), seen_nodes(facts)),
        fix=(*change, "To use the TPU from PyTorch: torch_xla."),
    )


def colab_cpu_runtime(facts: GpuFacts) -> Finding | None:
    """Notice Colab without a GPU; reinstalling PyTorch there would be in vain."""
    if facts.host.kind is not HostKind.COLAB or not is_bare(facts):
        return None
    return Finding(
        code="colab-cpu-runtime",
        severity=Severity.ERROR,
        title="This Colab runtime has no GPU.",
        evidence=(seen_host(facts), seen_nodes(facts), seen_torch(facts)),
        fix=(
            (
                "Runtime > Change runtime type > T4 GPU, then run all cells again"
                " (variables are lost)."
            ),
        ),
    )


def colab_quota(facts: GpuFacts) -> Finding | None:
    """Say what Colab's own message means; from inside the quota is invisible."""
    if colab_cpu_runtime(facts) is None or tpu_runtime(facts) is not None:
        return None
    return Finding(
        code="colab-quota",
        severity=Severity.INFO,
        title='If Colab says "Cannot connect to GPU backend", your quota is used up.',
        evidence=("a quota cannot be seen from inside the runtime",),
        fix=("Wait (people report a day or more), use Kaggle, or pay as you go.",),
    )


def kaggle_no_accel(facts: GpuFacts) -> Finding | None:
    """Notice Kaggle without an accelerator."""
    if facts.host.kind is not HostKind.KAGGLE or not is_bare(facts):
        return None
    return Finding(
        code="kaggle-no-accel",
        severity=Severity.ERROR,
        title="This Kaggle session has no accelerator.",
        evidence=(seen_host(facts), seen_nodes(facts), seen_torch(facts)),
        fix=(
            (
                "Settings > Accelerator > GPU T4 x2, then run all cells again"
                " (variables are lost)."
            ),
        ),
    )


def mps(facts: GpuFacts) -> Finding | None:
    """Notice an Apple GPU."""
    system = facts.host.system
    if system.os != "Darwin" or system.machine != "arm64":
        return None
    return Finding(
        code="mps",
        severity=Severity.INFO,
        title="This Mac's GPU is used through device 'mps'; there is no CUDA on macOS.",
        evidence=(f"{system.os_name}, {system.machine}",),
        fix=("Write 'mps' where a notebook says 'cuda'.",),
    )


def rocm(facts: GpuFacts) -> Finding | None:
    """Notice an AMD GPU, and a PyTorch that cannot use it."""
    if not facts.platform.has_kfd or gpu_is_seen(facts):
        return None
    if facts.torch.hip and not isinstance(facts.torch.hip, Unknown):
        return Finding(
            code="rocm",
            severity=Severity.INFO,
            title="AMD GPU: PyTorch's ROCm build uses it under the name 'cuda'.",
            evidence=("/dev/kfd", seen_torch(facts)),
        )
    if facts.torch.state is TorchState.MISSING:
        return None
    return Finding(
        code="rocm",
        severity=Severity.ERROR,
        title="AMD GPU: it needs PyTorch's ROCm build, and this is another.",
        evidence=("/dev/kfd", seen_torch(facts)),
        fix=(
            (
                "Choose ROCm in the selector of PyTorch's installation page and run"
                " the command that it shows."
            ),
            restart(facts),
        ),
    )


def xpu(facts: GpuFacts) -> Finding | None:
    """Notice an Intel GPU that PyTorch could use, and whether it can."""
    cards = [one for one in facts.platform.cards if one.maker == "Intel"]
    if not cards or gpu_is_seen(facts) or facts.platform.has_kfd:
        return None
    evidence = (*(f"Intel GPU, kernel driver {one.driver}" for one in cards),)
    if facts.torch.is_xpu:
        return Finding(
            code="xpu",
            severity=Severity.INFO,
            title="Intel GPU: this PyTorch uses it as device 'xpu'.",
            evidence=(*evidence, seen_torch(facts)),
            fix=("Write 'xpu' where a notebook says 'cuda'.",),
        )
    # Most processors bring an Intel GPU; only the newer kind is worth a build.
    if facts.torch.state is not TorchState.INSTALLED or all(
        one.driver != "xe" for one in cards
    ):
        return None
    return Finding(
        code="xpu",
        severity=Severity.ERROR,
        title="Intel GPU: it needs PyTorch's XPU build, and this is another.",
        evidence=(*evidence, seen_torch(facts)),
        fix=(
            pip_install(
                facts,
                "--force-reinstall torch -i https://download.pytorch.org/whl/xpu",
            ),
            restart(facts),
        ),
    )


def container_no_gpus(facts: GpuFacts) -> Finding | None:
    """Notice a container that was started without GPUs."""
    if not facts.host.is_container or not is_bare(facts):
        return None
    if facts.driver.state not in SILENT:
        return None
    host = (
        "the host has an NVIDIA card (PCI)"
        if has_card(facts) or facts.platform.kernel_module_version
        else "whether the host has a GPU cannot be seen from here"
    )
    return Finding(
        code="container-no-gpus",
        severity=Severity.ERROR,
        title="This container has no GPU.",
        evidence=(
            f"container: {facts.host.system.container}",
            seen_nodes(facts),
            seen_driver(facts),
            host,
        ),
        fix=(
            (
                "If the host has an NVIDIA GPU, start the container with --gpus all"
                " (needs nvidia-container-toolkit on the host)."
            ),
        ),
    )


def no_gpu(facts: GpuFacts) -> Finding | None:
    """Notice a machine of one's own without a GPU for PyTorch."""
    if gpu_is_seen(facts) or facts.platform.has_kfd:
        return None
    driver_knows_none = facts.nvml.state is SourceState.OK
    cuda_knows_none = (
        facts.driver.state in SILENT or facts.driver.code == CUDA_NO_DEVICE
    )
    if not driver_knows_none and not (is_bare(facts) and cuda_knows_none):
        return None
    return Finding(
        code="no-gpu",
        severity=Severity.ERROR,
        title="This machine shows no GPU that PyTorch could use.",
        evidence=(seen_nvml(facts), seen_driver(facts), seen_nodes(facts)),
        fix=(
            (
                "Go on with device='cpu', or use a machine with a GPU"
                " (Colab and Kaggle lend some for free)."
            ),
        ),
    )
