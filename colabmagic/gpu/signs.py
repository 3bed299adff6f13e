"""What the facts mean, asked by many rules: no words, no advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.gpu.facts import SourceState, Unknown

if TYPE_CHECKING:
    from colabmagic.gpu.facts import GpuFacts, Pair

# Nothing of NVIDIA's is installed, as far as this source can tell.
SILENT = frozenset(
    {SourceState.NO_LIBRARY, SourceState.NO_BINDING, SourceState.NOT_ASKED}
)


def gpu_is_seen(facts: GpuFacts) -> bool:
    """Tell whether the driver lists a GPU, through either of its libraries."""
    return bool(facts.nvml.devices or facts.driver.devices)


def cuda_of_driver(facts: GpuFacts) -> Pair | None:
    """Return the newest CUDA that the driver runs, as PyTorch would be told."""
    for version in (facts.driver.cuda_version, facts.nvml.cuda_version):
        if not isinstance(version, Unknown):
            return version
    return None


def first_capability(facts: GpuFacts) -> Pair | None:
    """Return the compute capability of the GPU that ``cuda:0`` would be."""
    found = [one.compute_capability for one in facts.driver.devices]
    found += [one.compute_capability for one in facts.nvml.devices]
    return next((cc for cc in found if not isinstance(cc, Unknown)), None)


def is_bare(facts: GpuFacts) -> bool:
    """Tell whether nothing of an NVIDIA GPU reaches this machine."""
    refused = {SourceState.REFUSED, SourceState.HUNG}
    return (
        not gpu_is_seen(facts)
        and not facts.platform.nvidia_nodes
        and facts.nvml.state not in refused
    )


def has_card(facts: GpuFacts) -> bool:
    """Tell whether an NVIDIA card sits on the PCI bus."""
    count = facts.platform.pci_nvidia_count
    return not isinstance(count, Unknown) and count > 0


def refused_with(facts: GpuFacts, code: int) -> bool:
    """Tell whether NVML as a whole answered with this code."""
    return facts.nvml.state is SourceState.REFUSED and facts.nvml.code == code
