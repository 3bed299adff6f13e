"""What a tensor says of itself, without running code of its class.

PyTorch is not imported here: a tensor in hand proves that somebody else did.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colabmagic.memory.children import is_kind
from colabmagic.memory.devices import loaded_torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class Storage:
    """A piece of memory that one or several tensors share.

    Attributes
    ----------
    key
        Tells it from all others that are alive.
    device
        As ``cuda:0``.
    size_bytes
        How large it is.
    """

    key: int
    device: str
    size_bytes: int


_plain_kinds: weakref.WeakSet[type] = weakref.WeakSet()  # that are no tensors


def is_tensor(value: object) -> bool:
    """Tell whether a value is a tensor of PyTorch."""
    kind = type(value)
    if type(kind) is type and kind in _plain_kinds:
        return False
    if is_kind(value, getattr(loaded_torch(), "Tensor", None)):
        return True
    if type(kind) is type and loaded_torch() is not None:
        _plain_kinds.add(kind)
    return False


def without_subclasses() -> AbstractContextManager[None]:
    """Have questions to tensors answered by PyTorch, not by a class of the user's."""
    context: AbstractContextManager[None] = (
        loaded_torch()._C.DisableTorchFunctionSubclass()  # noqa: SLF001 (the only way)
    )
    return context


def gradient_of(tensor: Any) -> object:  # noqa: ANN401 (torch is not imported here)
    """Return a tensor's gradient, or None; where there can be none it is not asked."""
    base = loaded_torch()._C.TensorBase  # noqa: SLF001 (the class below all tensors)
    with contextlib.suppress(Exception), without_subclasses():  # odd ones refuse
        if base.is_leaf.__get__(tensor) or base.retains_grad.__get__(tensor):
            grad: object = base.grad.__get__(tensor)
            return grad
    return None


def has_graph(tensor: Any) -> bool:  # noqa: ANN401
    """Tell whether a tensor keeps the graph that computed it, with all it saved."""
    return graph_of(tensor) is not None


def graph_of(tensor: Any) -> Any:  # noqa: ANN401
    """Return the node of the graph that computed a tensor, or None."""
    base = loaded_torch()._C.TensorBase  # noqa: SLF001
    with contextlib.suppress(Exception), without_subclasses():  # odd ones refuse
        return base.grad_fn.__get__(tensor)
    return None


def storages_of(tensor: Any) -> list[Storage]:  # noqa: ANN401
    """Return the memory that a tensor uses: one piece, or several if it is sparse."""
    torch = loaded_torch()
    base = torch._C.TensorBase  # noqa: SLF001
    with contextlib.suppress(Exception), without_subclasses():
        layout = base.layout.__get__(tensor)
        if layout is not torch.strided and layout is not torch.jagged:
            return [
                piece for part in _parts(base, tensor) for piece in storages_of(part)
            ]
        storage = torch.Tensor.untyped_storage(tensor)
        size = int(storage.nbytes()) if storage.data_ptr() else 0  # `meta` has none
        return [Storage(storage._cdata, str(storage.device), size)]  # noqa: SLF001
    return []


def _parts(base: Any, tensor: Any) -> list[Any]:  # noqa: ANN401
    """Return the dense tensors in a sparse one."""
    found = []
    for name in (
        "_indices",
        "_values",
        "crow_indices",
        "col_indices",
        "ccol_indices",
        "row_indices",
        "values",
    ):
        with contextlib.suppress(Exception):  # another layout
            found.append(getattr(base, name)(tensor))
    return found


def shape_of(tensor: Any) -> str:  # noqa: ANN401
    """Return shape and element type, as ``64x3x224x224 float32``."""
    base = loaded_torch()._C.TensorBase  # noqa: SLF001
    with contextlib.suppress(Exception), without_subclasses():
        sizes = "x".join(str(int(each)) for each in base.shape.__get__(tensor))
        kind = str(base.dtype.__get__(tensor)).removeprefix("torch.")
        return f"{sizes or 'scalar'} {kind}"
    return "unknown shape"


def all_tensors() -> list[Any]:
    """Return every tensor object that Python knows: some 50 ms."""
    if loaded_torch() is None:
        return []
    return [each for each in gc.get_objects() if is_tensor(each)]
