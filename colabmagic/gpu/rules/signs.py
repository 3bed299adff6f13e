"""What the facts mean, asked by many rules: no words, no advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.gpu.facts import Owner, SourceState, Unknown

if TYPE_CHECKING:
    from colabmagic.gpu.facts import CudaDevice, DeviceFacts, GpuFacts, Pair

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


def same_card(listed: DeviceFacts, device: CudaDevice) -> bool:
    """Tell whether NVML and CUDA, which number in different ways, mean one card."""
    ids = (listed.pci_bus_id, device.pci_bus_id)
    if isinstance(ids[0], Unknown) or isinstance(ids[1], Unknown):
        return False
    # NVML writes the PCI domain with eight digits, CUDA with four.
    return ids[0].lower().lstrip("0") == ids[1].lower().lstrip("0")


def visible_devices(facts: GpuFacts) -> tuple[DeviceFacts, ...]:
    """Return the GPUs that CUDA shows to this process; all, where it does not tell."""
    shown = tuple(
        listed
        for listed in facts.nvml.devices
        if any(same_card(listed, device) for device in facts.driver.devices)
    )
    return shown or facts.nvml.devices


def hidden_devices(facts: GpuFacts) -> tuple[DeviceFacts, ...]:
    """Return the GPUs that a variable hides from this process.

    A GPU that answers with an error, or is cut into instances, may be missing in CUDA's
    list for that alone.
    """
    shown = facts.driver.devices
    if facts.platform.cuda_visible_devices is None or not shown:
        return ()
    places = [one.pci_bus_id for one in shown]
    places += [one.pci_bus_id for one in facts.nvml.devices]
    if any(isinstance(place, Unknown) for place in places):
        return ()
    return tuple(
        listed
        for listed in facts.nvml.devices
        if listed.error is None
        and listed.mig_enabled is not True
        and not any(same_card(listed, device) for device in shown)
    )


def is_blocked(device: DeviceFacts) -> bool:
    """Tell whether a GPU takes no other process now."""
    if device.compute_mode == "prohibited":
        return True
    if isinstance(device.compute_mode, Unknown) or "exclusive" not in (
        device.compute_mode
    ):
        return False
    if isinstance(device.processes, Unknown):
        return False
    owners = {process.owner for process in device.processes}
    return bool(owners) and Owner.KERNEL not in owners


def blocked_devices(facts: GpuFacts) -> tuple[DeviceFacts, ...]:
    """Return the GPUs that are visible here and take no other process now."""
    return tuple(filter(is_blocked, visible_devices(facts)))
