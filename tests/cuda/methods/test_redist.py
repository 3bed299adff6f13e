"""Tests for `colabmagic.cuda.methods.redist`."""

from __future__ import annotations

import pytest

from colabmagic.cuda.planning.plan import Options
from tests.cuda.methods.judge import fields, judge, kinds

ROOT = "https://developer.download.nvidia.com/compute/cuda/redist"


def test_parts_only() -> None:
    """Compiler, runtime and headers; libraries as they are asked for."""
    made = judge("redist", "kaggle_2xt4", "11.8")
    assert fields(made, "fetch-redist") == {
        "kind": "fetch-redist",
        "manifest_url": f"{ROOT}/redistrib_11.8.0.json",
        "parts": ["cuda_nvcc", "cuda_cudart", "cuda_cccl|cccl|cuda_thrust?"],
        "platform": "linux-x86_64",
    }
    assert kinds(made)[:3] == ["fetch-redist", "unpack", "assemble"]
    assert made.download_bytes == 45_000_000


def test_newest_of_11_1() -> None:
    """11.1 means 11.1.1, which is the one with a list."""
    made = judge("redist", "colab_t4", "11.1")
    assert fields(made, "fetch-redist")["manifest_url"].endswith(
        "redistrib_11.1.1.json"
    )
    assert fields(made, "publish")["name"] == "11.1.1"
    assert fields(made, "bring-compiler")["major"] == 10


def test_arm() -> None:
    """NVIDIA calls such servers sbsa."""
    made = judge("redist", "gh200_arm64", "12.4")
    assert fields(made, "fetch-redist")["platform"] == "linux-sbsa"


def test_13_comes_in_three_parts() -> None:
    """The compiler's headers and its back end are archives of their own."""
    made = judge("redist", "colab_t4", "13.0")
    assert fields(made, "fetch-redist")["parts"][-2:] == ["cuda_crt", "libnvvm"]


def test_libraries() -> None:
    """Those of the toolkit are archives, cuDNN is a wheel."""
    made = judge("redist", "colab_t4", "12.4", Options(parts=("cublas", "cudnn")))
    assert "libcublas" in fields(made, "fetch-redist")["parts"]
    assert fields(made, "fetch-wheels")["requirements"] == ["nvidia-cudnn-cu12"]
    assert kinds(made)[:4] == ["fetch-redist", "fetch-wheels", "unpack", "unpack"]


@pytest.mark.parametrize("version", ["10.2", "9.2", "11.0.1", "11.1.0", "13.5"])
def test_no_list(version: str) -> None:
    """Where none was seen, none is guessed."""
    made = judge("redist", "colab_t4", version)
    assert made.problem is not None
    assert made.problem.code == "E09"


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        (None, ROOT),
        ("nju", ROOT),  # of PyTorch's wheels alone
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/compute/cuda/redist"),
    ],
)
def test_mirror(mirror: str | None, expected: str) -> None:
    """An address takes the place of NVIDIA's; a login in it is not shown."""
    made = judge("redist", "colab_t4", "12.4", Options(mirror=mirror))
    url = fields(made, "fetch-redist")["manifest_url"]
    assert url == f"{expected}/redistrib_12.4.1.json"
    login = Options(mirror="https://me:secret@mirror.example")
    made = judge("redist", "colab_t4", "12.4", login)
    shown = made.why + str(fields(made, "fetch-redist"))
    assert "secret" not in shown
    assert "mirror.example" in shown
