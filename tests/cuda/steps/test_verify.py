"""The step raises for a toolkit that fails, and keeps the ladder of one that passes."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda import errors
from colabmagic.cuda.steps.verify import VERIFIED, Verify, error_of
from colabmagic.cuda.verifying import Ladder, Rung
from colabmagic.cuda.verifying.running import EXPECTED
from tests.cuda.rooting.trees import fill

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.steps.base import Work

# Stands for NVIDIA's compiler: it notes each call, and what it "compiles" says what a
# program says on a machine without a driver, or on the GPU that the file `gpu` tells of.
NVCC = """#!/bin/sh
here=$(dirname "$0")/..
echo "$*" >>"$here/calls"
case $1 in
--list-gpu-code) echo sm_75; exit ;;
--version) echo "release 13.0, V13.0.88"; exit ;;
esac
[ -z "$NVCC_APPEND_FLAGS" ] || { echo "nvcc fatal : no such flag" >&2; exit 1; }
kind=$1
while [ "$1" != -o ]; do shift; done
case $kind in
-cubin) cp "$here/probe.cubin" "$2" ;;
-c) echo object >"$2" ;;
*) [ ! -e "$here/no-linker" ] || { echo "cannot find -lcudart" >&2; exit 1; }
    cp "$here/program" "$2" ;;
esac
"""
PROGRAM = f"""#!/bin/sh
echo host={EXPECTED}; echo headers=13000
cat "{{root}}/gpu" 2>/dev/null ||
    {{{{ echo driver=0; echo "count=35 cudaErrorInsufficientDriver"; }}}}
echo end=1
"""
CUBIN = struct.pack(
    "<16sHHIQQQIHHHHHH",
    b"\x7fELF\x02\x01\x01\x41\x08" + bytes(7), 2, 190, 0, 0, 0, 64, 75 << 8, 64, 56,
    0, 64, 0, 0,
)  # fmt: skip


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Return a toolkit that somebody else has put here."""
    root = tmp_path / "cuda-13.0"
    fill(
        root, {f"bin/{name}": NVCC for name in ("nvcc", "ptxas", "nvlink", "fatbinary")}
    )
    fill(root, {"program": PROGRAM.format(root=root)})
    (root / "probe.cubin").write_bytes(CUBIN)
    for program in [*(root / "bin").iterdir(), root / "program"]:
        program.chmod(0o755)
    return root


def climbed(root: Path, work: Work) -> list[str]:
    """Take the step; return what was compiled for it."""
    (root / "calls").write_text("")
    Verify(build="13.0", root=str(root)).do(work)
    calls = (root / "calls").read_text("utf-8").splitlines()
    return [call for call in calls if " -o " in call]


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


def test_a_toolkit_of_others_is_linked_and_run_once(others: Path, work: Work) -> None:
    """Nobody has tried it before; from then on its version is enough."""
    compiled = climbed(others, work)
    assert [call.split()[0] for call in compiled][:2] == ["-cubin", "-c"]
    assert len(compiled) == 3
    assert work.ladder.rung("run").verdict == "no driver"
    assert work.proven_at is None
    assert climbed(others, work) == []
    assert work.ladder.rung("run").verdict == "no driver"
    assert work.proven_at is not None


def test_a_toolkit_of_others_that_does_not_link_is_not_used(
    others: Path, work: Work
) -> None:
    """It stays as it is; what is typed names the other ways."""
    (others / "no-linker").touch()
    with pytest.raises(errors.VerifyFailedError) as caught:
        climbed(others, work)
    assert caught.value.what == (
        "The toolkit does not pass (link and run): A library is missing or damaged: cudart."
    )
    assert caught.value.hint.splitlines()[0] == "%cuda_install --plan 13.0"


def test_what_the_users_flags_break_is_not_tried_each_time(
    others: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told again, from the proof; without the flags it is tried anew."""
    monkeypatch.setenv("NVCC_APPEND_FLAGS", "--bad")
    assert climbed(others, work)
    assert climbed(others, work) == []
    assert [rung.name for rung in work.ladder.rungs if rung.failed] == ["flags"]
    monkeypatch.delenv("NVCC_APPEND_FLAGS")
    assert climbed(others, work)
    assert work.ladder.ok


@pytest.mark.parametrize(
    ("device", "again"),
    [
        ("2 cudaErrorMemoryAllocation", True),  # it may be free tomorrow
        (f"0 cudaSuccess\nsum={EXPECTED}", False),
    ],
)
def test_a_gpu_that_fails_is_tried_each_time(
    others: Path, work: Work, device: str, *, again: bool
) -> None:
    """A proof is kept of what will be so again."""
    lines = ["driver=13000", "count=0 cudaSuccess", f"device={device}"]
    (others / "gpu").write_text("\n".join([*lines, ""]))
    assert climbed(others, work)
    assert bool(climbed(others, work)) is again
