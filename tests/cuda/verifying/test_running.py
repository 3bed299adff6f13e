"""What our program tells is judged: drivers, GPUs and PTX, as CUDA would answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.verifying import running
from colabmagic.cuda.verifying.ladder import FAILED, NO_DRIVER, OK
from colabmagic.cuda.verifying.scene import Scene
from colabmagic.host.command import CommandOutcome

if TYPE_CHECKING:
    from pathlib import Path

GOOD = f"host={running.EXPECTED}\nheaders=12040\nruntime=12040\n"
ON_GPU = "driver=12040\ncount=0 cudaSuccess\n"


def told(text: str) -> running.Told:
    """Return what a program tells that came to its end."""
    return running.read_told(f"{text}end=1\n")


def scene(tmp_path: Path, answers: str = "") -> Scene:
    """Return a toolkit whose compiler succeeds, and whose programs tell something."""

    def run(argv: list[str], **_: object) -> CommandOutcome:
        text = "" if argv[0].endswith("nvcc") else answers
        return CommandOutcome(
            returncode=0, stdout=text, stderr="", timed_out=False, elapsed_s=0.0
        )

    return Scene(root=tmp_path / "13.0", scratch=tmp_path, run=run, user={})


def test_a_program_that_died_in_the_middle() -> None:
    """What it told until then counts, and that it did not end."""
    found = running.read_told(
        "host=12\nlibrary=/a\nlibrary=/a\nruntime=x\ncount=35 cuda"
    )
    assert (found.host, found.runtime, found.count) == (12, None, (35, "cuda"))
    assert found.libraries == ("/a",)
    assert not found.ended


@pytest.mark.parametrize(
    ("text", "verdict", "code", "word"),
    [
        (
            f"{GOOD}driver=0\ncount=35 cudaErrorInsufficientDriver\n",
            NO_DRIVER,
            "",
            "no driver",
        ),
        (
            f"{GOOD}driver=0\ncount=34 cudaErrorStubLibrary\n",
            NO_DRIVER,
            "",
            "no driver",
        ),
        (f"{GOOD}driver=12040\ncount=100 cudaErrorNoDevice\n", NO_DRIVER, "", "no GPU"),
        (
            f"{GOOD}driver=11040\ncount=35 X\n",
            FAILED,
            "E03",
            "it runs CUDA 11.4, this is 12.4",
        ),
        (f"{GOOD}{ON_GPU}", OK, "", "numbers right"),
        (f"{GOOD}driver=12040\ncount=46 X\n", OK, "", "numbers right"),
        ("host=1\nheaders=12040\n", FAILED, "E20", "computes wrongly"),
        (
            GOOD.replace("runtime=12040", "runtime=12080"),
            FAILED,
            "E20",
            "runtime of another",
        ),
        (
            GOOD.replace("headers=12040", "headers=11080"),
            FAILED,
            "E20",
            "headers of another",
        ),
        (
            GOOD.replace("runtime=12040", "runtime=0") + "driver=0\ncount=35 X\n",
            NO_DRIVER,
            "",
            "no driver",
        ),
    ],
)
def test_link_and_run(
    tmp_path: Path, text: str, verdict: str, code: str, word: str
) -> None:
    """A machine without a driver and a broken toolkit are told apart."""
    ran = running.check_run(scene(tmp_path, f"{text}end=1\n"), 75, "12.4.131")
    assert (ran.result.verdict, ran.result.code) == (verdict, code)
    assert word in ran.result.why


def test_a_program_that_crashes(tmp_path: Path) -> None:
    """No end line is no success, whatever the status."""
    ran = running.check_run(scene(tmp_path, GOOD), 75, "12.4.131")
    assert ran.result.verdict == FAILED


@pytest.mark.parametrize(
    ("text", "verdict", "code", "word"),
    [
        (f"device=0 cudaSuccess\nsum={running.EXPECTED}\n", OK, "", "4096 sums"),
        ("device=0 cudaSuccess\nsum=7\n", FAILED, "E20", "computes wrongly"),
        ("device=209 cudaErrorNoKernelImageForDevice\n", FAILED, "E06", "no code"),
        (
            "device=2 cudaErrorMemoryAllocation\n",
            FAILED,
            "E20",
            "cudaErrorMemoryAllocation",
        ),
        ("", FAILED, "E20", "The GPU fails: no answer."),
    ],
)
def test_on_a_gpu(text: str, verdict: str, code: str, word: str) -> None:
    """Only checked numbers pass."""
    result = running.check_gpu(told(f"{GOOD}{ON_GPU}{text}"))
    assert (result.verdict, result.code) == (verdict, code)
    assert word in result.why


@pytest.mark.parametrize(
    ("text", "verdict", "code"),
    [
        (f"device=0 cudaSuccess\nsum={running.EXPECTED}\n", OK, ""),
        ("device=222 cudaErrorUnsupportedPtxVersion\n", FAILED, "E15"),
        ("device=218 cudaErrorInvalidPtx\n", FAILED, "E20"),
    ],
)
def test_ptx(tmp_path: Path, text: str, verdict: str, code: str) -> None:
    """PTX that is newer than the driver is named, with two ways out."""
    answers = f"{GOOD}{ON_GPU}{text}end=1\n"
    result = running.check_ptx(scene(tmp_path, answers), 75)
    assert (result.verdict, result.code) == (verdict, code)
    if code == "E15":
        assert result.why == (
            "The driver (CUDA 12.4) does not compile the PTX of this toolkit."
        )
        assert (
            result.fix
            == "!nvcc -arch=sm_75 YOUR_FILE.cu   so that no PTX is needed\nor\n"
            "%cuda_install auto   takes the newest whose PTX this driver compiles"
        )


def test_versions() -> None:
    """CUDA's integers and nvcc's builds are brought to one form."""
    assert running.version_text(11080) == "11.8"
    assert running.version_text(13000) == "13.0"
    assert running.minor_of("12.4.131") == "12.4"


def test_the_users_environment(tmp_path: Path) -> None:
    """A compiler sees nothing of it; of the folders of libraries only the driver's stays."""
    driver, other = tmp_path / "driver", tmp_path / "other"
    for folder in (driver, other):
        folder.mkdir()
        (folder / "libcuda.so.1").touch()
    (other / "libcudart.so.12").touch()
    make = partial(Scene, root=tmp_path, scratch=tmp_path, run=print)
    user = {
        "PATH": "/bin",
        "CPATH": "/x",
        "NVCC_APPEND_FLAGS": "-g",
        "LD_LIBRARY_PATH": f"{other}:{driver}:/nowhere:",
    }
    own = {"NVCC_PREPEND_FLAGS": "-ccbin g++-11"}
    made = make(user=user, own=own)
    assert made.environment() == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "TMPDIR": str(tmp_path),
        **own,
    }
    assert made.driver_path() == str(driver)
    assert made.user_flags() == {"NVCC_APPEND_FLAGS": "-g"}
    assert make(user={**user, **own}, own=own).user_flags() == made.user_flags()
