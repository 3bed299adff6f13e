"""CUDA's own errors: what the device said, and what is dead afterwards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from colabmagic.explain.model import Draft

if TYPE_CHECKING:
    from colabmagic.explain.scene import Scene

_ASSERT = re.compile(r"device-side assert triggered|CUDA_ERROR_ASSERT\b")
_ILLEGAL = re.compile(
    r"an illegal memory access was encountered|CUDA error: unspecified launch failure"
    r"|CUDA error: misaligned address|CUDA_ERROR_ILLEGAL_ADDRESS"
)
_NO_IMAGE = re.compile(r"no kernel image is available for execution on the device")
_FORK = re.compile(r"Cannot re-initialize (CUDA|XPU) in forked subprocess")
_WORKER = re.compile(r"in DataLoader worker process \d+")
_CUDNN = re.compile(
    r"cuDNN error: (CUDNN_STATUS_\w+)|\b(CUDNN_STATUS_NOT_INITIALIZED)\b"
)
_CUBLAS = re.compile(r"CUDA error: (CUBLAS_STATUS_\w+)")
_NO_MEMORY = {
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
}
_LOSSES = ("cross_entropy", "nll_loss")


def device_assert(scene: Scene) -> Draft | None:
    """Explain a check on the device that failed: mostly an index out of range."""
    if not _ASSERT.search(scene.text):
        return None
    return _dead(scene, "device-assert", _likely(scene))


def illegal_access(scene: Scene) -> Draft | None:
    """Explain a kernel that read or wrote where it may not."""
    if not _ILLEGAL.search(scene.text):
        return None
    return _dead(scene, "illegal-access", ())


def _dead(scene: Scene, code: str, evidence: tuple[str, ...]) -> Draft:
    """Say that the process has lost the device; how to see the true line."""
    spot = scene.spot
    seen = (
        *(
            (f"reported in {scene.where(spot)}; it may have happened before",)
            if spot
            else ()
        ),
        *evidence,
    )
    # The cell's own `.cuda()` would win over `%%train_on cpu`: offered only where the
    # device came from us.
    kind = "cell" if scene.train_on is not None else "plain"
    return Draft(key=f"{code}.{kind}", evidence=seen)


def _likely(scene: Scene) -> tuple[str, ...]:
    """Return the usual cause, where the call shows which one it is."""
    if scene.calls(*_LOSSES):
        return (
            "in a loss over classes: mostly a label below 0, or not below their number",
        )
    if scene.calls("embedding"):
        return ("in an embedding: mostly a number that its table does not have",)
    if scene.calls("binary_cross_entropy"):
        return ("in binary_cross_entropy: mostly a value outside 0 to 1",)
    return ()


def no_kernel_image(scene: Scene) -> Draft | None:
    """Explain a build of PyTorch that has no code for the GPU."""
    return Draft(key="no-kernel-image") if _NO_IMAGE.search(scene.text) else None


def cuda_fork(scene: Scene) -> Draft | None:
    """Explain a device that a forked process got from its parent."""
    match = _FORK.search(scene.text)
    if match is None:
        return None
    worker = _WORKER.search(scene.text)
    kind = "worker" if worker else "process"
    return Draft(key=f"cuda-fork.{kind}", values={"api": match[1]})


def cudnn(scene: Scene) -> Draft | None:
    """Explain a failure of cuDNN."""
    match = _CUDNN.search(scene.text)
    if match is None:
        return None
    return _status("cudnn-failed", match[1] or match[2])


def cublas(scene: Scene) -> Draft | None:
    """Explain a failure of cuBLAS."""
    match = _CUBLAS.search(scene.text)
    return None if match is None else _status("cublas-failed", match[1])


def _status(code: str, status: str) -> Draft:
    """Tell a start that failed, mostly for want of memory, from any other failure."""
    kind = "start" if status in _NO_MEMORY else "run"
    return Draft(key=f"{code}.{kind}", values={"status": status})
