"""``deep()``: try PyTorch, TensorFlow and JAX on each device, the only sure proof."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from colabmagic.gpu.facts import TorchState
from colabmagic.gpu.probe import probe_all
from colabmagic.gpu.rules.advice import seen_driver, seen_nvml
from colabmagic.gpu.rules.signs import gpu_is_seen
from colabmagic.gpu.trials import deep_view
from colabmagic.gpu.trials.child import Child, describe, run_child
from colabmagic.gpu.trials.deep_results import Collector, FrameworkTrials
from colabmagic.report.document import Document
from colabmagic.report.model import Severity
from colabmagic.report.plain import to_plain
from colabmagic.report.progress import SILENT

if TYPE_CHECKING:
    from colabmagic.gpu.facts import GpuFacts
    from colabmagic.report.model import Finding, Report
    from colabmagic.report.progress import Progress

SCHEMA = 1
MIME_TYPE = "application/vnd.colabmagic.deep+json"
TIMEOUT_S = 60.0  # of each framework; a cold import alone can take 20
KERNEL_TIMEOUT_S = 10.0  # of the question to CUDA in this process

# Neither may take the whole memory of every GPU, as both do if they are let; and of
# TensorFlow's talk only warnings are wanted, which tell why it sees no GPU.
_OTHERS: Final = {
    "TensorFlow": Child(
        script="deep_tensorflow",
        package="tensorflow",
        env={"TF_CPP_MIN_LOG_LEVEL": "1", "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
    ),
    "JAX": Child(
        script="deep_jax",
        package="jax",
        env={"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "1"},
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepReport(Document):
    """The answer of `deep`.

    Parameters
    ----------
    frameworks
        What was tried, PyTorch first.
    kernel
        How CUDA in this process answered; None where it is not live.
    """

    mime_type: ClassVar[str] = MIME_TYPE

    frameworks: tuple[FrameworkTrials, ...]
    findings: tuple[Finding, ...]
    kernel: str | None
    elapsed_s: float

    @property
    def ok(self) -> bool:
        """Tell whether nothing that matters failed."""
        return all(one.severity is Severity.INFO for one in self.findings)

    def view(self) -> Report:
        """Return what a person sees."""
        return deep_view.view(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        frameworks = to_plain(self.frameworks)
        for one in frameworks:
            del one["stderr"]  # paths of the user's machine
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "headline": self.headline,
            "kernel": self.kernel,
            "elapsed_ms": round(self.elapsed_s * 1000),
            "findings": to_plain(self.findings),
            "frameworks": frameworks,
        }

    def __repr__(self) -> str:
        """Return the answer, short enough for a debugger."""
        return f"<DeepReport: {deep_view.summary(self) or 'nothing tried'}>"


def deep(
    facts: GpuFacts | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    progress: Progress | None = None,
) -> DeepReport:
    """Run one operation of each kind on each device, in processes of their own.

    PyTorch is tried, and TensorFlow and JAX where they are installed. If CUDA is live
    in this process, it is asked for four bytes as well: an earlier error may have
    broken it. Never raises for what fails; an interrupt is passed on.

    Parameters
    ----------
    facts
        What `check` found out; asked anew where left out.
    timeout_s
        For each framework.
    """
    started = time.monotonic()
    facts = probe_all() if facts is None else facts
    progress = progress or SILENT
    findings = []
    kernel = None
    torch = sys.modules.get("torch")
    if facts.torch.cuda_initialized and torch is not None:
        kernel, finding = ask_kernel(torch, min(KERNEL_TIMEOUT_S, timeout_s))
        findings += [] if finding is None else [finding]
    if facts.torch.state is TorchState.MISSING:
        findings.append(deep_view.torch_missing())
    frameworks = tuple(
        _try(name, child, timeout_s, progress)
        for name, child in _children(facts).items()
    )
    seen = f"{seen_nvml(facts)}; {seen_driver(facts)}"
    gpu = seen if gpu_is_seen(facts) else None
    for one in frameworks:
        findings += deep_view.judge(one, gpu)
    return DeepReport(
        frameworks=frameworks,
        findings=tuple(sorted(findings, key=_rank)),
        kernel=kernel,
        elapsed_s=time.monotonic() - started,
    )


def ask_kernel(torch: Any, timeout_s: float) -> tuple[str, Finding | None]:  # noqa: ANN401 (any PyTorch)
    """Ask CUDA in this process for four bytes; return its answer in words.

    In a thread, for work that never ends would keep us for ever.
    """
    errors: list[Exception] = []

    def ask() -> None:
        try:
            torch.empty(1, dtype=torch.float32, device="cuda")
            torch.cuda.synchronize()
        except Exception as error:  # noqa: BLE001 (what we are here for)
            errors.append(error)

    thread = threading.Thread(target=ask, name="colabmagic-kernel", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        return "does not answer", deep_view.kernel_stuck(timeout_s)
    if not errors:
        return "OK", None
    message = describe(errors[0])
    if "out of memory" in message.lower():
        return "out of memory", deep_view.kernel_full(message)
    return "broken", deep_view.poisoned(message)


def _rank(finding: Finding) -> int:
    """Return the place of a finding: the worst first."""
    return (Severity.ERROR, Severity.WARN, Severity.INFO).index(finding.severity)


def _children(facts: GpuFacts) -> dict[str, Child]:
    """Return what is to be tried, by the name of the framework."""
    others = {
        name: child for name, child in _OTHERS.items() if _is_installed(child.package)
    }
    if facts.torch.state is TorchState.MISSING:
        return others
    return {deep_view.TORCH: Child(script="deep_torch", package="torch"), **others}


def _is_installed(package: str) -> bool:
    """Tell whether an import would find a package; imports nothing."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # a half-removed package
        return False


def _try(
    name: str, child: Child, timeout_s: float, progress: Progress
) -> FrameworkTrials:
    """Try one framework."""
    collector = Collector(name, progress)
    progress.start(f"Trying {name}")
    try:
        end = run_child(child, timeout_s=timeout_s, on_event=collector.take)
    finally:
        progress.finish()
    return collector.result(end)
