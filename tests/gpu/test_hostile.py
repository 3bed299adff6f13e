"""Machines and drivers that lie: the answer stays right, quick and private."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu import check
from colabmagic.gpu.facts import SourceState, TorchState, Unknown
from colabmagic.gpu.rules import judge, usable_device
from colabmagic.gpu.sources.driver import read_outcome
from colabmagic.gpu.sources.nvml import NvmlSource
from colabmagic.gpu.sources.platform_files import probe_platform
from colabmagic.gpu.sources.private import public_folders
from colabmagic.gpu.sources.torch_build import probe_torch
from tests.fakes.drivers import build, profiles
from tests.gpu.machines import change, load
from tests.gpu.scenarios import COLAB, COLAB_FILES, NODES, Scenario, play
from tests.gpu.test_driver import outcome
from tests.gpu.test_nvml import ask, library

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def codes(report: dict[str, list[dict[str, str]]]) -> list[str]:
    """Return the codes that a report has found."""
    return [finding["code"] for finding in report["findings"]]


def test_threads_may_ask_at_once() -> None:
    """The second one gets the answer of the first, and nobody takes it for stuck."""
    from time import monotonic, sleep

    def slow() -> object:
        sleep(0.2)
        return library()

    source, states = NvmlSource(slow), []

    def work() -> None:
        source.start(monotonic() + 5)
        states.append(source.finish(monotonic() + 5).state)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(states) == {SourceState.OK}


def test_a_blocked_gpu_is_not_the_one_to_use() -> None:
    """Headline, device and free memory are those of the other GPU."""
    facts = load("one_exclusive")
    second = replace(facts.driver.devices[1], name="Second card")
    facts = change(facts, driver={"devices": (facts.driver.devices[0], second)})
    report = check(facts)
    assert report.device == "cuda:1"
    assert "Second card" in report.headline
    assert "use device='cuda:1'" in report.headline


@pytest.mark.parametrize("status", [-11, -6, -9, 3])
def test_a_driver_that_crashes_is_not_ready(status: int) -> None:
    """It was tried and it died: that is no "could not be tried"."""
    told = '{"path": "/usr/lib/libcuda.so.1"}\n{"version": 12040}'
    facts = read_outcome(outcome(told, returncode=status))
    assert facts.state is SourceState.REFUSED
    machine = change(
        load("colab_t4"),
        driver={
            "state": facts.state,
            "reason": facts.reason,
            "code": None,
            "devices": (),
        },
    )
    assert usable_device(machine) == "cpu"
    assert judge(machine)[0].code == "cuda-init-failed"
    assert str(status) in judge(machine)[0].title


@pytest.mark.parametrize(
    ("profile", "changes", "code"),
    [
        ("a100", "d0.mig=1;cuInit.ret=100", "mig"),
        ("lost_handle", "cuInit.ret=100", "gpu-lost"),
        ("t4", "cuDeviceGetCount.ret=3", "cuda-init-failed"),
    ],
)
def test_a_variable_that_shows_a_gpu_is_not_blamed(
    profile: str, changes: str, code: str, libraries: Path, tmp_path: Path
) -> None:
    """Where ``CUDA_VISIBLE_DEVICES=0`` is usual, the cause is another."""
    env = {"CUDA_VISIBLE_DEVICES": "0", "FAKE_GPU_SET": changes}
    scenario = Scenario(codes=(), profile=profile, files=NODES, env=env)
    assert codes(play(scenario, libraries, tmp_path))[0] == code


@pytest.mark.parametrize(
    "changes",
    [
        "count=4294967295",
        "nvmlDeviceGetMaxMigDeviceCount.ret=0;d0.mig=1",
        "d0.mem.total=18446744073709551615",
        "d0.name=",
    ],
)
def test_impossible_values_stay_out(
    changes: str, libraries: Path, tmp_path: Path
) -> None:
    """No number that no GPU has, and no name that is none."""
    env = {"FAKE_GPU_SET": changes}
    scenario = Scenario(codes=(), profile="t4", files=NODES, env=env)
    report = play(scenario, libraries, tmp_path)
    assert "17179869184" not in json.dumps(report["headline"])
    assert "READY  ," not in report["headline"]
    assert len(report["facts"]["nvml"]["devices"]) <= 1
    assert report["facts"]["failures"] == []


@pytest.mark.parametrize(
    "line", ["7", "null", "[1]", '{"code": "x"}', '{"device": 3}', '{"path": 1}']
)
def test_a_driver_that_prints_breaks_nothing(line: str) -> None:
    """Its lines are not ours, whatever they look like."""
    facts = read_outcome(outcome(f'{line}\n{{"code": 0}}\n{line}'))
    assert facts.state is SourceState.OK
    assert not facts.devices


def test_a_slow_last_question_is_told() -> None:
    """With ``--all`` other fields are asked last."""
    facts = load("colab_t4")
    (device,) = facts.nvml.devices
    late = replace(device, nvlinks_total=Unknown("the driver did not answer in time"))
    found = judge(change(facts, nvml={"devices": (late,)}))
    assert "driver-slow" in [finding.code for finding in found]


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let modules of a folder be found first, as in a kernel without PyTorch yet."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    sys.path.insert(0, str(tmp_path))
    sys.path_importer_cache.clear()
    yield tmp_path
    sys.path.remove(str(tmp_path))
    sys.path_importer_cache.clear()


@pytest.mark.parametrize("name", ["torch.py", "torch/__init__.py"])
def test_a_file_of_the_user_in_the_place_of_pytorch(
    name: str, own_module: Path
) -> None:
    """It is to be renamed; to install PyTorch again would not help."""
    path = own_module / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    facts = probe_torch({})
    assert facts.state is TorchState.UNREADABLE
    machine = replace(load("colab_t4"), torch=facts)
    (finding,) = (one for one in judge(machine) if one.code == "torch-unreadable")
    assert finding.fix[0].startswith("Rename it")
    assert "pip" not in " ".join(finding.fix)


@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_a_damaged_pytorch_is_not_ready(damage: str, tmp_path: Path) -> None:
    """Without its library it cannot be imported."""
    from tests.gpu.scenarios import CU128, write_torch

    folder = write_torch(tmp_path, *CU128) / "torch"
    library_file = folder / "lib/libtorch_python.so"
    library_file.unlink()
    if damage == "empty":
        library_file.touch()
    machine = replace(load("colab_t4"), torch=probe_torch({}, folder))
    assert usable_device(machine) == "cpu"
    assert judge(machine)[0].code == "torch-unreadable"


def test_a_cpu_runtime_of_a_service_gets_no_advice_about_pytorch() -> None:
    """With the GPU comes another PyTorch, whatever is wrong with this one."""
    for state in (TorchState.MISSING, TorchState.UNREADABLE):
        facts = change(load("colab_cpu"), torch={"state": state, "reason": "gone"})
        text = json.dumps([finding.fix for finding in judge(facts)])
        assert "install" not in text


@pytest.mark.parametrize(
    "name", ["unknown", "hung", "compat_wrong", "fabric_not_ready", "ecc_bad", "insane"]
)
def test_advice_in_a_container_is_for_the_host(name: str) -> None:
    """Nobody reboots a container, or installs a driver in one."""
    facts = load(name)
    system = replace(facts.host.system, container="docker")
    facts = change(facts, host={"system": system})
    for finding in judge(facts):
        for step in finding.fix:
            if "reboot" in step.lower() or "sudo" in step:
                assert "on the host" in step.lower(), step


def test_private_folders_are_not_told(tmp_path: Path) -> None:
    """A search path shows what is CUDA's; names of users and the rest are hidden."""
    value = "/home/you/cuda-11/lib:/opt/token-sk-1:/usr/lib64-nvidia:/x/stubs"
    shown = public_folders(value)
    assert shown == "/home/…/cuda-11/lib:…:/usr/lib64-nvidia:/x/stubs"
    env = {"CUDA_DEVICE_ORDER": "a secret!", "TPU_ACCELERATOR_TYPE": "v5e; rm -rf"}
    facts = probe_platform(env, tmp_path)
    assert (facts.cuda_device_order, facts.tpu_name) == ("…", "…")


def test_control_characters_do_not_reach_a_page() -> None:
    """Escape codes and marks that turn text round become blanks."""
    facts = load("colab_t4")
    evil = "T4\x1b[31m\x07\u202e"
    (card,) = facts.driver.devices
    facts = change(facts, driver={"devices": (replace(card, name=evil),)})
    report = check(facts)
    for text in (report.html, report.text, report.headline):
        assert not set("\x1b\x07\u202e") & set(text)


def test_a_name_with_blanks_tells_no_folder() -> None:
    """A user's name is no part of a program's name."""
    from colabmagic.gpu.sources.nvml_details import _program

    assert _program("/home/you smith/bin/python") == "python"
    assert _program(b"C:\\Program Files\\py\\python.exe -m x") == "python.exe"
    assert _program("python3 /data/run.py") == "python3"


def test_many_gpus_that_cannot_be() -> None:
    """A count of four billion is not believed."""
    facts = ask(lambda: library(nvmlDeviceGetCount=lambda: 2**32 - 1))
    assert facts.state is SourceState.FAILED
    assert not facts.devices


@pytest.mark.parametrize(
    "redirect", ["2>&-", ">&-", ">&- 2>&-", "| true", ">/dev/full"]
)
def test_a_closed_stream_changes_no_answer(
    redirect: str, libraries: Path, tmp_path: Path
) -> None:
    """Whoever reads it may have gone; there is no traceback."""
    config = profiles.write_profile("t4", tmp_path / "gpu.cfg")
    env = build.fake_gpu_env(libraries, config)
    command = f"{sys.executable} -m colabmagic gpu_check --json {redirect}"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in {0, 1}


def test_an_interrupt_leaves_no_child(libraries: Path, tmp_path: Path) -> None:
    """Ctrl-C does not wait for a driver that hangs, nor leave what asked it."""
    import signal
    import time

    config = profiles.write_profile("cuda_hung", tmp_path / "gpu.cfg")
    env = build.fake_gpu_env(libraries, config)
    process = subprocess.Popen(
        [sys.executable, "-m", "colabmagic", "gpu_check", "--timeout", "30"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + 20
    while not (found := children.read_text().split()) and time.monotonic() < until:
        time.sleep(0.02)
    assert found
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    time.sleep(0.2)
    assert not [pid for pid in found if Path(f"/proc/{pid}/exe").exists()]


def test_colab_with_a_broken_pytorch(libraries: Path, tmp_path: Path) -> None:
    """One cause, and it is the runtime."""
    scenario = Scenario(
        codes=(), env=COLAB, files=COLAB_FILES, torch=None, hidden=("torch",)
    )
    assert codes(play(scenario, libraries, tmp_path)) == [
        "colab-cpu-runtime",
        "colab-quota",
    ]
