"""Tests for `colabmagic.cuda.methods.wheels`."""

from __future__ import annotations

import pytest

from colabmagic.cuda.machine.facts import Toolkit
from colabmagic.cuda.planning.plan import Options
from tests.cuda.methods.judge import fields, judge, kinds

TORCH = Toolkit(
    root="/v/site-packages/nvidia/cu13",
    build="13.0",
    origin="wheels",
    has_compiler=False,
)


def test_whole() -> None:
    """Compiler, its back ends, headers and runtime, of the same minor version."""
    made = judge("wheels", "colab_t4", "13.0")
    assert fields(made, "fetch-wheels")["requirements"] == [
        "nvidia-cuda-nvcc==13.0.*",
        "nvidia-nvvm==13.0.*",
        "nvidia-cuda-crt==13.0.*",
        "nvidia-cuda-cccl==13.0.*",
        "nvidia-cuda-runtime==13.0.*",
    ]
    assert kinds(made) == [
        "fetch-wheels",
        "unpack",
        "assemble",
        "use-compiler",
        "verify",
        "publish",
        "activate",
    ]
    assert fields(made, "assemble")["layout"] == "wheels"
    assert fields(made, "publish")["name"] == "13.0.3"
    assert made.download_bytes == 105_000_000


def test_beside_what_torch_has_brought() -> None:
    """Of the same minor: the compiler alone, and links to its tree."""
    made = judge("wheels", "colab_t4", "13.0", toolkits=(TORCH,))
    wanted = fields(made, "fetch-wheels")["requirements"]
    assert "nvidia-cuda-runtime==13.0.*" not in wanted
    assert len(wanted) == 4
    assert fields(made, "assemble") == {
        "kind": "assemble",
        "layout": "shadow",
        "build": "13.0",
        "from_root": TORCH.root,
    }


def test_torch_of_another_minor() -> None:
    """Then the root is whole: two minors are never mixed."""
    made = judge("wheels", "colab_t4", "13.4", toolkits=(TORCH,))
    assert fields(made, "assemble")["layout"] == "wheels"
    assert len(fields(made, "fetch-wheels")["requirements"]) == 5


def test_parts() -> None:
    """Libraries are asked for unless torch has them in the tree that is linked."""
    options = Options(parts=("cublas", "cudnn"))
    made = judge("wheels", "colab_t4", "13.0", options)
    wanted = fields(made, "fetch-wheels")["requirements"]
    assert wanted[-2:] == ["nvidia-cublas==13.1.1.3.*", "nvidia-cudnn-cu13"]
    made = judge("wheels", "colab_t4", "13.0", options, toolkits=(TORCH,))
    assert fields(made, "fetch-wheels")["requirements"][-1] == "nvidia-cudnn-cu13"
    requirements = fields(made, "fetch-wheels")["requirements"]
    assert not [each for each in requirements if each.startswith("nvidia-cublas")]


@pytest.mark.parametrize(
    ("version", "build"), [("13.0.0", "13.0.48"), ("13.0.1", "13.0.88")]
)
def test_an_older_release_is_pinned(version: str, build: str) -> None:
    """Its compiler is the build that belongs to it, which is inferred."""
    made = judge("wheels", "debian12_cpu", version)
    wanted = fields(made, "fetch-wheels")["requirements"]
    assert f"nvidia-cuda-nvcc=={build}" in wanted
    assert f"nvidia-nvvm=={build}" in wanted
    assert "nvidia-cuda-cccl==13.0.*" in wanted
    assert fields(made, "verify")["build"] == build
    assert made.basis == "inferred"
    assert judge("wheels", "debian12_cpu", "13.0").basis == "measured"


@pytest.mark.parametrize(
    ("version", "word"), [("12.4", "ptxas"), ("11.1", "no wheels")]
)
def test_no_compiler_in_them(version: str, word: str) -> None:
    """Before 13 they have none, and the reason says so."""
    made = judge("wheels", "colab_t4", version)
    assert made.problem is not None
    assert made.problem.code == "E16"
    assert word in made.why


def test_a_compiler_that_is_brought_weighs() -> None:
    """Its packages are counted."""
    plain = judge("wheels", "debian12_cpu", "13.0")
    more = judge("wheels", "no_compiler_slim", "13.0")
    assert plain.download_bytes is not None
    assert more.download_bytes == plain.download_bytes + 42_000_000
    assert fields(more, "bring-compiler")["whole"] is True


def test_full_disk() -> None:
    """Half as much again is wanted as is needed."""
    need = int(1.5 * (105 + 271) * 10**6)
    for free, fits in ((need - 1, False), (need, True)):
        here = {"home": free, "cache": free, "tmp": free}
        made = judge("wheels", "colab_t4", "13.0", disk_free=here)
        assert made.fits is fits
        if made.problem is not None:
            assert made.problem.code == "E08"


def test_two_disks() -> None:
    """Each has to have room for its own part only."""
    made = judge(
        "wheels",
        "colab_t4",
        "13.0",
        disk_free={"home": 410 * 10**6, "cache": 160 * 10**6},
    )
    assert made.fits
    made = judge(
        "wheels",
        "colab_t4",
        "13.0",
        disk_free={"home": 410 * 10**6, "cache": 150 * 10**6},
    )
    assert made.problem is not None
    assert "the cache" in made.problem.what


def test_with_libraries_no_time_is_promised() -> None:
    """Hundreds of megabytes more take as long as the network wants."""
    assert judge("wheels", "colab_t4", "13.0").seconds
    wish = Options(parts=("cudnn",))
    assert judge("wheels", "colab_t4", "13.0", wish).seconds is None


@pytest.mark.parametrize(
    ("version", "pin"),
    [
        ("13.0", "13.0.*"),
        ("13.2", "13.2.*"),
        ("13.3", "13.3.3.*"),
        ("13.4", "13.3.4.*"),
        ("13.4.1", "13.3.4.*"),
        ("13.5", "13.3.5.*"),
    ],
)
def test_thrust_has_versions_of_its_own(version: str, pin: str) -> None:
    """As the metapackage cuda-toolkit of each version asks for it."""
    made = judge("wheels", "debian12_cpu", version)
    assert f"nvidia-cuda-cccl=={pin}" in fields(made, "fetch-wheels")["requirements"]
