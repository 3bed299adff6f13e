"""Tests for `colabmagic.cuda.machine.gpus`."""

from __future__ import annotations

import threading
import time
import types
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.cuda.machine.facts import Gpu
from colabmagic.cuda.machine.gpus import GpusHere, find_gpus
from colabmagic.gpu.sources.nvml import NvmlSource
from colabmagic.report.model import Unknown
from tests.cuda.machine.tree import Programs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODULE = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 2024\n"
TABLE = "| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4  |\n"
QUERY = "nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader"


class NvmlError(Exception):
    """An error as pynvml's: it holds the code."""

    def __init__(self, value: int, text: str) -> None:
        super().__init__(text)
        self.value = value


def missing() -> Any:  # noqa: ANN401 (a module)
    """Fail as an import does."""
    raise ImportError("No module named 'pynvml'")


def refusing(code: int, text: str) -> Callable[[], Any]:
    """Return what loads a library that does not start."""

    def init() -> None:
        raise NvmlError(code, text)

    return lambda: types.SimpleNamespace(nvmlInit=init)


def ask(
    root: Path, load: Callable[[], Any], programs: Programs | None = None
) -> GpusHere:
    """Return what is found."""
    source = NvmlSource(load)
    until = time.monotonic() + 5
    source.start(until)
    return find_gpus(until, root, source, (programs or Programs()).run)


def test_no_library(tmp_path: Path) -> None:
    """No driver is mounted: None, not Unknown."""
    found = ask(tmp_path, refusing(12, "NVML Shared Library Not Found"))
    assert found == GpusHere()


def test_a_driver_that_refuses(tmp_path: Path) -> None:
    """It is there and does not answer: the reason is kept."""
    found = ask(tmp_path, refusing(9, "Driver Not Loaded"))
    assert isinstance(found.driver, Unknown)
    assert "Driver Not Loaded" in found.driver.reason
    assert found.gpus == ()


def test_without_the_python_package(tmp_path: Path) -> None:
    """The kernel module and nvidia-smi tell; where neither is there, no driver is."""
    programs = Programs()
    assert ask(tmp_path, missing, programs) == GpusHere()
    assert programs.asked == []
    file = tmp_path / "proc/driver/nvidia/version"
    file.parent.mkdir(parents=True)
    file.write_text(MODULE)
    lines = "Tesla T4, 7.5, 550.54.15\nOdd card, [N/A], 550.54.15\n"
    found = ask(tmp_path, missing, Programs({QUERY: lines, "nvidia-smi": TABLE}))
    assert found.driver == "550.54.15"
    assert found.driver_cuda == (12, 4)
    assert found.gpus == (
        Gpu(name="Tesla T4", capability=(7, 5)),
        Gpu(name="Odd card", capability=Unknown("the driver does not tell")),
    )


def test_without_nvidia_smi(tmp_path: Path) -> None:
    """The version of the module is better than nothing."""
    file = tmp_path / "sys/module/nvidia/version"
    file.parent.mkdir(parents=True)
    file.write_text("535.183.01\n")
    found = ask(tmp_path, missing)
    assert found.driver == "535.183.01"
    assert isinstance(found.driver_cuda, Unknown)


def test_wsl_has_no_kernel_module(tmp_path: Path) -> None:
    """There nvidia-smi alone tells the driver."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/dxg").write_text("")
    lines = "NVIDIA GeForce RTX 4070, 8.9, 566.36\n"
    found = ask(tmp_path, missing, Programs({QUERY: lines, "nvidia-smi": TABLE}))
    assert found.driver == "566.36"


@pytest.mark.timeout(20)
def test_a_driver_that_hangs(tmp_path: Path) -> None:
    """There is an answer when the time is over."""
    leave = threading.Event()
    library = types.SimpleNamespace(
        nvmlInit=lambda: leave.wait(15),
        nvmlDeviceGetCount=lambda: 0,
        nvmlSystemGetDriverVersion=lambda: "550.54.15",
        nvmlSystemGetCudaDriverVersion_v2=lambda: 12040,
        nvmlShutdown=lambda: None,
    )
    source = NvmlSource(lambda: library)
    until = time.monotonic() + 0.2
    source.start(until)
    try:
        found = find_gpus(until, tmp_path, source, Programs().run)
        assert isinstance(found.driver, Unknown)
        assert isinstance(found.driver_cuda, Unknown)
    finally:
        leave.set()
        for thread in threading.enumerate():
            if thread.name == "colabmagic-nvml":
                thread.join(5)
