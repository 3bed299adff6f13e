"""Tell as one line of JSON what the PyTorch of this Python is and can.

Started as ``python torch_child.py``: it imports nothing of the package that it lies in.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

SIZE = 64


def facts() -> dict[str, Any]:
    """Return what is known of PyTorch, and of one product on the GPU."""
    torch = importlib.import_module("torch")
    told: dict[str, Any] = {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda,
        "hip": getattr(torch.version, "hip", None),
        "archs": [],
        "capability": None,
        "product": None,
    }
    if not told["cuda"]:
        return told
    # PyTorch hides its list while it sees no GPU; the build's own list is behind it.
    flags = torch._C._cuda_getArchFlags()  # noqa: SLF001
    told["archs"] = flags.split() if flags else []
    if torch.cuda.is_available():
        told["capability"] = list(torch.cuda.get_device_capability(0))
        told["product"] = product(torch)
    return told


def product(torch: Any) -> str:  # noqa: ANN401 (given by the caller)
    """Return "right", "wrong", or what CUDA answers."""
    try:
        rows = torch.arange(SIZE, dtype=torch.float32, device="cuda").repeat(SIZE, 1)
        found = (rows @ torch.eye(SIZE, device="cuda") * 2).sum().item()
    except RuntimeError as error:
        return str(error).strip().partition("\n")[0]
    return "right" if found == SIZE * SIZE * (SIZE - 1) else "wrong"


if __name__ == "__main__":
    json.dump(facts(), sys.stdout)
