"""The step raises for a toolkit that fails, and keeps the ladder of one that passes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda import errors
from colabmagic.cuda.steps.verify import VERIFIED, Verify, error_of
from colabmagic.cuda.verifying import Ladder, Rung
from tests.cuda.rooting.trees import fill

if TYPE_CHECKING:
    from colabmagic.cuda.steps.base import Work


def test_a_toolkit_that_fails(work: Work) -> None:
    """The whole text tells the rung, what was seen and what to type; the ladder stays."""
    fill(work.staging, {"bin/nvcc": "#!/bin/sh\necho 'release 12.4, V12.4.131'\n"})
    (work.staging / "bin" / "nvcc").chmod(0o755)
    with pytest.raises(errors.VerifyFailedError) as caught:
        Verify(build="13.0").do(work)
    assert caught.value.render() == [
        (
            "VerifyFailedError: The toolkit does not pass (nvcc --version): nvcc is of CUDA"
            " 12.4.131, not 13.0."
        ),
        "  seen: release 12.4.131",
        "  try:  run the cell again, or --method NAME for another way: all was taken back",
    ]
    ladder = Ladder.from_dict(json.loads((work.staging / VERIFIED).read_text("utf-8")))
    assert ladder.broken is not None
    assert ladder.broken.name == "version"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("E04", errors.CompilerTooNewError),
        ("E05", errors.NoHostCompilerError),
        ("E06", errors.GpuNotSupportedError),
        ("E08", errors.DiskFullError),
        ("E15", errors.PtxTooNewError),
        ("E17", errors.ShadowedLibraryError),
        ("E20", errors.VerifyFailedError),
        ("", errors.VerifyFailedError),
    ],
)
def test_each_code_has_its_class(code: str, kind: type[errors.CudaError]) -> None:
    """A rung's code leads to the class that a script can catch."""
    rung = Rung(name="cubin", verdict="failed", why="Why.", code=code, fix="type this")
    error = error_of(rung)
    assert type(error) is kind
    assert error.what == "The toolkit does not pass (compile for the GPU): Why."


def test_lines_and_data() -> None:
    """The plan shows for which GPU; it comes back from JSON."""
    step = Verify(build="13.0", capability=75, ext=True)
    assert step.lines() == (
        "verify: nvcc --version tells 13.0, compile for sm_75, link, run",
        "build and call a PyTorch extension",
    )
    assert "a common GPU" in Verify(build="13.0").lines()[0]
    assert Verify(build="13.0", until="cubin", root="/t").lines() == (
        "verify of /t: nvcc --version tells 13.0, compile for a common GPU",
    )
    data = json.loads(json.dumps(step.to_dict()))
    assert data.pop("kind") == "verify"
    data["variables"] = tuple(data["variables"])
    assert Verify(**data) == step
    assert (step.outside, step.undo()) == ((), ())
