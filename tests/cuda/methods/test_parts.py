"""Tests for `colabmagic.cuda.methods.parts`."""

from __future__ import annotations

from colabmagic.cuda.methods.parts import (
    PARTS,
    chosen_parts,
    unknown_parts,
    wheel_requirement,
)
from colabmagic.data import compat


def test_unknown() -> None:
    """What is known is listed; the fix is typed as it stands."""
    problem = unknown_parts(["cublas", "tea"])
    assert problem is not None
    assert problem.code == "E21"
    assert all(name in problem.seen for name in PARTS)
    near = unknown_parts(["cudn"])
    assert near is not None
    assert near.fix == ("--with cudnn   or leave it out",)
    assert unknown_parts(PARTS) is None
    assert unknown_parts([]) is None


def test_each_once() -> None:
    """In the order in which they were named."""
    names = [part.name for part in chosen_parts(["nccl", "cublas", "nccl", "tea"])]
    assert names == ["nccl", "cublas"]


def test_wheels() -> None:
    """The names changed with 13; before 11 there are none."""
    cublas, nccl = PARTS["cublas"], PARTS["nccl"]
    twelve, thirteen = compat.newest_of("12.4"), compat.newest_of("13.0")
    assert wheel_requirement(cublas, twelve) == "nvidia-cublas-cu12"
    assert wheel_requirement(cublas, thirteen) == "nvidia-cublas==13.1.1.3.*"
    assert wheel_requirement(PARTS["nvrtc"], thirteen) == "nvidia-cuda-nvrtc==13.0.*"
    assert wheel_requirement(PARTS["nvjpeg"], compat.newest_of("13.5")) == (
        "nvidia-nvjpeg==13.3.2.43.*"
    )
    assert wheel_requirement(nccl, thirteen) == "nvidia-nccl-cu13"
    assert wheel_requirement(nccl, compat.newest_of("10.2")) is None
