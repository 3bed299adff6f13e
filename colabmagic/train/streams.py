"""Streams of random numbers and settings of torch: what a process has but once."""

from __future__ import annotations

import os
import random
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from colabmagic.train.keeping import keep_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(eq=False)
class Streams:
    """The generators of torch, its devices, NumPy and Python, and a few settings."""

    _undo: list[Callable[[], Any]] = field(default_factory=list)

    @classmethod
    def take(cls, devices: Iterable[torch.device]) -> Streams:
        """Note how far the streams are.

        Parameters
        ----------
        devices
            Whose streams, besides that of the CPU.
        """
        made = cls()
        made._of(random.getstate, random.setstate)
        made._of(torch.get_rng_state, torch.set_rng_state)
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None:
            made._of(numpy.random.get_state, numpy.random.set_state)
        for device in devices:
            module: Any = getattr(torch, device.type, None)
            if device.type != "cpu" and hasattr(module, "get_rng_state"):
                made._of_device(module, device)
        made._of(torch.is_grad_enabled, torch.set_grad_enabled)
        made._of(torch.get_default_dtype, torch.set_default_dtype)
        made._of(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
        made._of(_anomaly, lambda state: torch.autograd.set_detect_anomaly(*state))
        made._of(lambda: dict(os.environ), _set_environment)
        for hooks in _global_hooks():
            made._undo.append(keep_dict(hooks).undo)
        return made

    def _of(self, read: Callable[[], Any], write: Callable[[Any], Any]) -> None:
        state = read()
        self._undo.append(lambda: write(state))

    def _of_device(self, module: Any, device: torch.device) -> None:  # noqa: ANN401
        state = module.get_rng_state(device)
        self._undo.append(lambda: module.set_rng_state(state, device))

    def undo(self) -> list[tuple[str, Callable[[], Any]]]:
        """Return what puts each of them back."""
        return [("settings and random numbers", undo) for undo in self._undo]

    def restore(self) -> None:
        """Put all of them back."""
        for undo in self._undo:
            undo()


def _anomaly() -> tuple[bool, bool]:
    """Return how ``set_detect_anomaly`` stands."""
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _set_environment(before: dict[str, str]) -> None:
    """Put variables of the process back; those that did not change are not written."""
    for name in set(os.environ) - set(before):
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _global_hooks() -> list[dict[Any, Any]]:
    """Return torch's hooks of all modules and optimizers."""
    return [
        value
        for owner in map(
            sys.modules.get, ("torch.nn.modules.module", "torch.optim.optimizer")
        )
        for name, value in vars(owner).items()
        if name.startswith("_global_") and isinstance(value, dict)
    ]
