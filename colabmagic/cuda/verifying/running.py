"""The rungs that link a program and start it: run, library, flags, gpu, ptx."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.flags import with_flags
from colabmagic.cuda.verifying.outcome import (
    Result,
    failed,
    no_driver,
    passed,
    program_failed,
    skipped,
)
from colabmagic.cuda.verifying.programs import program
from colabmagic.cuda.verifying.scene import RUN_S
from colabmagic.cuda.verifying.words import BUILT, REINSTALL

if TYPE_CHECKING:
    from colabmagic.cuda.verifying.scene import Scene
    from colabmagic.host.command import CommandOutcome

COUNT: Final = 4096
# What the program must find, computed here in another way.
EXPECTED: Final = sum((i + 1) * (i % 17 + 3 * (i % 29) + 1) for i in range(COUNT))

# Answers of cudaGetDeviceCount that tell of the machine, and not of the toolkit.
_STUB: Final = 34
_INSUFFICIENT_DRIVER: Final = 35
_NO_DEVICE: Final = 100
_UNSUPPORTED_PTX: Final = 222
_NO_KERNEL_IMAGE: Final = 209


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What our program told; None: it did not come so far.

    Attributes
    ----------
    host, device_sum
        Sums that must be `EXPECTED`.
    headers, runtime, driver
        Versions, as 13000 for 13.0; 0 of the driver: there is none; of the runtime: before
        12 it does not tell without a driver.
    count, device
        CUDA's answers, number and name.
    libraries
        Files that were loaded as libcudart or libcuda.
    """

    host: int | None = None
    headers: int | None = None
    runtime: int | None = None
    driver: int | None = None
    count: tuple[int, str] | None = None
    device: tuple[int, str] | None = None
    device_sum: int | None = None
    libraries: tuple[str, ...] = field(default=())
    ended: bool = False


def read_told(text: str) -> Told:
    """Read the lines of our program.

    Parameters
    ----------
    text
        What it wrote; it may have died in the middle.
    """
    values: dict[str, str] = {}
    libraries = []
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign and name == "library":
            libraries.append(value)
        elif sign:
            values[name] = value
    return Told(
        host=_number(values.get("host")),
        headers=_number(values.get("headers")),
        runtime=_number(values.get("runtime")),
        driver=_number(values.get("driver")),
        count=_answer(values.get("count")),
        device=_answer(values.get("device")),
        device_sum=_number(values.get("sum")),
        libraries=tuple(dict.fromkeys(libraries)),
        ended="end" in values,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The program as linked by default, started without the user's libraries."""

    result: Result
    told: Told | None = None
    objects: str = ""


def check_run(scene: Scene, target: int, build: str) -> Ran:
    """Compile, link and start a program, and check its numbers.

    Parameters
    ----------
    scene
        The toolkit.
    target
        The capability to compile for.
    build
        Of the toolkit: the program must find the runtime of the same CUDA.
    """
    objects = str(scene.scratch / "run.o")
    made = str(scene.scratch / "run")
    arch = f"-gencode=arch=compute_{target},code=sm_{target}"
    source = str(program("run.cu"))
    for arguments in (("-c", arch, source, "-o", objects), (arch, objects, "-o", made)):
        outcome = scene.compile(*arguments)
        if not outcome.ok:
            return Ran(result=program_failed(scene, outcome, "nvcc"))
    started = _start(scene, made, scene.driver_path())
    told = read_told(started.stdout)
    return Ran(result=_judge(scene, started, told, build), told=told, objects=objects)


def _judge(scene: Scene, started: CommandOutcome, told: Told, build: str) -> Result:
    """Tell a broken toolkit from a machine without a driver."""
    if not started.ok or not told.ended:
        return program_failed(scene, started, BUILT)
    if told.host != EXPECTED:
        why = "The program that was built computes wrongly."
        seen = f"{told.host} instead of {EXPECTED}"
        return failed(why, seen=seen, fix=REINSTALL)
    for what, number in (("headers", told.headers), ("runtime", told.runtime)):
        if number and version_text(number) != minor_of(build):
            why = f"The program that was built has {what} of another CUDA."
            seen = f"{what} {version_text(number)}, toolkit {build}"
            return failed(why, seen=seen, fix=REINSTALL)
    return _judge_driver(told, build)


def _judge_driver(told: Told, build: str) -> Result:
    """Judge what the driver answers to a program that is right."""
    words = f"Built, linked and started; numbers right, CUDA {minor_of(build)}"
    code, name = told.count or (-1, "no answer")
    if code in {_INSUFFICIENT_DRIVER, _NO_DEVICE, _STUB} and not told.driver:
        return no_driver(f"{words}; no driver is here ({name}).")
    if code == _NO_DEVICE:
        return no_driver(f"{words}; the driver shows no GPU ({name}).")
    if code == _INSUFFICIENT_DRIVER:
        has = version_text(told.driver or 0)
        why = f"The driver is too old: it runs CUDA {has}, this is {minor_of(build)}."
        fix = "%cuda_install auto   takes the newest that this driver runs"
        return failed(why, code="E03", seen=f"{code} {name}", fix=fix)
    return passed(f"{words}.")  # what else it answers is no fault of the toolkit


def check_library(scene: Scene, objects: str, build: str) -> Result:
    """Link to the shared runtime, start as the user would, and see which file is loaded.

    Parameters
    ----------
    scene
        The toolkit.
    objects
        Of our program.
    build
        Of the toolkit.
    """
    library = scene.root / "lib64"
    if not (library / "libcudart.so").exists():
        return skipped("This toolkit has no shared runtime.")
    made = str(scene.scratch / "shared")
    # By a name of our own: nvcc splits at spaces, and spoils other signs in quotes.
    alias = scene.scratch / "runtime"
    alias.symlink_to(library)
    run_path = ("-Xlinker", "-rpath", "-Xlinker", f'"{alias}"')
    outcome = scene.compile("-cudart=shared", objects, *run_path, "-o", made)
    if not outcome.ok:
        return program_failed(scene, outcome, "nvcc")
    started = _start(scene, made, scene.library_path())
    told = read_told(started.stdout)
    loaded = next((each for each in told.libraries if "libcudart" in each), None)
    if started.ok and loaded is not None:
        return _judge_loaded(scene, loaded, told, build)
    broken = program_failed(scene, started, BUILT)
    if not _start(scene, made, scene.driver_path()).ok:
        return broken
    return _shadowed(scene, f"{_first_runtime(scene)}: {broken.seen}")


def _judge_loaded(scene: Scene, loaded: str, told: Told, build: str) -> Result:
    """Judge which file came as CUDA's runtime."""
    if _same_file(loaded, scene.root / "lib64" / "libcudart.so"):
        return passed(f"Programs load {loaded.removeprefix(f'{scene.root}/')}.")
    version = version_text(told.runtime) if told.runtime else "unknown"
    if version == minor_of(build):
        return passed(f"Programs load {loaded}, of the same CUDA.")
    return _shadowed(scene, f"{loaded} (CUDA {version})")


def _first_runtime(scene: Scene) -> str:
    """Return which file the user's folders of libraries offer as CUDA's runtime."""
    folders = [Path(each) for each in scene.library_path().split(":") if each]
    found = (
        file for folder in folders for file in sorted(folder.glob("libcudart.so*"))
    )
    return str(next(found, scene.library_path()))


def _shadowed(scene: Scene, seen: str) -> Result:
    """Return that the user's folders of libraries come before the toolkit's."""
    return failed(
        "LD_LIBRARY_PATH puts another CUDA runtime before the toolkit's.",
        code="E17",
        seen=seen,
        fix=f"%env LD_LIBRARY_PATH={scene.driver_path()}",
    )


def check_flags(scene: Scene, target: int) -> Result:
    """Compile once more with the flags that the user has set for nvcc.

    Parameters
    ----------
    scene
        The toolkit, whose own compile without them has passed.
    target
        The capability to compile for.
    """
    flags = scene.user_flags()
    if not flags:
        return passed("No flags of yours for nvcc are set.")
    named = " ".join(f"{name}={value!r}" for name, value in flags.items())
    made = str(scene.scratch / "flags")
    source = str(program("run.cu"))
    # As they stand together in later cells.
    env = {**scene.environment(), **flags, **with_flags(scene.own, flags)}
    outcome = scene.compile(f"-arch=sm_{target}", source, "-o", made, env=env)
    if outcome.ok:
        return passed(f"It compiles with your {named}.")
    broken = program_failed(scene, outcome, "nvcc")
    return failed(
        f"Your flags break the build: {named}.",
        seen=broken.seen,
        fix="; ".join(f"import os; os.environ.pop({name!r}, None)" for name in flags),
    )


def check_gpu(told: Told) -> Result:
    """Judge the numbers that were computed on the GPU.

    Parameters
    ----------
    told
        By the program that has passed on the host.
    """
    refused = told.count if told.count is not None and told.count[0] else None
    code, name = told.device or refused or (-1, "no answer")
    versions = (
        f"runtime {version_text(told.runtime or 0)},"
        f" driver for CUDA {version_text(told.driver or 0)}"
    )
    if code == 0 and told.device_sum == EXPECTED:
        return passed(f"{COUNT} sums on the GPU, all right; {versions}.")
    if code == 0:
        seen = f"{told.device_sum} instead of {EXPECTED}; {versions}"
        fix = "%gpu_check --deep   tells more"
        return failed("The GPU computes wrongly.", seen=seen, fix=fix)
    if code == _NO_KERNEL_IMAGE:
        why = "The GPU runs no code of this toolkit."
        fix = "%cuda_install auto   chooses a toolkit for this GPU"
        return failed(why, code="E06", seen=f"{code} {name}", fix=fix)
    why = f"The GPU fails: {name}."
    fix = "%gpu_check   tells what is wrong with the GPU"
    return failed(why, seen=f"{code} {name}; {versions}", fix=fix)


def check_ptx(scene: Scene, target: int) -> Result:
    """Try whether the driver compiles this toolkit's PTX, which Numba and Triton rely on.

    Parameters
    ----------
    scene
        The toolkit.
    target
        The capability whose PTX is made.
    """
    made = str(scene.scratch / "ptx")
    virtual = f"-gencode=arch=compute_{target},code=compute_{target}"
    outcome = scene.compile(virtual, str(program("run.cu")), "-o", made)
    if not outcome.ok:
        return program_failed(scene, outcome, "nvcc")
    told = read_told(_start(scene, made, scene.driver_path()).stdout)
    code, name = told.device or (-1, "no answer")
    if code == 0 and told.device_sum == EXPECTED:
        return passed("The driver compiles its PTX.")
    if code == _UNSUPPORTED_PTX:
        has = version_text(told.driver or 0)
        return failed(
            f"The driver (CUDA {has}) does not compile the PTX of this toolkit.",
            code="E15",
            seen=f"{code} {name}",
            fix=f"!nvcc -arch=sm_{target} YOUR_FILE.cu   so that no PTX is needed\nor\n"
            "%cuda_install auto   takes the newest whose PTX this driver compiles",
        )
    why = f"A program of PTX fails: {name}."
    return failed(why, seen=f"{code} {name}", fix="%gpu_check --deep   tells more")


def version_text(number: int) -> str:
    """Return "12.4" of 12040.

    Parameters
    ----------
    number
        As CUDA's own functions tell it.
    """
    return f"{number // 1000}.{number % 1000 // 10}"


def minor_of(build: str) -> str:
    """Return "12.4" of "12.4.131".

    Parameters
    ----------
    build
        As nvcc tells it.
    """
    return ".".join(build.split(".")[:2])


def _start(scene: Scene, made: str, library_path: str) -> CommandOutcome:
    """Start a program that was built, as the user would but for the folders of libraries."""
    env = {**scene.user, "LD_LIBRARY_PATH": library_path}
    if not library_path:
        del env["LD_LIBRARY_PATH"]
    return scene.run([made], timeout_s=RUN_S, env=env)


def _same_file(loaded: str, ours: Path) -> bool:
    """Tell whether what was loaded is our file, by whatever name."""
    try:
        return Path(loaded).samefile(ours)
    except OSError:
        return False


def _number(text: str | None) -> int | None:
    """Return a number that was told."""
    try:
        return int(text or "")
    except ValueError:
        return None


def _answer(text: str | None) -> tuple[int, str] | None:
    """Return an answer of CUDA: its number and its name."""
    number, _, name = (text or "").partition(" ")
    value = _number(number)
    return None if value is None else (value, name)
