"""From facts to findings: which rules there are, and in which order they speak.

Of a group the first rule that applies speaks, for what it names explains the rest:
where no GPU is reachable, the build of PyTorch is not the trouble. The first finding
of all is the headline.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from colabmagic.gpu.facts import SourceState, TorchState
from colabmagic.gpu.rules import device, driver, health, install, place, torch
from colabmagic.gpu.rules.advice import seen_driver, seen_nvml, seen_torch
from colabmagic.gpu.rules.signs import blocked_devices, same_card
from colabmagic.report.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.facts import GpuFacts

    Rule = Callable[[GpuFacts], Finding | None]

CPU = "cpu"
# Good to know, and no news to most: shown with `--all` and in JSON.
ASIDE = frozenset({"cuda-minor-newer", "framework-cpu-build", "pcie-narrow"})

_CAUSE: tuple[Rule, ...] = (
    driver.driver_hung,
    place.tpu_runtime,
    place.colab_cpu_runtime,
    place.kaggle_no_accel,
    place.mps,
    place.rocm,
    install.wsl,
    place.container_no_gpus,
    install.container_lost_gpu,
    install.lib_rm_mismatch,
    install.no_permission,
    install.driver_not_loaded,
    install.driver_missing,
    driver.cvd_hides_all,
    health.mig_without_instances,
    driver.libcuda_missing,
    driver.libcuda_stub,
    driver.compat_wrong,
    driver.fabric_not_ready,
    driver.gpu_lost,
    install.nvml_error,
    driver.cuda_init_failed,
    health.exclusive_busy,
    place.xpu,
    place.no_gpu,
)
_TORCH: tuple[Rule, ...] = (
    torch.torch_missing,
    torch.torch_unreadable,
    torch.forked,
    torch.torch_cpu_build,
    torch.driver_too_old,
    torch.arch_too_old,
    torch.arch_too_new,
)
# Each of these stands for itself.
_NOTES: tuple[tuple[Rule, ...], ...] = (
    (device.torch_accelerator,),
    (place.colab_quota,),
    (driver.cvd_hides_some,),
    (health.ecc_bad,),
    (health.mem_held,),
    (health.throttle,),
    (health.pcie_narrow,),
    (health.mig,),
    (torch.cuda_minor_newer,),
    (device.framework_cpu_build,),
    (device.insane,),
    (device.driver_slow,),
    (driver.driver_unproven,),
    (install.nvml_missing,),
    (device.probe_failed,),
)
GROUPS: tuple[tuple[Rule, ...], ...] = (_CAUSE, _TORCH, *_NOTES)

_BRING_THEIR_OWN = frozenset({"colab-cpu-runtime", "kaggle-no-accel"})
_RANK = {Severity.ERROR: 0, Severity.WARN: 1, Severity.INFO: 2}


def judge(facts: GpuFacts) -> tuple[Finding, ...]:
    """Return all findings, the cause first."""
    hits = [
        next(filter(None, (rule(facts) for rule in group)), None) for group in GROUPS
    ]
    if hits[0] is not None and hits[0].code in _BRING_THEIR_OWN:
        hits[GROUPS.index(_TORCH)] = None  # with a GPU comes another PyTorch
    findings = [finding for finding in hits if finding is not None]
    usable = usable_device(facts)
    if usable == CPU:  # then the small print does not matter
        findings = [finding for finding in findings if finding.code not in ASIDE]
    else:
        # PyTorch has a device, so nothing that was found prevents it.
        milder = Severity.WARN if usable.startswith("cuda") else Severity.INFO
        findings = [_soften(finding, milder) for finding in findings]
    errors = any(finding.severity is Severity.ERROR for finding in findings)
    if usable == CPU and not errors:
        findings.insert(0, _unexplained(facts))
    return tuple(sorted(findings, key=lambda finding: _RANK[finding.severity]))


def usable_device(facts: GpuFacts) -> str:
    """Return the device that PyTorch can use now, ``"cpu"`` where it is no GPU."""
    torch_facts = facts.torch
    if torch_facts.accelerator is not None:
        kind = torch_facts.accelerator.kind
        return kind if kind == "mps" else f"{kind}:0"
    if torch_facts.state is not TorchState.INSTALLED:
        return CPU
    if torch_facts.cuda and _cuda_starts(facts) and not _misfit(facts):
        return _first_free(facts)
    return _other_device(facts)


def _other_device(facts: GpuFacts) -> str:
    """Return the device of a GPU that is not NVIDIA's."""
    if facts.torch.hip and facts.platform.has_kfd:
        return "cuda:0"  # ROCm builds use CUDA's names
    system = facts.host.system
    if system.os == "Darwin" and system.machine == "arm64":
        return "mps"
    cards = facts.platform.cards
    if facts.torch.is_xpu and any(one.maker == "Intel" for one in cards):
        return "xpu:0"
    return CPU


def _first_free(facts: GpuFacts) -> str:
    """Return the first GPU that is not reserved for somebody else."""
    blocked = blocked_devices(facts)
    if not blocked:
        return "cuda:0"
    for index, card in enumerate(facts.driver.devices):
        if not any(same_card(one, card) for one in blocked):
            return f"cuda:{index}"
    return CPU


def _cuda_starts(facts: GpuFacts) -> bool:
    """Tell whether the CUDA driver starts and shows a GPU."""
    if facts.driver.state is SourceState.OK:
        return bool(facts.driver.devices)
    if facts.driver.state is SourceState.FAILED:  # not tried: NVML must do
        healthy = [one for one in facts.nvml.devices if one.error is None]
        return bool(healthy) and driver.cvd_hides_all(facts) is None
    return False


def _misfit(facts: GpuFacts) -> bool:
    """Tell whether PyTorch was built for another driver or other GPUs."""
    return any(rule(facts) is not None for rule in _TORCH)


def _soften(finding: Finding, severity: Severity) -> Finding:
    """Return an error as something milder."""
    if finding.severity is not Severity.ERROR:
        return finding
    return replace(finding, severity=severity)


def _unexplained(facts: GpuFacts) -> Finding:
    """Return what to say where no rule knows the cause."""
    return Finding(
        code="unexplained",
        severity=Severity.ERROR,
        title="PyTorch cannot use a GPU here, and no known cause fits.",
        evidence=(seen_nvml(facts), seen_driver(facts), seen_torch(facts)),
        fix=(
            "Please report this to colabmagic, with the output of %gpu_check --json.",
        ),
    )
