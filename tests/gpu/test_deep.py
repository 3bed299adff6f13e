"""The deep check: what frameworks say when they are really used."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.gpu.trials.child import ChildEnd, teller
from colabmagic.gpu.trials.children import deep_jax, deep_tensorflow, deep_torch
from colabmagic.gpu.trials.deep import MIME_TYPE, DeepReport, ask_kernel, deep
from colabmagic.gpu.trials.deep_results import Collector
from colabmagic.report.text import WIDTH
from tests.gpu.framework_env import Steps, use, write
from tests.gpu.machines import change, load

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

NAMES = list(deep_torch.operations())
TWO = [{"name": "Tesla T4"}, {"name": "Tesla P100-PCIE-16GB"}]
NO_KERNEL = (
    "CUDA error: no kernel image is available for execution on the device\n"
    "CUDA kernel errors might be asynchronously reported at some other API call"
)


def codes(report: DeepReport) -> list[str]:
    """Return the codes of the findings."""
    return [one.code for one in report.findings]


def answers(report: DeepReport, device: str) -> dict[str, str | None]:
    """Return what PyTorch said to each operation on a device."""
    trials = report.frameworks[0].trials
    return {one.operation: one.message for one in trials if one.device == device}


def test_the_cpu_of_this_machine() -> None:
    """The real PyTorch does everything right on the CPU, in a process of its own."""
    loaded = "torch" in sys.modules
    steps = Steps()
    report = deep(load("own_no_gpu"), progress=steps)
    assert report.ok, report.text
    assert answers(report, "cpu") == dict.fromkeys(NAMES)
    assert ("torch" in sys.modules) == loaded
    assert report.headline == (
        f"GPU deep check: ALL WELL  PyTorch {len(NAMES)} of {len(NAMES)} on cpu"
    )
    assert report.kernel is None
    assert steps.started == [("Trying PyTorch", None)]
    assert (steps.advanced, steps.open) == (len(NAMES), 0)


def test_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each device answers for itself, in PyTorch's own words where it fails."""
    faults = {
        "cuda:0 bfloat16": "\"addmm_impl\" not implemented for 'BFloat16'",
        **{f"cuda:1 {name}": NO_KERNEL for name in ("float32", "float16", "bfloat16")},
    }
    use(monkeypatch, "pretended", devices=TWO, faults=faults)
    report = deep(load("kaggle_2xt4"))
    assert not report.ok
    assert answers(report, "cpu") == dict.fromkeys(NAMES)
    told = answers(report, "cuda:0")
    assert told.pop("bf16 matmul") == (
        "RuntimeError: \"addmm_impl\" not implemented for 'BFloat16'"
    )
    assert set(told.values()) == {None}
    p100, t4 = report.findings  # an error goes before a warning
    assert (p100.code, t4.code) == ("deep-failed", "deep-failed")
    assert (p100.severity.value, t4.severity.value) == ("error", "warn")
    assert "cuda:1 (Tesla P100-PCIE-16GB): fp32 matmul, fp16 matmul" in p100.title
    assert p100.evidence == (f"RuntimeError: {NO_KERNEL.splitlines()[0]}",)
    assert "which PyTorch has kernels" in p100.fix[0]
    assert t4.title == "PyTorch fails on cuda:0 (Tesla T4): bf16 matmul."
    assert max(map(len, report.text.splitlines())) <= WIDTH
    for row in ("cpu  ", "cuda:0 (Tesla T4)  ", "cuda:1 (Tesla"):
        assert f"\n{row}" in report.text


def test_a_failing_convolution_is_serious(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without convolutions no such model trains: that is no mere warning."""
    message = "GET was unable to find an engine to execute this computation"
    use(monkeypatch, "pretended", devices=TWO[:1], faults={"conv2d": message})
    report = deep(load("colab_t4"))
    told = answers(report, "cuda:0")
    failed = [name for name, answer in told.items() if answer]
    assert failed == ["convolution", "backward"]
    assert {one.severity.value for one in report.findings} == {"error"}


def test_a_gpu_that_torch_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's own words on CUDA are told where there is a GPU, and only there."""
    words = "Found no NVIDIA driver on your system"
    use(monkeypatch, "pretended", cuda_error=words)
    (finding,) = deep(load("colab_t4")).findings
    assert finding.code == "deep-no-gpu"
    assert finding.severity.value == "error"
    assert finding.evidence[1] == f"PyTorch: AssertionError: {words}"
    assert "NVML lists 1 GPU" in finding.evidence[0]
    assert deep(load("own_no_gpu")).findings == ()


def test_a_crash_in_an_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went before counts, and the operation that killed the child is named."""
    use(monkeypatch, "pretended", devices=TWO, faults={"cuda:0 float16": "kill"})
    report = deep(load("colab_t4"))
    assert answers(report, "cuda:0") == {"fp32 matmul": None}
    (finding,) = report.findings
    assert finding.code == "deep-stopped"
    assert finding.evidence == (
        "it was killed by signal 11 (SIGSEGV)",
        "last begun: fp16 matmul on cuda:0",
    )


@pytest.mark.parametrize(
    ("code", "finding", "evidence"),
    [
        ("import time; time.sleep(600)", "deep-stopped", "was not through after 2 s"),
        ("import os; os.abort()", "deep-stopped", "SIGABRT"),
        ("raise SystemExit(7)", "deep-stopped", "ended early with status 7"),
        ("import no_such_part", "import-failed", "No module named 'no_such_part'"),
        ("print('{}'); raise ValueError('x' * 99)", "import-failed", "ValueError: xx"),
        ("__version__ = '1'", "deep-stopped", "has no attribute"),
    ],
)
def test_broken_packages(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    code: str,
    finding: str,
    evidence: str,
) -> None:
    """A package that hangs, dies or cannot be imported is told as just that."""
    write(monkeypatch, tmp_path, code)
    report = deep(load("colab_t4"), timeout_s=2)
    assert codes(report) == [finding]
    assert evidence in report.findings[0].evidence[0]
    assert report.headline.startswith("GPU deep check: PROBLEMS FOUND")
    json.loads(report.to_json())


INTERRUPTED = """
import time
from types import SimpleNamespace as Space
__version__ = "2.11.0"
cuda = Space(is_available=lambda: False)
backends = Space(mps=None)
def __getattr__(name):
    if name == "float32": return name
    if name == "ones": raise RuntimeError("nothing works here")
    if name == "float16": time.sleep(600)
    raise AttributeError(name)
"""


def test_an_interrupt_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C ends the child and reaches the caller."""
    write(monkeypatch, tmp_path, INTERRUPTED)

    class Interrupted(Steps):
        """Stands for a signal that comes while something is tried."""

        def advance(self, amount: float = 1) -> None:
            """Be interrupted after the first trial."""
            super().advance(amount)
            raise KeyboardInterrupt

    steps = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        deep(load("colab_t4"), progress=steps)
    assert steps.open == 0
    assert steps.advanced == 1
    assert not [one for one in threading.enumerate() if "colabmagic" in one.name]


TENSORFLOW = """
from types import SimpleNamespace as Space
__version__ = "2.21.0"
config = Space(list_physical_devices=lambda: [])
import sys; sys.stderr.write("W: Could not find cuda drivers on your machine\\n")
"""


def test_other_frameworks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TensorFlow is tried where it is installed; without PyTorch that is told."""
    write(monkeypatch, tmp_path, TENSORFLOW, "tensorflow")
    monkeypatch.syspath_prepend(tmp_path)  # so that it counts as installed
    report = deep(load("torch_missing"))
    assert [one.framework for one in report.frameworks] == ["TensorFlow"]
    assert codes(report) == ["torch-missing", "deep-no-gpu"]
    finding = report.findings[1]
    assert finding.severity.value == "warn"  # PyTorch is what this is about
    assert finding.evidence[1:] == (
        "TensorFlow: it lists no GPU",
        "TensorFlow: W: Could not find cuda drivers on your machine",
    )
    assert "TensorFlow 2.21.0" in report.text


JAX = """
import os
assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
raise RuntimeError("jaxlib version 0.4.1 is newer than <b>jax</b>")
"""


def test_a_broken_jax(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """JAX may not take the GPU's memory; its failure is a warning, and escaped."""
    write(monkeypatch, tmp_path, JAX, "jax")
    monkeypatch.syspath_prepend(tmp_path)
    report = deep(load("torch_missing"))
    assert codes(report) == ["torch-missing", "import-failed"]
    assert "RuntimeError: jaxlib version" in report.findings[1].evidence[0]
    assert "<b>" not in report.html
    assert "&lt;b&gt;jax" in report.html


class Broken:
    """A framework of which every part exists and fails when it is used."""

    def __getattr__(self, name: str) -> Broken:
        return self

    def __call__(self, *_: object, **__: object) -> None:
        """Fail as a GPU does."""
        raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS\nmore")


def broken_jax() -> SimpleNamespace:
    """Return a JAX with one GPU that fails."""
    gpu = SimpleNamespace(platform="gpu", id=0, device_kind="Tesla T4")
    return SimpleNamespace(
        __version__="0.10.2",
        devices=lambda: [gpu],
        default_device=lambda _: contextlib.nullcontext(),
        numpy=Broken(),
    )


def broken_tensorflow() -> SimpleNamespace:
    """Return a TensorFlow with one GPU that fails."""
    gpu = SimpleNamespace(device_type="GPU", name="/physical_device:GPU:0")
    xla = SimpleNamespace(device_type="XLA_GPU", name="/physical_device:XLA_GPU:0")
    experimental = SimpleNamespace(
        get_device_details=lambda _: {"device_name": "Tesla T4"}
    )
    return SimpleNamespace(
        __version__="2.21.0",
        config=SimpleNamespace(
            list_physical_devices=lambda: [gpu, xla], experimental=experimental
        ),
        device=lambda _: contextlib.nullcontext(),
        ones=Broken(),
        range=Broken(),
        nn=Broken(),
        Variable=Broken(),
    )


@pytest.mark.parametrize(
    ("script", "framework", "device"),
    [
        (deep_jax, broken_jax(), "gpu:0"),
        (deep_tensorflow, broken_tensorflow(), "GPU:0"),
    ],
)
def test_other_frameworks_fail_in_their_own_words(
    script: ModuleType, framework: SimpleNamespace, device: str
) -> None:
    """Every operation of TensorFlow and JAX is tried, and each failure is told."""
    collector = Collector("JAX", Steps())
    script.run(framework, teller(collector.take), {})
    trials = collector.result(ChildEnd(reason=None))
    names = list(script.operations(framework))
    assert [one.operation for one in trials.trials] == names
    assert {one.message for one in trials.trials} == {
        "RuntimeError: CUDA_ERROR_ILLEGAL_ADDRESS"
    }
    assert trials.names == ((device, "Tesla T4"),)
    assert trials.no_accelerator is None
    assert not trials.ok


def fake_kernel(error: Exception | None, wait: Any = None) -> SimpleNamespace:  # noqa: ANN401 (any event)
    """Return a PyTorch whose CUDA gives this answer."""

    def synchronize() -> None:
        if wait is not None:
            wait.wait(30)
        if error is not None:
            raise error

    return SimpleNamespace(
        float32="float32",
        empty=lambda *_, **__: object(),
        cuda=SimpleNamespace(synchronize=synchronize, is_initialized=lambda: True),
    )


ASSERT = RuntimeError("CUDA error: device-side assert triggered\nmore\nlines")


@pytest.mark.parametrize(
    ("error", "answer", "code"),
    [
        (None, "OK", None),
        (ASSERT, "broken", "cuda-poisoned"),
        (
            RuntimeError("CUDA error: an illegal memory access was encountered"),
            "broken",
            "cuda-poisoned",
        ),
        (RuntimeError("CUDA out of memory."), "out of memory", "mem-held"),
    ],
)
def test_cuda_in_this_kernel(
    error: Exception | None, answer: str, code: str | None
) -> None:
    """An earlier error shows in a question of four bytes; a full GPU is no such."""
    words, finding = ask_kernel(fake_kernel(error), 5)
    assert words == answer
    assert (finding and finding.code) == code


def test_cuda_in_this_kernel_hangs() -> None:
    """Work that never ends does not keep the check."""
    done = threading.Event()
    words, finding = ask_kernel(fake_kernel(None, done), 0.1)
    done.set()
    assert words == "does not answer"
    assert finding is not None
    assert finding.code == "cuda-busy"


def test_a_poisoned_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken kernel is told first, also when a fresh process works well."""
    use(monkeypatch, "pretended", devices=TWO[:1])
    monkeypatch.setitem(sys.modules, "torch", fake_kernel(ASSERT))
    facts = change(load("colab_t4"), torch={"cuda_initialized": True})
    report = deep(facts)
    assert codes(report) == ["cuda-poisoned"]
    assert "restart the kernel" in report.findings[0].title
    assert report.findings[0].evidence == (
        "4 bytes on the GPU: RuntimeError: CUDA error: device-side assert triggered",
    )
    assert set(answers(report, "cuda:0").values()) == {None}
    assert "CUDA in this kernel: broken" in report.text
    assert report.kernel == "broken"


def test_the_kernel_is_not_asked_where_cuda_is_not_live(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """CUDA is not started by us in a process where it is not."""
    write(monkeypatch, tmp_path, "raise ImportError('not here')")
    monkeypatch.setitem(sys.modules, "torch", fake_kernel(ASSERT))
    report = deep(load("colab_t4"))
    assert report.kernel is None
    assert codes(report) == ["import-failed"]


def test_dict_and_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain data holds all trials, and nothing of the error stream."""
    use(monkeypatch, "pretended", devices=TWO[:1])
    report = deep(load("colab_t4"))
    data = json.loads(report.to_json())
    assert data == report.to_dict()
    assert data["ok"]
    (framework,) = data["frameworks"]
    assert "stderr" not in framework
    assert {one["message"] for one in framework["trials"]} == {None}
    assert set(report._repr_mimebundle_()) == {"text/plain", "text/html", MIME_TYPE}
    assert str(report) == report.text
    assert repr(report).startswith("<DeepReport: PyTorch")
    assert not re.search(r"<(script|style|svg|img|link|iframe)|url\(", report.html)


@pytest.mark.parametrize(("got", "wrong"), [(128.0, False), (127.0, False), (64, True)])
def test_a_wrong_result_is_a_failure(got: float, *, wrong: bool) -> None:
    """A result may be rounded, but not be another one; nor may it be no number."""
    for value, is_wrong in ((got, wrong), (float("nan"), True)):
        if is_wrong:
            with pytest.raises(ArithmeticError, match="instead of 128"):
                deep_torch.check(value, 128.0)
        else:
            deep_torch.check(value, 128.0)
