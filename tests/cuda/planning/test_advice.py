"""Tests for `colabmagic.cuda.planning.advice`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from colabmagic.cuda.machine.facts import Gpu, MachineFacts, TorchHere
from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import Options, Plan, Problem
from tests.cuda.planning.machines import load


def warnings(facts: MachineFacts, wanted: str, **options: object) -> dict[str, Problem]:
    """Return the warnings of a plan by code."""
    made = make_plan(wanted, "", facts, Options(**options))  # type: ignore[arg-type]
    assert made.can_run, made.problems
    return {each.code: each for each in made.warnings}


def test_no_driver() -> None:
    """Where there is none, the menu that gives one is named."""
    found = warnings(load("colab_cpu"), "13.0")["no-driver"]
    assert found.fix == ("Runtime > Change runtime type > T4 GPU",)
    assert warnings(load("debian12_cpu"), "13.0")["no-driver"].fix == ()
    assert "no-driver" not in warnings(load("colab_t4"), "13.0")


def test_a_driver_that_does_not_answer() -> None:
    """It is told, and nothing is forbidden."""
    assert "in time" in warnings(load("driver_hung"), "13.0")["E03"].seen


@pytest.mark.parametrize(("wanted", "is_told"), [("12.4", False), ("12.5", True)])
def test_ptx(wanted: str, *, is_told: bool) -> None:
    """PTX of a toolkit that is newer than the driver's CUDA is not compiled."""
    found = warnings(load("colab_2025_07"), wanted)
    assert ("E15" in found) is is_told
    if is_told:
        assert found["E15"].fix[0].startswith("!nvcc -arch=sm_75 YOUR_FILE.cu")


def test_ptx_before_11() -> None:
    """There each driver compiles all that it runs."""
    assert "E15" not in warnings(load("ubuntu1710_driver396"), "9.2")


def test_older_code() -> None:
    """The architecture that works is named."""
    found = warnings(load("wsl_rtx4070"), "11.1")["E06"]
    assert found.fix == ("!nvcc -arch=sm_86 YOUR_FILE.cu",)


def test_a_second_gpu_without_code() -> None:
    """One of two that the toolkit does not know is told."""
    facts = replace(
        load("kaggle_2xt4"),
        gpus=(Gpu(name="T4", capability=(7, 5)), Gpu(name="K80", capability=(3, 7))),
    )
    assert "K80" in warnings(facts, "12.5")["E06"].what


def test_majors() -> None:
    """Two CUDA majors are a warning: only extensions suffer."""
    assert warnings(load("colab_t4"), "13.0")["E18"].fix == ("%cuda_install torch",)
    assert "E18" not in warnings(load("colab_t4"), "12.4")


def test_a_body_that_brings_a_pytorch() -> None:
    """Then nothing is said of the one that goes."""
    made = make_plan("12.6", "torch\n", load("kaggle_p100"))
    assert made.can_run, made.problems
    assert not {"E07", "E14", "E18"} & {each.code for each in made.warnings}


def test_cpu_build() -> None:
    """Elsewhere than on Colab another PyTorch helps, there another runtime."""
    facts = replace(
        load("debian12_cpu"), torch=TorchHere(version="2.11.0+cpu", cuda=None)
    )
    words = "brings both, CUDA 13.0 and PyTorch 2.14.1+cu130"
    assert warnings(facts, "13.0")["E14"].fix == (
        f"%%cuda_install 13.0\ntorch   {words}",
    )
    # There is no PyTorch of 13.5: what is typed is the CUDA that has one.
    assert warnings(facts, "13.5")["E14"].fix[0].startswith("%%cuda_install 13.2\n")
    rocm = replace(facts, torch=TorchHere(version="2.11.0+rocm6.4", cuda=None))
    assert "E14" not in warnings(rocm, "13.0")


def test_no_kernels() -> None:
    """Kaggle's P100 under a PyTorch that begins with sm_70."""
    assert "sm_60" in warnings(load("kaggle_p100"), "12.5")["E07"].what
    assert "E07" not in warnings(load("kaggle_2xt4"), "12.5")
    ptx = replace(
        load("kaggle_p100"),
        torch=TorchHere(version="2.8", cuda="12.8", archs=("compute_50",)),
    )
    assert "E07" not in warnings(ptx, "12.5")  # its PTX is compiled for any newer


@pytest.mark.parametrize(
    ("path", "is_told"),
    [
        ("/usr/local/cuda-11.3/lib64:/opt/lib", True),
        ("/usr/local/cuda/lib64/", True),
        ("/usr/local/cuda/lib64/stubs", True),
        ("/venv/lib/python3.12/site-packages/nvidia/cu13/lib", True),
        ("/usr/local/cuda-12.8/targets/x86_64-linux/lib", True),
        ("/usr/lib64-nvidia", False),  # Colab's driver
        ("/usr/local/nvidia/lib:/usr/local/nvidia/lib64", False),
        ("", False),
    ],
)
def test_library_path(path: str, *, is_told: bool) -> None:
    """Toolkits in it are told, drivers are not."""
    facts = replace(load("colab_t4"), library_path=path)
    assert ("E17" in warnings(facts, "12.4")) is is_told


def test_a_wheel_without_nvcc() -> None:
    """The package that is called after nvcc is told, the libraries of torch are not."""
    assert "E16" in warnings(load("polluted"), "12.4")
    assert "E16" not in warnings(load("torch_cu130"), "13.0")


def test_basis() -> None:
    """Rows from memory are named."""
    found = warnings(load("colab_t4"), "9.2")["basis"]
    assert "the newest g++ that it takes, the GPUs that it knows" in found.seen
    assert "basis" not in warnings(load("colab_t4"), "12.4")
    assert "basis" not in warnings(load("colab_t4"), "12.8")


def test_offline() -> None:
    """Nothing is fetched; what is here already needs nothing."""
    assert "E09" in warnings(load("colab_t4"), "13.0", offline=True)
    assert "E09" not in warnings(load("colab_t4"), "12.8", offline=True)


def test_a_mirror_that_is_not_asked() -> None:
    """Nobody is to think that it was."""
    url = "https://mirror.example/nvidia"
    told = warnings(load("colab_t4"), "13.0", mirror=url)["E09"]
    assert told.what.endswith("pip's own index, not from --mirror")
    assert "E09" not in warnings(load("colab_t4"), "12.4", mirror=url)
    assert warnings(load("colab_t4"), "13.0", mirror="nju")["E09"].fix == ()
    told = warnings(load("colab_t4"), "12.4", mirror="nju")["E09"]
    assert told.what == (
        "--mirror nju has PyTorch's wheels only: the toolkit comes from NVIDIA"
    )


def test_new_libc() -> None:
    """Functions of glibc 2.41 have the names of some of CUDA's."""
    assert "E02" in warnings(load("debian13_cpu"), "12.4")
    assert "E02" not in warnings(load("debian13_cpu"), "13.0")


def test_new_libc_with_an_old_gpu() -> None:
    """13.0 is no way out where the GPU, or the driver, does not go with it."""
    here = load("debian13_cpu")
    plan = make_plan("12.4", "", here)
    assert fixes(plan, "E02") == [("%cuda_install 13.0",)]
    v100 = (Gpu(name="V100", capability=(7, 0)),)
    old = replace(here, gpus=v100, driver="550.54.14", driver_cuda=(12, 4))
    assert fixes(make_plan("12.4", "", old), "E02") == [()]


def fixes(plan: Plan, code: str) -> list[tuple[str, ...]]:
    """Return what is offered against a warning."""
    return [each.fix for each in plan.warnings if each.code == code]
