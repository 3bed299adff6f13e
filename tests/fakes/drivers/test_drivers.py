"""The fake drivers, seen through pynvml and ctypes, each test in a child process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.drivers import build, profiles

if TYPE_CHECKING:
    from pathlib import Path

READ_ALL = """
import json, pynvml as nvml
def ask(function, *args):
    try:
        return function(*args)
    except nvml.NVMLError as error:
        return type(error).__name__
try:
    nvml.nvmlInit()
except nvml.NVMLError as error:
    print(json.dumps({"init": type(error).__name__}))
    raise SystemExit
gpus = []
for index in range(nvml.nvmlDeviceGetCount()):
    handle = ask(nvml.nvmlDeviceGetHandleByIndex, index)
    if isinstance(handle, str):
        gpus.append({"handle": handle})
        continue
    memory = ask(nvml.nvmlDeviceGetMemoryInfo, handle)
    memory_v2 = ask(nvml.nvmlDeviceGetMemoryInfo, handle, nvml.nvmlMemory_v2)
    processes = ask(nvml.nvmlDeviceGetComputeRunningProcesses, handle)
    pci = ask(nvml.nvmlDeviceGetPciInfo, handle)
    gpus.append({
        "name": ask(nvml.nvmlDeviceGetName, handle),
        "cc": ask(nvml.nvmlDeviceGetCudaComputeCapability, handle),
        "total": getattr(memory, "total", memory),
        "used": getattr(memory, "used", memory),
        "reserved": getattr(memory_v2, "reserved", memory_v2),
        "temperature": ask(nvml.nvmlDeviceGetTemperature, handle, 0),
        "fan": ask(nvml.nvmlDeviceGetFanSpeed, handle),
        "util": getattr(ask(nvml.nvmlDeviceGetUtilizationRates, handle), "gpu", None),
        "pci": getattr(pci, "busId", pci),
        "processes": processes if isinstance(processes, str) else
            [[p.pid, p.usedGpuMemory] for p in processes],
    })
print(json.dumps({"driver": nvml.nvmlSystemGetDriverVersion(),
                  "cuda": nvml.nvmlSystemGetCudaDriverVersion_v2(), "gpus": gpus}))
"""

LOSE_GPU = """
import pathlib, sys, time, pynvml as nvml
nvml.nvmlInit()
handle = nvml.nvmlDeviceGetHandleByIndex(0)
print(nvml.nvmlDeviceGetTemperature(handle, 0))
with pathlib.Path(sys.argv[1]).open("a") as config:
    config.write("d0.ret=15\\n")
try:
    nvml.nvmlDeviceGetTemperature(handle, 0)
except nvml.NVMLError as error:
    print(type(error).__name__)
"""

QUICK = [name for name in profiles.PROFILES if name not in {"slow", "hung"}]

CUDA_CHECK = """
import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
version, count = ctypes.c_int(), ctypes.c_int()
cuda.cuDriverGetVersion(ctypes.byref(version))
codes = cuda.cuInit(0), cuda.cuDeviceGetCount(ctypes.byref(count))
print(codes[0], version.value, codes[1], count.value)
"""


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the fake libraries once."""
    try:
        return build.build(tmp_path_factory.mktemp("fake_drivers"))
    except build.BuildError as error:
        pytest.skip(str(error))


def run(code: str, env: dict[str, str], *args: str) -> str:
    """Run code in a child process and return what it prints."""
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def read(libraries: Path, name: str, tmp_path: Path) -> dict[str, Any]:
    """Return what pynvml tells about a profile."""
    config = profiles.write_profile(name, tmp_path / "gpu.cfg")
    answer: dict[str, Any] = json.loads(
        run(READ_ALL, build.fake_gpu_env(libraries, config))
    )
    return answer


@pytest.mark.parametrize("name", QUICK)
def test_every_profile_answers(libraries: Path, name: str, tmp_path: Path) -> None:
    """Each profile gives its number of GPUs, or an error of nvmlInit."""
    answer = read(libraries, name, tmp_path)
    profile = profiles.PROFILES[name]
    assert ("init" in answer) == ("init.ret" in profile)
    if "gpus" in answer:
        assert len(answer["gpus"]) == profile["count"]
        assert answer["driver"] == profile["driver"]


def test_t4(libraries: Path, tmp_path: Path) -> None:
    """The values of a profile come out of pynvml unchanged."""
    (gpu,) = read(libraries, "t4", tmp_path)["gpus"]
    assert gpu == {
        "name": "Tesla T4",
        "cc": [7, 5],
        "total": 15360 * profiles.MIB,
        "used": 452 * profiles.MIB,
        "reserved": 449 * profiles.MIB,
        "temperature": 41,
        "fan": "NVMLError_NotSupported",
        "util": 0,
        "pci": "00000000:04:00.0",
        "processes": [],
    }


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("not_loaded", "NVMLError_DriverNotLoaded"),
        ("mismatch", "NVMLError_LibRmVersionMismatch"),
        ("noperm", "NVMLError_NoPermission"),
        ("unknown", "NVMLError_Unknown"),
    ],
)
def test_init_error(libraries: Path, name: str, error: str, tmp_path: Path) -> None:
    """A failing nvmlInit raises pynvml's own exception class."""
    assert read(libraries, name, tmp_path) == {"init": error}


def test_lost_gpu(libraries: Path, tmp_path: Path) -> None:
    """The second GPU is lost, the first still answers."""
    first, second = read(libraries, "lost", tmp_path)["gpus"]
    assert first["name"] == "Tesla T4"
    assert set(second.values()) == {"NVMLError_GpuIsLost", None}


def test_processes(libraries: Path, tmp_path: Path) -> None:
    """Process 0 is the caller; memory -1 is not available."""
    (gpu,) = read(libraries, "t4_busy", tmp_path)["gpus"]
    (_, own_bytes), other = gpu["processes"]
    assert own_bytes == 12000 * profiles.MIB
    assert other == [profiles.OTHER_PID, None]


def test_change_in_mid_run(libraries: Path, tmp_path: Path) -> None:
    """A changed file is seen at the next call."""
    config = profiles.write_profile("t4", tmp_path / "gpu.cfg")
    printed = run(LOSE_GPU, build.fake_gpu_env(libraries, config), str(config))
    assert printed.split() == ["41", "NVMLError_GpuIsLost"]


def test_cuda_and_trace(libraries: Path, tmp_path: Path) -> None:
    """The CUDA driver answers, and the trace names the calls."""
    config = profiles.write_profile("2xt4_kaggle", tmp_path / "gpu.cfg")
    trace = tmp_path / "trace.txt"
    assert (
        run(CUDA_CHECK, build.fake_gpu_env(libraries, config, trace)) == "0 12060 0 2"
    )
    calls = [line.split()[1] for line in trace.read_text(encoding="utf-8").splitlines()]
    assert calls == ["cuDriverGetVersion", "cuInit", "cuDeviceGetCount"]


def test_cuda_error(libraries: Path, tmp_path: Path) -> None:
    """An ordered error of cuInit comes out; so does a hidden device."""
    config = profiles.write_profile("t4", tmp_path / "gpu.cfg", {"cuInit.ret": 804})
    env = build.fake_gpu_env(libraries, config)
    assert run(CUDA_CHECK, env).startswith("804 ")
    profiles.write_profile("t4", config)
    assert run(CUDA_CHECK, {**env, "CUDA_VISIBLE_DEVICES": "-1"}).startswith("100 ")


def test_extra_settings(libraries: Path, tmp_path: Path) -> None:
    """FAKE_GPU_SET overrides the file."""
    config = profiles.write_profile("t4", tmp_path / "gpu.cfg")
    env = build.fake_gpu_env(libraries, config) | {"FAKE_GPU_SET": "d0.temp=77;count=1"}
    assert json.loads(run(READ_ALL, env))["gpus"][0]["temperature"] == 77


CUDA_ORDER = """
import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
device, bus = ctypes.c_int(), (ctypes.c_char * 32)()
cuda.cuInit(0)
cuda.cuDeviceGet(ctypes.byref(device), 0)
cuda.cuDeviceGetPCIBusId(bus, 32, device)
print(bus.value.decode())
"""


def test_order_of_visible_devices(libraries: Path, tmp_path: Path) -> None:
    """CUDA numbers the GPUs in the order of CUDA_VISIBLE_DEVICES."""
    config = profiles.write_profile("2xt4_kaggle", tmp_path / "gpu.cfg")
    env = build.fake_gpu_env(libraries, config)
    assert run(CUDA_ORDER, env) == "0000:04:00.0"
    assert run(CUDA_ORDER, {**env, "CUDA_VISIBLE_DEVICES": "1,0"}) == "0000:05:00.0"
