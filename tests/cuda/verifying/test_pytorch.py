"""PyTorch is asked in another process, and what it answers is judged."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.cuda.verifying import pytorch
from colabmagic.cuda.verifying.ladder import FAILED, NO_DRIVER, OK, SKIPPED
from colabmagic.cuda.verifying.scene import Scene
from colabmagic.host import command
from colabmagic.host.command import CommandOutcome

if TYPE_CHECKING:
    from pathlib import Path

ARCHS = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


def scene(
    tmp_path: Path, outcome: CommandOutcome | None = None, capability: int | None = None
) -> Scene:
    """Return a toolkit beside a PyTorch that answers so; without an answer, the real one."""
    return Scene(
        root=tmp_path,
        scratch=tmp_path,
        run=command.run if outcome is None else lambda *_, **__: outcome,
        user=dict(os.environ),
        capability=capability,
    )


def answer(**facts: object) -> CommandOutcome:
    """Return how a child ends that tells these facts."""
    told = {
        "version": "2.14.0+cu130",
        "cuda": "13.0",
        "hip": None,
        "archs": ARCHS,
        "capability": None,
        "product": None,
        **facts,
    }
    return CommandOutcome(
        returncode=0,
        stdout=f"a warning of some library\n{json.dumps(told)}",
        stderr="",
        timed_out=False,
        elapsed_s=1.0,
    )


@pytest.mark.parametrize(
    ("facts", "capability", "verdict", "code", "word"),
    [
        ({}, None, NO_DRIVER, "", "it sees no GPU"),
        ({"capability": [7, 5], "product": "right"}, 75, OK, "", "right"),
        (
            {"capability": [7, 5], "product": "wrong"},
            75,
            FAILED,
            "E20",
            "cannot multiply",
        ),
        ({"cuda": None}, None, SKIPPED, "E14", "built for the CPU"),
        ({"cuda": None}, 75, FAILED, "E14", "built for the CPU"),
        ({"cuda": "12.8"}, None, FAILED, "E18", "of CUDA 12.8, the toolkit of 13.0.88"),
        ({}, 60, FAILED, "E07", "no kernels for this GPU (compute capability 6.0)"),
        ({"capability": [6, 1]}, None, FAILED, "E07", "compute capability 6.1"),
    ],
)
def test_judgement(  # noqa: PLR0913, PLR0917 (a table)
    tmp_path: Path,
    facts: dict[str, Any],
    capability: int | None,
    verdict: str,
    code: str,
    word: str,
) -> None:
    """CUDA majors agree, the GPU is covered, and a product is right; or it says what not."""
    result, told = pytorch.check_torch(
        scene(tmp_path, answer(**facts), capability), "13.0.88", sys.executable
    )
    assert (result.verdict, result.code) == (verdict, code)
    assert word in result.why
    assert result.fix or verdict in {OK, NO_DRIVER}
    assert told["version"] == "2.14.0+cu130"


@pytest.mark.parametrize(
    ("archs", "capability", "covered"),
    [
        (ARCHS, 89, True),
        (ARCHS, 61, False),
        (["sm_50", "compute_60"], 90, True),
        (["compute_90"], 75, False),
        (["sm_100a"], 100, True),
    ],
)
def test_covers(archs: list[str], capability: int, *, covered: bool) -> None:
    """Code runs on later GPUs of its generation, PTX on all later ones."""
    assert pytorch.covers(archs, capability) is covered


def test_the_real_pytorch_answers(tmp_path: Path) -> None:
    """The one of this Python tells its version; one for the CPU has no extension built."""
    made = scene(tmp_path)
    result, told = pytorch.check_torch(made, "13.0.88", sys.executable)
    assert told["version"][0].isdigit()
    assert result.verdict in {SKIPPED, NO_DRIVER, OK}
    if told["cuda"] is None:
        refused = pytorch.check_ext(made, told, sys.executable)
        assert refused.verdict == SKIPPED
        assert (
            refused.why == "PyTorch is built for the CPU: it refuses to build for CUDA."
        )


def test_a_pytorch_that_does_not_import(tmp_path: Path) -> None:
    """Its own last words are told, and what installs it anew."""
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text(
        "raise OSError('libc10.so: cannot open')", "utf-8"
    )
    made = Scene(
        root=tmp_path,
        scratch=tmp_path,
        run=command.run,
        user={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    result, told = pytorch.check_torch(made, "13.0.88", sys.executable)
    assert told == {}
    assert result.verdict == FAILED
    assert result.seen.endswith("OSError: libc10.so: cannot open")


def test_a_pytorch_that_hangs(tmp_path: Path) -> None:
    """The limit is told."""
    late = CommandOutcome(
        returncode=None, stdout="", stderr="", timed_out=True, elapsed_s=120.0
    )
    result, _ = pytorch.check_torch(scene(tmp_path, late), "13.0.88", sys.executable)
    assert result.why == "import torch did not end within 120 s and was stopped."


@pytest.mark.parametrize(
    ("built", "verdict"),
    [
        ({"device": "cuda", "sum": 6.0, "expected": 6.0}, OK),
        ({"device": "cpu", "sum": 6.0, "expected": 6.0}, NO_DRIVER),
        ({"device": "cuda", "sum": 5.0, "expected": 6.0}, FAILED),
    ],
)
def test_an_extension(tmp_path: Path, built: dict[str, Any], verdict: str) -> None:
    """Its numbers are checked, on the GPU where there is one."""
    outcome = CommandOutcome(
        returncode=0,
        stdout=json.dumps(built),
        stderr="",
        timed_out=False,
        elapsed_s=90.0,
    )
    result = pytorch.check_ext(
        scene(tmp_path, outcome), {"cuda": "13.0"}, sys.executable
    )
    assert result.verdict == verdict
