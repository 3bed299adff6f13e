"""The real PyTorch, whose CPU passes for GPUs.

It steps aside for the real package, so that an import gets that one, changed.
"""

# ruff: noqa: ANN401 (a stub takes whatever torch takes)

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CONFIG: dict[str, Any] = {
    "devices": [],
    "faults": {},
    "cuda_error": "Torch not compiled with CUDA enabled",
    **json.loads(os.environ.get("FAKE_TORCH", "{}")),
}

_HERE = Path(__file__).parents[1]
sys.path[:] = [one for one in sys.path if Path(one) != _HERE]
del sys.modules["torch"]
real = importlib.import_module("torch")
overrides = importlib.import_module("torch.overrides")


class Pretended(overrides.TorchFunctionMode):
    """Lets calls for ``cuda:N`` run on the CPU, or fail as told."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        device = str(kwargs.get("device") or "")
        if device.startswith("cuda"):
            if not CONFIG["devices"]:
                raise AssertionError(CONFIG["cuda_error"])
            kwargs["device"] = "cpu"
            _fail(f"{device} {kwargs.get('dtype')}".replace("torch.", ""))
        name = getattr(func, "__name__", "")
        if name == "conv2d":
            _fail(name)
        if name == "to" and len(args) > 1 and str(args[1]).startswith("cuda"):
            args = (args[0], "cpu", *args[2:])
        return func(*args, **kwargs)


def _fail(what: str) -> None:
    """Fail as told."""
    fault = CONFIG["faults"].get(what)
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault is not None:
        raise RuntimeError(fault)


def _device(name: str) -> dict[str, Any]:
    """Return what is told of a GPU."""
    told: dict[str, Any] = CONFIG["devices"][int(name.partition(":")[2])]
    return told


real.cuda.is_available = lambda: bool(CONFIG["devices"])
real.cuda.device_count = lambda: len(CONFIG["devices"])
real.cuda.get_device_name = lambda name: _device(name)["name"]
real.cuda.get_device_properties = lambda name: SimpleNamespace(**_device(name))
Pretended().__enter__()
