"""The thread that asks NVML: what it does when the library fails, hangs or is slow."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from colabmagic.gpu.facts import NvmlFacts, SourceState, Unknown
from colabmagic.gpu.sources.nvml import NvmlSource


class Refusal(Exception):  # noqa: N818 (stands for pynvml's NVMLError)
    """What pynvml raises: an exception with a code."""

    def __init__(self, value: int, text: str = "refused") -> None:
        super().__init__(text)
        self.value = value


def raiser(error: Exception) -> Any:  # noqa: ANN401 (stands for any function)
    """Return a function that raises."""

    def fail(*_: object) -> None:
        raise error

    return fail


def library(**functions: Any) -> SimpleNamespace:  # noqa: ANN401
    """Return a pynvml with one T4; functions that it lacks are too old to have."""
    known = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlSystemGetDriverVersion": lambda: b"550.54.15",
        "nvmlSystemGetCudaDriverVersion_v2": lambda: 12040,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda _: b"Tesla T4",
    }
    return SimpleNamespace(**{**known, **functions})


def ask(load: Any, limit_s: float = 2.0) -> NvmlFacts:  # noqa: ANN401
    """Return what a source says of a library."""
    source = NvmlSource(load)
    until = time.monotonic() + limit_s
    source.start(until)
    return source.finish(until)


def test_reads_versions_and_names_also_as_bytes() -> None:
    """Old versions of pynvml give bytes and lack functions; neither hurts."""
    facts = ask(library)
    (device,) = facts.devices
    assert facts.state is SourceState.OK
    assert facts.driver_version == "550.54.15"
    assert facts.cuda_version == (12, 4)
    assert device.name == "Tesla T4"
    assert isinstance(device.power_w, Unknown)


@pytest.mark.parametrize(
    ("load", "state"),
    [
        (raiser(ImportError("no pynvml")), SourceState.NO_BINDING),
        (raiser(RuntimeError("broken")), SourceState.FAILED),
        (lambda: library(nvmlInit=raiser(Refusal(12))), SourceState.NO_LIBRARY),
        (lambda: library(nvmlInit=raiser(Refusal(9))), SourceState.REFUSED),
        (lambda: library(nvmlInit=raiser(OSError("odd"))), SourceState.FAILED),
        (
            lambda: library(nvmlDeviceGetCount=raiser(Refusal(999))),
            SourceState.REFUSED,
        ),
    ],
    ids=["absent", "broken", "no library", "not loaded", "odd", "lost later"],
)
def test_failure_becomes_a_state(load: Any, state: SourceState) -> None:  # noqa: ANN401
    """Whatever breaks is told, and nothing is raised."""
    facts = ask(load)
    assert facts.state is state
    assert facts.reason


def test_code_is_kept() -> None:
    """Rules need the number that NVML gave."""
    facts = ask(lambda: library(nvmlInit=raiser(Refusal(18, "mismatch"))))
    assert (facts.code, facts.reason) == (18, "mismatch")


def test_shutdown_follows_init() -> None:
    """NVML counts its users, so each init is taken back, also after a failure."""
    calls: list[str] = []
    ask(
        lambda: library(
            nvmlInit=lambda: calls.append("init"),
            nvmlDeviceGetCount=raiser(Refusal(999)),
            nvmlShutdown=lambda: calls.append("shutdown"),
        )
    )
    assert calls == ["init", "shutdown"]


def test_hang_is_cut_and_not_repeated() -> None:
    """A stuck call ends the wait at the deadline; no second thread is started."""
    release = threading.Event()
    starts: list[int] = []

    def load() -> SimpleNamespace:
        starts.append(1)
        return library(nvmlInit=release.wait)

    source = NvmlSource(load)
    started = time.monotonic()
    source.start(started + 0.2)
    first = source.finish(started + 0.2)
    source.start(time.monotonic() + 0.2)
    second = source.finish(time.monotonic() + 0.2)
    assert time.monotonic() - started < 1
    assert (first.state, second.state) == (SourceState.HUNG, SourceState.HUNG)
    assert len(starts) == 1
    release.set()
    time.sleep(0.1)
    source.start(time.monotonic() + 2)
    assert source.finish(time.monotonic() + 2).state is SourceState.OK


def test_slow_library_keeps_what_came() -> None:
    """What was read before the deadline is reported, the rest is unknown."""
    facts = ask(
        lambda: library(nvmlDeviceGetMemoryInfo=lambda _: time.sleep(0.5)), limit_s=0.3
    )
    (device,) = facts.devices
    assert facts.state is SourceState.OK
    assert device.name == "Tesla T4"
    assert "in time" in str(device.temperature_c)
    time.sleep(0.4)  # the thread must not outlive the test


def test_lost_gpu_does_not_hide_the_other() -> None:
    """An error of one handle stays with that GPU."""

    def handle(index: int) -> int:
        if index == 0:
            raise Refusal(15, "GPU is lost")
        return index

    facts = ask(
        lambda: library(nvmlDeviceGetCount=lambda: 2, nvmlDeviceGetHandleByIndex=handle)
    )
    lost, good = facts.devices
    assert (lost.error_code, lost.error) == (15, "GPU is lost")
    assert (good.error, good.name) == (None, "Tesla T4")
