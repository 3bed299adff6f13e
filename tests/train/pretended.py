"""CPU memory that passes for a device on which ``tensor.data = …`` works.

The test accelerator hangs on torch's PrivateUse1 key, where tensors are moved by swapping
their implementations. CUDA, MPS and XPU exchange the data instead. That way is walked here
without such a device: while the mode is active, memory that was copied "there" says
that it is on ``xpu:0``.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree

DEVICE: Final = torch.device("xpu", 0)
LOST: Final = "the pretended device is lost"


class Pretended(TorchFunctionMode):
    """Makes copies to `DEVICE` out of CPU memory, and can fail on order.

    Attributes
    ----------
    fail_at
        The number of the copy to the device that finds it full; None for never.
    lost
        Whether every copy from the device fails.
    """

    def __init__(self) -> None:
        super().__init__()
        self.there: dict[int, torch.UntypedStorage] = {}
        self.copies = 0
        self.fail_at: int | None = None
        self.lost = False

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Answer for what is there, and let torch do the rest."""
        kwargs = kwargs or {}
        if func == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return DEVICE if self.holds(args[0]) else func(*args)
        if func == torch.Tensor.is_cpu.__get__:  # type: ignore[attr-defined]
            return func(*args) and not self.holds(args[0])
        name = getattr(func, "__name__", "")
        copies = self.lost and name in {"copy_", "_foreach_copy_"}
        if copies and any(self.holds(each) for each in _tensors(args[1])):
            raise RuntimeError(LOST)
        target = _target(name, args, kwargs)
        if target is not None and (target == DEVICE or self.holds(args[0])):
            return self.placed(args[0], target)
        result = func(*args, **kwargs)
        given = _tensors((args, kwargs))
        if any(self.holds(each) for each in given):
            homes = {_key(each) for each in given if not self.holds(each)}
            for each in _tensors(result):
                if _key(each) not in homes:  # not what was changed in place at home
                    self.note(each)
        return result

    def placed(self, tensor: torch.Tensor, target: torch.device) -> torch.Tensor:
        """Return a tensor on the device, or a copy of it on the CPU."""
        if target == DEVICE:
            return tensor if self.holds(tensor) else self.copied(tensor)
        if self.lost:
            raise RuntimeError(LOST)
        return tensor.clone()

    def copied(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a copy of a tensor on the device."""
        self.copies += 1
        if self.copies == self.fail_at:
            message = "the pretended device is full"
            raise torch.OutOfMemoryError(message)
        made = tensor.clone()
        self.note(made)
        return made

    def note(self, tensor: torch.Tensor) -> None:
        """Take note that the memory of a tensor is there, and keep it alive."""
        if tensor.layout is torch.strided:
            self.there[_key(tensor)] = tensor.untyped_storage()

    def holds(self, tensor: torch.Tensor) -> bool:
        """Tell whether the memory of a tensor is there."""
        return _key(tensor) in self.there


def _key(tensor: torch.Tensor) -> int:
    """Return the identity of a tensor's memory; 0 where it has none."""
    lazy = issubclass(type(tensor), torch.nn.parameter.UninitializedTensorMixin)
    if lazy or tensor.layout is not torch.strided:
        return 0
    return int(tensor.untyped_storage()._cdata)


def _tensors(value: Any) -> list[torch.Tensor]:  # noqa: ANN401
    """Return the tensors in the arguments or the result of a function."""
    leaves = _pytree.tree_leaves(value)
    return [each for each in leaves if isinstance(each, torch.Tensor)]


def _target(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> torch.device | None:
    """Return the device that ``tensor.to`` or ``tensor.cpu`` names."""
    if name not in {"to", "cpu"} or not isinstance(args[0], torch.Tensor):
        return None
    if name == "cpu":
        return torch.device("cpu")
    value = kwargs.get("device", args[1] if len(args) > 1 else None)
    return torch.device(value) if isinstance(value, (str, torch.device)) else None
