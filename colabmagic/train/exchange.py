"""Re-point one tensor object to other memory, in place.

Where torch allows it (CPU, CUDA, MPS, XPU) the data is exchanged and the tensor keeps
its implementation, so that everything that refers to it in C++ stays right. Elsewhere
(back ends on torch's PrivateUse1 key, and tensors with a history) the implementations
of two Python tensors are swapped, and swapped back at home.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parameter import (  # type: ignore[attr-defined]  # not in its stubs
    UninitializedTensorMixin,
)

from colabmagic.errors import NotSupportedError

no_subclass = torch._C.DisableTorchFunctionSubclass  # noqa: SLF001 (user classes stay out)
# Also past modes: they would call what a cell has put in the place of `Tensor.data`.
_no_dispatch = torch._C.DisableTorchFunction  # noqa: SLF001
compatible = torch._has_compatible_shallow_copy_type  # noqa: SLF001 (what `.data =` asks)
_data: Any = torch._C.TensorBase.data  # noqa: SLF001
# swap_tensors refuses where something holds a weak reference (RNN layers do); the
# function below it does not.
_swap: Any = getattr(torch._C, "_swap_tensor_impl", torch.utils.swap_tensors)  # noqa: SLF001


# What a function under ``vmap`` let out: torch refuses whatever is done with it.
_is_batched = torch._C._functorch.is_batchedtensor  # noqa: SLF001

_ORDINARY = frozenset({torch.Tensor, torch.nn.Parameter})


class ForeignGraph(torch.autograd.Function):
    """Stands at the end of a history that was left on a device."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch gives it no type)
        _anchor: torch.Tensor,
        value: torch.Tensor,
        device: str,
    ) -> torch.Tensor:
        """Return the value; only its history is another."""
        ctx.device = device
        return value.detach()

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> Any:  # noqa: ANN401
        """Refuse: the history ended with the cell."""
        raise NotSupportedError(
            "backward() through a value whose %%train_on cell has ended",
            seen=f"it was computed on {ctx.device}, and that computation stayed there",
            hint="compute it again and call backward() in the same cell",
        )


class SharedCopy(torch.autograd.Function):
    """Stands for the copy of a computed tensor, in memory that it shares with others."""

    @staticmethod
    def forward(_: Any, tensor: torch.Tensor, made: torch.Tensor) -> Any:  # noqa: ANN401, ARG004
        """Return the copy; its history is the tensor's."""
        return made.detach()

    @staticmethod
    def backward(_: Any, *gradients: torch.Tensor) -> Any:  # noqa: ANN401
        """Go on where the tensor was computed."""
        return gradients[0].cpu(), None


def with_history(tensor: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Return a tensor over the memory of `made` that was computed as `tensor` was."""
    with torch.enable_grad():
        return SharedCopy.apply(tensor, made)  # type: ignore[no-any-return, no-untyped-call]


def without_history(value: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor that looks computed, and says clearly that its graph is gone."""
    with torch.enable_grad():
        anchor = torch.empty(0, requires_grad=True, device="cpu")
        return ForeignGraph.apply(anchor, value, str(device))  # type: ignore[no-any-return, no-untyped-call]


def swap(tensor: torch.Tensor, other: torch.Tensor) -> None:
    """Swap the implementations of two tensors.

    Raises
    ------
    RuntimeError
        Torch itself holds on to one of them.
    """
    try:
        _swap(tensor, other)
    except RuntimeError:
        # A retained gradient is brought by the node, which knows the implementation.
        for each in (tensor, other):
            if not each.is_leaf and each.retains_grad:
                each.detach_()
        _swap(tensor, other)


def data_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return ``tensor.data``; nobody takes note of it."""
    with _no_dispatch():
        return _data.__get__(tensor)  # type: ignore[no-any-return]


def set_data(tensor: torch.Tensor, value: torch.Tensor) -> None:
    """Assign ``tensor.data``, past any user class."""
    with _no_dispatch():
        _data.__set__(tensor, value)


def exchange(tensor: torch.Tensor, made: torch.Tensor) -> None:
    """Give `tensor` the implementation of `made`; `made` keeps the old one.

    Hooks and ``requires_grad`` go along; the gradient is the caller's to attach.
    """
    if tensor.requires_grad and history_of(made) is None:
        if made.is_inference():
            with torch.inference_mode():
                made.requires_grad_()
        else:
            made.requires_grad_()
    carry_hooks(tensor, made)
    swap(tensor, made)


def carry_hooks(tensor: torch.Tensor, made: torch.Tensor) -> None:
    """Let `made` call the same hooks; handles that the user holds stay valid."""
    hooks = tensor._backward_hooks  # noqa: SLF001 (no other way to reach them)
    if hooks is not None or made._backward_hooks is not None:  # noqa: SLF001
        made._backward_hooks = hooks  # noqa: SLF001
    later = tensor._post_accumulate_grad_hooks  # noqa: SLF001
    if later is not None or made._post_accumulate_grad_hooks is not None:  # noqa: SLF001
        made._post_accumulate_grad_hooks = later  # noqa: SLF001


def history_of(tensor: torch.Tensor) -> object:
    """Return the node that computed a tensor; None for leaves.

    Torch refuses to tell for a view that was made without gradients and whose base was
    changed since (a row of a weight, kept over a step). It is taken for a leaf.
    """
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None


def leads_to(node: Any, leaves: set[int], known: dict[Any, bool]) -> bool:  # noqa: ANN401
    """Tell whether a backward pass from a node gives gradients to certain leaves.

    Parameters
    ----------
    node
        A ``grad_fn``.
    leaves
        ``id`` of the leaf tensors.
    known
        Answers of earlier calls; filled.
    """
    pending = [node]
    while pending:
        each = pending[-1]
        if each in known and known[each] is not None:
            pending.pop()
            continue
        inner = [following for following, _ in each.next_functions if following]
        fresh = [following for following in inner if following not in known]
        if each not in known and fresh:
            known[each] = None  # type: ignore[assignment]  # being asked
            pending.extend(fresh)
            continue
        leaf = getattr(each, "variable", None)
        known[each] = (leaf is not None and id(leaf) in leaves) or any(
            known.get(following) for following in inner
        )
        pending.pop()
    return known[node]


def is_plain(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is ordinary memory with size and strides."""
    return (
        tensor.layout is torch.strided
        and not tensor.is_quantized
        and not tensor.is_nested
        and torch._C._has_storage(tensor)  # noqa: SLF001
    )


def is_movable(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor can be moved at all."""
    if type(tensor) in _ORDINARY:
        return not _is_batched(tensor)
    if isinstance(tensor, UninitializedTensorMixin):
        return False  # a lazy parameter moves when it has a size
    return type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
