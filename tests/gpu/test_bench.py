"""The benchmark: the child's figures, what is made of them, and what goes wrong."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.gpu.facts import Unknown
from colabmagic.gpu.trials.bench import MIME_TYPE, BenchReport, bench
from colabmagic.gpu.trials.bench_results import Collector, Measurement
from colabmagic.gpu.trials.children import bench_torch
from colabmagic.report.text import WIDTH
from tests.fakes.drivers import build, profiles
from tests.gpu.framework_env import FOLDER, Steps, use, write
from tests.gpu.machines import change, load

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30
T4 = {"name": "Tesla T4", "cc": [7, 5], "bus": 4}
A100 = {
    "name": "NVIDIA A100-SXM4-40GB",
    "cc": [8, 0],
    "total": 40 * GIB,
    "free": 39 * GIB,
}


def values(report: BenchReport, index: int = 0) -> dict[str, float | None]:
    """Return the figures of a device, None for one that failed."""
    return {
        one.key: None if isinstance(one.value, Unknown) else round(one.value, 3)
        for one in report.devices[index].measurements
    }


def codes(report: BenchReport) -> list[str]:
    """Return the codes of the findings."""
    return [one.code for one in report.findings]


def test_the_cpu_of_this_machine() -> None:
    """Without a GPU the real PyTorch measures the CPU, in a process of its own."""
    loaded = "torch" in sys.modules
    steps = Steps()
    report = bench(load("own_no_gpu"), quick=True, progress=steps)
    assert report.ok
    assert report.is_complete
    assert not report.in_process
    assert ("torch" in sys.modules) == loaded
    (device,) = report.devices
    assert device.device == "cpu"
    assert device.threads
    assert set(values(report)) == {"fp32", "bf16", "memory"}
    assert all(value and value > 0 for value in values(report).values())
    assert [one.unit for one in device.measurements] == ["GFLOP/s", "GFLOP/s", "GB/s"]
    assert report.headline.startswith("CPU bench: DONE")
    assert f"cpu, {device.threads} thread" in report.text
    assert "%" not in report.text  # no datasheet of a CPU
    assert steps.started[1:] == [("Measuring cpu", 3)]
    assert (steps.advanced, steps.open) == (3, 0)


T4_TEXT = """\
GPU bench: DONE  Tesla T4: fp32 4.0, fp16 40.0, bf16 2.0 TFLOP/s, memory
240 GB/s
  Warning cuda:0 (Tesla T4) reaches less than half of its datasheet: fp32
          matmul. [bench-slow]
  Seen    fp32 matmul: 4.0 of 8.1 TFLOP/s
"""
T4_ROWS = """\
cuda:0 (Tesla T4)          Size      Result        Datasheet    Share
fp32 matmul                n=2048    4.0 TFLOP/s   8.1 TFLOP/s  49% (low)
fp16 matmul                n=4096    40.0 TFLOP/s  65 TFLOP/s   62%
bf16 matmul (emulated)     n=2048    2.0 TFLOP/s
memory copy                1792 MiB  240 GB/s      300 GB/s     80%
to the device, pinned      256 MiB   12.0 GB/s
from the device, pinned    256 MiB   12.0 GB/s
to the device, pageable    256 MiB   4.0 GB/s
from the device, pageable  256 MiB   4.0 GB/s
"""


def test_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rates that the device has are found, beside those of its datasheet."""
    use(monkeypatch, "timed", devices=[T4])
    report = bench(load("colab_t4"), quick=True)
    assert values(report) == {
        "fp32": 4,
        "fp16": 40,
        "bf16": 2,
        "memory": 240,
        "h2d_pinned": 12,
        "d2h_pinned": 12,
        "h2d_pageable": 4,
        "d2h_pageable": 4,
    }
    assert report.text.startswith(T4_TEXT)
    assert T4_ROWS in report.text
    assert "From NVIDIA T4 datasheet" in report.text
    assert "PyTorch 2.11.0+cu128" in report.text
    assert max(map(len, report.text.splitlines())) <= WIDTH
    assert codes(report) == ["bench-slow"]
    assert "normal for small cards" not in report.text  # nobody saw a power limit
    for one in report.devices[0].measurements:
        assert one.samples >= 3
        assert one.is_low == (one.key == "fp32")


def test_the_thorough_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --quick the matrices are larger and the medians are of ten or more."""
    use(monkeypatch, "timed", devices=[T4])
    report = bench(load("colab_t4"))
    matmuls = {one.key: one for one in report.devices[0].measurements[:3]}
    assert matmuls["fp32"].size == 4096
    assert matmuls["fp16"].size == 8192
    assert min(one.samples for one in matmuls.values()) >= 10
    assert min(one.samples for one in report.devices[0].measurements) >= 5
    assert values(report)["fp32"] == 4


def test_tensor_cores_and_several_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer GPU has tf32 and true bf16; each GPU has a table and a datasheet."""
    rates = {"float32": 18e12, "tf32": 120e12, "bfloat16": 250e12, "float16": 250e12}
    rates["copy"] = 1400e9
    use(monkeypatch, "timed", devices=[A100, T4], rates=rates)
    steps = Steps()
    report = bench(load("kaggle_2xt4"), quick=True, progress=steps)
    assert values(report)["tf32"] == 120
    assert "tf32" not in values(report, 1)
    first, second = report.devices
    shares = {one.key: one.share for one in first.measurements}
    assert shares["bf16"] == pytest.approx(250 / 312)
    assert shares["h2d_pinned"] is None
    assert [one.note for one in first.measurements if one.key == "bf16"] == [""]
    assert second.datasheet is not None
    assert second.datasheet.name == "Tesla T4"
    assert report.headline.endswith("(and 1 more)")
    assert "cuda:1 (Tesla T4)" in report.text
    assert "cuda:1, during the run:" in report.text
    measured = ["Measuring cuda:0 NVIDIA A100-SXM4-40GB", "Measuring cuda:1 Tesla T4"]
    assert [what for what, _ in steps.started] == ["Starting PyTorch", *measured]
    assert (steps.advanced, steps.open) == (9 + 8, 0)


@pytest.mark.parametrize(
    "name", ["NVIDIA A100-SXM4-40GB MIG 1g.5gb", "<script>alert(1)</script>"]
)
def test_an_unknown_card(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A name without datasheet gets figures, no share, no blame, and no markup."""
    use(monkeypatch, "timed", devices=[{"name": name, "cc": [8, 0]}])
    report = bench(load("colab_t4"), quick=True)
    assert report.ok
    assert codes(report) == []
    assert "%" not in report.text
    assert "Datasheet none at hand for this name" in report.text
    assert "<script>" not in report.html


def test_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The matrices are small enough for what is free, and so are the copies."""
    free = 40 * 2**20
    use(monkeypatch, "timed", devices=[{**T4, "free": free}])
    report = bench(load("colab_t4"), quick=True)
    for one in report.devices[0].measurements:
        used = 3 * one.size**2 * 4 if one.key == "fp32" else one.size
        assert used <= free / 2
    assert values(report)["memory"] == 240


def test_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """One figure that fails leaves the others, and says in torch's words why."""
    message = "CUDA out of memory. Tried to allocate 1.75 GiB.\nSee documentation"
    use(monkeypatch, "timed", devices=[T4], faults={"copy": message})
    report = bench(load("colab_t4"), quick=True)
    assert report.is_complete
    assert values(report)["memory"] is None
    assert values(report)["fp16"] == 40
    finding = next(one for one in report.findings if one.code == "bench-failed")
    assert finding.title == "On cuda:0 (Tesla T4) failed: memory copy."
    assert finding.evidence == (
        "RuntimeError: CUDA out of memory. Tried to allocate 1.75 GiB.",
    )
    assert "Free the GPU's memory" in finding.fix[0]
    assert "memory copy" in report.text
    assert "failed" in report.text


def test_a_gpu_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that fails at once leaves the next one its turn."""
    lost = {**T4, "broken": "CUDA error: GPU is lost"}
    use(monkeypatch, "timed", devices=[lost, T4])
    report = bench(load("one_lost"), quick=True)
    assert values(report, 1)["fp16"] == 40
    (finding,) = [one for one in report.findings if one.code == "bench-failed"]
    assert finding.title == "On cuda:0 failed: all."
    assert "GPU is lost" in finding.evidence[0]
    assert report.headline.startswith("GPU bench: DONE")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("kill", "it was killed by signal 11 (SIGSEGV)"),
        ("exit:3", "it ended early with status 3: terminate called after throwing"),
        ("hang", "it was not through after 4 s and was ended"),
    ],
)
def test_a_child_that_dies(
    monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    """What was measured before counts; the last step and the reason are told."""
    use(monkeypatch, "timed", devices=[T4], faults={"bfloat16": fault})
    report = bench(load("colab_t4"), quick=True, timeout_s=4)
    assert report.ok
    assert not report.is_complete
    assert values(report) == {"fp32": 4, "fp16": 40}
    finding = report.findings[0]
    assert finding.code == "bench-stopped"
    assert finding.evidence == (reason, "last begun: bf16 matmul on cuda:0")
    assert report.headline.startswith("GPU bench: INCOMPLETE  Tesla T4")


def test_noise_between_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """What libraries print does not disturb what the child tells."""
    use(monkeypatch, "timed", devices=[T4], faults={"float16": "noise"})
    report = bench(load("colab_t4"), quick=True)
    assert report.is_complete
    assert values(report)["fp16"] == 40


def test_a_broken_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An import that fails is told in its own words."""
    code = "raise OSError('libcudart.so.12: cannot open\\nsecond line')"
    write(monkeypatch, tmp_path, code)
    report = bench(load("colab_t4"), quick=True)
    assert not report.ok
    assert codes(report) == ["import-failed"]
    assert report.findings[0].evidence == ("OSError: libcudart.so.12: cannot open",)
    assert report.headline == "GPU bench: FAILED"


def test_a_torch_that_takes_python_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A crash in the import is a finding, not a crash here."""
    write(monkeypatch, tmp_path, "import os; os.abort()")
    report = bench(load("colab_t4"), quick=True)
    assert codes(report) == ["bench-stopped"]
    assert report.findings[0].severity.value == "error"
    assert "SIGABRT" in report.findings[0].evidence[0]


def test_no_torch() -> None:
    """Without PyTorch nothing is started, and the reason is plain."""
    report = bench(load("torch_missing"))
    assert codes(report) == ["torch-missing"]
    assert report.headline == "GPU bench: FAILED"
    assert "PyTorch is not installed" in report.text
    assert not report.to_dict()["ok"]


def test_a_gpu_that_torch_does_not_see() -> None:
    """The CPU's figures are not passed off as the GPU's."""
    report = bench(load("torch_cpu_build"), quick=True)
    assert report.headline.startswith("CPU bench: DONE")
    (finding,) = report.findings
    assert finding.code == "bench-no-gpu"
    assert "built without CUDA" in finding.evidence[0]


def fake_torch(monkeypatch: pytest.MonkeyPatch, **config: object) -> Any:  # noqa: ANN401 (a stand-in)
    """Load the timed stand-in into this process, as if it were PyTorch."""
    monkeypatch.setenv("FAKE_TORCH", json.dumps(config))
    spec = importlib.util.spec_from_file_location(
        "torch", FOLDER / "timed/torch/__init__.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.delitem(sys.modules, "torch.version", raising=False)
    spec.loader.exec_module(module)
    return module


def test_cuda_live_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CUDA is live, this process is measured, said so, and left as it was."""
    torch = fake_torch(monkeypatch, devices=[A100])
    facts = change(load("colab_t4"), torch={"cuda_initialized": True})
    report = bench(facts, quick=True)
    assert report.in_process
    assert values(report)["tf32"] == 60
    assert values(report)["fp32"] == 4
    assert "bench-in-process" in codes(report)
    assert "measured in this kernel" in report.text
    assert torch.backends.cuda.matmul.fp32_precision == "none"


def test_a_failure_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks in this process is a finding, too."""
    torch = fake_torch(monkeypatch)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1 / 0)
    facts = change(load("colab_t4"), torch={"cuda_initialized": True})
    report = bench(facts, quick=True)
    assert codes(report) == ["bench-stopped", "bench-in-process"]
    assert report.findings[0].evidence == ("ZeroDivisionError: division by zero",)


def test_older_torch_has_another_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before PyTorch 2.9 it is `allow_tf32` that is set and set back."""
    torch = fake_torch(monkeypatch)

    class Matmul:
        """The old switch."""

        allow_tf32 = True

    torch.backends.cuda.matmul = Matmul
    one = bench_torch._Bench(torch, "cuda:0", {})
    seen = []
    for key in ("fp32", "tf32"):
        with one.precision(key):
            seen.append(Matmul.allow_tf32)
    assert seen == [False, True]
    assert Matmul.allow_tf32 is True


def test_an_interrupt_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the child at once and reaches the caller."""
    use(monkeypatch, "timed", devices=[T4], faults={"float16": "hang"})

    class Interrupted(Steps):
        """Stands for a signal that comes while a figure is taken."""

        def advance(self, amount: float = 1) -> None:
            """Be interrupted after the first figure."""
            super().advance(amount)
            raise KeyboardInterrupt

    steps = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        bench(load("colab_t4"), quick=True, progress=steps)
    assert steps.open == 0
    assert not [one for one in threading.enumerate() if "colabmagic" in one.name]


def test_dict_and_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain data holds all figures with their shares; the bundle has no bare JSON."""
    use(monkeypatch, "timed", devices=[T4])
    report = bench(load("colab_t4"), quick=True)
    data = json.loads(report.to_json())
    assert data == report.to_dict()
    fp32 = data["devices"][0]["measurements"][0]
    assert fp32["share"] == pytest.approx(4 / 8.1)
    assert data["devices"][0]["datasheet"]["source"].startswith("NVIDIA T4 datasheet")
    assert data["findings"][0]["code"] == "bench-slow"
    bundle = report._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", MIME_TYPE}
    assert str(report) == report.text
    assert repr(report).startswith("<BenchReport: Tesla T4: fp32 4.0")
    assert not re.search(r"<(script|style|svg|img|link|iframe)|url\(", report.html)


def test_odd_events_are_passed_over() -> None:
    """Whatever a child tells, nothing breaks here."""
    steps = Steps()
    collector = Collector(steps)
    events: list[dict[str, Any]] = [
        {"event": "what"},
        {"event": "result", "device": "cuda:9", "key": "fp32", "value": 1},
        {"event": "device", "device": "cuda:0", "name": None, "steps": None},
        {"event": "begin", "device": None, "key": None},
        {"event": "result", "device": "cuda:0", "key": "fp32", "value": None},
        {"event": "failed", "device": "cuda:0", "key": "new", "message": "no"},
    ]
    for event in events:
        collector.take(event)
    (device,) = collector.devices(lambda *_: Unknown("not watched"))
    assert [one.label for one in device.measurements] == ["fp32 matmul", "new"]
    assert all(isinstance(one.value, Unknown) for one in device.measurements)
    assert device.title == "cuda:0"


def test_share() -> None:
    """The share is that of the datasheet, where both are known."""
    assert Measurement(key="fp32", value=4.0, peak=8.0).share == 0.5
    assert not Measurement(key="fp32", value=4.0, peak=8.0).is_low
    assert Measurement(key="fp32", value=3.9, peak=8.0).is_low
    assert Measurement(key="fp32", value=4.0).share is None
    assert Measurement(key="fp32", value=Unknown("no"), peak=8.0).share is None


WHOLE = """
from colabmagic.gpu.trials.bench import bench
report = bench(quick=True)
print(report.text)
"""


def test_the_whole_way_with_nvml(libraries: Path, tmp_path: Path) -> None:
    """With a driver, the heat and the power limit of the very GPU are told."""
    settings = {"d0.throttle": 0x44, "d0.temp": 91, "d1.temp": 45}
    config = profiles.write_profile("2xt4_kaggle", tmp_path / "gpu.cfg", settings)
    env = build.fake_gpu_env(libraries, config)
    # One GPU of two, the first: its address is what connects the two lists.
    env |= {
        "PYTHONPATH": str(FOLDER / "timed"),
        "FAKE_TORCH": json.dumps({"devices": [T4]}),
    }
    done = subprocess.run(
        [sys.executable, "-c", WHOLE],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "[throttle]" in done.stdout
    assert "held back by heat (all the time), the power limit (all the" in done.stdout
    assert "up to 91 °C" in done.stdout
    assert "[bench-slow]" in done.stdout
    assert "normal for small cards" in done.stdout
