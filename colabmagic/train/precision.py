"""``--amp``: the forward pass in half precision, without an edit of the cell."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from colabmagic.errors import NotSupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.train.options import Amp
    from colabmagic.train.patches import Patches

_DTYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Autocast:
    """Torch's autocast around a cell, with holes where it must not be.

    A hand-written loop has it around the forward pass only. Here it is on for the cell
    and off in every backward pass and in every step of an optimizer. Its cache of
    converted weights is off too: it is emptied only where autocast ends, so a whole
    training in one cell would go on with the weights of the first step.

    Parameters
    ----------
    device_type
        "cuda" and the like.
    amp
        "bf16" or "fp16".
    """

    def __init__(self, device_type: str, amp: Amp) -> None:
        self._kind = device_type
        self._amp = amp
        self._outer: Any = None
        self._steps: list[Any] = []
        self._hooks: list[Any] = []
        self._is_scaled = False

    def enter(self, patches: Patches) -> None:
        """Begin.

        Parameters
        ----------
        patches
            Undoes what is changed in torch.
        """
        outer: Any = torch.autocast(
            self._kind, dtype=_DTYPES[self._amp], cache_enabled=False
        )
        outer.__enter__()
        self._outer = outer
        backward = torch.autograd.backward

        @functools.wraps(backward)
        def plain_backward(*args: Any, **options: Any) -> None:  # noqa: ANN401
            if self._outer is None:
                return backward(*args, **options)
            self._refuse_unscaled()
            with torch.autocast(self._kind, enabled=False):
                return backward(*args, **options)

        patches.set(torch.autograd, "backward", plain_backward)
        if self._amp == "fp16":
            scale = torch.amp.GradScaler.scale

            @functools.wraps(scale)
            def noted_scale(scaler: Any, outputs: Any) -> Any:  # noqa: ANN401
                self._is_scaled = self._is_scaled or scaler.is_enabled()
                return scale(scaler, outputs)

            patches.set(torch.amp.GradScaler, "scale", noted_scale)
        self._hooks = [
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]

    def close(self) -> None:
        """End; a second call changes nothing."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        while self._steps:  # of a step that failed
            self._after_step()
        outer, self._outer = self._outer, None
        if outer is not None:
            outer.__exit__(None, None, None)

    def _refuse_unscaled(self) -> None:
        """Refuse gradients that vanish: fp16 ends at 6e-8."""
        if self._amp == "fp16" and not self._is_scaled:
            raise NotSupportedError(
                "--amp fp16: small gradients would become zero without a loss scale",
                seen="backward() on a loss that no torch.amp.GradScaler has scaled",
                hint="--amp bf16; on a GPU without bf16 scaler.scale(loss).backward(), "
                "scaler.step(optimizer), scaler.update()",
            )

    def _before_step(
        self,
        _: Any,  # noqa: ANN401
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Turn it off for a step, but for the closure, which computes the loss."""
        while self._steps:  # of a step that failed
            self._after_step()
        step: Any = torch.autocast(self._kind, enabled=False)
        step.__enter__()
        self._steps.append(step)
        with_closure = tuple(map(self._closure, args))
        return with_closure, {key: self._closure(each) for key, each in options.items()}

    def _after_step(self, *_: Any) -> None:  # noqa: ANN401
        """Turn it on again."""
        if self._steps:
            self._steps.pop().__exit__(None, None, None)

    def _closure(self, value: Any) -> Any:  # noqa: ANN401
        """Wrap a closure, so that its forward pass is in half precision."""
        if not callable(value) or isinstance(value, torch.optim.Optimizer):
            return value
        closure: Callable[[], Any] = value

        @functools.wraps(closure)
        def in_half() -> Any:  # noqa: ANN401
            with torch.autocast(
                self._kind, dtype=_DTYPES[self._amp], cache_enabled=False
            ):
                return closure()

        return in_half
