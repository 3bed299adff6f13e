"""A real toolkit climbs the ladder; broken ones fail where they are broken."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.verifying import Ladder, verify_toolkit
from colabmagic.host import command
from tests.cuda.toolkits import ROOT, copy_of, replace_file
from tests.fakes.drivers import build as drivers
from tests.fakes.drivers import profiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [
    pytest.mark.xdist_group("cuda_toolkit"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here"),
]

PLAIN = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
climb = partial(verify_toolkit, hashes=False, torch=False, user=PLAIN)


def verdicts(ladder: Ladder) -> dict[str, str]:
    """Return how each rung ended."""
    return {rung.name: rung.verdict for rung in ladder.rungs}


@pytest.fixture
def broken(cuda_13: Path, tmp_path: Path) -> Path:
    """Return a copy of the toolkit that a test may break."""
    return copy_of(cuda_13, tmp_path / "toolkit")


def program(path: Path, text: str) -> None:
    """Write a shell script in the place of a program."""
    replace_file(path, f"#!/bin/sh\n{text}\n".encode())


def test_a_whole_toolkit_passes(cuda_13: Path) -> None:
    """It compiles, links and runs; without a driver nothing is computed on a GPU."""
    ladder = verify_toolkit(cuda_13, build="13.0", torch=False, user=PLAIN)
    assert ladder.ok, ladder
    assert verdicts(ladder) == {
        "files": "ok",
        "version": "ok",
        "cubin": "ok",
        "run": "no driver",
        "library": "ok",
        "flags": "ok",
        "gpu": "no driver",
        "ptx": "no driver",
    }
    run, library = ladder.rung("run"), ladder.rung("library")
    assert run is not None
    assert run.why == (
        "Built, linked and started; numbers right, CUDA 13.0;"
        " no driver is here (cudaErrorInsufficientDriver)."
    )
    assert library is not None
    assert library.why == "Programs load lib64/libcudart.so.13."
    assert ladder.build is not None
    assert ladder.build.startswith("13.0.")


def test_it_works_after_it_was_moved(broken: Path, tmp_path: Path) -> None:
    """No path of the folder in which it was made is left in it."""
    moved = tmp_path / "another place" / "13.0"
    moved.parent.mkdir()
    broken.rename(moved)
    ladder = climb(moved, until="library")
    assert ladder.ok, ladder


def test_it_compiles_for_the_gpu_that_is_named(cuda_13: Path) -> None:
    """The code is for that GPU, or for one whose code runs on it."""
    t4 = climb(cuda_13, capability=75, until="cubin").rungs[-1]
    assert t4.why == "Code for sm_75 (this GPU)."


def test_a_gpu_that_it_does_not_know(cuda_13: Path) -> None:
    """CUDA 13 makes no code for a P100, and says so before it compiles."""
    rung = climb(cuda_13, capability=60).rungs[-1]
    assert (rung.name, rung.verdict, rung.code) == ("cubin", "failed", "E06")
    assert (
        rung.why == "This toolkit makes no code for this GPU (compute capability 6.0)."
    )


def test_another_version_than_the_plan(cuda_13: Path) -> None:
    """What was to be 12.4 and is 13.0 fails."""
    rung = climb(cuda_13, build="12.4").rungs[-1]
    assert (rung.name, rung.code) == ("version", "E20")
    assert "not 12.4" in rung.why


def test_a_changed_file_is_named(broken: Path) -> None:
    """A byte more or another byte in a header is found, each by its way of looking."""
    header = broken / "include" / "cuda.h"
    text = header.read_bytes()
    replace_file(header, text.replace(b"CUDA", b"cuda", 1), mode=0o644)
    assert climb(broken, until="files").ok
    rung = climb(broken, until="files", hashes=True).rungs[0]
    assert rung.verdict == "failed"
    assert rung.seen == "include/cuda.h has changed"
    replace_file(header, text + b"\n", mode=0o644)
    assert not climb(broken, until="files").ok


def test_no_cicc(broken: Path) -> None:
    """The part that is missing is named."""
    (broken / "nvvm" / "bin" / "cicc").unlink()
    ladder = climb(broken)
    files, cubin = ladder.rungs[0], ladder.rungs[-1]
    assert files.seen == "nvvm/bin/cicc is gone"
    assert (cubin.name, cubin.code) == ("cubin", "E20")
    assert cubin.why == "A part of the toolkit is missing: cicc."
    assert cubin.fix == "%cuda_install --uninstall 13.0\n%cuda_install 13.0"


def test_a_ptxas_of_another_toolkit(broken: Path) -> None:
    """Two versions in one toolkit are found before anything is compiled."""
    told = "Cuda compilation tools, release 11.8, V11.8.89"
    program(broken / "bin" / "ptxas", f"echo '{told}'")
    rung = climb(broken).rungs[-1]
    assert (rung.name, rung.code) == ("version", "E20")
    assert rung.why.startswith("ptxas is of CUDA 11.8.89, nvcc of 13.0.")


def test_a_ptxas_that_makes_nothing(broken: Path) -> None:
    """Success without code for a GPU is no success."""
    program(
        broken / "bin" / "ptxas",
        'while [ $# -gt 0 ]; do [ "$1" = -o ] && printf text > "$2"; shift; done',
    )
    rung = climb(broken).rungs[-1]
    assert (rung.name, rung.code) == ("cubin", "E20")
    assert rung.why == "nvcc reports success and makes no code for a GPU."
    assert "no ELF file: 4 bytes" in rung.seen


def test_a_truncated_library(broken: Path) -> None:
    """The library is named, and the linker's words are told."""
    library = broken / "lib64" / "libcudart_static.a"
    replace_file(library, library.read_bytes()[:500_000], mode=0o644)
    rung = climb(broken).rungs[-1]
    assert (rung.name, rung.verdict, rung.code) == ("run", "failed", "E20")
    assert rung.why == "A library is missing or damaged: libcudart_static.a."
    assert "libcudart_static.a" in rung.seen


def test_a_missing_header(broken: Path) -> None:
    """It is named."""
    (broken / "include" / "cuda_runtime.h").unlink()
    rung = climb(broken).rungs[-1]
    assert (rung.name, rung.code) == ("cubin", "E20")
    assert rung.why == "A header is missing: cuda_runtime.h."


def test_no_host_compiler(cuda_13: Path) -> None:
    """Where there is no g++ the fix says where one comes from."""
    rung = climb(cuda_13, user={"PATH": "/nonexistent"}).rungs[-1]
    assert (rung.name, rung.code) == ("cubin", "E05")
    assert rung.why == "There is no host compiler: gcc is not found."
    assert rung.fix.splitlines() == [
        "!apt-get install -y g++",
        "or",
        "%cuda_install 13.0   brings one",
    ]


def test_a_host_compiler_that_is_too_new(cuda_13: Path, tmp_path: Path) -> None:
    """The newest that nvcc takes is told, and never the flag that skips the check."""
    compiler = tmp_path / "g++-99"
    program(compiler, 'exec g++ -U__GNUC__ -D__GNUC__=99 "$@"')
    rung = climb(cuda_13, compiler=str(compiler)).rungs[-1]
    assert (rung.name, rung.code) == ("cubin", "E04")
    assert rung.why == "The host compiler is too new: this nvcc takes g++ up to 15."
    assert "unsupported GNU version" in rung.seen
    assert "allow-unsupported" not in rung.seen + rung.fix


def capped(seconds: float, argv: list[str], *, timeout_s: float,
           env: Mapping[str, str] | None = None) -> command.CommandOutcome:  # fmt: skip
    """Run a program with a shorter limit."""
    return command.run(argv, timeout_s=min(seconds, timeout_s), env=env)


def test_an_nvcc_that_hangs(broken: Path, tmp_path: Path) -> None:
    """It is stopped with its children, and the rung says so."""
    nvcc, real = broken / "bin" / "nvcc", broken / "bin" / "nvcc-real"
    nvcc.rename(real)
    pid = tmp_path / "pid"
    program(
        nvcc,
        f'case "$1" in --*) exec "{real}" "$@";; esac\nsleep 600 & echo $! >{pid}; wait',
    )
    rung = climb(broken, run=partial(capped, 2.0)).rungs[-1]
    assert (rung.name, rung.code) == ("cubin", "E20")
    assert rung.why == "nvcc did not end within 2 s and was stopped."
    assert not is_alive(int(pid.read_text("utf-8")))


def test_an_nvcc_that_writes_a_megabyte(broken: Path) -> None:
    """Only its last telling line is kept."""
    nvcc, real = broken / "bin" / "nvcc", broken / "bin" / "nvcc-real"
    nvcc.rename(real)
    noise = "yes 'note: all is well' | head -c 1000000 >&2"
    program(
        nvcc,
        f'case "$1" in --*) exec "{real}" "$@";; esac\n'
        f"{noise}\nprintf '\\nx.cu(1): error: the \\033[31mreason\\033[0m\\n' >&2; exit 2",
    )
    rung = climb(broken).rungs[-1]
    assert (rung.name, rung.code) == ("cubin", "E20")
    assert rung.why == "nvcc failed with status 2."
    assert rung.seen == "x.cu(1): error: the reason"


def test_an_nvcc_that_cannot_be_started(broken: Path) -> None:
    """A file for another processor, and one that must not be run, are told apart."""
    nvcc = broken / "bin" / "nvcc"
    replace_file(nvcc, b"\x7fELF" + bytes(200))
    rung = climb(broken).rungs[-1]
    assert (rung.name, rung.code) == ("version", "E02")
    nvcc.chmod(0o644)
    rung = climb(broken).rungs[-1]
    assert rung.why == "nvcc must not be run: its folder forbids it (noexec?)."


def test_a_folder_for_temporary_files_that_is_not_there(cuda_13: Path) -> None:
    """The folder is named, and how to choose another."""
    user = {**PLAIN, "TMPDIR": "/nonexistent/folder"}
    rung = climb(cuda_13, user=user).rungs[-1]
    assert (rung.name, rung.verdict, rung.code) == ("cubin", "failed", "E20")
    assert rung.seen == "/nonexistent/folder: No such file or directory"
    assert rung.fix.startswith("%env TMPDIR=")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of some kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder],  # noqa: S607 (root's)
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("no right to mount here")
    yield folder
    subprocess.run(["umount", folder], check=True)  # noqa: S607 (root's)


def test_a_full_disk(cuda_13: Path, small_disk: Path) -> None:
    """It is told as such, and nothing stays on it."""
    rung = climb(cuda_13, user={**PLAIN, "TMPDIR": str(small_disk)}).rungs[-1]
    assert (rung.name, rung.code) == ("cubin", "E08")
    assert rung.why == "The disk is full."
    assert list(small_disk.iterdir()) == []


def test_flags_of_the_user_that_break_the_build(cuda_13: Path) -> None:
    """The toolkit passes without them; the flags are named, with what takes them away."""
    flags = {"NVCC_APPEND_FLAGS": "-arch=sm_30"}
    ladder = climb(cuda_13, user={**PLAIN, **flags})
    assert ladder.broken is None
    assert ladder.failed is not None
    assert ladder.failed.name == "flags"
    assert ladder.failed.why == (
        "Your flags break the build: NVCC_APPEND_FLAGS='-arch=sm_30'."
    )
    assert ladder.failed.fix == ("import os; os.environ.pop('NVCC_APPEND_FLAGS', None)")


def test_flags_of_the_toolkit_itself_are_not_the_users(cuda_13: Path) -> None:
    """What the toolkit wants in the environment is used, and not suspected."""
    own = {"NVCC_APPEND_FLAGS": "-cudart=shared"}
    ladder = climb(cuda_13, own=own, user={**PLAIN, **own}, until="flags")
    assert ladder.rungs[-1].why == "No flags of yours for nvcc are set."


SHADOW = """
#define Q(f) int f(void) { return 35; }
Q(cudaMalloc) Q(cudaFree) Q(cudaMemcpy) Q(cudaGetLastError) Q(cudaDeviceSynchronize)
Q(cudaGetDeviceCount) Q(__cudaPopCallConfiguration) Q(__cudaPushCallConfiguration)
Q(cudaLaunchKernel) Q(cudaLaunchKernelExC) Q(__cudaUnregisterFatBinary)
Q(__cudaRegisterFatBinary) Q(__cudaRegisterFatBinaryEnd) Q(__cudaRegisterFunction)
Q(__cudaGetKernel) Q(__cudaLaunchKernel) Q(__cudaInitModule)
const char *cudaGetErrorName(int e) { return "cudaErrorInsufficientDriver"; }
int cudaRuntimeGetVersion(int *v) { *v = 13050; return 0; }
int cudaDriverGetVersion(int *v) { *v = 0; return 0; }
"""


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_runtime_that_shadows_ours(
    cuda_13: Path, tmp_path: Path, *, is_whole: bool
) -> None:
    """What is loaded in the place of ours is named, also where programs die of it."""
    source, script = tmp_path / "shadow.c", tmp_path / "versions"
    source.write_text(SHADOW if is_whole else "int nothing;", "utf-8")
    script.write_text("libcudart.so.13 { global: *; };", "utf-8")
    folder = tmp_path / "other"
    folder.mkdir()
    library = folder / "libcudart.so.13"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-Wl,-soname,libcudart.so.13",  # noqa: S607 (the user's)
         f"-Wl,--version-script={script}", source, "-o", library],
        check=True,
    )  # fmt: skip
    ladder = climb(cuda_13, user={**PLAIN, "LD_LIBRARY_PATH": str(folder)})
    rung = ladder.rung("library")
    assert rung is not None
    assert (rung.verdict, rung.code) == ("failed", "E17"), rung
    assert str(library) in rung.seen
    assert "(CUDA 13.5)" in rung.seen or not is_whole
    assert ladder.broken is None  # the toolkit itself is proven


@pytest.mark.parametrize(
    ("profile", "cuda", "run", "gpu"),
    [
        ("none", 13000, "no driver", "no driver"),
        ("old_driver", None, "failed", None),
        ("t4", 13000, "ok", "failed"),
    ],
)
def test_drivers(  # noqa: PLR0913, PLR0917 (a table)
    cuda_13: Path,
    tmp_path: Path,
    profile: str,
    cuda: int | None,
    run: str,
    gpu: str | None,
) -> None:
    """No GPU, a driver that is too old, and one that fails are told apart."""
    try:
        libraries = drivers.build(tmp_path)
    except drivers.BuildError as error:
        pytest.skip(str(error))
    values = {} if cuda is None else {"cuda": cuda}
    config = profiles.write_profile(profile, tmp_path / "gpu.cfg", values)
    user = drivers.fake_gpu_env(libraries, config, base=PLAIN)
    ladder = climb(cuda_13, user=user)
    found = verdicts(ladder)
    assert (found["run"], found.get("gpu")) == (run, gpu), ladder
    if profile == "old_driver":
        assert ladder.code == "E03"
        assert ladder.failed is not None
        assert (
            ladder.failed.why
            == "The driver is too old: it runs CUDA 11.0, this is 13.0."
        )
        assert ladder.failed.fix.startswith("%cuda_install auto   takes")


def test_an_interrupt_ends_the_compiler(broken: Path, tmp_path: Path) -> None:
    """Ctrl-C leaves neither a process nor a temporary folder."""
    pid, scratch = tmp_path / "pid", tmp_path / "scratch"
    scratch.mkdir()
    program(
        broken / "bin" / "nvcc", f"echo $$ >{pid}.new; mv {pid}.new {pid}; sleep 600"
    )
    code = (
        "import sys; from pathlib import Path\n"
        "from colabmagic.cuda.verifying import verify_toolkit\n"
        "verify_toolkit(Path(sys.argv[1]), hashes=False)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, broken],
        cwd=ROOT,
        env={**PLAIN, "TMPDIR": str(scratch)},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(pid.exists)
        child.send_signal(signal.SIGINT)
        assert child.wait(30) != 0
    finally:
        child.kill()
        child.wait()
    wait_for(lambda: not is_alive(int(pid.read_text("utf-8"))))
    assert list(scratch.iterdir()) == []


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has reaped does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def wait_for(happens: object) -> None:
    """Wait until something is so."""
    assert callable(happens)
    end = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.05)
