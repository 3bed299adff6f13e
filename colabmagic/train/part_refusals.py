"""What ``--auto-batch`` refuses, since it would train otherwise part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from colabmagic.errors import NotSupportedError
from colabmagic.train.losses import why_no_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEFT_OUT: Final = "run the cell without --auto-batch, with a smaller batch_size"


def refusal(
    what: str, *, seen: str | None = None, rather: str | None = None
) -> NotSupportedError:
    """Return the error for a cell that cannot be trained in parts.

    Parameters
    ----------
    what
        What the cell does.
    seen
        The evidence.
    rather
        What to write instead.
    """
    hint = _LEFT_OUT if rather is None else f"{rather}; or {_LEFT_OUT}"
    return NotSupportedError(f"--auto-batch: {what}", seen=seen, hint=hint)


def left_early() -> NotSupportedError:
    """Return the error for a loop that ends by a count, which is one of parts."""
    return refusal(
        "the cell leaves a loop over a DataLoader before its end",
        seen="it came to that after so many parts, where it means batches",
    )


def refuse_no_mean(outputs: Iterable[object], size: int) -> None:
    """Refuse a loss that is no mean over its samples, as far as its graph tells.

    Parameters
    ----------
    outputs
        What the backward pass begins with.
    size
        How many samples there are.
    """
    why = why_no_mean(outputs, size)
    if why is not None:
        raise refusal(
            "the loss is a sum over the batch, or another thing than its mean", seen=why
        )


def refuse_hooks(weights: Iterable[torch.Tensor]) -> None:
    """Refuse weights whose gradient goes through code of the user."""
    for each in weights:
        if each._backward_hooks or getattr(each, "_post_accumulate_grad_hooks", None):  # noqa: SLF001
            raise refusal(
                "a hook of a weight sees the gradient of a part",
                seen="register_hook or register_post_accumulate_grad_hook",
            )


def refuse_weights(inputs: Iterable[object]) -> None:
    """Refuse gradients of weights that are not gathered in ``.grad``."""
    if any(isinstance(each, torch.nn.Parameter) for each in inputs):
        raise refusal(
            "the cell takes gradients of weights by torch.autograd.grad",
            rather="loss.backward() instead",
        )


def refuse_scaler(*_: object, **__: object) -> None:
    """Refuse what counts its own steps."""
    raise refusal("a GradScaler counts its own steps")
