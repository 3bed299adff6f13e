"""The rungs that ask PyTorch, in another process: torch and ext."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.verifying.children import script
from colabmagic.cuda.verifying.outcome import (
    Result,
    failed,
    no_driver,
    passed,
    skipped,
)
from colabmagic.cuda.verifying.targets import dotted
from colabmagic.cuda.verifying.words import last_words

if TYPE_CHECKING:
    from colabmagic.cuda.verifying.scene import Scene
    from colabmagic.host.command import CommandOutcome

TORCH_S: Final = 120.0  # a cold import on a slow disk can take a minute
# Not "torch": that is the CUDA of the one that is to be replaced.
OTHER_TORCH: Final = "%%cuda_install auto\ntorch"
EXT_S: Final = 900.0  # torch/extension.h through nvcc: 80 to 350 measured on two cores


def torch_is_here() -> bool:
    """Tell whether this Python has a PyTorch, without importing it."""
    try:
        return importlib.util.find_spec("torch") is not None
    except (ImportError, ValueError):
        return False


def check_torch(scene: Scene, build: str, python: str) -> tuple[Result, dict[str, Any]]:
    """Compare PyTorch with the toolkit and the GPU, and multiply two matrices.

    Parameters
    ----------
    scene
        The toolkit.
    build
        Of it.
    python
        The interpreter whose PyTorch is asked.

    Returns
    -------
    tuple
        The result, and what the child told.
    """
    outcome = scene.run(
        [python, script("torch_child.py")], timeout_s=TORCH_S, env=dict(scene.user)
    )
    told = _last_json(outcome)
    if told is None:
        return _child_failed(outcome, "import torch"), {}
    return _judge(scene, build, told), told


def _judge(scene: Scene, build: str, told: dict[str, Any]) -> Result:
    """Judge what the child told."""
    version, cuda = told["version"], told["cuda"]
    if not cuda:
        why = f"PyTorch {version} is built for the CPU: it uses no CUDA at all."
        fix = OTHER_TORCH
        if scene.capability is None:
            return skipped(why, code="E14", fix=fix)
        return failed(why, code="E14", seen="torch.version.cuda is None", fix=fix)
    misfit = _misfit(scene, build, told)
    if misfit is not None:
        return misfit
    if told["product"] is None:
        return no_driver(f"PyTorch {version} of CUDA {cuda}; it sees no GPU.")
    if told["product"] != "right":
        why = f"PyTorch {version} cannot multiply on the GPU."
        fix = "%gpu_check --deep   tells more"
        return failed(why, seen=told["product"], fix=fix)
    return passed(f"PyTorch {version} of CUDA {cuda}; one product on the GPU, right.")


def _misfit(scene: Scene, build: str, told: dict[str, Any]) -> Result | None:
    """Return what of PyTorch does not fit to the toolkit or the GPU, if anything."""
    version, cuda = told["version"], told["cuda"]
    if cuda.partition(".")[0] != build.partition(".")[0]:
        return failed(
            f"PyTorch {version} is of CUDA {cuda}, the toolkit of {build}:"
            " extensions cannot be built.",
            code="E18",
            seen=f"torch.version.cuda {cuda}, nvcc {build}",
            fix=f"%cuda_install {cuda}",
        )
    capability = scene.capability
    if told["capability"]:
        capability = told["capability"][0] * 10 + told["capability"][1]
    archs = told["archs"]
    if capability is not None and archs and not covers(archs, capability):
        return failed(
            f"PyTorch {version} has no kernels for this GPU"
            f" (compute capability {dotted(capability)}).",
            code="E07",
            seen=f"it has {' '.join(archs)}",
            fix=OTHER_TORCH,
        )
    return None


def check_ext(scene: Scene, told: dict[str, Any], python: str) -> Result:
    """Build a PyTorch extension with this toolkit, and call it.

    Parameters
    ----------
    scene
        The toolkit.
    told
        By the child of `check_torch`.
    python
        The interpreter.
    """
    if not told.get("cuda"):
        return skipped("PyTorch is built for the CPU: it refuses to build for CUDA.")
    folder = scene.scratch / "extension"
    folder.mkdir()
    outcome = scene.run(
        [python, script("ext_child.py"), str(folder)],
        timeout_s=EXT_S,
        env=_build_environment(scene),
    )
    built = _last_json(outcome)
    if built is None:
        return _child_failed(outcome, "building the extension")
    if built["sum"] != built["expected"]:
        seen = f"{built['sum']} instead of {built['expected']}"
        fix = "%gpu_check --deep   tells more"
        return failed("The extension computes wrongly.", seen=seen, fix=fix)
    if built["device"] == "cuda":
        return passed("An extension of C++ and CUDA built and run on the GPU.")
    return no_driver("An extension of C++ and CUDA built, imported and called; no GPU.")


def covers(archs: list[str], capability: int) -> bool:
    """Tell whether kernels of these architectures run on a GPU.

    Parameters
    ----------
    archs
        As "sm_75" or "compute_90".
    capability
        75 for 7.5.
    """
    for arch in archs:
        kind, _, digits = arch.partition("_")
        number = int(digits.rstrip("af") or 0)
        if kind == "compute" and number <= capability:  # compiled by the driver
            return True
        if number // 10 == capability // 10 and number <= capability:
            return True
    return False


def _build_environment(scene: Scene) -> dict[str, str]:
    """Return what a build of PyTorch's needs: the toolkit first, the rest as the user has."""
    env = {**scene.user, **scene.own, "CUDA_HOME": str(scene.root)}
    env["PATH"] = (
        f"{scene.root}/bin:{Path(sys.executable).parent}:{env.get('PATH', '')}"
    )
    env["TMPDIR"] = str(scene.scratch)
    if scene.compiler is not None:
        env["CXX"] = scene.compiler
    if scene.capability is not None:
        env["TORCH_CUDA_ARCH_LIST"] = dotted(scene.capability)
    elif "TORCH_CUDA_ARCH_LIST" not in env:
        env["TORCH_CUDA_ARCH_LIST"] = "8.0"  # one GPU's code will do
    return env


def _last_json(outcome: CommandOutcome) -> dict[str, Any] | None:
    """Return what a child told; libraries may have written before it."""
    if not outcome.ok:
        return None
    try:
        told: dict[str, Any] = json.loads(outcome.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return told


def _child_failed(outcome: CommandOutcome, what: str) -> Result:
    """Return that a child died, with PyTorch's own last words."""
    if outcome.timed_out:
        why = f"{what} did not end within {outcome.elapsed_s:.0f} s and was stopped."
        return failed(why, fix="run it again\nor\n%gpu_check   tells what holds it up")
    words = last_words(outcome.stdout + "\n" + outcome.stderr)
    why = f"{what} fails in a fresh Python."
    return failed(why, seen=words, fix="%pip install --force-reinstall torch")
