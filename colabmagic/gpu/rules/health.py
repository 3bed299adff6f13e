"""Rules for: the GPU works, but not as it should. Each is pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.gpu.facts import Owner, SourceState, Unknown
from colabmagic.gpu.rules.advice import NEW_RUNTIME, gib, mend, seen_driver
from colabmagic.gpu.rules.signs import blocked_devices, visible_devices
from colabmagic.report.model import Finding, Severity

if TYPE_CHECKING:
    from colabmagic.gpu.facts import DeviceFacts, GpuFacts

BUSY_PERCENT: Final = 50
# NVML's bits; 0x1 is an idle GPU, 0x2 clocks that somebody set.
POWER_CAP: Final = 0x4
THROTTLE_WORDS: Final = {
    0x4: "power limit reached",
    0x8: "slowed down by the hardware",
    0x10: "waits for another GPU of its group",
    0x20: "hot: slowed down by the driver",
    0x40: "hot: slowed down by the hardware",
    0x80: "the power supply asks for less",
    0x100: "clocks limited for a display",
}
_HARMLESS: Final = 0x1 | 0x2 | 0x10 | 0x100


def throttle_words(mask: int) -> str:
    """Return why clocks are lower, in words; empty where it is no reason for worry."""
    return "; ".join(
        words
        for bit, words in THROTTLE_WORDS.items()
        if mask & bit and not bit & _HARMLESS
    )


def is_busy(device: DeviceFacts) -> bool:
    """Tell whether a GPU works now: an idle one saves power in many ways."""
    use = device.utilization_percent
    return not isinstance(use, Unknown) and use > BUSY_PERCENT


def throttle(facts: GpuFacts) -> Finding | None:
    """Notice GPUs that are slower than they could be, while they work."""
    slowed = []
    masks = 0
    for device in facts.nvml.devices:
        mask = device.throttle_mask
        if isinstance(mask, Unknown) or not is_busy(device) or not throttle_words(mask):
            continue
        slowed.append(device)
        masks |= mask
    if not slowed:
        return None
    names = ", ".join(str(one.index) for one in slowed)
    only_power = not any(
        masks & bit
        for bit in THROTTLE_WORDS
        if bit != POWER_CAP and not bit & _HARMLESS
    )
    managed = facts.host.is_managed
    fix = "Better cooling helps; in the cloud, another runtime."
    if only_power:
        fix = "This is normal under full load."
    elif managed:
        fix = "You may get a cooler one: " + NEW_RUNTIME.get(
            facts.host.kind, "stop the machine and start it again."
        )
    return Finding(
        code="throttle",
        severity=Severity.INFO if only_power else Severity.WARN,
        title=f"GPU {names} runs slower than it could: "
        + ("it draws all the power it may." if only_power else "it is slowed down."),
        evidence=tuple(_slowed(device) for device in slowed),
        fix=(fix,),
    )


def _slowed(device: DeviceFacts) -> str:
    """Say what slows a GPU down."""
    assert not isinstance(device.throttle_mask, Unknown)
    parts = [throttle_words(device.throttle_mask)]
    if not isinstance(device.temperature_c, Unknown):
        parts.append(f"{device.temperature_c} °C")
    clocks = (device.clock_sm_mhz, device.clock_sm_max_mhz)
    if not any(isinstance(each, Unknown) for each in clocks):
        parts.append(f"clock {clocks[0]} of {clocks[1]} MHz")
    return f"GPU {device.index}: " + ", ".join(parts)


def pcie_narrow(facts: GpuFacts) -> Finding | None:
    """Notice a slow link to the GPU; idle ones switch down, which means nothing."""
    narrow = []
    for device in facts.nvml.devices:
        now = (device.pcie_generation, device.pcie_width)
        most = (device.pcie_generation_max, device.pcie_width_max)
        if any(isinstance(each, Unknown) for each in (*now, *most)):
            continue
        slower = now[0] < most[0] or now[1] < most[1]  # type: ignore[operator]
        if is_busy(device) and slower:
            narrow.append(
                f"GPU {device.index}: PCIe generation {now[0]} x{now[1]},"
                f" of {most[0]} x{most[1]}"
            )
    if not narrow:
        return None
    return Finding(
        code="pcie-narrow",
        severity=Severity.INFO,
        title="The link to the GPU is narrower than the GPU allows: copies take longer.",
        evidence=tuple(narrow),
        fix=("Use a DataLoader with num_workers and pin_memory=True to hide it.",),
    )


def ecc_bad(facts: GpuFacts) -> Finding | None:
    """Notice GPUs whose memory has failed."""
    bad = {
        device.index: words
        for device in facts.nvml.devices
        if (words := _memory_faults(device))
    }
    if not bad:
        return None
    names = ", ".join(map(str, bad))
    own = (
        f"sudo nvidia-smi --gpu-reset -i {next(iter(bad))} (nothing may use it), or"
        " reboot; if it comes back, the card is broken."
    )
    return Finding(
        code="ecc-bad",
        severity=Severity.WARN,
        title=f"The memory of GPU {names} has failed; results may be wrong.",
        evidence=tuple(f"GPU {index}: {words}" for index, words in bad.items()),
        fix=(
            ("Get another GPU: " if facts.host.is_managed else "") + mend(facts, own),
        ),
    )


def _memory_faults(device: DeviceFacts) -> str:
    """Say what is wrong with a GPU's memory."""
    parts = []
    errors, rows = device.ecc_uncorrected, device.remapped_rows
    if not isinstance(errors, Unknown) and errors > 0:
        parts.append(f"{errors} uncorrected ECC errors")
    if not isinstance(rows, Unknown) and rows.failed:
        parts.append("a row of memory could not be replaced")
    if not isinstance(rows, Unknown) and rows.pending:
        parts.append("a row of memory waits for a reset to be replaced")
    if device.retired_pages_pending is True:
        parts.append("pages of memory wait for a reset to be retired")
    return ", ".join(parts)


def exclusive_busy(facts: GpuFacts) -> Finding | None:
    """Notice GPUs that are reserved for one process, which is another one."""
    blocked = blocked_devices(facts)
    if not blocked or facts.driver.state not in {SourceState.OK, SourceState.FAILED}:
        return None
    visible = visible_devices(facts)
    is_all = all(any(one is each for one in blocked) for each in visible)
    names = ", ".join(str(one.index) for one in blocked)
    taken = [pid for one in blocked for pid in _pids(one)]
    if taken:
        reason = "is in exclusive mode and taken by another process"
        listed = ", ".join(f"pid {pid}" for pid in taken)
        fix = f"End that process ({listed}), or let several in: sudo nvidia-smi -c 0"
    else:
        reason = "is in prohibited mode: no process may compute on it"
        fix = "sudo nvidia-smi -c 0"
    return Finding(
        code="exclusive-busy",
        severity=Severity.ERROR if is_all else Severity.WARN,
        title=f"GPU {names} {reason}.",
        evidence=(
            *(
                f"GPU {one.index}: compute mode '{one.compute_mode}'"
                + "".join(f", used by pid {pid}" for pid in _pids(one))
                for one in blocked
            ),
            seen_driver(facts),
        ),
        fix=(fix,),
    )


def _pids(device: DeviceFacts) -> list[int]:
    """Return the processes of others on a GPU."""
    if isinstance(device.processes, Unknown):
        return []
    return [one.pid for one in device.processes if one.owner is not Owner.KERNEL]


def mig_without_instances(facts: GpuFacts) -> Finding | None:
    """Notice GPUs that are to be cut into instances, and nobody has."""
    empty = [
        device
        for device in facts.nvml.devices
        if device.mig_enabled is True and device.mig_devices == ()
    ]
    if not empty or facts.driver.devices or len(empty) < len(facts.nvml.devices):
        return None
    return Finding(
        code="mig",
        severity=Severity.ERROR,
        title="MIG is on, but the GPU has no instances: CUDA sees nothing.",
        evidence=(
            *(f"GPU {device.index}: MIG on, 0 instances" for device in empty),
            seen_driver(facts),
        ),
        fix=(
            (
                "sudo nvidia-smi mig -cgi 0 -C (one instance of the whole GPU; the"
                " list: nvidia-smi mig -lgip)"
            ),
            "Or switch MIG off: sudo nvidia-smi -mig 0",
        ),
    )


def mig(facts: GpuFacts) -> Finding | None:
    """Notice GPUs that are cut into instances: a process gets one of them."""
    cut = [device for device in facts.nvml.devices if device.mig_enabled is True]
    if not cut or mig_without_instances(facts) is not None:
        return None
    evidence = []
    for device in cut:
        parts = () if isinstance(device.mig_devices, Unknown) else device.mig_devices
        sizes = [
            f"{_profile(part.name)}, {gib(part.memory_total_bytes)}" for part in parts
        ]
        listed = "; ".join(sizes) or "no instances listed"
        evidence.append(f"GPU {device.index}: {listed}")
    return Finding(
        code="mig",
        severity=Severity.INFO,
        title="MIG is on: a process sees one instance, also if there are more.",
        evidence=tuple(evidence),
        fix=(
            (
                "For another instance, before CUDA starts: set CUDA_VISIBLE_DEVICES to"
                " its MIG-… name (nvidia-smi -L). Training on several instances at"
                " once does not work."
            ),
        ),
    )


def _profile(name: str | Unknown) -> str:
    """Return ``1g.5gb`` out of the name of an instance."""
    if isinstance(name, Unknown):
        return "instance"
    return name.rpartition("MIG ")[2] or name


def mem_held(facts: GpuFacts) -> Finding | None:
    """Notice GPUs whose memory is mostly taken, and by whom."""
    full = [device for device in facts.nvml.devices if is_full(device)]
    if not full:
        return None
    names = ", ".join(str(one.index) for one in full)
    return Finding(
        code="mem-held",
        severity=Severity.WARN,
        title=f"Most memory of GPU {names} is taken.",
        evidence=tuple(line for one in full for line in _holders(one)),
        fix=_release(facts, full),
    )


_LITTLE_BYTES: Final = 2**30
_MUCH_USED: Final = 0.8
_MOST_HOLDERS: Final = 6


def is_full(device: DeviceFacts) -> bool:
    """Tell whether a GPU has little memory left."""
    total, free = device.memory_total_bytes, device.memory_free_bytes
    if isinstance(total, Unknown) or isinstance(free, Unknown):
        return False
    return free < min(_LITTLE_BYTES, total / 2) or free < total * (1 - _MUCH_USED)


def _holders(device: DeviceFacts) -> list[str]:
    """Say how much is free, and who has the rest."""
    free, total = gib(device.memory_free_bytes), gib(device.memory_total_bytes)
    lines = [f"GPU {device.index}: {free} free of {total}"]
    if isinstance(device.processes, Unknown) or not device.processes:
        return [*lines, "the driver lists no process that holds it"]
    known = [
        one for one in device.processes if not isinstance(one.memory_bytes, Unknown)
    ]
    largest = sorted(known, key=lambda one: -one.memory_bytes)  # type: ignore[operator]
    others = [one for one in device.processes if one not in known]
    more = len(device.processes) - _MOST_HOLDERS
    for one in [*largest, *others][:_MOST_HOLDERS]:
        name = "" if isinstance(one.name, Unknown) else f"{one.name}, "
        size = (
            "memory not told"
            if isinstance(one.memory_bytes, Unknown)
            else gib(one.memory_bytes)
        )
        lines.append(f"{one.owner.value}: {name}pid {one.pid}, {size}")
    return [*lines, f"and {more} more"] if more > 0 else lines


def _release(facts: GpuFacts, full: list[DeviceFacts]) -> tuple[str, ...]:
    """Return what frees the memory, by who holds it."""
    owners = {
        process.owner
        for device in full
        if not isinstance(device.processes, Unknown)
        for process in device.processes
    }
    holders = {one.name for one in facts.frameworks if one.holds_gpu}
    own = (
        "Held by this notebook: delete the tensors, then"
        " import gc; gc.collect(); torch.cuda.empty_cache()"
    )
    fixes = []
    if "TensorFlow" in holders:
        fixes.append(
            "TensorFlow takes all memory: set TF_FORCE_GPU_ALLOW_GROWTH=true in"
            " os.environ before it is imported, and restart the kernel."
        )
    if "JAX" in holders:
        fixes.append(
            "JAX takes 75 % at once: set XLA_PYTHON_CLIENT_PREALLOCATE=false in"
            " os.environ before it is imported, and restart the kernel."
        )
    if not owners or (Owner.KERNEL in owners and not fixes):
        fixes.append(own)
    if not owners or Owner.OTHER in owners:
        fixes.append("Held by another notebook: shut down its kernel.")
    if Owner.DEAD in owners:
        fixes.append(
            "Held by a process that has died: "
            + NEW_RUNTIME.get(
                facts.host.kind,
                "sudo fuser -v /dev/nvidia* shows what still has the GPU open; end it.",
            )
        )
    if Owner.FOREIGN in owners:
        fixes.append(
            "Held outside this container: "
            + NEW_RUNTIME.get(
                facts.host.kind, "look on the host: nvidia-smi, and end it there."
            )
        )
    return tuple(fixes)
