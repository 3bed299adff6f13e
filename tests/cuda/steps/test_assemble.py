"""The step shows what it does, and does it in the staging folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from colabmagic.cuda.steps.assemble import Assemble
from tests.cuda.rooting.trees import hybrid, wheels

if TYPE_CHECKING:
    from colabmagic.cuda.steps.base import Work


def test_wheels(work: Work) -> None:
    """The parts are gone, the root is there."""
    wheels(work.staging / "parts")
    step = Assemble(layout="wheels", build="13.0")
    assert step.lines() == ("make a CUDA 13.0 root: bin, include, lib64, nvvm",)
    assert (step.outside, step.undo()) == ((), ())
    step.do(work)
    assert not (work.staging / "parts").exists()
    assert (work.staging / "bin" / "nvcc").is_file()
    assert work.environment == {}


def test_what_the_toolkit_wants_is_noted(work: Work) -> None:
    """Flags of a toolkit without a static runtime are in the environment then."""
    hybrid(work.staging / "parts")
    Assemble(layout="deb", build="11.8").do(work)
    assert str(work.staging) in work.environment["NVCC_APPEND_FLAGS"]


def test_plain_data() -> None:
    """It comes back from JSON."""
    step = Assemble(layout="shadow", build="13.0.3", from_root="/site/nvidia/cu13")
    data = json.loads(json.dumps(step.to_dict()))
    assert data.pop("kind") == "assemble"
    assert Assemble(**data) == step
    assert (
        step.lines()[1]
        == "link libraries and headers of /site/nvidia/cu13 (not changed)"
    )
