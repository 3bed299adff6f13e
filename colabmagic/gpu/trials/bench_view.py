"""How a benchmark is judged and laid out for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.gpu.trials.bench_results import MATMULS, MEMORY, Measurement
from colabmagic.gpu.trials.sampler import POWER_LIMIT
from colabmagic.report.model import Field, Finding, Report, Severity, Table, Unknown

if TYPE_CHECKING:
    from colabmagic.gpu.trials.bench import BenchReport
    from colabmagic.gpu.trials.bench_results import DeviceBench
    from colabmagic.gpu.trials.sampler import Conditions

_MIB = 2**20
_WHOLE_NUMBERS_FROM = 100
_TOO_SMALL_TO_SHOW = 0.1
_FREE_MEMORY = (
    "Free the GPU's memory: shut down other kernels, or in this one"
    " import gc; gc.collect(); torch.cuda.empty_cache()"
)
_MAKE_ROOM = "Shut down what else uses this GPU (%gpu_check shows it), measure again."
_SMALL_CARD = (
    "The power limit held it back: normal for small cards such as T4 and L4,"
    " and nothing to mend in a cloud."
)
_DEEP = "%gpu_check --deep   (runs each kind of operation by itself)"


def view(report: BenchReport) -> Report:
    """Return the report that is shown."""
    return Report(
        title="GPU bench" if _has_gpu(report) else "CPU bench",
        verdict=_verdict(report),
        summary=summary(report),
        findings=report.findings,
        tables=tuple(_table(one) for one in report.devices if one.measurements),
        fields=_fields(report),
        elapsed_s=report.elapsed_s,
    )


def summary(report: BenchReport) -> str:
    """Say in one line what the first device reaches."""
    first = next(
        (one for one in report.devices if report.ok and one.measurements), None
    )
    if first is None:
        return ""
    shown = [
        f"{key} {number(value)}"
        for key in MATMULS
        if (value := first.value(key)) is not None
    ]
    unit = next((one.unit for one in first.measurements if one.key in MATMULS), "")
    parts = [f"{', '.join(shown)} {unit}"] if shown else []
    memory = first.value(MEMORY)
    if memory is not None:
        parts.append(f"memory {number(memory)} GB/s")
    more = len(report.devices) - 1
    others = f" (and {more} more)" if more else ""
    return f"{_name(first)}: {', '.join(parts)}{others}"


def number(value: float) -> str:
    """Return a figure with as many digits as it deserves."""
    if value >= _WHOLE_NUMBERS_FROM:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= _TOO_SMALL_TO_SHOW else f"{value:.2g}"


def _has_gpu(report: BenchReport) -> bool:
    """Tell whether anything but a CPU was measured."""
    return any(one.device != "cpu" for one in report.devices) or not report.devices


def _verdict(report: BenchReport) -> str:
    """Return the answer in a word."""
    if not report.ok:
        return "FAILED"
    if report.is_complete:
        return "DONE"
    return "INCOMPLETE"


def _name(device: DeviceBench) -> str:
    """Return the name, or what PyTorch calls the device."""
    if device.device == "cpu":
        return device.title
    return device.device if isinstance(device.name, Unknown) else device.name


def _table(device: DeviceBench) -> Table:
    """Return the figures of one device."""
    # In the header, for text has no captions, and there may be several GPUs.
    columns: tuple[str, ...] = (device.title, "Size", "Result")
    rows = [_cells(one) for one in device.measurements]
    if any(one.peak is not None for one in device.measurements):
        columns = (*columns, "Datasheet", "Share")
        rows = [
            (*row, *_compared(one))
            for row, one in zip(rows, device.measurements, strict=True)
        ]
    return Table(caption="Measured", columns=columns, rows=tuple(rows))


def _cells(one: Measurement) -> tuple[str, ...]:
    """Return what was measured, at which size, and the figure."""
    note = f" ({one.note.partition(':')[0]})" if one.note else ""
    if isinstance(one.value, Unknown):
        return (one.label, "", "failed")
    result = f"{number(one.value)} {one.unit}"
    size = f"n={one.size}" if one.key in MATMULS else f"{one.size / _MIB:.0f} MiB"
    return (one.label + note, size, result)


def _compared(one: Measurement) -> tuple[str, str]:
    """Return the datasheet's figure and the share of it."""
    if one.peak is None or one.share is None:
        return ("", "")
    low = " (low)" if one.is_low else ""
    return (f"{one.peak:g} {one.unit}", f"{one.share:.0%}{low}")


def _fields(report: BenchReport) -> tuple[Field, ...]:
    """Return what the figures rest on."""
    fields = []
    several = len(report.devices) > 1
    for device in report.devices:
        where = f"{device.device}, during the run" if several else "During the run"
        if device.device.startswith("cuda") and device.measurements:
            fared = device.conditions
            words = str(fared) if isinstance(fared, Unknown) else fared.words
            fields.append(Field(label=f"{where}:", value=words))
    sheets = {one.datasheet for one in report.devices if one.datasheet is not None}
    for sheet in sorted(sheets, key=lambda one: one.name):
        note = f" ({sheet.note})" if sheet.note else ""
        fields.append(Field(label="From", value=f"{sheet.title}{note}"))
    if not sheets and any(one.device.startswith("cuda") for one in report.devices):
        fields.append(Field(label="Datasheet", value="none at hand for this name"))
    if report.torch_version is not None:
        fields.append(Field(label="PyTorch", value=report.torch_version))
    if report.torch_version is not None:
        place = "in this kernel" if report.in_process else "in a process of its own"
        fields.append(Field(label="measured", value=place))
    return tuple(fields)


# --- findings ---------------------------------------------------------------------


def torch_missing() -> Finding:
    """Say that there is nothing to measure with."""
    return Finding(
        code="torch-missing",
        severity=Severity.ERROR,
        title="PyTorch is not installed, so nothing can be measured.",
        evidence=("no package named torch",),
        fix=("%gpu_check   (says which PyTorch fits this machine)",),
    )


def import_failed(message: str) -> Finding:
    """Say that PyTorch is broken."""
    return Finding(
        code="import-failed",
        severity=Severity.ERROR,
        title="PyTorch is installed, but cannot be imported.",
        evidence=(message,),
        fix=("%gpu_check   (says which PyTorch fits this machine)",),
    )


def stopped(reason: str, last_step: str, *, is_partial: bool) -> Finding:
    """Say that the measuring ended early."""
    seen = (f"last begun: {last_step}",) if last_step else ()
    return Finding(
        code="bench-stopped",
        severity=Severity.WARN if is_partial else Severity.ERROR,
        title="The measuring process did not come to its end.",
        evidence=(reason, *seen),
        fix=(_DEEP,),
    )


def no_gpu(seen: str) -> Finding:
    """Say that the figures are the CPU's although there is a GPU."""
    return Finding(
        code="bench-no-gpu",
        severity=Severity.WARN,
        title="PyTorch cannot use the GPU: these are the figures of the CPU.",
        evidence=(seen,),
        fix=("%gpu_check   (says why, and what mends it)",),
    )


def in_process() -> Finding:
    """Say that this kernel itself was measured."""
    return Finding(
        code="bench-in-process",
        severity=Severity.INFO,
        title="CUDA is live in this kernel, so it was measured here: what the kernel"
        " holds or computes counts in, and a hang could not be cut off.",
    )


def judge(devices: tuple[DeviceBench, ...]) -> tuple[Finding, ...]:
    """Return what the figures of the devices show."""
    found = []
    for device in devices:
        found += _failures(device)
        found += [one for one in (_slow(device), _hot(device)) if one is not None]
    return tuple(found)


def _failures(device: DeviceBench) -> list[Finding]:
    """Notice figures that could not be taken; one finding for each message."""
    messages: dict[str, list[str]] = {}
    for one in device.measurements:
        if isinstance(one.value, Unknown):
            messages.setdefault(one.value.reason, []).append(one.label or "all")
    return [
        Finding(
            code="bench-failed",
            severity=Severity.WARN,
            title=f"On {device.label} failed: {', '.join(labels)}.",
            evidence=(message,),
            fix=_remedy(message),
        )
        for message, labels in messages.items()
    ]


def _remedy(message: str) -> tuple[str, ...]:
    """Return what to do about an error of PyTorch."""
    if "out of memory" in message.lower():
        return (_FREE_MEMORY,)
    return (_DEEP,)


def _slow(device: DeviceBench) -> Finding | None:
    """Notice less than half of what the datasheet states."""
    low = [one for one in device.measurements if one.is_low]
    if not low or device.datasheet is None:
        return None
    what = ", ".join(one.label for one in low)
    fared = device.conditions
    return Finding(
        code="bench-slow",
        severity=Severity.WARN,
        title=f"{device.label} reaches less than half of its datasheet: {what}.",
        evidence=(
            *(
                f"{one.label}: {number(one.value)} of {one.peak:g} {one.unit}"
                for one in low
                if not isinstance(one.value, Unknown)
            ),
            f"during the run: {fared if isinstance(fared, Unknown) else fared.words}",
            f"compared with: {device.datasheet.title}",
        ),
        fix=_speed_up(fared),
    )


def _speed_up(fared: Conditions | Unknown) -> tuple[str, ...]:
    """Return what to do about a slow GPU."""
    if isinstance(fared, Unknown) or isinstance(fared.held_back, Unknown):
        return (_MAKE_ROOM,)
    if POWER_LIMIT in dict(fared.held_back):
        return (_MAKE_ROOM, _SMALL_CARD)
    return (_MAKE_ROOM,)


def _hot(device: DeviceBench) -> Finding | None:
    """Notice that heat held the GPU back."""
    fared = device.conditions
    if isinstance(fared, Unknown) or not fared.is_hot:
        return None
    return Finding(
        code="throttle",
        severity=Severity.WARN,
        title=f"{device.label} lowered its clocks to protect itself.",
        evidence=(fared.words,),
        fix=(
            "Own machine: clean its fans, give it more air.",
            "Cloud: take a new runtime; the next one may be a cooler card.",
        ),
    )
