"""``--require``: stop a notebook that cannot do its work on this machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from colabmagic.errors import GpuCheckError
from colabmagic.gpu.facts import Unknown
from colabmagic.gpu.rules.advice import dotted, gib
from colabmagic.gpu.rules.signs import visible_devices
from colabmagic.host.facts import HostKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.gpu.check import GpuReport

_KINDS: Final = ("cuda", "mps", "xpu", "gpu")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(GiB|GB|G|MiB|MB|M)", re.IGNORECASE)
_CAPABILITY: Final = re.compile(r"(?:cc|sm)\s*>=?\s*(\d{1,2})\.?(\d)?", re.IGNORECASE)
_UNITS: Final = {"g": 2**30, "m": 2**20}
_BF16_SINCE: Final = (8, 0)  # Ampere; older GPUs only imitate it
# Of a model, as people say it: T4, A100, L40S; letters, figures, and at most one letter.
_MODEL: Final = re.compile(r"(?!cc|sm)[a-z]{1,4}\d{1,4}[a-z]?", re.IGNORECASE)
_WORDS: Final = re.compile(r"[A-Za-z0-9]+")
FORMS: Final = (
    "t4 (a model), cuda, a number of GPUs, 16GiB (free memory), bf16, cc>=8.0"
)


def check_requirements(report: GpuReport, text: str) -> None:
    """Raise where the machine lacks what is asked for.

    Parameters
    ----------
    report
        What was found.
    text
        One or more requirements, parted by commas: ``t4``, ``cuda``, ``2``, ``16GiB``,
        ``bf16``, ``cc>=8.0``.

    Raises
    ------
    GpuCheckError
        Something is missing; the report is its `report`.
    ValueError
        The text is no requirement; the message lists the forms.
    """
    for part, test in parse_requirements(text):
        seen = test(report)
        if seen is None:
            continue
        causes = [one for one in report.all_findings if one.fix]
        raise GpuCheckError(
            f"{_in_words(part)} asked for, and this machine does not have it",
            seen=seen,
            hint=causes[0].fix[0]
            if causes and not report.ok
            else _ELSEWHERE.get(report.facts.host.kind, "use a machine that has it"),
            report=report,
        )


def parse_requirements(
    text: str,
) -> list[tuple[str, Callable[[GpuReport], str | None]]]:
    """Return each requirement with a test that gives what was seen instead.

    Raises
    ------
    ValueError
        The text is no requirement; the message lists the forms.
    """
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    if not wanted:
        message = f"--require needs a value: {FORMS}"
        raise ValueError(message)
    return [(part, _parse(part)) for part in wanted]


def _in_words(part: str) -> str:
    """Return what is asked for, as the subject of a sentence."""
    if part.isdigit():
        return f"{part} GPU{' is' if part == '1' else 's are'}"
    return f"{part} is"


_ELSEWHERE: Final = {
    HostKind.COLAB: "Runtime > Change runtime type, another GPU",
    HostKind.KAGGLE: "Settings > Accelerator, another one",
}


def _parse(part: str) -> Callable[[GpuReport], str | None]:
    """Return a test that gives what was seen where the requirement is not met."""
    if part.lower() in _KINDS:
        return lambda report: _kind(report, part.lower())
    if part.isascii() and part.isdigit() and int(part):
        return lambda report: _count(report, int(part))
    if part.lower() in {"bf16", "bfloat16"}:
        return lambda report: _capability(report, _BF16_SINCE)
    size = _SIZE.fullmatch(part)
    if size:
        needed = float(size[1]) * _UNITS[size[2][0].lower()]
        return lambda report: _memory(report, needed)
    capability = _CAPABILITY.fullmatch(part)
    if capability:
        major, minor = _digits(capability[1], capability[2])
        return lambda report: _capability(report, (major, minor))
    if _MODEL.fullmatch(part):
        return lambda report: _model(report, part.lower())
    message = f"--require takes {FORMS}; not {part!r}"
    raise ValueError(message)


def _digits(major: str, minor: str | None) -> tuple[int, int]:
    """Return the pair for ``8.0``, ``8`` and ``80``."""
    if minor is None and len(major) > 1:
        return int(major[:-1]), int(major[-1])
    return int(major), int(minor or 0)


def _why(report: GpuReport) -> str:
    """Return the cause where nothing can be used, or what can be."""
    return report.headline if report.ok else report.findings[0].title


def _kind(report: GpuReport, kind: str) -> str | None:
    """Ask for a device of a kind."""
    if report.ok and (kind == "gpu" or report.device.startswith(kind)):
        return None
    return _why(report)


def _count(report: GpuReport, wanted: int) -> str | None:
    """Ask for a number of GPUs that CUDA shows."""
    facts = report.facts
    there = len(facts.driver.devices or facts.nvml.devices) if report.ok else 0
    if report.ok and not report.device.startswith("cuda"):
        there = 1
    return None if there >= wanted else f"{there} usable; {_why(report)}"


def _model(report: GpuReport, wanted: str) -> str | None:
    """Ask for a GPU of a model."""
    if not report.ok:
        return _why(report)
    facts = report.facts
    told = [device.name for device in facts.driver.devices]
    told += [device.name for device in visible_devices(facts)]
    names = list(dict.fromkeys(name for name in told if not isinstance(name, Unknown)))
    if not names:
        return "the GPU's name could not be read"
    words = {word.lower() for name in names for word in _WORDS.findall(name)}
    return None if wanted in words else f"there is {', '.join(names)}"


def _memory(report: GpuReport, needed: float) -> str | None:
    """Ask for free memory on the GPU that has most of it."""
    if not report.ok:
        return _why(report)
    sizes = [
        device.memory_free_bytes
        for device in visible_devices(report.facts)
        if not isinstance(device.memory_free_bytes, Unknown)
    ]
    if not sizes:
        return "free memory could not be read"
    return None if max(sizes) >= needed else f"{gib(max(sizes))} free at most"


def _capability(report: GpuReport, needed: tuple[int, int]) -> str | None:
    """Ask for a compute capability."""
    if not report.ok:
        return _why(report)
    facts = report.facts
    told = [device.compute_capability for device in facts.driver.devices]
    told += [device.compute_capability for device in visible_devices(facts)]
    found = [cc for cc in told if not isinstance(cc, Unknown)]
    if not found:
        return "the compute capability could not be read"
    if min(found) >= needed:
        return None
    return f"compute capability {dotted(min(found))}, {dotted(needed)} is needed"
