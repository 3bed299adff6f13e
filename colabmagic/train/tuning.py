"""What is faster and not the same: on request, for the length of a cell."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.errors import NotSupportedError
from colabmagic.train.precision import Autocast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from colabmagic.train.move import Mover
    from colabmagic.train.options import TrainOptions
    from colabmagic.train.patches import Patches
    from colabmagic.train.scope import Scope

_AMPERE: Final = (8, 0)
_COMPILED: Final = frozenset({"cuda", "xpu", "mps"})
_ABSENT: Final = object()


@dataclass(eq=False)
class Tuning:
    """Turns on what the user asked for, and off again.

    Attributes
    ----------
    options
        Of the cell.
    device
        An accelerator.
    """

    options: TrainOptions
    device: torch.device
    _autocast: Autocast | None = None
    _settings: list[tuple[object, str, object]] = field(default_factory=list)
    _compiled: list[tuple[torch.nn.Module, object]] = field(default_factory=list)

    def check(self) -> None:
        """Look whether the device can do it, before anything is moved.

        Raises
        ------
        NotSupportedError
            It cannot, or would be slower by it.
        """
        options, kind = self.options, self.device.type
        if options.tf32 and kind != "cuda":
            raise _refusal("--tf32", f"{self.device}: TF32 is a format of NVIDIA GPUs")
        if options.tf32 and torch.cuda.get_device_capability(self.device) < _AMPERE:
            raise _refusal("--tf32", f"{_model(self.device)} has no TF32")
        if options.amp and not torch.amp.is_autocast_available(kind):
            raise _refusal("--amp", f"PyTorch has no autocast for {kind}")
        if options.amp == "bf16" and kind == "cuda" and not _has_bf16(self.device):
            raise NotSupportedError(
                f"--amp bf16: {_model(self.device)} has no bf16 units and would be slower",
                hint="--amp fp16 with a torch.amp.GradScaler in the cell",
            )
        if options.compile and kind not in _COMPILED:
            raise _refusal("--compile", f"PyTorch's compiler has no code for {kind}")
        if options.compile and kind != "mps" and not importlib.util.find_spec("triton"):
            raise NotSupportedError(
                "--compile: PyTorch compiles with Triton, which is not installed",
                hint="%pip install triton, or leave --compile out",
            )

    def enter(
        self,
        patches: Patches,
        modules: Mapping[int, torch.nn.Module],
        mover: Mover,
        scope: Scope,
    ) -> None:
        """Turn it on.

        Parameters
        ----------
        patches
            Undoes settings of torch.
        modules
            What the cell reaches; on the device already.
        mover
            Learns which weights lie elsewhere now.
        scope
            Gets a note where there was nothing to do.
        """
        options = self.options
        if options.tf32:
            self._allow_tf32()
        if options.channels_last and not _channels_last(modules.values(), mover):
            scope.notes["--channels-last: no convolution in what the cell uses"] = None
        if options.compile:
            self._compile(list(modules.values()), scope)
        if options.amp:
            self._autocast = Autocast(self.device.type, options.amp)
            self._autocast.enter(patches)

    def close(self) -> None:
        """Turn everything off; a second call changes nothing."""
        if self._autocast is not None:
            self._autocast.close()
            self._autocast = None
        while self._settings:
            owner, name, value = self._settings.pop(0)
            setattr(owner, name, value)
        while self._compiled:
            module, before = self._compiled.pop()
            if before is _ABSENT:
                vars(module).pop("_compiled_call_impl", None)
            else:
                vars(module)["_compiled_call_impl"] = before

    def _allow_tf32(self) -> None:
        """Let float32 be rounded in matrix products and convolutions."""
        matmul: Any = torch.backends.cuda.matmul
        convolution: Any = torch.backends.cudnn
        owners = (matmul, convolution)
        self._settings = [(each, "allow_tf32", each.allow_tf32) for each in owners]
        # Written last: "none" and "ieee" are both False to the older name.
        exact = getattr(matmul, "fp32_precision", None)
        if exact is not None:
            self._settings.append((matmul, "fp32_precision", exact))
        for each in owners:
            each.allow_tf32 = True

    def _compile(self, modules: list[torch.nn.Module], scope: Scope) -> None:
        """Compile the modules that are no part of others."""
        inner = {
            id(part) for each in modules for part in each.modules() if part is not each
        }
        roots = [each for each in modules if id(each) not in inner]
        if not roots:
            scope.notes[
                "--compile: no model in what the cell uses; one that is made in the "
                "cell is not compiled"
            ] = None
        for module in roots:
            before = vars(module).get("_compiled_call_impl", _ABSENT)
            self._compiled.append((module, before))
            module.compile()


def _channels_last(modules: Iterable[torch.nn.Module], mover: Mover) -> bool:
    """Lay out weights of convolutions anew; tell whether there were any."""
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    weights = [each.weight for each in modules if isinstance(each, kinds)]
    for weight in weights:
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    mover.accept_place(weights)
    return bool(weights)


def _has_bf16(device: torch.device) -> bool:
    """Tell whether a GPU computes in bf16 itself."""
    return torch.cuda.get_device_capability(device) >= _AMPERE or bool(
        torch.version.hip
    )


def _model(device: torch.device) -> str:
    """Return the name of a GPU's model."""
    return str(torch.cuda.get_device_name(device))


def _refusal(option: str, reason: str) -> NotSupportedError:
    """Return the error for an option that makes no sense here."""
    return NotSupportedError(
        f"{option} makes no sense on this device",
        seen=reason,
        hint=f"leave {option} out",
    )


def refuse_on_cpu(options: TrainOptions, *, asked: bool) -> str | None:
    """Say what options for an accelerator mean on the CPU.

    Parameters
    ----------
    options
        Of the cell.
    asked
        Whether the user wrote ``cpu``; otherwise it is a fallback.

    Returns
    -------
    str or None
        A note on a fallback; None if there is nothing to say.

    Raises
    ------
    NotSupportedError
        He wrote ``cpu``.
    """
    chosen = options.accelerating
    if not chosen:
        return None
    listed = " ".join(chosen)
    if asked:
        raise NotSupportedError(
            f"{listed}: for an accelerator, not for the CPU",
            hint="%%train_on cpu, without " + ("it" if len(chosen) == 1 else "them"),
        )
    return f"{listed}: left out, because the cell ran on the CPU"
