"""How the trials of frameworks are judged and laid out for a person."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from colabmagic.report.model import Field, Finding, Report, Severity, Table

if TYPE_CHECKING:
    from colabmagic.gpu.trials.deep import DeepReport
    from colabmagic.gpu.trials.deep_results import FrameworkTrials, Trial

TORCH = "PyTorch"
# Devices that lack one of these are still good for most work.
_SPECIAL = ("fp16 matmul", "bf16 matmul", "fp64 matmul", "complex64 matmul")
_ABOUT_GPUS = ("gpu", "cuda", "libcu", "cudnn", "rocm", "tpu")
_CHECK = "%gpu_check   (says why, and what mends it)"
_FREE_MEMORY = (
    "Free the GPU's memory: shut down other kernels, or in this one"
    " import gc; gc.collect(); torch.cuda.empty_cache()"
)
_FIND_CAUSE = (
    "To find the cause, set CUDA_LAUNCH_BLOCKING=1 before you import torch,"
    " or run the cell on the CPU."
)
_REMEDIES = (
    ("out of memory", _FREE_MEMORY),
    (
        "no kernel image",
        "%gpu_check   (says which PyTorch has kernels for this GPU)",
    ),
    (
        "busy or unavailable",
        "Another process has this GPU for itself: shut down other kernels.",
    ),
)


def view(report: DeepReport) -> Report:
    """Return the report that is shown."""
    return Report(
        title="GPU deep check",
        verdict="ALL WELL" if report.ok else "PROBLEMS FOUND",
        summary=summary(report),
        findings=report.findings,
        tables=tuple(_table(one) for one in report.frameworks if one.trials),
        fields=_fields(report),
        elapsed_s=report.elapsed_s,
    )


def summary(report: DeepReport) -> str:
    """Say in one line how much worked where."""
    parts = []
    for one in report.frameworks:
        worked = sum(trial.ok for trial in one.trials)
        # The device that people care about; the CPU comes first in each list.
        where = [
            device for device, _ in one.names if not device.lower().startswith("cpu")
        ]
        on = f" on {', '.join(['cpu', *where])}" if one.names else ""
        parts.append(f"{one.framework} {worked} of {len(one.trials)}{on}")
    return "; ".join(parts)


def _table(trials: FrameworkTrials) -> Table:
    """Return what worked and what did not: a row for each answer of each device."""
    rows = []
    for device, group in groupby(trials.trials, key=lambda one: one.device):
        answers: dict[str, list[str]] = {}
        for one in group:
            answers.setdefault(one.message or "OK", []).append(one.operation)
        label = trials.label(device)
        rows += [(label, ", ".join(names), answer) for answer, names in answers.items()]
    return Table(
        caption=f"{trials.framework} {trials.version}",
        columns=(trials.framework, "Operations", "Answer"),
        rows=tuple(rows),
    )


def _fields(report: DeepReport) -> tuple[Field, ...]:
    """Return the versions."""
    fields = [
        Field(label=one.framework, value=one.version)
        for one in report.frameworks
        if one.version is not None
    ]
    if report.kernel is not None:
        fields.append(Field(label="CUDA in this kernel:", value=report.kernel))
    return tuple(fields)


# --- findings ---------------------------------------------------------------------


def torch_missing() -> Finding:
    """Say that there is nothing to try."""
    return Finding(
        code="torch-missing",
        severity=Severity.ERROR,
        title="PyTorch is not installed, so it could not be tried.",
        evidence=("no package named torch",),
        fix=("%gpu_check   (says which PyTorch fits this machine)",),
    )


def poisoned(message: str) -> Finding:
    """Say that CUDA is broken for the rest of this process's life."""
    return Finding(
        code="cuda-poisoned",
        severity=Severity.ERROR,
        title="A previous kernel error (device-side assert / illegal access) broke"
        " this process: restart the kernel.",
        evidence=(f"4 bytes on the GPU: {message}",),
        fix=("Restart the kernel.", _FIND_CAUSE),
    )


def kernel_full(message: str) -> Finding:
    """Say that not even 4 bytes are left for this kernel."""
    return Finding(
        code="mem-held",
        severity=Severity.ERROR,
        title="This kernel cannot get 4 bytes of the GPU's memory.",
        evidence=(message,),
        fix=(_FREE_MEMORY,),
    )


def kernel_stuck(seconds: float) -> Finding:
    """Say that the GPU does not come to an end of this kernel's work."""
    return Finding(
        code="cuda-busy",
        severity=Severity.WARN,
        title="CUDA in this kernel does not answer: earlier work still runs, or hangs.",
        evidence=(f"4 bytes on the GPU: no answer within {seconds:.0f} s",),
        fix=("Wait for what runs on the GPU; if it does not end, restart the kernel.",),
    )


def judge(trials: FrameworkTrials, gpu: str | None) -> tuple[Finding, ...]:
    """Return what the trials of a framework show.

    Parameters
    ----------
    gpu
        What shows that there is a GPU; None where there is none.
    """
    found = []
    serious = Severity.ERROR if trials.framework == TORCH else Severity.WARN
    if trials.import_error is not None:
        found.append(_import_failed(trials, serious))
    if trials.stopped is not None:
        found.append(_stopped(trials, serious))
    if gpu is not None and trials.no_accelerator is not None:
        found.append(_no_gpu(trials, gpu, serious))
    failures = [one for one in trials.trials if not one.ok]
    devices = dict.fromkeys(one.device for one in failures)
    for device in devices:
        mine = [one for one in failures if one.device == device]
        for message in dict.fromkeys(one.message or "" for one in mine):
            same = [one for one in mine if one.message == message]
            found.append(_failed(trials, same, message, serious))
    return tuple(found)


def _import_failed(trials: FrameworkTrials, severity: Severity) -> Finding:
    """Say that a framework is broken."""
    return Finding(
        code="import-failed",
        severity=severity,
        title=f"{trials.framework} is installed, but cannot be imported.",
        evidence=(trials.import_error or "",),
        fix=(_CHECK,) if trials.framework == TORCH else (),
    )


def _stopped(trials: FrameworkTrials, severity: Severity) -> Finding:
    """Say that a child died or hung, and at what."""
    seen = (f"last begun: {trials.last_step}",) if trials.last_step else ()
    return Finding(
        code="deep-stopped",
        severity=severity,
        title=f"{trials.framework} did not come to the end of its trials.",
        evidence=(trials.stopped or "", *seen),
        fix=(_CHECK,),
    )


def _no_gpu(trials: FrameworkTrials, gpu: str, severity: Severity) -> Finding:
    """Say that a framework does not see the GPU that is there."""
    words = [trials.no_accelerator] if trials.no_accelerator else []
    words += [
        line.strip()
        for line in trials.stderr.splitlines()
        if any(sign in line.lower() for sign in _ABOUT_GPUS)
    ][-1:]
    return Finding(
        code="deep-no-gpu",
        severity=severity,
        title=f"{trials.framework} sees no GPU, but there is one.",
        evidence=(gpu, *(f"{trials.framework}: {word}" for word in words)),
        fix=(_CHECK,),
    )


def _failed(
    trials: FrameworkTrials, failures: list[Trial], message: str, severity: Severity
) -> Finding:
    """Say which operations fail with one message on one device."""
    names = [one.operation for one in failures]
    is_special = all(name in _SPECIAL for name in names)
    where = trials.label(failures[0].device)
    fixes = [fix for sign, fix in _REMEDIES if sign in message.lower()]
    return Finding(
        code="deep-failed",
        severity=Severity.WARN if is_special else severity,
        title=f"{trials.framework} fails on {where}: {', '.join(names)}.",
        evidence=(message,),
        fix=tuple(fixes or [_CHECK]),
    )
