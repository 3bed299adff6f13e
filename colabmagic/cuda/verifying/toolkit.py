"""The rungs that need no GPU and start no program of ours: files, version, cubin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.rooting.manifest import differences, read_manifest
from colabmagic.cuda.verifying.cubin import capability_of
from colabmagic.cuda.verifying.outcome import (
    Result,
    failed,
    passed,
    program_failed,
    skipped,
)
from colabmagic.cuda.verifying.programs import program
from colabmagic.cuda.verifying.scene import ASK_S
from colabmagic.cuda.verifying.targets import choose_target, dotted, known_targets
from colabmagic.cuda.verifying.words import REINSTALL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.cuda.verifying.scene import Scene
    from colabmagic.host.command import CommandOutcome

_RELEASE: Final = re.compile(r"release \d+\.\d+, V(\d+(?:\.\d+)+)")
_LARGEST_PATCH: Final = 9  # the third number of a release; that of a build is larger
_NAMED: Final = 3  # differences that are told one by one


def check_files(root: Path, *, hashes: bool) -> Result:
    """Compare the files with the list that was written when the toolkit was made.

    Parameters
    ----------
    root
        Of the toolkit.
    hashes
        Whether files are read, or only their sizes compared.
    """
    manifest = read_manifest(root)
    if manifest is None:
        if (root / "bin" / "nvcc").exists():
            return skipped("No list of files: this toolkit was not made by us.")
        return failed(
            "There is no bin/nvcc.", seen=f"nothing to run in {root}", fix=REINSTALL
        )
    found = differences(root, manifest, hashes=hashes)
    if found:
        more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        return failed(
            "The toolkit is not as it was installed.",
            seen="; ".join(str(each) for each in found[:_NAMED]) + more,
            fix=REINSTALL,
        )
    how = "hashes as installed" if hashes else "sizes as installed"
    size = f"{manifest.size_bytes / 1e6:.0f} MB"
    return passed(f"{len(manifest.files)} files, {size}, {how}.")


def build_of(outcome: CommandOutcome) -> str | None:
    """Return the build that a compiler told: "13.0.88"; None where it told none.

    Parameters
    ----------
    outcome
        Of ``--version``.
    """
    match = _RELEASE.search(outcome.stdout)
    return match[1] if outcome.ok and match is not None else None


def same_build(wanted: str, seen: str) -> bool:
    """Tell whether a build is what a plan wants.

    Parameters
    ----------
    wanted
        A build, "13.0.88", a minor, "13.0", or a release, "13.0.3", of which a compiler
        knows the first two numbers only.
    seen
        As nvcc says.
    """
    want, have = wanted.split("."), seen.split(".")
    if len(want) > 2 and int(want[2]) <= _LARGEST_PATCH:  # noqa: PLR2004 (a release)
        want = want[:2]
    return have[: len(want)] == want


def check_version(scene: Scene, wanted: str | None) -> tuple[Result, str | None]:
    """Ask nvcc, and those of its helpers that can tell, for their version.

    Parameters
    ----------
    scene
        The toolkit.
    wanted
        See `same_build`; None: any will do.
    """
    ask: Callable[..., CommandOutcome] = scene.run
    env = scene.environment()
    outcome = ask([scene.nvcc, "--version"], timeout_s=ASK_S, env=env)
    build = build_of(outcome)
    if not outcome.ok:
        return program_failed(scene, outcome, "nvcc"), None
    if build is None:
        seen = outcome.stdout.strip()[-120:] or "nothing"
        why = "nvcc --version tells no version."
        return failed(why, seen=seen, fix=REINSTALL), None
    if wanted is not None and not same_build(wanted, build):
        why = f"nvcc is of CUDA {build}, not {wanted}."
        return failed(why, seen=f"release {build}", fix=REINSTALL), build
    for name in ("ptxas", "nvlink", "fatbinary"):
        helper = ask(
            [str(scene.root / "bin" / name), "--version"], timeout_s=ASK_S, env=env
        )
        other = build_of(helper)
        if not helper.ok:
            return program_failed(scene, helper, name), build
        if other is not None and other.split(".")[:2] != build.split(".")[:2]:
            why = f"{name} is of CUDA {other}, nvcc of {build}."
            return failed(why, seen=f"release {other}", fix=REINSTALL), build
    return passed(f"CUDA {build}."), build


def check_cubin(scene: Scene) -> tuple[Result, int | None]:
    """Compile for the GPU that is here, or for a common one, and read what comes out.

    Parameters
    ----------
    scene
        The toolkit.

    Returns
    -------
    tuple
        The result, and the capability that was compiled for.
    """
    target = choose_target(known_targets(scene), scene.capability)
    if target is None:
        return _no_target(scene), None
    made = scene.scratch / "probe.cubin"
    arch = f"-arch=sm_{target}"
    source = str(program("cubin.cu"))
    outcome = scene.compile("-cubin", arch, source, "-o", str(made))
    if not outcome.ok:
        return program_failed(scene, outcome, "nvcc"), target
    try:
        found = capability_of(made.read_bytes())
    except (OSError, ValueError) as error:
        why = "nvcc reports success and makes no code for a GPU."
        return failed(why, seen=str(error), fix=REINSTALL), target
    if found != target:
        why = f"nvcc makes code for sm_{found}, not for sm_{target}."
        return failed(why, seen=f"sm_{found} in the cubin", fix=REINSTALL), target
    whose = "this GPU" if scene.capability is not None else "a common GPU"
    return passed(f"Code for sm_{target} ({whose})."), target


def _no_target(scene: Scene) -> Result:
    """Return why there is nothing to compile for."""
    if scene.capability is not None:
        gpu = dotted(scene.capability)
        why = f"This toolkit makes no code for this GPU (compute capability {gpu})."
        fix = "%cuda_install auto   chooses a toolkit for this GPU"
        seen = f"sm_{scene.capability} is not among nvcc --list-gpu-code"
        return failed(why, code="E06", seen=seen, fix=fix)
    ask: Callable[..., CommandOutcome] = scene.run
    told = ask([scene.nvcc, "--help"], timeout_s=ASK_S, env=scene.environment())
    if not told.ok:
        return program_failed(scene, told, "nvcc")
    why = "nvcc names no GPU that it makes code for."
    return failed(why, seen="no sm_ in nvcc --help", fix=REINSTALL)
