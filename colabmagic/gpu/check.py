"""``check()``: can PyTorch use a GPU now, and if not, why and what mends it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.gpu.probe import DEADLINE_S, probe_all
from colabmagic.gpu.rules import CPU, judge, usable_device
from colabmagic.gpu.view import NOT_USABLE, summary, view
from colabmagic.report.document import Document
from colabmagic.report.model import Severity, Unknown
from colabmagic.report.plain import to_plain
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from colabmagic.gpu.facts import DeviceFacts, GpuFacts, TorchFacts
    from colabmagic.gpu.trials.bench import BenchReport
    from colabmagic.gpu.trials.deep import DeepReport
    from colabmagic.report.model import Finding, Report
    from colabmagic.report.progress import Progress

SCHEMA = 1
# Not application/json: front ends may prefer that to the HTML.
MIME_TYPE = "application/vnd.colabmagic.gpu+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReport(Document):
    """The answer of `check`.

    Parameters
    ----------
    device
        What to hand to PyTorch: ``"cuda:0"``, ``"mps"``, ``"cpu"`` …
    findings
        What was noticed, the cause first.
    facts
        What the answer rests on.
    elapsed_s
        How long it took; None for a machine that was captured before.
    show_all
        Whether text and HTML show every field.
    bench
        What was measured, with `check(bench=True)`.
    deep
        What was tried, with `check(deep=True)`.
    """

    mime_type: ClassVar[str] = MIME_TYPE

    device: str
    findings: tuple[Finding, ...]
    facts: GpuFacts
    elapsed_s: float | None
    show_all: bool = False
    bench: BenchReport | None = None
    deep: DeepReport | None = None

    @property
    def ok(self) -> bool:
        """Tell whether PyTorch can use an accelerator now."""
        return self.device != CPU and not self._is_disproved

    @property
    def _is_disproved(self) -> bool:
        """Tell whether a trial has shown that PyTorch cannot use the device."""
        if self.deep is None:
            return False
        return any(one.severity is Severity.ERROR for one in self.deep.findings)

    @property
    def gpus(self) -> tuple[DeviceFacts, ...]:
        """Return the GPUs that the driver lists, with all that it tells of them."""
        return self.facts.nvml.devices

    @property
    def torch(self) -> TorchFacts:
        """Return how the installed PyTorch was built."""
        return self.facts.torch

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Return the findings, with those of a trial and of a measurement."""
        more = [part.findings for part in (self.deep, self.bench) if part is not None]
        return (*self.findings, *(finding for part in more for finding in part))

    @property
    def reason(self) -> str:
        """Say in one line why PyTorch cannot use CUDA, and what to type.

        Empty where it can.
        """
        if self._is_disproved:
            assert self.deep is not None
            failed = (
                one for one in self.deep.findings if one.severity is Severity.ERROR
            )
            return next(failed).title
        if self.device.startswith("cuda"):
            return ""
        wanted = [one for one in self.findings if one.code != "torch-accelerator"]
        if not wanted:
            return f"PyTorch uses device '{self.device}'."
        return " ".join([wanted[0].title, *wanted[0].fix[:1]])

    @property
    def probe_failed(self) -> bool:
        """Tell whether the check itself broke, so that a "no" is not sure."""
        return not self.ok and bool(self.facts.failures)

    @property
    def headline(self) -> str:
        """Return the answer in one line."""
        # By name: a class with slots is made anew, which the short form does not know.
        return clean(super(GpuReport, self).headline)

    @property
    def text(self) -> str:
        """Return the whole report as text of at most 80 columns."""
        parts = [super(GpuReport, self).text]
        parts += [part.text for part in (self.deep, self.bench) if part is not None]
        return "\n\n".join(parts)

    @property
    def html(self) -> str:
        """Return the whole report as HTML."""
        parts = [super(GpuReport, self).html]
        parts += [part.html for part in (self.deep, self.bench) if part is not None]
        return "\n".join(parts)

    def view(self) -> Report:
        """Return what a person sees."""
        shown = view(
            self.facts,
            self.device,
            self.findings,
            self.elapsed_s,
            show_all=self.show_all,
        )
        if self._is_disproved:
            summary = "it fails when it is tried, see below"
            return replace(shown, verdict=NOT_USABLE, summary=summary)
        return shown

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; `facts` in it can be judged again."""
        elapsed_s = self.elapsed_s
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "device": self.device,
            "headline": self.headline,
            "reason": self.reason,
            "elapsed_ms": None if elapsed_s is None else round(elapsed_s * 1000),
            "findings": to_plain(self.all_findings),
            "facts": to_plain(self.facts),
            "bench": None if self.bench is None else self.bench.to_dict(),
            "deep": None if self.deep is None else self.deep.to_dict(),
        }

    def __repr__(self) -> str:
        """Return the answer, short enough for a debugger."""
        return f"<GpuReport: {summary(self.facts, self.device)}>"


def check(  # noqa: PLR0913 (by keyword, and each an option of the magic)
    facts: GpuFacts | None = None,
    deadline_s: float = DEADLINE_S,
    *,
    ids: bool = False,
    show_all: bool = False,
    bench: bool = False,
    quick: bool = False,
    deep: bool = False,
    progress: Progress | None = None,
    is_alone: bool = False,
) -> GpuReport:
    """Find out whether PyTorch can use a GPU, within `deadline_s` seconds.

    Never imports PyTorch, never initialises CUDA in this process, never raises for
    what is absent or broken.

    Parameters
    ----------
    facts
        A machine that was captured before; this one where left out.
    deadline_s
        Seconds to wait for a driver that does not answer.
    ids
        Whether UUIDs and serial numbers are kept; notebooks get shared.
    show_all
        Whether every field is read, and shown in text and HTML.
    bench
        Measure what the devices reach, in a process of its own; 3 s each.
    quick
        Measure for a shorter time.
    deep
        Try PyTorch, TensorFlow and JAX on each device, in processes of their own.
    progress
        Is told how far measuring and trying are.
    is_alone
        Whether nothing else runs in this process, as in a command line: the CUDA driver
        is tried in a fork of it then, which is quicker than a fresh process.
    """
    started = time.monotonic()
    captured = facts is not None
    if facts is None:
        facts = probe_all(deadline_s, all_fields=show_all, is_alone=is_alone)
    if not ids:
        facts = without_ids(facts)
    elapsed_s = None if captured else time.monotonic() - started
    return GpuReport(
        device=usable_device(facts),
        findings=judge(facts),
        facts=facts,
        elapsed_s=elapsed_s,
        show_all=show_all,
        deep=_try_all(facts, progress) if deep else None,
        bench=_measure(facts, progress, quick=quick) if bench else None,
    )


def _try_all(facts: GpuFacts, progress: Progress | None) -> DeepReport:
    """Try the frameworks."""
    from colabmagic.gpu.trials.deep import deep  # noqa: PLC0415 (rarely asked for)

    return deep(facts, progress=progress)


def _measure(facts: GpuFacts, progress: Progress | None, *, quick: bool) -> BenchReport:
    """Measure the devices."""
    from colabmagic.gpu.trials.bench import bench  # noqa: PLC0415 (rarely asked for)

    return bench(facts, quick=quick, progress=progress)


def without_ids(facts: GpuFacts) -> GpuFacts:
    """Return the same facts without what identifies a single card."""
    hidden = Unknown("hidden; --ids shows it")

    def hide(value: str | Unknown) -> str | Unknown:
        return value if isinstance(value, Unknown) else hidden

    devices = []
    for device in facts.nvml.devices:
        parts = device.mig_devices
        if not isinstance(parts, Unknown):
            parts = tuple(replace(part, uuid=hide(part.uuid)) for part in parts)
        devices.append(
            replace(
                device,
                uuid=hide(device.uuid),
                serial=hide(device.serial),
                mig_devices=parts,
            )
        )
    return replace(facts, nvml=replace(facts.nvml, devices=tuple(devices)))
