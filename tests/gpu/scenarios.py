"""Machines, played by fake drivers, a made-up root folder and a made-up PyTorch.

``python -m tests.gpu.scenarios`` runs each in a process of its own and writes what
``to_dict`` says into ``tests/fixtures/machines``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.drivers import build, profiles

ROOT = Path(__file__).parents[2]
MACHINES = ROOT / "tests/fixtures/machines"
LIMIT_S = 30
MINOR = "cuda-minor-newer"
# Variables of this machine that would mix with those of the machine that is played.
FOREIGN = ("CUDA_", "LD_LIBRARY", "COLAB_", "KAGGLE_", "KUBERNETES", "container")

CU128 = ("2.11.0+cu128", "12.8", "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120")
CU132 = ("2.15.0+cu132", "13.2", "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120")
CPU_BUILD = ("2.11.0+cpu", None, "")
XPU_BUILD = ("2.11.0+xpu", None, "")
ROCM_BUILD = ("2.11.0+rocm6.4", None, "")
COLAB = {
    "COLAB_RELEASE_TAG": "release-colab_20260819-060000_RC00",
    "COLAB_GPU": "",
    "COLAB_TPU_1VM": "",
    "CUDA_VERSION": "12.8.1",
    "NVIDIA_VISIBLE_DEVICES": "all",
}
COLAB_FILES = {
    "var/colab/hostname": "m-s-colab",
    "etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"',
    ".dockerenv": "",
}
KAGGLE = {"KAGGLE_KERNEL_RUN_TYPE": "Interactive", "KAGGLE_URL_BASE": "https://x"}
NODES = {"dev/nvidia0": "", "dev/nvidiactl": ""}
OWN_FILES = {"etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.3 LTS"'}
CARD = {
    "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de",
    "sys/bus/pci/devices/0000:01:00.0/class": "0x030200",
}
TPU_CHIPS = {
    f"sys/bus/pci/devices/0000:00:0{number}.0/{name}": value
    for number in range(4)
    for name, value in (("vendor", "0x1ae0"), ("device", "0x006f"))
}
AMD = {
    f"sys/class/drm/card0/device/{name}": value
    for name, value in {
        "vendor": "0x1002",
        "product_name": "AMD Radeon RX 7900 XTX",
        "mem_info_vram_total": str(24 * 2**30),
        "mem_info_vram_used": str(2**30),
        "gpu_busy_percent": "3",
        "hwmon/hwmon2/temp1_input": "43000",
    }.items()
}
# The links of sysfs are made of folders here: the last part is what counts.
INTEL = {"sys/class/drm/card1/device/vendor": "0x8086", "links": "xe"}
MODULE = {
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module"
    "  550.90.07  Fri May 31 09:35:42 UTC 2024"
}

# What the child runs. PyTorch and pynvml are hidden by None in sys.modules.
PROBE = """
import json, sys
root, deadline_s, *hidden = sys.argv[1:]
sys.modules.update(dict.fromkeys(hidden))
from colabmagic.gpu.check import check
from colabmagic.gpu.probe import probe_all
report = check(probe_all(float(deadline_s), sysroot=root, all_fields=True))
assert report.text and report.html
print(report.to_json())
"""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A machine to play; `codes` is what must be found, the cause first."""

    codes: tuple[str, ...]  # without `MINOR`, which most machines have
    device: str = "cpu"
    profile: str | None = None
    torch: tuple[str, str | None, str] | None = CU128
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()  # libraries that are not there
    hidden: tuple[str, ...] = ()  # Python modules that are not there
    tensorflow: str | None = None  # a version of the CPU build
    deadline_s: float = 10.0


def _own(profile: str | None, *codes: str, **rest: Any) -> Scenario:  # noqa: ANN401
    """Return a machine of somebody's own."""
    files = {**OWN_FILES, **(NODES if profile else {}), **rest.pop("files", {})}
    return Scenario(codes=codes, profile=profile, files=files, **rest)


def _colab(profile: str | None, *codes: str, **rest: Any) -> Scenario:  # noqa: ANN401
    """Return a Colab runtime."""
    files = {**COLAB_FILES, **(NODES if profile else {}), **rest.pop("files", {})}
    env = {**COLAB, **rest.pop("env", {})}
    return Scenario(codes=codes, profile=profile, files=files, env=env, **rest)


def _kaggle(profile: str | None, *codes: str, **rest: Any) -> Scenario:  # noqa: ANN401
    """Return a Kaggle session."""
    files = {**OWN_FILES, ".dockerenv": "", **(NODES if profile else {})}
    return Scenario(codes=codes, profile=profile, files=files, env=KAGGLE, **rest)


SCENARIOS: dict[str, Scenario] = {
    # healthy
    "colab_t4": _colab("t4", device="cuda:0"),
    "kaggle_2xt4": _kaggle("2xt4_kaggle", device="cuda:0"),
    "own_h200x8": _own("h200x8", device="cuda:0"),
    "own_b200": _own("b200", device="cuda:0", torch=CU132),
    "own_a100_mig": _own("a100_mig", "mig", device="cuda:0"),
    "own_t4_busy": _own(
        "t4_busy", "mem-held", "throttle", "pcie-narrow", device="cuda:0"
    ),
    "own_second_of_two": _own(
        "2xt4_kaggle",
        "cvd-hides-some",
        device="cuda:0",
        env={"CUDA_VISIBLE_DEVICES": "1"},
    ),
    # the place has no GPU
    "colab_cpu": _colab(
        None,
        "colab-cpu-runtime",
        "colab-quota",
        torch=CPU_BUILD,
        hidden=("pynvml",),
    ),
    "colab_tpu": _colab(
        None, "tpu-runtime", env={"COLAB_TPU_1VM": "v5litepod-1"}, torch=CPU_BUILD
    ),
    "tpu_v6e": _own(None, "tpu-runtime", files=TPU_CHIPS, torch=CPU_BUILD),
    "kaggle_none": _kaggle(None, "kaggle-no-accel"),
    "own_no_gpu": _own(None, "no-gpu", torch=CPU_BUILD),
    "own_driver_without_gpu": _own("none", "no-gpu", files={"dev/nvidia0": ""}),
    "container_no_gpus": _own(
        None, "container-no-gpus", files={".dockerenv": "", **CARD}
    ),
    "rocm_wrong_build": _own(None, "rocm", files={"dev/kfd": ""}),
    "rocm": _own(
        None, "rocm", files={"dev/kfd": ""}, torch=ROCM_BUILD, device="cuda:0"
    ),
    "amd_card": _own(None, "rocm", files={"dev/kfd": "", **AMD}, torch=CPU_BUILD),
    "intel_card": _own(None, "xpu", files=INTEL, torch=CPU_BUILD),
    "intel_ready": _own(None, "xpu", files=INTEL, torch=XPU_BUILD, device="xpu:0"),
    # the driver is missing or not in order
    "driver_missing": _own(None, "driver-missing", files=CARD),
    "not_loaded": _own("not_loaded", "driver-not-loaded"),
    "mismatch": _own("mismatch", "lib-rm-mismatch", files=MODULE),
    "colab_mismatch": _colab("mismatch", "lib-rm-mismatch", files=MODULE),
    "noperm": _own("noperm", "no-permission"),
    "unknown": _own("unknown", "nvml-error", env={"FAKE_GPU_SET": "cuInit.ret=999"}),
    "container_lost_gpu": _own(
        "unknown",
        "container-lost-gpu",
        files={".dockerenv": ""},
        env={"FAKE_GPU_SET": "cuInit.ret=999"},
    ),
    "hung": _own("hung", "driver-hung", deadline_s=1.0),
    "cuda_hung": _own("cuda_hung", "driver-hung", deadline_s=1.0),
    # CUDA does not start
    "cvd_hides_all": _own("t4", "cvd-hides-all", env={"CUDA_VISIBLE_DEVICES": "-1"}),
    "colab_libcuda_missing": _colab("t4", "libcuda-missing", without=("libcuda.so.1",)),
    "libcuda_stub": _own("cuda_stub", "libcuda-stub"),
    "compat_wrong": _own("cuda_compat", "compat-wrong"),
    "fabric_not_ready": _own("cuda_fabric", "fabric-not-ready"),
    "cuda_init_failed": _own("cuda_unknown", "cuda-init-failed"),
    "all_lost": _own("lost_handle", "gpu-lost", env={"FAKE_GPU_SET": "cuInit.ret=999"}),
    "exclusive": _own("exclusive", "exclusive-busy"),
    "mig_empty": _own(
        "a100",
        "mig",
        env={"FAKE_GPU_SET": "d0.mig=1;cuInit.ret=100"},
    ),
    # PyTorch does not fit
    "torch_missing": _own("t4", "torch-missing", torch=None, hidden=("torch",)),
    "torch_cpu_build": _own("t4", "torch-cpu-build", torch=CPU_BUILD),
    "driver_too_old": _own("t4", "driver-too-old", torch=CU132),
    "colab_driver_too_old": _colab("t4", "driver-too-old", torch=CU132),
    "kaggle_p100": _kaggle("p100_kaggle", "arch-too-old"),
    "arch_too_new": _own(
        "b200", "arch-too-new", torch=("2.4.1", "12.4", "sm_80 sm_90")
    ),
    # usable, with a catch
    "one_lost": _own("lost", "gpu-lost", device="cuda:0"),
    "zombie": _own(
        "zombie", "mem-held", device="cuda:0", files={"proc/self/comm": "python"}
    ),
    "zombie_in_container": _own(
        "zombie",
        "mem-held",
        device="cuda:0",
        files={"proc/self/comm": "python", ".dockerenv": ""},
    ),
    "ecc_bad": _own("ecc_bad", "ecc-bad", device="cuda:0"),
    "pcie_narrow": _own(
        "t4",
        "pcie-narrow",
        device="cuda:0",
        env={"FAKE_GPU_SET": "d0.util=90;d0.throttle=0"},
    ),
    "one_exclusive": _own(
        "2xt4_kaggle",
        "exclusive-busy",
        device="cuda:1",
        env={"FAKE_GPU_SET": "d0.compute_mode=2"},
    ),
    "tensorflow_cpu": _own(
        "t4", "framework-cpu-build", device="cuda:0", tensorflow="2.19.0"
    ),
    "insane": _own(
        "insane", "insane", device="cuda:0", torch=("2.11.0+cu128", "12.8", "")
    ),
    "no_pynvml": _own("t4", "nvml-missing", device="cuda:0", hidden=("pynvml",)),
}


def write_root(folder: Path, files: dict[str, str]) -> Path:
    """Write the files of a machine under a root folder."""
    for name, text in files.items():
        if name == "links":  # the kernel module of an Intel card
            module = folder / "sys/bus/pci/drivers" / text
            module.mkdir(parents=True)
            (folder / "sys/class/drm/card1/device/driver").symlink_to(module)
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return folder


def write_torch(folder: Path, version: str, cuda: str | None, archs: str) -> Path:
    """Write a PyTorch that can be looked at, and fails when it is imported."""
    package = folder / "torch"
    (package / "lib").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    hip = "'6.4.43482'" if "rocm" in version else "None"
    (package / "version.py").write_text(
        "from typing import Optional\n"
        f"__version__ = '{version}'\n"
        f"cuda: Optional[str] = {cuda!r}\n"
        f"hip: Optional[str] = {hip}\n"
    )
    library = b"\x7fELF sm_ compute_ \0" + archs.encode() + b"\0 sm_50\0"
    (package / "lib" / "libtorch_python.so").write_bytes(library)
    return folder


def write_tensorflow(folder: Path, version: str) -> Path:
    """Write a TensorFlow without CUDA that can be looked at."""
    package = folder / "tensorflow"
    (package / "python/platform").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    (package / "python/platform/build_info.py").write_text(
        "build_info = collections.OrderedDict([('is_cuda_build', False),"
        " ('is_rocm_build', False)])\n"
    )
    (folder / f"tensorflow-{version}.dist-info").mkdir()
    return folder


def play(
    scenario: Scenario, libraries: Path, folder: Path, trace: Path | None = None
) -> dict[str, Any]:
    """Return the report of a machine, made in a process of its own."""
    root = write_root(folder / "root", scenario.files)
    paths = [str(ROOT)]
    if scenario.torch:
        paths.insert(0, str(write_torch(folder / "site", *scenario.torch)))
    if scenario.tensorflow:
        paths.insert(0, str(write_tensorflow(folder / "tf", scenario.tensorflow)))
    env = {
        key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)
    }
    # No PATH: a compiler of this machine has no place on the machine that is played.
    env |= {"PYTHONPATH": os.pathsep.join(paths), "PATH": "", **scenario.env}
    if scenario.profile:
        used = _without(libraries, scenario.without, folder)
        config = profiles.write_profile(scenario.profile, folder / "gpu.cfg")
        env = build.fake_gpu_env(used, config, trace, env)
    command = [sys.executable, "-c", PROBE, str(root), str(scenario.deadline_s)]
    done = subprocess.run(
        [*command, *scenario.hidden],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _without(libraries: Path, missing: tuple[str, ...], folder: Path) -> Path:
    """Return a folder of libraries that lacks some."""
    if not missing:
        return libraries
    used = folder / "lib"
    used.mkdir()
    for path in libraries.glob("lib*"):
        if path.name not in missing:
            (used / path.name).symlink_to(path)
    return used


def _hide_folder(data: Any, folder: str) -> Any:  # noqa: ANN401 (any JSON)
    """Return data without the names of temporary folders."""
    text = json.dumps(data).replace(folder, "/tmp/fake")  # noqa: S108 (a text only)
    return json.loads(text)


def capture() -> None:
    """Write all machines, or those named on the command line."""
    with tempfile.TemporaryDirectory() as temporary:
        libraries = build.build(Path(temporary) / "drivers")
        for name in sys.argv[1:] or SCENARIOS:
            folder = Path(temporary) / name
            folder.mkdir()
            report = _hide_folder(play(SCENARIOS[name], libraries, folder), temporary)
            codes = [finding["code"] for finding in report["findings"]]
            print(f"{name}: {codes} {report['device']}")  # noqa: T201
            text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
            (MACHINES / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    capture()
