"""Tests for `colabmagic.gpu.require`."""

from __future__ import annotations

import pytest

from colabmagic.errors import GpuCheckError
from colabmagic.gpu import check
from colabmagic.gpu.require import check_requirements
from tests.gpu.machines import load


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        ("colab_t4", "cuda"),
        ("colab_t4", "GPU"),
        ("colab_t4", "1"),
        ("colab_t4", "14GiB"),
        ("colab_t4", "14 gb"),
        ("colab_t4", "14000MiB"),
        ("colab_t4", "cc>=7.5"),
        ("colab_t4", "cc>=75"),
        ("colab_t4", "sm>=7"),
        ("own_h200x8", "cuda, 8, 80GiB, bf16, cc>=9.0"),
        ("kaggle_2xt4", "2"),
        ("intel_ready", "xpu"),
        ("intel_ready", "gpu"),
        ("colab_t4", "t4"),
        ("colab_t4", "T4, cuda"),
        ("own_h200x8", "H200"),
    ],
)
def test_what_is_there(machine: str, text: str) -> None:
    """Nothing is raised where the machine has it."""
    check_requirements(check(load(machine)), text)


@pytest.mark.parametrize(
    ("machine", "text", "seen"),
    [
        ("colab_cpu", "cuda", "This Colab runtime has no GPU."),
        ("colab_cpu", "1", "0 usable"),
        ("colab_cpu", "1GiB", "no GPU"),
        ("colab_cpu", "bf16", "no GPU"),
        ("colab_t4", "mps", "Tesla T4"),
        ("colab_t4", "2", "1 usable"),
        ("colab_t4", "16GiB", "14.6 GiB free at most"),
        ("colab_t4", "bf16", "compute capability 7.5, 8.0 is needed"),
        ("colab_t4", "cuda,cc>=8", "compute capability 7.5"),
        ("kaggle_p100", "gpu", "has no kernels for this GPU"),
        ("no_pynvml", "1GiB", "could not be read"),
        ("colab_t4", "a100", "there is Tesla T4"),
        ("own_h200x8", "h20", "there is NVIDIA H200"),
        ("colab_cpu", "t4", "no GPU"),
    ],
)
def test_what_is_missing(machine: str, text: str, seen: str) -> None:
    """The error says what was seen and what to do, and carries the report."""
    report = check(load(machine))
    with pytest.raises(GpuCheckError) as caught:
        check_requirements(report, text)
    assert caught.value.seen is not None
    assert seen in caught.value.seen
    assert caught.value.hint
    assert caught.value.report is report
    assert len(caught.value.render()) == 3


@pytest.mark.parametrize(
    "text", ["", ",", "0", "much", "-1", "16 apples", "cc", "cc>=x", "٣"]
)
def test_what_is_no_requirement(text: str) -> None:
    """A misspelt one is not taken for fulfilled."""
    with pytest.raises(ValueError, match=r"--require (takes|needs)"):
        check_requirements(check(load("own_h200x8")), text)
